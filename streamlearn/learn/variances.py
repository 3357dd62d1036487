"""Fits variance thresholds: the variance of each column, and its range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import DataError
from streamlearn.learn.base import column_names
from streamlearn.learn.moments import Moments, refuse_infinite, refuse_stored_infinity
from streamlearn.learn.replay import frame_like, matrix_of

__all__ = ["Variances"]


class Variances:
    """Fits `sklearn.feature_selection.VarianceThreshold`.

    Parameters
    ----------
    estimator : VarianceThreshold
    """

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        del estimator
        self._moments: Moments | None = None
        self._low: NDArray[np.float64] = np.zeros(0)
        self._high: NDArray[np.float64] = np.zeros(0)
        self._names: list[str] = []

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if self._moments is None:
            self._names = column_names(X)
            self._moments = Moments(len(self._names))
            self._low = np.full(len(self._names), np.nan)
            self._high = self._low
        if not X.shape[0]:
            return
        if hasattr(X, "indptr"):
            from sklearn.utils.sparsefuncs import min_max_axis

            refuse_stored_infinity(X, "VarianceThreshold")
            self._moments.add_sparse(X)
            low, high = min_max_axis(X.astype(np.float64), axis=0, ignore_nan=True)
        else:
            matrix = matrix_of(X)
            low, high = np.fmin.reduce(matrix, axis=0), np.fmax.reduce(matrix, axis=0)
            if np.isinf(low).any() or np.isinf(high).any():
                refuse_infinite(matrix, X, "VarianceThreshold")
            self._moments.add(matrix)
        self._low, self._high = np.fmin(self._low, low), np.fmax(self._high, high)

    def merge(self, other: Variances) -> None:
        """See `Accumulator.merge`."""
        if other._moments is None:
            return
        if self._moments is None:
            self._moments, self._names = other._moments, other._names
            self._low, self._high = other._low, other._high
            return
        self._moments.merge(other._moments)
        self._low = np.fmin(self._low, other._low)
        self._high = np.fmax(self._high, other._high)

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        moments = self._moments
        if moments is None:
            return
        values = np.asarray(imputer.statistics_, dtype=np.float64)
        if not imputer.keep_empty_features:
            kept = np.flatnonzero(~np.isnan(values))
            values, self._low, self._high = values[kept], self._low[kept], self._high[kept]
            moments.select(kept)
            self._names = [self._names[index] for index in kept]
        missing = moments.total - moments.count
        moments.add_constant(values, missing)
        values = np.where(missing > 0, values, np.nan)
        self._low, self._high = np.fmin(self._low, values), np.fmax(self._high, values)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        moments = self._moments
        assert moments is not None
        spread = self._high - self._low
        # A column of one value has no variance, whatever rounding makes of its mean.
        variance = np.where(spread == 0, 0.0, moments.variance)
        if estimator.threshold == 0:
            # scikit-learn takes the range where it is the smaller; of gaps it knows no range.
            spread = np.where(moments.count < moments.total, np.nan, spread)
            variance = np.fmin(variance, spread)
        if not (variance > estimator.threshold).any():
            raise DataError(self._complaint(estimator.threshold, variance))
        # Rows of which every column is kept, for scikit-learn to fit.
        reach = 1.0 + float(estimator.threshold)
        estimator.fit(frame_like(sample, np.outer([-reach, reach], np.ones(len(variance)))))
        estimator.variances_ = variance

    def _complaint(self, threshold: float, variance: NDArray[np.float64]) -> str:
        assert self._moments is not None
        told = f"no feature meets the variance threshold {threshold:.5f}"
        if self._moments.total == 1:
            return f"{told}: there is only one row"
        if np.isnan(variance).all():
            return f"{told}: all values are missing"
        best = int(np.nanargmax(variance))
        return (
            f"{told}: the largest variance is {variance[best]:.5g}, of column "
            f"{self._names[best]!r}; lower threshold="
        )
