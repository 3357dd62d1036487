"""Fits KBinsDiscretizer: edges at even distances, at quantiles, or between clusters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.learn.column_quantiles import Ask, Quantiles
from streamlearn.learn.compactor import Compactor
from streamlearn.learn.interpolation import METHODS
from streamlearn.learn.lloyd import Lloyd
from streamlearn.learn.moments import Moments, refuse_infinite
from streamlearn.learn.order import OrderStatistics
from streamlearn.learn.quantiles import fills_of
from streamlearn.learn.ranges import Ranges, asks_for_weight, refuse_missing
from streamlearn.learn.replay import fit_quietly, frame_like, matrix_of

__all__ = ["BinEdges"]

_DISTINCT = 4096
"""Distinct values of a column up to which clusters are found in memory."""
_NARROW = 1e-8
"""Bins no wider than this are left out, as scikit-learn does."""
_FEW_ROUNDS = 30
"""Passes that clusters are planned with; they end when they end."""


class BinEdges:
    """Fits `sklearn.preprocessing.KBinsDiscretizer`, from all rows whatever ``subsample`` is.

    Parameters
    ----------
    estimator : KBinsDiscretizer
    """

    sketch = False
    """One pass, and quantiles that are near; set after making."""
    ahead = False
    """Whether it learns ahead of an imputer; set after making."""

    def __init__(self, estimator: Any) -> None:
        self._strategy = estimator.strategy
        self._n_bins = estimator.n_bins
        self._validate = estimator._validate_n_bins
        self._method = getattr(estimator, "quantile_method", "linear")
        if self._method == "warn":
            self._method = "linear"  # until 1.8, what no word about it means
        if self._strategy == "quantile" and self._method not in METHODS - {"median"}:
            raise UnsupportedEstimatorError(
                f"KBinsDiscretizer(quantile_method={self._method!r}) is not known; use "
                "'averaged_inverted_cdf' or 'linear'"
            )
        if self._strategy == "quantile" and asks_for_weight(estimator):
            raise UnsupportedEstimatorError(
                "KBinsDiscretizer(strategy='quantile') takes no sample_weight when it is fitted "
                "from chunks; use strategy='uniform' or 'kmeans', or "
                "set_fit_request(sample_weight=False)"
            )
        self._bins: NDArray[np.int64] | None = None
        self._ranges: Ranges | None = None
        self._quantiles: Quantiles | None = None
        self._moments: Moments | None = None
        self._distinct: list[Compactor] = []
        self._clusters: list[Lloyd] = []
        self._is_weighted = False
        self._done = 0

    @property
    def passes(self) -> int:
        """See `Refining.passes`; of clusters nobody knows how many it takes."""
        if self._strategy == "uniform" or (self.sketch and self._strategy == "quantile"):
            return 1
        most = 3 if self._strategy == "quantile" else _FEW_ROUNDS
        return max(1, most - self._done)

    @property
    def rank_error(self) -> float:
        """How far the rank of an edge may be off, as a share of the rows; 0.0 where exact."""
        return 0.0 if self._quantiles is None else self._quantiles.order.rank_error

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`."""
        bins = int(np.max(self._n_bins))
        if self._strategy == "quantile":
            return OrderStatistics.planned_bytes(columns, 8, min(2 * (bins + 1), rows), rows=rows)
        clusters = 32 * _DISTINCT + 100 * bins if self._strategy == "kmeans" else 0
        return columns * (100 + clusters)

    @staticmethod
    def may_fill(estimator: Any) -> bool:
        """Whether it can learn ahead of an imputer: quantile bins, as many for each column."""
        return bool(estimator.strategy == "quantile" and np.ndim(estimator.n_bins) == 0)

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        assert self._quantiles is not None
        assert self._bins is not None
        values, kept = fills_of(imputer)
        self._quantiles.fill(values, kept)
        self._bins = self._bins[kept]

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y
        if hasattr(X, "indptr"):
            raise ValueError("KBinsDiscretizer takes no sparse matrix")
        matrix = matrix_of(X)
        refuse_infinite(matrix, X, "KBinsDiscretizer")
        if not self.ahead:
            refuse_missing(matrix, X, "KBinsDiscretizer", "put an imputer before it")
        if self._bins is None:
            self._bins = self._validate(matrix.shape[1])
        if self._clusters:
            self._gather(matrix, sample_weight)
            return
        if self._strategy == "quantile":
            if sample_weight is not None:
                raise ValueError("KBinsDiscretizer takes no sample_weight with quantiles")
            if self._quantiles is None:
                self._quantiles = Quantiles(matrix.shape[1], matrix.dtype)
            self._quantiles.order.add(matrix)
            return
        if self._ranges is None:
            self._ranges = Ranges(matrix.shape[1], matrix.dtype)
        self._ranges.add(matrix, sample_weight)
        if self._strategy == "kmeans":
            self._look(matrix, sample_weight)

    def _look(self, matrix: NDArray[Any], weight: Any) -> None:
        """Take what is needed before the first round: moments, and values where they are few."""
        if self._moments is None:
            self._moments = Moments(matrix.shape[1])
            self._distinct = [Compactor(4 * _DISTINCT) for _ in range(matrix.shape[1])]
        self._moments.add(matrix)
        self._is_weighted |= weight is not None
        if self._is_weighted:
            return
        for column, found in enumerate(self._distinct):
            if not found.is_counting:
                found.give_up()
            else:
                found.add(np.sort(matrix[:, column]))

    def _gather(self, matrix: NDArray[Any], weight: Any) -> None:
        for column, cluster in enumerate(self._clusters):
            if cluster.runs:
                cluster.add(matrix[:, column], weight)

    def merge(self, other: BinEdges) -> None:
        """See `Accumulator.merge`."""
        self._is_weighted |= other._is_weighted
        if other._bins is None:
            return
        if self._bins is None:
            vars(self).update(vars(other))
        else:
            self._combine(other)

    def _combine(self, other: BinEdges) -> None:
        for mine, theirs in zip(self._clusters, other._clusters, strict=True):
            if mine.runs:
                mine.merge(theirs)
        if self._clusters:
            return
        if self._quantiles is not None and other._quantiles is not None:
            self._quantiles.order.merge(other._quantiles.order)
        if self._ranges is not None and other._ranges is not None:
            self._ranges.merge(other._ranges)
        if self._moments is not None and other._moments is not None:
            self._moments.merge(other._moments)
            for found, others in zip(self._distinct, other._distinct, strict=True):
                if found.is_counting and others.is_counting:
                    found.merge(others)
                if not (found.is_counting and others.is_counting):
                    found.give_up()

    def refine(self) -> bool:
        """See `Refining.refine`."""
        self._done += 1
        if self._quantiles is not None:
            return self._quantiles.refine(self._asks, ahead=self.ahead, sketch=self.sketch)
        if self._moments is None:
            return False
        if not self._clusters:
            self._begin()
        else:
            for cluster in self._clusters:
                if cluster.runs:
                    cluster.move()
        return any(cluster.runs for cluster in self._clusters)

    def _asks(self, column: int) -> Sequence[Ask]:
        assert self._bins is not None
        return [(np.linspace(0, 100, self._bins[column] + 1) / 100, self._method)]

    def _begin(self) -> None:
        """Put centres at even distances; where the values are few, go all the way."""
        assert self._moments is not None
        assert self._bins is not None
        assert self._ranges is not None
        for column, bins in enumerate(self._bins):
            low, high = self._ranges.low[column], self._ranges.high[column]
            edges = np.linspace(low, high, bins + 1)
            mean, variance = self._moments.mean[column], self._moments.variance[column]
            cluster = Lloyd((edges[1:] + edges[:-1]) * 0.5, mean, variance)
            self._clusters.append(cluster)
            if low == high:
                cluster.runs = False
                continue
            if not self._is_weighted and self._distinct[column].is_counting:
                values, times = self._distinct[column].items()
                while cluster.runs:
                    cluster.add(values, times=times)
                    cluster.move()
        self._distinct = []

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: the discretizer fits constant columns, then gets its edges."""
        from sklearn.preprocessing import OneHotEncoder

        assert self._bins is not None
        kind: np.dtype[Any] = np.dtype(np.float64)
        if self._quantiles is not None:
            kind = self._quantiles.order.dtype
        elif self._ranges is not None:
            kind = self._ranges.low.dtype
        constant = np.zeros((2, sample.shape[1]), dtype=kind)
        fit_quietly(estimator, frame_like(sample, constant))
        edges = np.zeros(len(self._bins), dtype=object)
        bins = self._bins.copy()
        for column in range(len(bins)):
            edges[column], bins[column] = self._edges(column, int(bins[column]))
        estimator.bin_edges_, estimator.n_bins_ = edges, bins
        if "onehot" in estimator.encode:
            given = estimator._encoder
            estimator._encoder = OneHotEncoder(
                categories=[np.arange(count) for count in bins],
                sparse_output=given.sparse_output,
                dtype=given.dtype,
            ).fit(np.zeros((1, len(bins))))

    def _edges(self, column: int, bins: int) -> tuple[NDArray[Any], int]:
        if self._quantiles is not None:
            low, high = self._quantiles.extremes(column)
        else:
            assert self._ranges is not None
            low, high = self._ranges.low[column], self._ranges.high[column]
        if low == high:
            warnings.warn(f"Feature {column} is constant and becomes 0.", stacklevel=2)
            return np.array([-np.inf, np.inf]), 1
        if self._strategy == "uniform":
            return np.linspace(low, high, bins + 1), bins
        if self._quantiles is not None:
            edges = self._quantiles.at(column, self._asks(column)[0]).astype(np.float64)
        else:
            centers = np.sort(self._clusters[column].centers).astype(low.dtype)
            edges = np.r_[low, (centers[1:] + centers[:-1]) * 0.5, high]
        wide = np.ediff1d(edges, to_begin=np.inf) > _NARROW
        if not wide.all():
            warnings.warn(
                f"Bins of feature {column} no wider than {_NARROW} are left out; use fewer bins.",
                stacklevel=2,
            )
        return edges[wide], int(wide.sum()) - 1
