"""Fits what scales by quantiles: RobustScaler and QuantileTransformer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.learn.column_quantiles import MEDIAN, Ask, Quantiles
from streamlearn.learn.moments import refuse_infinite, refuse_stored_infinity
from streamlearn.learn.order import OrderStatistics
from streamlearn.learn.replay import blank_like, fit_quietly, matrix_of

__all__ = ["FillableFit", "Landmarks", "QuantileFit", "RobustQuantiles", "fills_of"]


_MANY_RANKS = 200
"""Ranks of a column from which on one more pass is to be expected."""


class QuantileFit:
    """What fitting by quantiles has in common: passes and merging."""

    sketch = False
    """One pass, and quantiles that are near; set after making."""
    sizes_wanted = 0
    """Ranks of a column at most."""
    ahead = False
    """Whether it may be told later what fills the gaps."""

    def __init__(self, estimator: Any) -> None:
        self._step = type(estimator).__name__
        self._found: Quantiles | None = None
        self._done = 0

    @property
    def passes(self) -> int:
        """See `Refining.passes`: measured on 11 million rows of 28 columns; more may follow."""
        most = 3 if self.sizes_wanted <= _MANY_RANKS else 4
        return 1 if self.sketch else max(1, most - self._done)

    @property
    def rank_error(self) -> float:
        """How far the rank of a value may be off, as a share of the rows; 0.0 where exact."""
        return 0.0 if self._found is None else self._found.order.rank_error

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`."""
        return OrderStatistics.planned_bytes(columns, 8, min(self.sizes_wanted, rows), rows=rows)

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y
        self._check(X, sample_weight)
        matrix = matrix_of(X)
        refuse_infinite(matrix, X, self._step)
        self._add(matrix)

    def _check(self, X: Block, sample_weight: Any) -> None:
        if sample_weight is not None:
            raise ValueError(f"{self._step} takes no sample_weight")
        if hasattr(X, "indptr"):
            refuse_stored_infinity(X, self._step)

    def _add(self, matrix: NDArray[Any]) -> None:
        if self._found is None:
            self._found = Quantiles(matrix.shape[1], matrix.dtype)
        self._found.order.add(matrix)

    def merge(self, other: Any) -> None:
        """See `Accumulator.merge`."""
        if self._found is None:
            self._found = other._found
        elif other._found is not None:
            self._found.order.merge(other._found.order)

    def refine(self) -> bool:
        """See `Refining.refine`."""
        self._done += 1
        if self._found is None:
            return False
        return self._found.refine(self._asks, ahead=self.ahead, sketch=self.sketch)

    def _asks(self, column: int) -> Sequence[Ask]:
        raise NotImplementedError


class FillableFit(QuantileFit):
    """One that may learn from data with gaps, ahead of the imputer that fills them."""

    ahead = True

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        assert self._found is not None
        self._found.fill(*fills_of(imputer))


def fills_of(imputer: Any) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return what a fitted imputer fills each column with, and which columns it keeps."""
    values = np.asarray(imputer.statistics_, dtype=np.float64)
    if imputer.keep_empty_features:
        return values, np.arange(len(values))
    return values, np.flatnonzero(~np.isnan(values))


class RobustQuantiles(FillableFit):
    """Fits `sklearn.preprocessing.RobustScaler`.

    Parameters
    ----------
    estimator : RobustScaler
    """

    sizes_wanted = 6

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self._centers = bool(estimator.with_centering)
        self._scales = bool(estimator.with_scaling)
        low, high = estimator.quantile_range
        if not 0 <= low <= high <= 100:
            raise UnsupportedEstimatorError(
                f"RobustScaler(quantile_range=({low}, {high})): give two percentages in order, "
                "such as (25.0, 75.0)"
            )
        self._range: Ask = (np.array([low, high], dtype=np.float64) / 100, "linear")

    def _check(self, X: Block, sample_weight: Any) -> None:
        super()._check(X, sample_weight)
        if hasattr(X, "indptr") and self._centers:
            raise ValueError(
                "centering would fill a sparse matrix; use RobustScaler(with_centering=False), "
                "or MaxAbsScaler()"
            )

    def _asks(self, column: int) -> Sequence[Ask]:
        return [MEDIAN] * self._centers + [self._range] * self._scales

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        from scipy import stats
        from sklearn.preprocessing._data import _handle_zeros_in_scale

        found = self._found
        assert found is not None
        estimator.fit(blank_like(sample))
        columns = range(len(found.columns))
        if estimator.with_centering:
            centers = [found.median(column) for column in columns]
            estimator.center_ = np.array(centers, dtype=found.order.dtype)
        if estimator.with_scaling:
            ends = np.array([found.at(column, self._range) for column in columns]).reshape(-1, 2)
            scale = _handle_zeros_in_scale(ends[:, 1] - ends[:, 0], copy=False)
            if estimator.unit_variance:
                low, high = (stats.norm.ppf(end / 100.0) for end in estimator.quantile_range)
                scale = scale / (high - low)
            estimator.scale_ = scale


class Landmarks(FillableFit):
    """Fits `sklearn.preprocessing.QuantileTransformer`, from all rows whatever ``subsample`` is.

    Parameters
    ----------
    estimator : QuantileTransformer
    """

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        if estimator.ignore_implicit_zeros:
            raise UnsupportedEstimatorError(
                "QuantileTransformer(ignore_implicit_zeros=True) cannot be fitted from chunks, for "
                "zeros that are not stored count here; use ignore_implicit_zeros=False"
            )
        most = estimator.subsample
        if most is not None and estimator.n_quantiles > most:
            raise UnsupportedEstimatorError(
                f"QuantileTransformer(n_quantiles={estimator.n_quantiles}, subsample={most}): "
                "scikit-learn takes no more quantiles than it samples rows; use subsample=None"
            )
        self._quantiles = int(estimator.n_quantiles)
        self.sizes_wanted = 2 * self._quantiles

    def _check(self, X: Block, sample_weight: Any) -> None:
        super()._check(X, sample_weight)
        if hasattr(X, "indptr") and (X.data < 0).any():
            raise ValueError(
                "QuantileTransformer takes no negative values in a sparse matrix; use "
                "MaxAbsScaler(), or a dense matrix"
            )

    @property
    def _landmarks(self) -> Ask:
        assert self._found is not None
        references = np.linspace(0, 1, max(1, min(self._quantiles, self._found.order.rows)))
        # Through percent, as scikit-learn goes: that may round.
        return references * 100 / 100, "linear"

    def _asks(self, column: int) -> Sequence[Ask]:
        return [self._landmarks]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        found = self._found
        assert found is not None
        fit_quietly(estimator, blank_like(sample))
        ask = self._landmarks
        if self._quantiles > found.order.rows:
            warnings.warn(
                f"n_quantiles={self._quantiles} is more than there are rows "
                f"({found.order.rows}), which are as many as are used",
                stacklevel=2,
            )
        estimator.n_quantiles_ = len(ask[0])
        estimator.references_ = np.linspace(0, 1, len(ask[0]), endpoint=True)
        quantiles = np.empty((len(ask[0]), len(found.columns)))
        for column in range(len(found.columns)):
            quantiles[:, column] = found.at(column, ask)
        estimator.quantiles_ = quantiles
