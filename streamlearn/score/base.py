"""What every metric offers, and how a model's answers reach it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
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
    numbers: NDArray[np.int64] | None = None
    """Number of each row in the dataset, shape (rows,), for metrics of a sample of rows."""

    def take(self, rows: Any) -> Answers:
        """Return the answers of some rows: of a slice, a mask or row numbers."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        cut = {name: value[rows] for name, value in held.items() if value is not None}
        return replace(self, **cut)


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


_INNER = {
    "LinearClassifierMixin": "decision_function",
    "ForestClassifier": "predict_proba",
    "_BaseNB": "_joint_log_likelihood",
}
"""What scikit-learn's classifiers make both labels and probabilities of."""


def answers_of(model: Any, X: Any) -> Answers:
    """Ask a fitted predictor for all that the scores need.

    Labels and probabilities are the model's own ``predict`` and ``predict_proba``. Where
    scikit-learn makes both of one matrix of scores, that matrix is computed once. Decision values
    are filled in where they cost nothing more, or where there are no probabilities.
    """
    if not hasattr(model, "classes_"):
        return Answers(np.asarray(model.predict(X)))
    inner = _inner(model)
    if inner is not None:
        model = _asked_once(model, inner)
    chances = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
    decisions = None
    if inner == "decision_function" or (chances is None and hasattr(model, "decision_function")):
        decisions = np.asarray(model.decision_function(X))
    return Answers(np.asarray(model.predict(X)), chances, decisions)


def _inner(model: Any) -> str | None:
    kind = type(model)
    if not kind.__module__.startswith("sklearn."):
        # Somebody else's class may ask its parts about other rows.
        return None
    names = [base.__name__ for base in kind.__mro__ if base.__module__.startswith("sklearn.")]
    return next((_INNER[name] for name in names if name in _INNER), None)


def _asked_once(model: Any, inner: str) -> Any:
    """Return a shallow copy for one block, that remembers what a method said."""
    # Of the model itself: the copy's own method would hold the copy, and what was said, until
    # cycles are collected.
    ask = getattr(model, inner)
    model = copy.copy(model)
    said: list[Any] = []

    def remembered(X: Any) -> Any:
        if not said:
            said.append(ask(X))
        # What is made of it is made in place.
        return said[0].copy()

    setattr(model, inner, remembered)
    return model
