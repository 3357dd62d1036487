"""A statistic that reports its metrics by the names they were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers, Statistic
from streamlearn.score.names import Asked
from streamlearn.score.scores import Bounded

__all__ = ["Named"]

Floats = NDArray[np.float64]


class Named:
    """Wraps a statistic; names and signs are those that were asked for.

    Parameters
    ----------
    inner : Statistic
    asked : sequence of Asked
        Of all metrics, this statistic's or not.

    Examples
    --------
    >>> from streamlearn.score.choose import statistics_for
    >>> from streamlearn.score.names import metric_names
    >>> asked = metric_names(["neg_root_mean_squared_error"], "regressor")
    >>> (inner,) = statistics_for("regressor", None, ["neg_root_mean_squared_error"])
    >>> Named(inner, asked).names
    ('neg_root_mean_squared_error',)
    """

    def __init__(self, inner: Statistic, asked: Sequence[Asked]) -> None:
        self.inner = inner
        self._asked = [item for item in asked if item.name in inner.names]
        self.names = tuple(item.asked for item in self._asked)
        self.size = inner.size

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`."""
        return self.inner.states(y, answers, weight, groups, count)

    def merge(self, into: Floats, other: Floats) -> None:
        """See `streamlearn.score.base.Statistic.merge`."""
        self.inner.merge(into, other)

    def combine(self, states: Floats, weights: Floats) -> Floats:
        """See `streamlearn.score.base.Statistic.combine`."""
        return self.inner.combine(states, weights)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        found = self.inner.values(states)
        return {item.asked: item.sign * found[item.name] for item in self._asked}

    def bounds(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.scores.Bounded.bounds`; none of what is exact."""
        if not isinstance(self.inner, Bounded):
            return {}
        found = self.inner.bounds(states)
        return {item.asked: found[item.name] for item in self._asked if item.name in found}
