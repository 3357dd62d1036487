"""Metrics that are the mean of a loss of each row: ours by name, and anybody's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.score.base import Answers
from streamlearn.score.sums import Additive, as_columns, finite, group_sums, weights_of

__all__ = ["MeanLosses", "RowMetric"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RowMetric:
    """A metric that is the weighted mean of one number a row.

    Parameters
    ----------
    name : str
    function : callable
        Of the truth and the predictions, both of shape (rows,); returns one number a row, shape
        (rows,). For several outputs it is called with each.
    greater_is_better : bool
    finish : callable, optional
        Of the means, shape (draws,); returns the metric. A square root makes an RMSE.
    numeric : bool
        Whether truth and predictions are numbers. Labels are given to ``function`` as they are.

    Examples
    --------
    >>> within = RowMetric("within_1", lambda y, said: abs(y - said) <= 1, True)
    >>> statistic = MeanLosses([within])
    >>> y, answers = np.array([1.0, 2.0, 4.0]), Answers(np.array([1.5, 2.0, 9.0]))
    >>> state = statistic.states(y, answers, None, np.zeros(3, dtype=np.intp), 1)
    >>> round(float(statistic.values(state)["within_1"][0]), 4)
    0.6667
    """

    name: str
    function: Callable[[Any, Any], Any]
    greater_is_better: bool = False
    finish: Callable[[Floats], Floats] | None = None
    numeric: bool = True


class MeanLosses(Additive):
    """Means of losses, and what is made of them.

    A state is the weight of the rows and a sum for each output and loss function (which MSE and
    RMSE share): 8 + 8 functions outputs bytes a group.

    Parameters
    ----------
    metrics : sequence of RowMetric
    outputs : int
        Targets of a row. The metric is the plain mean over them, as scikit-learn's
        ``multioutput="uniform_average"``.
    """

    def __init__(self, metrics: Sequence[RowMetric], outputs: int = 1) -> None:
        self.metrics = tuple(metrics)
        self.outputs = outputs
        # MSE and RMSE are made of one sum.
        self._distinct = {metric.function: metric for metric in self.metrics}
        places = {function: at for at, function in enumerate(self._distinct)}
        self._first = [1 + places[metric.function] * outputs for metric in self.metrics]
        self.size = 1 + len(self._distinct) * outputs
        self.names = tuple(metric.name for metric in metrics)
        self._numeric = all(metric.numeric for metric in metrics)

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            If a value is NaN, or outside of what a metric is defined for.
        UsageError
            If a metric does not return one number a row.
        """
        out = np.zeros((count, self.size))
        if not len(y):
            return out
        ones = weights_of(weight, len(y))
        out[:, 0] = group_sums(ones, groups, count)
        truth, said = self._columns(y, answers)
        held = None if weight is None else ones
        for at, metric in enumerate(self._distinct.values()):
            for output in range(self.outputs):
                losses = _losses(metric, truth[output], said[output])
                out[:, 1 + at * self.outputs + output] = group_sums(losses, groups, count, held)
        return out

    def _columns(self, y: NDArray[Any], answers: Answers) -> tuple[list[Any], list[Any]]:
        if not self._numeric:
            return [y], [answers.labels]
        truth, said = as_columns(y, self.outputs), as_columns(answers.labels, self.outputs)
        finite(truth, said)
        return list(truth.T), list(said.T)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        known = np.divide(
            1.0, states[:, 0], out=np.full(len(states), np.nan), where=states[:, 0] > 0
        )
        found = {}
        for first, metric in zip(self._first, self.metrics, strict=True):
            means = states[:, first : first + self.outputs] * known[:, None]
            if metric.finish is not None:
                means = np.stack([metric.finish(column) for column in means.T], axis=1)
            found[metric.name] = means.mean(axis=1)
        return found


def _losses(metric: RowMetric, y: NDArray[Any], said: NDArray[Any]) -> Floats:
    losses = np.asarray(metric.function(y, said), dtype=np.float64)
    if losses.shape != y.shape:
        raise UsageError(
            f"metric {metric.name!r} must return one number a row, shape {y.shape}, and returned "
            f"shape {losses.shape}; a metric that is no mean over rows cannot be streamed"
        )
    return losses
