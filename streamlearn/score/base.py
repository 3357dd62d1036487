"""What every metric offers, and how a model's answers reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "Score", "Statistic", "answers_of"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of a block of rows."""

    labels: NDArray[Any]
    """Predictions, shape (rows,)."""
    probabilities: NDArray[np.float64] | None = None
    """Shape (rows, classes), where the model gives them."""
    decisions: NDArray[np.float64] | None = None
    """Of ``decision_function``: shape (rows,) for two classes, else (rows, classes)."""
    said: NDArray[np.intp] | None = None
    """Places of the predictions among the classes, shape (rows,), where they are known."""
    truth: NDArray[np.intp] | None = None
    """Places of the true labels, shape (rows,); see `streamlearn.score.labels.placed`."""


class Score(Protocol):
    """Mergeable scores of a model.

    ``value`` of all rows does not depend on how they were cut, but for rounding.
    """

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """Take in the truth and the answers for a block."""
        ...

    def merge(self, other: Self) -> None:
        """Take in other rows."""
        ...

    def value(self) -> Mapping[str, float]:
        """Return each metric by name."""
        ...


class Statistic(Protocol):
    """Metrics that are functions of states which rows add to.

    One state is a vector of ``size`` numbers. States of groups of rows (slices, shares of a
    bootstrap, files) are kept side by side, added up with any weights, and turned into values
    only at the end: totals, slices, intervals and differences between models are all the same
    algebra. A state of zeros is that of no rows; metrics that have no value are NaN.
    """

    @property
    def size(self) -> int:
        """Numbers in a state."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """What `values` returns, in order."""
        ...

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> NDArray[np.float64]:
        """Return the states of a block's groups, shape (count, size).

        Parameters
        ----------
        y : array of shape (rows,)
        answers : Answers
        weight : array of shape (rows,) or None
        groups : array of int, shape (rows,)
            The group of each row, from 0 to ``count`` - 1.
        count : int
        """
        ...

    def merge(self, into: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        """Add states of other rows to states, in place; both of shape (groups, size)."""
        ...

    def combine(
        self, states: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Add groups up, shape (draws, size).

        Parameters
        ----------
        states : array of shape (groups, size)
        weights : array of shape (draws, groups)
            How often each group counts in each draw.
        """
        ...

    def values(self, states: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return each metric by name, shape (draws,), of states of shape (draws, size)."""
        ...


def answers_of(model: Any, X: Any) -> Answers:
    """Ask a fitted predictor, once, for all that the scores need."""
    if hasattr(model, "classes_") and hasattr(model, "predict_proba"):
        chances = np.asarray(model.predict_proba(X))
        # The same rule as predict's wherever scikit-learn has predict_proba on partial_fit
        # models would be argmax; ask predict all the same, so that no rule is assumed.
        return Answers(np.asarray(model.predict(X)), chances)
    return Answers(np.asarray(model.predict(X)))
