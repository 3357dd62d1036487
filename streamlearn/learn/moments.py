"""Means and variances: two passes inside a block, Chan's merge between blocks.

Values are shifted by the first block's mean before they are summed, so that a column of
10**9 ± 1 keeps its variance to the last digits.

References
----------
Chan, Golub, LeVeque: Algorithms for computing the sample variance: analysis and
recommendations. The American Statistician 37 (1983) 242-247.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import column_names
from streamlearn.learn.replay import blank_like, matrix_of

__all__ = ["Moments", "ScalerMoments"]


class Moments:
    """Count, mean and sum of squared deviations of each column, NaN left out.

    Parameters
    ----------
    columns : int

    Examples
    --------
    >>> one, two = Moments(1), Moments(1)
    >>> one.add(np.array([[1e9], [1e9 + 2]]))
    >>> two.add(np.array([[1e9 + 1], [np.nan]]))
    >>> one.merge(two)
    >>> one.mean, one.variance, one.count
    (array([1.e+09]), array([0.66666667]), array([3.]))
    """

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        """Non-missing values, or their weight, of each column."""
        self.total = 0.0
        """Rows, or their weight."""
        self._shift = np.zeros(columns)
        self._mean = np.zeros(columns)
        self._m2 = np.zeros(columns)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each column; NaN where no value was seen."""
        return np.where(self.count > 0, self._shift + self._mean, np.nan)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Population variance of each column; NaN where no value was seen."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.count > 0, self._m2 / self.count, np.nan)

    @np.errstate(invalid="ignore", over="ignore")
    def add(self, X: NDArray[Any], weight: NDArray[np.float64] | None = None) -> None:
        """Take in a block of shape (rows, columns).

        Infinities make the mean infinite or NaN; refusing them is for the caller, who knows names.
        """
        if not len(X):
            return
        fresh = self.count == 0
        if fresh.any():
            self._shift = np.where(fresh, _first_mean(X), self._shift)
        deviation = np.subtract(X, self._shift, dtype=np.float64)
        sums = _sum(deviation, weight)
        total = float(len(X)) if weight is None else float(weight.sum())
        count = np.full(X.shape[1], total)
        if not np.isfinite(sums).all():
            missing = np.isnan(deviation)
            deviation[missing] = 0.0
            sums = _sum(deviation, weight)
            count = count - _sum(missing.astype(np.float64), weight)
        else:
            missing = None
        self.total += total
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, sums / count, 0.0)
        deviation -= mean
        if missing is not None:
            deviation[missing] = 0.0
        rest = _sum(deviation, weight)
        np.multiply(deviation, deviation, out=deviation)
        with np.errstate(invalid="ignore", divide="ignore"):
            correction = np.where(count > 0, rest * rest / count, 0.0)
        self._combine(count, mean, _sum(deviation, weight) - correction)

    def add_sparse(self, X: Any, weight: NDArray[np.float64] | None = None) -> None:
        """Take in a CSR block of shape (rows, columns); what is not stored is zero.

        Costs what is stored, and never the whole of the block.
        """
        rows, columns = X.shape
        if not rows:
            return
        ones = np.ones(rows) if weight is None else weight
        share = np.repeat(ones, np.diff(X.indptr))
        values = X.data.astype(np.float64)
        missing = np.isnan(values)

        def by_column(parts: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(X.indices, parts, minlength=columns).astype(np.float64, copy=False)

        total = float(ones.sum())
        lost = by_column(share * missing) if missing.any() else np.zeros(columns)
        values[missing] = 0.0
        count = total - lost
        mean = np.where(count > 0, by_column(share * values) / np.where(count > 0, count, 1.0), 0.0)
        deviation = np.where(missing, 0.0, values - mean[X.indices])
        # Of what is zero and not stored, weighted.
        rest = np.maximum(count - by_column(share * ~missing), 0.0)
        off = by_column(share * deviation) - rest * mean
        squares = by_column(share * deviation * deviation) + rest * mean * mean
        correction = np.where(count > 0, off * off / np.where(count > 0, count, 1.0), 0.0)
        self.total += total
        self._combine(count, mean - self._shift, squares - correction)

    def merge(self, other: Moments) -> None:
        """Take in the rows of another."""
        self.total += other.total
        fresh = self.count == 0
        self._shift = np.where(fresh, other._shift, self._shift)
        # The shifts are near each other, so their difference is exact or nearly so.
        self._combine(other.count, other._mean + (other._shift - self._shift), other._m2)

    def add_constant(self, values: NDArray[np.float64], count: NDArray[np.float64]) -> None:
        """Take in ``count`` more values of each column, all equal."""
        fresh = self.count == 0
        self._shift = np.where(fresh & np.isfinite(values), values, self._shift)
        self._combine(count, np.where(count > 0, values - self._shift, 0.0), np.zeros(len(count)))

    def select(self, columns: NDArray[np.intp]) -> None:
        """Keep only these columns."""
        for name in ("count", "_shift", "_mean", "_m2"):
            setattr(self, name, getattr(self, name)[columns])

    def _combine(
        self, count: NDArray[np.float64], mean: NDArray[np.float64], m2: NDArray[np.float64]
    ) -> None:
        total = self.count + count
        safe = np.where(total > 0, total, 1.0)
        delta = np.where(count > 0, mean - self._mean, 0.0)
        self._mean = np.where(self.count > 0, self._mean + delta * (count / safe), mean)
        between = np.where(self.count > 0, delta * delta * (self.count * count / safe), 0.0)
        self._m2 = self._m2 + m2 + between
        self.count = total


def _sum(values: NDArray[np.float64], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if weight is None:
        return np.asarray(values.sum(axis=0))
    return np.asarray((values * weight[:, None]).sum(axis=0))


def _first_mean(X: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        mean = X.mean(axis=0, dtype=np.float64)
        bad = ~np.isfinite(mean)
        if bad.any():
            seen = np.isfinite(X[:, bad])
            sums = np.where(seen, X[:, bad], 0).sum(axis=0, dtype=np.float64)
            mean[bad] = sums / np.maximum(seen.sum(axis=0), 1)
    return np.asarray(np.where(np.isfinite(mean), mean, 0.0))


def refuse_infinite(matrix: NDArray[Any], X: Block, step: str) -> None:
    """Raise where a block holds an infinity, which scikit-learn's statistics do not take."""
    bad = np.isinf(matrix)
    if bad.any():
        row, column = (int(part) for part in np.argwhere(bad)[0])
        raise CellError(
            row,
            column_names(X)[column],
            f"{matrix[row, column]}, and {step} takes no infinity; filter such rows with where=",
        )


def refuse_stored_infinity(X: Any, step: str) -> None:
    """Raise where a CSR block holds an infinity."""
    bad = np.isinf(X.data)
    if bad.any():
        at = int(bad.argmax())
        raise CellError(
            int(np.searchsorted(X.indptr, at, side="right")) - 1,
            str(X.indices[at]),
            f"{X.data[at]}, and {step} takes no infinity; filter such rows with where=",
        )


class ScalerMoments:
    """Fits `sklearn.preprocessing.StandardScaler`.

    Parameters
    ----------
    estimator : StandardScaler
    """

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        self._centers = bool(estimator.with_mean)
        self._moments: Moments | None = None

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y
        if self._moments is None:
            self._moments = Moments(len(column_names(X)))
        if hasattr(X, "indptr"):
            if self._centers:
                raise ValueError(
                    "centering would fill a sparse matrix; use StandardScaler(with_mean=False), "
                    "or MaxAbsScaler()"
                )
            refuse_stored_infinity(X, "StandardScaler")
            self._moments.add_sparse(X, sample_weight)
            return
        matrix = matrix_of(X)
        before = self._moments._mean
        self._moments.add(matrix, sample_weight)
        if not np.isfinite(self._moments._mean).all() and np.isfinite(before).all():
            refuse_infinite(matrix, X, "StandardScaler")

    def merge(self, other: ScalerMoments) -> None:
        """See `Accumulator.merge`."""
        if self._moments is None:
            self._moments = other._moments
        elif other._moments is not None:
            self._moments.merge(other._moments)

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        moments = self._moments
        if moments is None:
            return
        values = np.asarray(imputer.statistics_, dtype=np.float64)
        if not imputer.keep_empty_features:
            kept = np.flatnonzero(~np.isnan(values))
            values = values[kept]
            moments.select(kept)
        moments.add_constant(values, moments.total - moments.count)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        from sklearn.preprocessing._data import _handle_zeros_in_scale, _is_constant_feature

        moments = self._moments
        assert moments is not None
        estimator.fit(blank_like(sample))
        count = moments.count.astype(np.asarray(estimator.n_samples_seen_).dtype)
        estimator.n_samples_seen_ = count[0] if count.min() == count.max() else count
        learns = estimator.with_mean or estimator.with_std
        estimator.mean_ = moments.mean if learns else None
        if estimator.with_std:
            estimator.var_ = moments.variance
            constant = _is_constant_feature(estimator.var_, estimator.mean_, count)
            estimator.scale_ = _handle_zeros_in_scale(
                np.sqrt(estimator.var_), copy=False, constant_mask=constant
            )
