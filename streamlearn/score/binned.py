"""What statistics with histograms for states have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers
from streamlearn.score.histogram import PARTS, merge_bins

__all__ = ["Binned"]

Floats = NDArray[np.float64]


class Binned(ABC):
    """The states of a `streamlearn.score.base.Statistic` that counts rows in bins.

    Parameters
    ----------
    targets : int
        Histograms in a state.
    bins : int
        Of each: 32 bytes a bin.
    """

    def __init__(self, targets: int, bins: int) -> None:
        self.targets = targets
        self.bins = bins
        self.size = targets * PARTS * bins

    @abstractmethod
    def put(
        self,
        bins: Floats,
        y: NDArray[Any],
        answers: Answers,
        weight: Any,
        offsets: NDArray[np.intp] | int,
    ) -> None:
        """Add rows to histograms, shape (targets, 4, bins), each as many bins on as told."""

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            As `add`.
        """
        bins = np.zeros((self.targets, PARTS, count, self.bins))
        if len(y):
            flat = bins.reshape(self.targets, PARTS, -1)
            self.put(flat, y, answers, weight, groups * self.bins)
        return np.ascontiguousarray(np.moveaxis(bins, 2, 0)).reshape(count, self.size)

    def add(self, state: Floats, y: NDArray[Any], answers: Answers, weight: Any) -> None:
        """See `streamlearn.score.scores.InPlace.add`.

        Raises
        ------
        DataError
            If a value is NaN, or a label is none of the model's classes.
        """
        if len(y):
            self.put(state.reshape(self.targets, PARTS, self.bins), y, answers, weight, 0)

    def merge(self, into: Floats, other: Floats) -> None:
        """See `streamlearn.score.base.Statistic.merge`."""
        for mine, theirs in zip(self.histograms(into), self.histograms(other), strict=True):
            merge_bins(mine, theirs)

    def combine(self, states: Floats, weights: Floats) -> Floats:
        """See `streamlearn.score.base.Statistic.combine`."""
        out = np.zeros((len(weights), self.size))
        for total, draw in zip(out, weights, strict=True):
            for group in np.flatnonzero(draw):
                part = self.histograms(states[group]).copy()
                part[:, :2] *= draw[group]
                self.merge(total, part)
        return out

    def histograms(self, states: Floats) -> Floats:
        """Return the histograms of states one after the other, shape (all, 4, bins)."""
        return states.reshape(-1, PARTS, self.bins)
