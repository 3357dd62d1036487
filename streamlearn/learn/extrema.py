"""Smallest and largest value of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.learn.moments import refuse_infinite, refuse_stored_infinity
from streamlearn.learn.replay import frame_like, matrix_of
from streamlearn.prepare.frame import matrix_dtype

__all__ = ["Extrema"]


class Extrema:
    """Fits `sklearn.preprocessing.MinMaxScaler` and `MaxAbsScaler`.

    Parameters
    ----------
    estimator : MinMaxScaler or MaxAbsScaler
    """

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        self._step = type(estimator).__name__
        self._low: NDArray[Any] | None = None
        self._high: NDArray[Any] | None = None
        self._seen: NDArray[np.int64] | None = None
        self._rows = 0

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if hasattr(X, "indptr"):
            self._update_sparse(X)
            return
        matrix = matrix_of(X)
        if not len(matrix):
            return
        low, high = np.fmin.reduce(matrix, axis=0), np.fmax.reduce(matrix, axis=0)
        if np.isinf(low).any() or np.isinf(high).any():
            refuse_infinite(matrix, X, self._step)
        seen = np.full(matrix.shape[1], len(matrix), dtype=np.int64)
        if np.isnan(matrix.sum(axis=0, dtype=np.float64)).any():
            seen -= np.isnan(matrix).sum(axis=0)
        self._include(low, high, seen, len(matrix))

    def _update_sparse(self, X: Any) -> None:
        """Take in a CSR block; what is not stored is zero."""
        from sklearn.utils.sparsefuncs import min_max_axis

        if self._step == "MinMaxScaler":
            raise ValueError("MinMaxScaler takes no sparse matrix; use MaxAbsScaler()")
        if not X.shape[0]:
            return
        refuse_stored_infinity(X, self._step)
        dtype = matrix_dtype(X)
        low, high = min_max_axis(X.astype(dtype), axis=0, ignore_nan=True)
        stored = np.bincount(X.indices, np.isnan(X.data), minlength=X.shape[1])
        seen = X.shape[0] - stored.astype(np.int64)
        self._include(low, high, seen, X.shape[0])

    def _include(
        self, low: NDArray[Any], high: NDArray[Any], seen: NDArray[np.int64], rows: int
    ) -> None:
        self._rows += rows
        if self._low is None or self._high is None or self._seen is None:
            self._low, self._high, self._seen = low, high, seen
            return
        self._low = np.fmin(self._low, low)
        self._high = np.fmax(self._high, high)
        self._seen = self._seen + seen

    def merge(self, other: Extrema) -> None:
        """See `Accumulator.merge`."""
        if other._low is not None and other._high is not None and other._seen is not None:
            self._include(other._low, other._high, other._seen, other._rows)

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        if self._low is None or self._high is None or self._seen is None:
            return
        values = np.asarray(imputer.statistics_, dtype=np.float64)
        if not imputer.keep_empty_features:
            kept = np.flatnonzero(~np.isnan(values))
            values = values[kept]
            self._low, self._high, self._seen = self._low[kept], self._high[kept], self._seen[kept]
        values = np.where(self._seen < self._rows, values, np.nan).astype(self._low.dtype)
        self._low = np.fmin(self._low, values)
        self._high = np.fmax(self._high, values)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: the two extreme rows are all the scalers need."""
        assert self._low is not None
        assert self._high is not None
        estimator.fit(frame_like(sample, np.vstack([self._low, self._high])))
        estimator.n_samples_seen_ = self._rows
