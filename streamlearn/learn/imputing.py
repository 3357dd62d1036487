"""Fill values: the mean, the most frequent value or a constant of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamlearn.chunk import Block
from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.learn.base import Accumulator
from streamlearn.learn.categories import ValueCounts, arrow_columns
from streamlearn.learn.moments import Moments, refuse_infinite
from streamlearn.learn.replay import frame_like, matrix_of, table_like
from streamlearn.prepare.encode import is_missing

__all__ = ["ImputerStatistics", "learns_ahead"]


def learns_ahead(imputer: Any) -> bool:
    """Whether the step after this imputer can learn in the same pass, from data with gaps."""
    return is_missing(imputer.missing_values) and not imputer.add_indicator


class ImputerStatistics:
    """Fits `sklearn.impute.SimpleImputer` (mean, most_frequent, constant).

    Parameters
    ----------
    estimator : SimpleImputer
    """

    def __init__(self, estimator: Any) -> None:
        self._strategy = estimator.strategy
        if self._strategy not in ("mean", "most_frequent", "constant"):
            raise UnsupportedEstimatorError(
                f"SimpleImputer(strategy={self._strategy!r}) cannot be fitted from chunks yet; "
                "use 'mean', 'most_frequent' or 'constant'"
            )
        self._missing = estimator.missing_values
        self._moments: Moments | None = None
        self._columns: list[ValueCounts] = []
        self._present: list[Any] = []
        self._gaps: list[bool] = []
        self._dtype: Any = None

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if self._strategy == "mean":
            matrix = matrix_of(X)
            self._dtype = matrix.dtype
            if not is_missing(self._missing):
                matrix = np.where(matrix == self._missing, np.nan, matrix)
            if self._moments is None:
                self._moments = Moments(matrix.shape[1])
            self._moments.add(matrix)
            if not np.isfinite(self._moments._mean).all():
                refuse_infinite(matrix, X, "SimpleImputer")
            return
        columns = [self._blanked(column) for column in arrow_columns(X)]
        if not self._columns:
            self._columns = [ValueCounts() for _ in columns]
            self._present = [None] * len(columns)
            self._gaps = [False] * len(columns)
        for index, column in enumerate(columns):
            if self._strategy == "most_frequent":
                self._columns[index].add(column)
            else:
                self._note(index, column)

    def _blanked(self, column: pa.Array) -> pa.Array:
        """The column with its missing marker, whatever it is, as null."""
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if is_missing(self._missing) or pa.types.is_null(column.type):
            return column
        try:
            marker = pa.scalar(self._missing).cast(column.type)
        except (pa.ArrowException, TypeError):
            return column
        return pc.if_else(pc.equal(column, marker), pa.scalar(None, column.type), column)

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
        if not self._columns:
            self._columns, self._present, self._gaps = other._columns, other._present, other._gaps
            return
        for index, column in enumerate(other._columns):
            self._columns[index].merge(column)
            if self._present[index] is None:
                self._present[index] = other._present[index]
            self._gaps[index] = self._gaps[index] or other._gaps[index]

    def finish(self, estimator: Any, sample: Any) -> Accumulator | None:
        """See `Accumulator.finish`.

        The imputer fits two rows: the fill value of each column, and below it a gap where the
        column had one. Their mean, mode or constant is the fill value again, to the bit.
        """
        if self._strategy == "mean":
            assert self._moments is not None
            mean = self._moments.mean
            gap = self._moments.count < self._moments.total
            rows = np.vstack([mean, np.where(gap, np.nan, mean)]).astype(self._dtype)
            if not is_missing(self._missing):
                rows[np.isnan(rows)] = self._missing
            estimator.fit(frame_like(sample, rows))
            # The mean of two equal floats is that float; float32 sums may say otherwise.
            shown = ~np.isnan(mean)
            estimator.statistics_[shown] = mean[shown]
            return None
        columns = []
        for index, counts in enumerate(self._columns):
            value, gap = self._fill_value(index, counts)
            marker = None if is_missing(self._missing) else self._missing
            rows = [value, marker if gap else value]
            kind = value.type if isinstance(value, pa.Scalar) else counts.result()[0].type
            columns.append(
                pa.array([row.as_py() if isinstance(row, pa.Scalar) else row for row in rows], kind)
            )
        estimator.fit(table_like(sample, columns))
        return None

    def _fill_value(self, index: int, counts: ValueCounts) -> tuple[Any, bool]:
        if self._strategy == "constant":
            present = self._present[index]
            return (None if present is None else present[0]), self._gaps[index] or present is None
        values, times = counts.result()
        if not len(values):
            return None, True
        best = values.filter(pa.array(times == times.max()))
        return pc.min(best), counts.missing > 0
