"""Fill values: the mean, the most frequent value or a constant of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block, Schema
from streamlearn.errors import CellError, UnsupportedEstimatorError
from streamlearn.learn.base import column_names
from streamlearn.learn.categories import arrow_columns
from streamlearn.learn.column_quantiles import MEDIAN, Quantiles
from streamlearn.learn.counts import ValueCounts
from streamlearn.learn.moments import Moments, refuse_infinite
from streamlearn.learn.order import OrderStatistics
from streamlearn.learn.replay import frame_like, matrix_of, table_like
from streamlearn.prepare.encode import is_missing

__all__ = ["ImputerStatistics", "learns_ahead"]


def learns_ahead(imputer: Any, schema: Schema | None) -> bool:
    """Whether the step after this imputer can learn in the same pass, from data with gaps.

    Not where pandas shows a gap as None (booleans, dates): scikit-learn takes None for a value.
    """
    plain = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    gaps_are_nan = schema is None or all(
        any(is_kind(field.type) for is_kind in plain) for field in schema
    )
    return gaps_are_nan and is_missing(imputer.missing_values) and not imputer.add_indicator


class ImputerStatistics:
    """Fits `sklearn.impute.SimpleImputer` .

    Parameters
    ----------
    estimator : SimpleImputer
    """

    def __init__(self, estimator: Any) -> None:
        self._strategy = estimator.strategy
        if self._strategy not in ("mean", "median", "most_frequent", "constant"):
            raise UnsupportedEstimatorError(
                f"SimpleImputer(strategy={self._strategy!r}) cannot be fitted from chunks; "
                "use 'mean', 'median', 'most_frequent' or 'constant'"
            )
        self._missing = estimator.missing_values
        self._moments: Moments | None = None
        self._quantiles: Quantiles | None = None
        self._done = 0
        self._columns: list[ValueCounts] = []
        self._nones: list[int] = []
        self._present: list[Any] = []
        self._gaps: list[bool] = []
        self._dtype: Any = None

    sketch = False
    """One pass, and medians that are near; set after making."""

    @property
    def passes(self) -> int:
        """See `Refining.passes`."""
        return max(1, 3 - self._done) if self._strategy == "median" and not self.sketch else 1

    @property
    def rank_error(self) -> float:
        """How far the rank of a median may be off, as a share of the rows; 0.0 where exact."""
        return 0.0 if self._quantiles is None else self._quantiles.order.rank_error

    def refine(self) -> bool:
        """See `Refining.refine`."""
        self._done += 1
        if self._quantiles is None:
            return False
        return self._quantiles.refine(lambda _: [MEDIAN], ahead=False, sketch=self.sketch)

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized.planned_bytes`."""
        if self._strategy != "median":
            return 400 * columns
        return OrderStatistics.planned_bytes(columns, rows=rows)

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if self._strategy in ("mean", "median"):
            matrix = matrix_of(X)
            self._dtype = matrix.dtype
            if not _is_nan(self._missing):
                self._refuse_nan(np.isnan(matrix), X)
                # In its own type, whatever the marker is.
                blank = matrix.dtype.type(np.nan)
                matrix = np.where(matrix == self._missing, blank, matrix)
            if self._strategy == "median":
                refuse_infinite(matrix, X, "SimpleImputer")
                if self._quantiles is None:
                    self._quantiles = Quantiles(matrix.shape[1], matrix.dtype)
                self._quantiles.order.add(matrix)
                return
            if self._moments is None:
                self._moments = Moments(matrix.shape[1])
            self._moments.add(matrix)
            if not np.isfinite(self._moments._mean).all():
                refuse_infinite(matrix, X, "SimpleImputer")
            return
        columns = arrow_columns(X)
        if not self._columns:
            self._columns = [ValueCounts() for _ in columns]
            self._nones = [0] * len(columns)
            self._present = [None] * len(columns)
            self._gaps = [False] * len(columns)
        for index, given in enumerate(columns):
            column = self._blanked(index, given, X)
            if self._strategy == "most_frequent":
                self._columns[index].add(column)
            else:
                self._note(index, column)

    def _blanked(self, index: int, column: pa.Array, X: Block) -> pa.Array:
        """Return the column with its missing marker, whatever it is, as null.

        What pandas shows as None is a value like any other, unless it is the marker; NaN is
        refused, unless it is the marker.
        """
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if column.null_count and _null_is_none(column.type):
            if self._missing is not None and type(self._missing).__name__ != "NAType":
                self._nones[index] += column.null_count
                column = column.drop_null()
        elif column.null_count and not _is_nan(self._missing):
            gaps = np.zeros((len(column), len(self._columns)), dtype=bool)
            gaps[:, index] = column.is_null().to_numpy(zero_copy_only=False)
            self._refuse_nan(gaps, X)
        if is_missing(self._missing) or pa.types.is_null(column.type):
            return column
        try:
            marker = pa.scalar(self._missing).cast(column.type)
        except (pa.ArrowException, TypeError):
            return column
        if marker.as_py() != self._missing:
            return column
        return pc.if_else(pc.equal(column, marker), pa.scalar(None, column.type), column)

    def _refuse_nan(self, gaps: NDArray[np.bool_], X: Block) -> None:
        if gaps.any():
            row, column = (int(part) for part in np.argwhere(gaps)[0])
            raise CellError(
                row,
                column_names(X)[column],
                f"missing (NaN), and SimpleImputer(missing_values={self._missing!r}) fills only "
                f"{self._missing!r}; leave missing_values= out, or filter such rows with where=",
            )

    def _note(self, index: int, column: pa.Array) -> None:
        self._gaps[index] = self._gaps[index] or column.null_count > 0
        if column.null_count < len(column):
            if self._present[index] is None:
                self._present[index] = column.drop_null().slice(0, 1)
        elif self._present[index] is None:
            self._columns[index].add(column.slice(0, 1))

    def merge(self, other: ImputerStatistics) -> None:
        """See `Accumulator.merge`."""
        self._dtype = self._dtype or other._dtype
        if self._moments is None:
            self._moments = other._moments
        elif other._moments is not None:
            self._moments.merge(other._moments)
        if self._quantiles is None:
            self._quantiles = other._quantiles
        elif other._quantiles is not None:
            self._quantiles.order.merge(other._quantiles.order)
        if not self._columns:
            self._columns, self._present, self._gaps = other._columns, other._present, other._gaps
            self._nones = other._nones
            return
        for index, column in enumerate(other._columns):
            self._columns[index].merge(column)
            self._nones[index] += other._nones[index]
            if self._present[index] is None:
                self._present[index] = other._present[index]
            self._gaps[index] = self._gaps[index] or other._gaps[index]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`.

        The imputer fits two rows: the fill value of each column, and below it a gap where the
        column had one. Their mean, mode or constant is the fill value again, to the bit.
        """
        if self._strategy in ("mean", "median"):
            mean, gaps = self._centers()
            matrix = np.vstack([mean, np.where(gaps, np.nan, mean)]).astype(self._dtype)
            if not is_missing(self._missing):
                matrix[np.isnan(matrix)] = self._missing
            estimator.fit(frame_like(sample, matrix))
            # The mean of two equal floats is that float; float32 sums may say otherwise.
            shown = ~np.isnan(mean)
            estimator.statistics_[shown] = mean[shown]
            return
        columns = []
        for index, counts in enumerate(self._columns):
            value, gap = self._fill_value(index, counts)
            kind = value.type if isinstance(value, pa.Scalar) else counts.result()[0].type
            marker = pa.scalar(None, kind)
            if gap and not is_missing(self._missing):
                marker = pa.scalar(self._missing).cast(kind)
            rows = [value, marker if gap else value]
            if self._nones[index]:
                # A third row keeps the column one of Python objects.
                rows.append(None)
            columns.append(
                pa.array([row.as_py() if isinstance(row, pa.Scalar) else row for row in rows], kind)
            )
        estimator.fit(table_like(sample, columns))

    def _centers(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return mean or median of each column, and whether it has gaps."""
        if self._quantiles is not None:
            order = self._quantiles.order
            medians = [self._quantiles.median(column) for column in range(len(order.missing))]
            return np.array(medians, dtype=order.dtype), order.missing > 0
        assert self._moments is not None
        return self._moments.mean, self._moments.count < self._moments.total

    def _fill_value(self, index: int, counts: ValueCounts) -> tuple[Any, bool]:
        nones = self._nones[index]
        if self._strategy == "constant":
            present = self._present[index]
            if present is None:
                return None, self._gaps[index] or not nones
            return present[0], self._gaps[index]
        values, times = _one_zero(*counts.result())
        if nones and nones >= times.max(initial=0):
            return None, counts.missing > 0
        if not len(values):
            return None, True
        best = values.filter(pa.array(times == times.max()))
        if pa.types.is_float16(best.type):
            # Arrow orders no half floats.
            return pa.scalar(best.to_numpy().min(), best.type), counts.missing > 0
        return pc.min(best), counts.missing > 0


def _one_zero(values: pa.Array, counts: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.int64]]:
    """Count -0.0 and 0.0, which Arrow tells apart, as the one that came first."""
    if not pa.types.is_floating(values.type):
        return values, counts
    zeros = np.flatnonzero(values.to_numpy(zero_copy_only=False) == 0)
    if len(zeros) < 2:
        return values, counts
    kept = np.delete(np.arange(len(values)), zeros[1:])
    summed = counts.copy()
    summed[zeros[0]] = counts[zeros].sum()
    return values.take(pa.array(kept)), summed[kept]


def _is_nan(marker: Any) -> bool:
    """Whether the imputer fills NaN."""
    return marker is not None and is_missing(marker)


def _null_is_none(type_: pa.DataType) -> bool:
    """Whether pandas shows a null of this type as None; all others as NaN or NaT."""
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_timestamp,
        pa.types.is_duration,
    )
    return not any(is_kind(type_) for is_kind in kinds)
