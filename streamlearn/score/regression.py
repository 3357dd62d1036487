"""Metrics of a regressor; see `sklearn.metrics` for their definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.losses import RowMetric
from streamlearn.score.spread import (
    SPREAD,
    combine_spreads,
    merge_spreads,
    spreads,
    squares_about,
    variation,
)
from streamlearn.score.sums import as_columns, finite, group_sums, weights_of

__all__ = ["LOSSES", "Explained", "LargestError", "pinball", "tweedie"]

Floats = NDArray[np.float64]


def _require(inside: NDArray[np.bool_], values: Floats, metric: str, what: str) -> None:
    """Refuse values that a metric is not defined for, naming the first."""
    if not inside.all():
        row = int((~inside).argmax())
        raise CellError(
            row,
            "target",
            f"{metric} needs {what}, and row {row:,} of the block has {values[row]:g}; leave the "
            "metric out, or filter such rows with where=",
        )


def _squared_error(y: Floats, said: Floats) -> Floats:
    return np.asarray(np.square(y - said))


def _squared_log_error(y: Floats, said: Floats) -> Floats:
    name = "mean squared logarithmic error"
    _require(y > -1, y, name, "true values above -1")
    _require(said > -1, said, name, "predictions above -1")
    return np.asarray((np.log1p(y) - np.log1p(said)) ** 2)


def _percentage_error(y: Floats, said: Floats) -> Floats:
    # As scikit-learn: a true 0 counts as the smallest step at 1.
    return np.asarray(np.abs(said - y) / np.maximum(np.abs(y), np.finfo(np.float64).eps))


def pinball(alpha: float = 0.5) -> RowMetric:
    """Return the mean pinball loss of a quantile: ``mean_pinball_loss``.

    Parameters
    ----------
    alpha : float
        The quantile, from 0 to 1.

    Raises
    ------
    UsageError
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"the quantile of a pinball loss is from 0 to 1, not {alpha}")

    def losses(y: Floats, said: Floats) -> Floats:
        error = y - said
        return np.where(error >= 0, alpha * error, (alpha - 1) * error)

    return RowMetric("mean_pinball_loss" if alpha == 0.5 else f"pinball_{alpha:g}", losses)


def tweedie(power: float) -> RowMetric:
    """Return the mean Tweedie deviance: of Poisson with power 1, of gamma with power 2.

    Parameters
    ----------
    power : float
        At most 0, or at least 1.

    Raises
    ------
    UsageError

    References
    ----------
    Jørgensen: Exponential dispersion models. Journal of the Royal Statistical Society B 49 (1987)
    127-162.
    """
    if 0 < power < 1:
        raise UsageError(f"there is no Tweedie distribution of power {power}, between 0 and 1")
    names = {1.0: "mean_poisson_deviance", 2.0: "mean_gamma_deviance"}
    name = names.get(float(power), f"tweedie_{power:g}")
    text = name.replace("_", " ") if power in names else f"Tweedie deviance of power {power:g}"

    def losses(y: Floats, said: Floats) -> Floats:
        if power:
            _require(said > 0, said, text, "predictions above 0")
        if 1 <= power < 2:
            _require(y >= 0, y, text, "true values from 0 on")
        elif power >= 2:
            _require(y > 0, y, text, "true values above 0")
        return _deviance(y, said, power)

    return RowMetric(name, losses)


def _deviance(y: Floats, said: Floats, power: float) -> Floats:
    from scipy.special import xlogy

    if power == 0:
        return np.asarray((y - said) ** 2)
    if power == 1:
        return np.asarray(2 * (xlogy(y, y / said) - y + said))
    if power == 2:
        return np.asarray(2 * (np.log(said / y) + y / said - 1))
    base = np.where(y > 0, y, 0.0) if power < 0 else y
    one, two = 1 - power, 2 - power
    return np.asarray(2 * (base**two / (one * two) - y * said**one / one + said**two / two))


_ROOT: Callable[[Floats], Floats] = np.sqrt

LOSSES: Mapping[str, RowMetric] = {
    metric.name: metric
    for metric in (
        RowMetric("mse", _squared_error),
        RowMetric("rmse", _squared_error, finish=_ROOT),
        RowMetric("mae", lambda y, said: np.abs(y - said)),
        RowMetric("mape", _percentage_error),
        RowMetric("msle", _squared_log_error),
        RowMetric("rmsle", _squared_log_error, finish=_ROOT),
        pinball(),
        tweedie(1),
        tweedie(2),
    )
}
"""Metrics of a regressor that are means over rows, by name."""


