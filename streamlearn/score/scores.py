"""Statistics of all rows together: what a fit and an evaluation report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers, Score, Statistic
from streamlearn.score.labels import placed

__all__ = ["Bounded", "InPlace", "Scores"]


@runtime_checkable
class InPlace(Protocol):
    """A statistic with a state so large that rows are better added to it than merged."""

    def add(
        self, state: NDArray[np.float64], y: NDArray[Any], answers: Answers, weight: Any
    ) -> None:
        """Add rows to one state, shape (1, size), in place."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A statistic that knows how far its values may be off."""

    def bounds(self, states: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return the largest error of metrics that are not exact, shape (draws,)."""
        ...


class Scores:
    """Statistics over all rows, as one `streamlearn.score.base.Score`.

    Parameters
    ----------
    parts : sequence of Statistic or Score
    classes : array of shape (n_classes,) or None
        The model's classes, so that labels are looked up once for all parts.

    Examples
    --------
    >>> from streamlearn.score.regression import Explained, LargestError
    >>> scores = Scores([Explained(), LargestError()])
    >>> scores.update(np.array([1.0, 2.0, 4.0]), Answers(np.array([1.0, 2.0, 3.0])))
    >>> {name: round(value, 4) for name, value in scores.value().items()}
    {'r2': 0.7857, 'explained_variance': 0.8571, 'max_error': 1.0}
    """

    def __init__(
        self, parts: Sequence[Statistic | Score], classes: NDArray[Any] | None = None
    ) -> None:
        self.classes = classes
        self.rows = 0
        self.statistics = [part for part in parts if _is_statistic(part)]
        self.scores: list[Score] = [part for part in parts if not _is_statistic(part)]  # type: ignore[misc]
        self.states = [np.zeros((1, part.size)) for part in self.statistics]
        """Of each statistic, shape (1, size): for curves, matrices and the like."""
        self._in_place = [part if isinstance(part, InPlace) else None for part in self.statistics]

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """See `streamlearn.score.base.Score.update`.

        Raises
        ------
        DataError
            If a label is none of the classes, a value NaN, or outside of a metric's domain.
        """
        if not len(y):
            return
        if self.classes is not None:
            answers = placed(y, answers, self.classes)
        one = np.zeros(len(y), dtype=np.intp)
        for part, large, state in zip(self.statistics, self._in_place, self.states, strict=True):
            if large is not None:
                large.add(state, y, answers, weight)
            else:
                part.merge(state, part.states(y, answers, weight, one, 1))
        for score in self.scores:
            score.update(y, answers, weight)
        self.rows += len(y)

    def merge(self, other: Self) -> None:
        """See `streamlearn.score.base.Score.merge`."""
        for part, state, theirs in zip(self.statistics, self.states, other.states, strict=True):
            part.merge(state, theirs)
        for score, same in zip(self.scores, other.scores, strict=True):
            score.merge(same)
        self.rows += other.rows

    def value(self) -> Mapping[str, float]:
        """Return each metric by name; those that have no value are left out: see `missing`."""
        return {name: value for name, value in self._all().items() if not np.isnan(value)}

    def missing(self) -> Sequence[str]:
        """Return the names of metrics that have no value.

        The rows or the answers lack what they need: there is one class alone, one row, or neither
        probabilities nor decision values.
        """
        return [name for name, value in self._all().items() if np.isnan(value)]

    def _all(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for part, state in zip(self.statistics, self.states, strict=True):
            found.update(_first(part.values(state)))
        for score in self.scores:
            found.update(score.value())
        return found

    def bounds(self) -> Mapping[str, float]:
        """Return the largest error of each metric that is not exact."""
        found: dict[str, float] = {}
        for part, state in zip(self.statistics, self.states, strict=True):
            if isinstance(part, Bounded):
                found.update(_first(part.bounds(state)))
        return {name: bound for name, bound in found.items() if not np.isnan(bound)}


def _is_statistic(part: Statistic | Score) -> TypeGuard[Statistic]:
    return hasattr(part, "states")


def _first(values: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in values.items()}
