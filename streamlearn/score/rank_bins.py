"""Metrics of ranked rows in few bins: for slices and draws, of which there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers
from streamlearn.score.labels import truth_places
from streamlearn.score.ranking import RANKINGS, one_against_rest, prefers_decisions, score_columns
from streamlearn.score.sums import Additive

__all__ = ["RankBins"]

Floats = NDArray[np.float64]
_BINS = 512
_REACH = 16.0


class RankBins(Additive):
    """ROC AUC, average precision and the Kolmogorov-Smirnov distance from 512 bins.

    Probabilities are binned by their log odds, decision values by ``asinh(64 x)``, both from -16
    to 16 in equal steps. A state is the weight of negative and of positive rows in each bin: 8 KB
    a class (one of two classes).

    Parameters
    ----------
    classes : array of shape (n_classes,)
    names : sequence of str
        Of `streamlearn.score.ranking.RANKINGS`.

    Examples
    --------
    >>> statistic = RankBins(np.array([0, 1]), ["roc_auc"])
    >>> y, chances = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> answers = Answers(y, np.stack([1 - chances, chances], axis=1))
    >>> state = statistic.states(y, answers, None, np.zeros(4, dtype=np.intp), 1)
    >>> float(statistic.values(state)["roc_auc"][0]), float(statistic.bounds(state)["roc_auc"][0])
    (0.75, 0.0)
    """

    def __init__(self, classes: NDArray[Any], names: Sequence[str]) -> None:
        self.classes = classes
        self.names = tuple(names)
        self._decided = prefers_decisions(names)
        self.targets = 1 if len(classes) == 2 else len(classes)
        self.size = self.targets * 2 * _BINS

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`."""
        out = np.zeros((count, self.targets, 2 * _BINS))
        columns = score_columns(answers, len(self.classes), self._decided)
        if not len(y) or not columns:
            return out.reshape(count, self.size)
        truth = truth_places(y, answers, self.classes)
        of_chances = answers.probabilities is not None and (
            answers.decisions is None or not self._decided
        )
        positives = one_against_rest(truth, len(self.classes))
        for at, (scores, positive) in enumerate(zip(columns, positives, strict=True)):
            cells = _places(scores, of_chances) + _BINS * positive
            if count > 1:
                cells = cells + groups * (2 * _BINS)
            found = np.bincount(cells, weights=weight, minlength=count * 2 * _BINS)
            out[:, at] = found.reshape(count, 2 * _BINS)
        return out.reshape(count, self.size)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        return self._rated(states, 0)

    def bounds(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.scores.Bounded.bounds`."""
        return self._rated(states, 1)

    def _rated(self, states: Floats, which: int) -> Mapping[str, Floats]:
        bins = states.reshape(-1, self.targets, 2, _BINS)
        negative, positive = bins[:, :, 0], bins[:, :, 1]
        totals = positive.sum(axis=2)
        rates: dict[Any, Floats] = {}
        found = {}
        for name in self.names:
            how = _RATES[RANKINGS[name][0].__name__]
            if how not in rates:
                with np.errstate(divide="ignore", invalid="ignore"):
                    rates[how] = how(negative, positive)[which]
            rated = rates[how]
            if RANKINGS[name][1] == "weighted":
                with np.errstate(divide="ignore", invalid="ignore"):
                    found[name] = (rated * totals).sum(axis=1) / totals.sum(axis=1)
            else:
                found[name] = rated.mean(axis=1)
        return found


def _places(scores: Floats, of_chances: bool) -> NDArray[np.intp]:
    """Return the bin of each score; larger scores are never in lower bins."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.log(scores) - np.log1p(-scores) if of_chances else np.arcsinh(64.0 * scores)
    moved = (moved + _REACH) * (_BINS / (2 * _REACH))
    # Rounding may put a probability a little outside of 0 to 1; NaN is refused elsewhere.
    moved = np.where(np.isnan(moved), np.where(scores > 0.5, _BINS, 0.0), moved)
    return moved.clip(0, _BINS - 1).astype(np.intp)


def _roc_auc(negative: Floats, positive: Floats) -> tuple[Floats, Floats]:
    below = np.cumsum(negative, axis=-1) - negative
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    tied = (positive * negative).sum(axis=-1) / 2
    return ((positive * below).sum(axis=-1) + tied) / pairs, tied / pairs


def _average_precision(negative: Floats, positive: Floats) -> tuple[Floats, Floats]:
    above = np.cumsum(positive[..., ::-1], axis=-1)[..., ::-1]
    wrong = np.cumsum(negative[..., ::-1], axis=-1)[..., ::-1]
    share = positive / positive.sum(axis=-1, keepdims=True)
    here = np.where(positive > 0, above / (above + wrong), 0.0)
    before, wrong_before = above - positive, wrong - negative
    # The best order in a bin has its positive rows first; in the worst they come last.
    best = np.where(positive > 0, above / (above + wrong_before), 0.0)
    worst = np.where(positive > 0, before / np.maximum(before + wrong, 1e-300), 0.0)
    mixed = negative > 0
    off = np.where(mixed, np.maximum(best - here, here - worst), 0.0)
    return (share * here).sum(axis=-1), (share * off).sum(axis=-1)


def _kolmogorov_smirnov(negative: Floats, positive: Floats) -> tuple[Floats, Floats]:
    lower = negative / negative.sum(axis=-1, keepdims=True)
    upper = positive / positive.sum(axis=-1, keepdims=True)
    apart = np.abs(np.cumsum(lower, axis=-1) - np.cumsum(upper, axis=-1)).max(axis=-1)
    inside = np.where((lower > 0) & (upper > 0), np.maximum(lower, upper), 0.0)
    return apart, inside.max(axis=-1)


_RATES = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "kolmogorov_smirnov": _kolmogorov_smirnov,
}
