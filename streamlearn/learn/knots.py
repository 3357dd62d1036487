"""Fits SplineTransformer: knots at even distances, at quantiles, or given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamlearn.chunk import Block
from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.learn.column_quantiles import Ask
from streamlearn.learn.moments import refuse_infinite
from streamlearn.learn.quantiles import FillableFit
from streamlearn.learn.ranges import Ranges, asks_for_weight, refuse_missing
from streamlearn.learn.replay import blank_like, matrix_of

__all__ = ["SplineKnots"]


class SplineKnots(FillableFit):
    """Fits `sklearn.preprocessing.SplineTransformer`.

    Parameters
    ----------
    estimator : SplineTransformer
    """

    ahead = False
    """Whether it learns ahead of an imputer; set after making."""

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self._knots = estimator.knots
        self._is_quantile = isinstance(self._knots, str) and self._knots == "quantile"
        self._takes_gaps = getattr(estimator, "handle_missing", "error") == "zeros"
        if self._is_quantile and asks_for_weight(estimator):
            raise UnsupportedEstimatorError(
                "SplineTransformer(knots='quantile') takes no sample_weight when it is fitted from "
                "chunks; use knots='uniform', or set_fit_request(sample_weight=False)"
            )
        shares = np.linspace(0, 1, int(estimator.n_knots), dtype=np.float64)
        # Through percent, as scikit-learn goes: that may round.
        self._shares: Ask = (100 * shares / 100, "linear")
        self.sizes_wanted = 2 * len(shares) * self._is_quantile
        self._ranges: Ranges | None = None

    @staticmethod
    def may_fill(estimator: Any) -> bool:
        """Whether it can learn ahead of an imputer: with knots at quantiles."""
        knots, takes_gaps = estimator.knots, getattr(estimator, "handle_missing", "error")
        return isinstance(knots, str) and knots == "quantile" and takes_gaps == "error"

    @property
    def passes(self) -> int:
        """See `Refining.passes`."""
        return super().passes if self._is_quantile else 1

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`."""
        return super().planned_bytes(columns, rows) if self._is_quantile else 100 * columns

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y
        if hasattr(X, "indptr"):
            raise ValueError("SplineTransformer takes no sparse matrix")
        matrix = matrix_of(X)
        refuse_infinite(matrix, X, self._step)
        if not (self._takes_gaps or self.ahead):
            hint = "put an imputer before it, or use handle_missing='zeros'"
            refuse_missing(matrix, X, self._step, hint)
        if self._ranges is None:
            self._ranges = Ranges(matrix.shape[1], matrix.dtype)
        self._ranges.add(matrix, sample_weight)
        if self._is_quantile:
            if sample_weight is not None:
                raise ValueError("SplineTransformer takes no sample_weight with quantiles")
            self._add(matrix)

    def merge(self, other: Any) -> None:
        """See `Accumulator.merge`."""
        super().merge(other)
        if self._ranges is None:
            self._ranges = other._ranges
        elif other._ranges is not None:
            self._ranges.merge(other._ranges)

    def _asks(self, column: int) -> Sequence[Ask]:
        return [self._shares]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: scikit-learn makes splines of the knots it is told."""
        assert self._ranges is not None
        if self._ranges.rows < 2:
            raise ValueError("SplineTransformer needs two rows at least")
        if isinstance(self._knots, str):
            estimator._get_base_knot_positions = self._positions
        try:
            estimator.fit(blank_like(sample))
        finally:
            vars(estimator).pop("_get_base_knot_positions", None)

    def _positions(self, *args: Any, **options: Any) -> Any:
        """Stand in for what scikit-learn would ask the rows."""
        del args, options
        assert self._ranges is not None
        if self._found is not None:
            columns = range(len(self._found.columns))
            return np.column_stack(
                [self._found.at(column, self._shares).astype(np.float64) for column in columns]
            )
        low = np.nan_to_num(self._ranges.low.astype(np.float64))
        high = np.nan_to_num(self._ranges.high.astype(np.float64))
        return np.linspace(low, high, len(self._shares[0]), dtype=np.float64)
