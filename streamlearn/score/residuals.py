"""Where a regressor is wrong: its errors as a histogram, and truth against prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers

__all__ = ["PredictedBin", "Residuals", "ResidualsSeen"]

_BARS = 60
_SPREADS = 4.0
_BINS = 20
_CELLS = 4_096


@dataclass(frozen=True)
class PredictedBin:
    """Rows whose predictions are alike."""

    low: float
    high: float
    weight: float
    mean_predicted: float
    mean_true: float
    rmse: float


@dataclass(frozen=True)
class Residuals:
    """Errors (truth minus prediction) of all rows.

    The bins were laid by the first block of rows, 16,384 of them at most; all rows are counted.
    """

    edges: tuple[float, ...]
    """Inner edges of the histogram; the outermost bars are open."""
    weights: tuple[float, ...]
    """Weight of the rows of each bar, one more than edges."""
    bins: tuple[PredictedBin, ...]
    """By prediction, near the quantiles of the first block."""


class ResidualsSeen:
    """Counts errors, in the order of the rows.

    Examples
    --------
    >>> seen = ResidualsSeen()
    >>> seen.add(np.array([1.0, 2.0, 3.0]), Answers(np.array([1.5, 2.0, 2.5])), None)
    >>> found = seen.value()
    >>> sum(found.weights), [(item.mean_predicted, item.mean_true) for item in found.bins]
    (3.0, [(1.5, 1.0), (2.0, 2.0), (2.5, 3.0)])
    """

    def __init__(self) -> None:
        self._edges: NDArray[np.float64] | None = None
        self._cuts = np.zeros(0)
        self._low, self._scale = 0.0, 1.0
        self._bin_of = np.zeros(_CELLS, np.intp)
        self._bars = np.zeros(0)
        self._bins = np.zeros((0, 4))

    def add(self, y: NDArray[Any], answers: Answers, weight: Any) -> None:
        """Take in a block of rows."""
        said = np.asarray(answers.labels, np.float64)
        error = np.asarray(y, np.float64) - said
        if said.ndim != 1 or not len(said):
            return
        if self._edges is None:
            self._lay(said, error)
        assert self._edges is not None
        # As np.histogram counts, by arithmetic: the edges are evenly spaced.
        step = self._edges[1] - self._edges[0]
        with np.errstate(invalid="ignore"):
            at = np.ceil((error - self._edges[0]) / step).clip(0, len(self._edges)).astype(np.intp)
        self._bars += np.bincount(at, weights=weight, minlength=len(self._bars))
        with np.errstate(invalid="ignore"):
            cell = ((said - self._low) * self._scale).clip(0, _CELLS - 1).astype(np.intp)
        place = self._bin_of[cell]
        for number, values in enumerate((None, said, said + error, error * error)):
            sums = _sums(place, values, weight, len(self._bins))
            self._bins[:, number] += sums

    def _lay(self, said: NDArray[np.float64], error: NDArray[np.float64]) -> None:
        # By quantiles, so that one wild error does not make all others one bar.
        low, high = np.quantile(error, [0.01, 0.99])
        reach = max(abs(low), abs(high), 1e-12 * float(np.abs(said).max()), 1e-300)
        reach *= _SPREADS / 2.0
        self._edges = np.linspace(-reach, reach, _BARS - 1)
        self._bars = np.zeros(_BARS)
        # Quantiles, moved to a fine even grid: looking a bin up takes arithmetic, no search.
        self._low, high = (float(end) for end in np.quantile(said, [0.001, 0.999]))
        self._scale = _CELLS / max(high - self._low, 1e-300)
        inner = np.quantile(said, np.arange(1, _BINS) / _BINS)
        cells = np.unique(((inner - self._low) * self._scale).clip(1, _CELLS - 1).round())
        self._cuts = self._low + cells / self._scale
        self._bin_of = np.searchsorted(cells, np.arange(_CELLS), side="right")
        self._bins = np.zeros((len(self._cuts) + 1, 4))

    def value(self) -> Residuals | None:
        """Return what was counted; None without rows."""
        if self._edges is None:
            return None
        ends = [-np.inf, *self._cuts, np.inf]
        bins = tuple(
            PredictedBin(
                float(low),
                float(high),
                float(weight),
                float(predicted / weight),
                float(true / weight),
                float(np.sqrt(squares / weight)),
            )
            for low, high, (weight, predicted, true, squares) in zip(
                ends[:-1], ends[1:], self._bins, strict=True
            )
            if weight > 0
        )
        return Residuals(tuple(self._edges.tolist()), tuple(self._bars.tolist()), bins)


def _sums(places: NDArray[np.intp], values: Any, weight: Any, count: int) -> NDArray[np.float64]:
    if values is not None and weight is not None:
        weight = values * weight
    elif values is not None:
        weight = values
    return np.bincount(places, weights=weight, minlength=count).astype(np.float64)