class Explained:
    """R² and explained variance.

    A state is the count of rows and two spreads an output, of the truth and of the errors:
    8 + 64 outputs bytes a group.

    Parameters
    ----------
    outputs : int
        Targets of a row. The metric is the plain mean over them, as scikit-learn's
        ``multioutput="uniform_average"``.
    names : sequence of str
        Which of the two.

    Examples
    --------
    >>> statistic = Explained()
    >>> y, answers = np.array([1.0, 2.0, 4.0]), Answers(np.array([1.0, 2.0, 3.0]))
    >>> state = statistic.states(y, answers, None, np.zeros(3, dtype=np.intp), 1)
    >>> round(float(statistic.values(state)["r2"][0]), 4)
    0.7857
    """

    def __init__(
        self, outputs: int = 1, names: Sequence[str] = ("r2", "explained_variance")
    ) -> None:
        self.names = tuple(names)
        self.outputs = outputs
        self.size = 1 + 2 * SPREAD * outputs
        self._spans = [slice(at, at + SPREAD) for at in range(1, self.size, SPREAD)]

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            If the truth or a prediction is NaN or infinite.
        """
        out = np.zeros((count, self.size))
        if not len(y):
            return out
        truth, said = as_columns(y, self.outputs), as_columns(answers.labels, self.outputs)
        finite(truth, said)
        ones = weights_of(weight, len(truth))
        out[:, 0] = group_sums(np.ones(len(truth)), groups, count)
        columns = [*truth.T, *(truth - said).T]
        for span, column in zip(self._spans, columns, strict=True):
            out[:, span] = spreads(column, ones, groups, count)
        return out

    def merge(self, into: Floats, other: Floats) -> None:
        """See `streamlearn.score.base.Statistic.merge`."""
        into[:, 0] += other[:, 0]
        for span in self._spans:
            merge_spreads(into[:, span], other[:, span])

    def combine(self, states: Floats, weights: Floats) -> Floats:
        """See `streamlearn.score.base.Statistic.combine`."""
        rows = weights @ states[:, :1]
        return np.hstack(
            [rows, *(combine_spreads(states[:, span], weights) for span in self._spans)]
        )

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        total = np.zeros(len(states))
        centred = np.zeros(len(states))
        for truth, error in zip(
            self._spans[: self.outputs], self._spans[self.outputs :], strict=True
        ):
            spread = variation(states[:, truth])
            total += _explained(squares_about(states[:, error]), spread)
            centred += _explained(variation(states[:, error]), spread)
        known = states[:, 1] > 0
        found = {
            # One row has no variation to explain: scikit-learn says NaN.
            "r2": np.where(known & (states[:, 0] >= 2), total / self.outputs, np.nan),
            "explained_variance": np.where(known, centred / self.outputs, np.nan),
        }
        return {name: found[name] for name in self.names}


def _explained(left: Floats, spread: Floats) -> Floats:
    """Return the share explained; of a constant target 1 if nothing is left of it, else 0."""
    share = np.divide(left, spread, out=np.ones(len(left)), where=spread > 0)
    return np.where(left == 0, 1.0, 1.0 - share)


class LargestError:
    """The largest error, whatever the weights: ``max_error``.

    A state is the count of rows and a maximum: 16 bytes a group.
    """

    names = ("max_error",)
    size = 2
    outputs = 1

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            If the truth or a prediction is NaN or infinite, or there are several outputs.
        """
        del weight
        out = np.zeros((count, 2))
        if not len(y):
            return out
        truth, said = as_columns(y, 1), as_columns(answers.labels, 1)
        finite(truth, said)
        error = np.abs(truth - said)[:, 0]
        out[:, 0] = group_sums(np.ones(len(error)), groups, count)
        if count == 1:
            out[0, 1] = error.max()
        else:
            np.maximum.at(out[:, 1], groups, error)
        return out

    def merge(self, into: Floats, other: Floats) -> None:
        """See `streamlearn.score.base.Statistic.merge`."""
        into[:, 0] += other[:, 0]
        np.maximum(into[:, 1], other[:, 1], out=into[:, 1])

    def combine(self, states: Floats, weights: Floats) -> Floats:
        """See `streamlearn.score.base.Statistic.combine`."""
        largest = np.zeros(len(weights))
        for group, state in enumerate(states):
            np.maximum(largest, np.where(weights[:, group] > 0, state[1], 0.0), out=largest)
        return np.stack([weights @ states[:, 0], largest], axis=1)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        return {"max_error": np.where(states[:, 0] > 0, states[:, 1], np.nan)}
