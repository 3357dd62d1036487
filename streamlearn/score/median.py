"""The median of absolute errors from a histogram, with its bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers
from streamlearn.score.binned import Binned
from streamlearn.score.histogram import put_in_bins
from streamlearn.score.ladder import magnitudes
from streamlearn.score.sums import as_columns, finite, weights_of

__all__ = ["MedianError"]

Floats = NDArray[np.float64]


class MedianError(Binned):
    """``median_absolute_error``, to 0.05 % of its value, or exactly if its bin holds one value.

    Errors are counted in bins 0.1 % wide (`streamlearn.score.ladder.magnitudes`), which know
    their least and largest. A state is 4 numbers a bin and output: 2.7 MB a group, which each
    step of ``coarser`` halves.

    Parameters
    ----------
    outputs : int
        Targets of a row. The metric is the plain mean over them.
    coarser : int
        Bits fewer for each bin.

    Examples
    --------
    >>> statistic = MedianError()
    >>> y, answers = np.array([3.0, -0.5, 2.0]), Answers(np.array([2.5, 0.0, 2.0]))
    >>> state = statistic.states(y, answers, None, np.zeros(3, dtype=np.intp), 1)
    >>> float(statistic.values(state)["median_absolute_error"][0])
    0.5
    """

    names = ("median_absolute_error",)

    def __init__(self, outputs: int = 1, coarser: int = 0) -> None:
        self.outputs = outputs
        self._ladder = magnitudes(coarser)
        super().__init__(outputs, self._ladder.size)

    def put(
        self,
        bins: Floats,
        y: NDArray[Any],
        answers: Answers,
        weight: Any,
        offsets: NDArray[np.intp] | int,
    ) -> None:
        """See `streamlearn.score.binned.Binned.put`.

        Raises
        ------
        DataError
            If the truth or a prediction is NaN or infinite.
        """
        truth, said = as_columns(y, self.outputs), as_columns(answers.labels, self.outputs)
        finite(truth, said)
        ones = weights_of(weight, len(truth))
        everything = np.ones(len(truth), dtype=np.bool_)
        for part, error in zip(bins, np.abs(truth - said).T, strict=True):
            put_in_bins(part, self._ladder.places(error) + offsets, error, everything, ones)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        low, high = self._between(states)
        return {"median_absolute_error": 0.5 * (low + high)}

    def bounds(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.scores.Bounded.bounds`."""
        low, high = self._between(states)
        return {"median_absolute_error": 0.5 * (high - low)}

    def _between(self, states: Floats) -> tuple[Floats, Floats]:
        """Return what the median is not below, and what it is not above, shape (draws,)."""
        found = np.array([_around_half(bins) for bins in self.histograms(states)])
        both = found.reshape(len(states), self.outputs, 2).mean(axis=1)
        return both[:, 0], both[:, 1]


def _around_half(bins: Floats) -> tuple[float, float]:
    used = np.flatnonzero(bins[0] > 0)
    if not len(used):
        return np.nan, np.nan
    up_to = np.cumsum(bins[0, used])
    half = 0.5 * up_to[-1]
    # Rounding may have put a sum that is half on either side of it.
    near = 1e-12 * up_to[-1]
    first = int(np.searchsorted(up_to, half - near))
    second = min(int(np.searchsorted(up_to, half + near, side="right")), len(used) - 1)
    low, high = bins[2, used], bins[3, used]
    if first == second:
        return float(low[first]), float(high[first])
    # Half ends with a bin: the median is between its last value and the first of the next.
    middle = 0.5 * (high[first] + low[second])
    if second == first + 1 and up_to[first] == half:
        return float(middle), float(middle)
    return float(low[first]), float(high[second])
