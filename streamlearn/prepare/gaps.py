"""Which cells are missing, beside what was put in their place or alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import EstimatorKernel, Kernel, Rows
from streamlearn.prepare.elementwise import ElementwiseKernel
from streamlearn.prepare.frame import column_numbers, require_numbers
from streamlearn.prepare.operations import input_names, unusable

__all__ = ["FlaggedKernel", "GapsKernel", "compile_indicator", "flag"]


class GapsKernel:
    """A fitted MissingIndicator of numbers: whether cells are missing.

    Parameters
    ----------
    estimator : fitted sklearn.impute.MissingIndicator
        That looks for NaN, and gives a dense matrix.
    """

    def __init__(self, estimator: Any) -> None:
        self._features = [int(index) for index in estimator.features_]
        self._columns = int(estimator._n_features)
        self._names = input_names(estimator) if hasattr(estimator, "n_features_in_") else []
        self._refuses_new = estimator.features == "missing-only" and estimator.error_on_new
        self.width: int | None = len(self._features)
        self._whole = EstimatorKernel(estimator)

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        return np.dtype(bool)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if not isinstance(X, pa.RecordBatch) and (hasattr(X, "iloc") or X.dtype.kind not in "iuf"):
            return self._whole.apply(X)
        if hasattr(X, "indptr"):
            return self._whole.apply(X)
        out = np.empty((X.shape[0], self.width or 0), dtype=bool)
        self.write(X, out)
        return out

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        if isinstance(X, pa.RecordBatch):
            require_numbers(X)
        place = 0
        for column in range(self._columns):
            gaps = self._gaps(X, column)
            if column in self._features:
                out[:, place] = gaps
                place += 1
            elif self._refuses_new and gaps.any():
                raise CellError(
                    int(gaps.argmax()),
                    self._names[column],
                    "missing, in a column that had no gaps when MissingIndicator was fitted; use "
                    "error_on_new=False, or filter such rows with where=",
                )

    def _gaps(self, X: Block, column: int) -> NDArray[np.bool_]:
        values = gap_numbers(X, column)
        if values is None:
            return np.zeros(X.shape[0], dtype=bool)
        bad = np.isinf(values)
        if bad.any():
            row = int(bad.argmax())
            raise CellError(row, self._names[column], unusable(values[row], "MissingIndicator"))
        gaps: NDArray[np.bool_] = np.isnan(values)
        return gaps


class FlaggedKernel:
    """A fitted SimpleImputer with ``add_indicator``: filled columns, then which were gaps.

    Parameters
    ----------
    filled : ElementwiseKernel
        What the imputer does without an indicator.
    estimator : fitted sklearn.impute.SimpleImputer
    """

    def __init__(self, filled: ElementwiseKernel, estimator: Any) -> None:
        self._filled = filled
        self._flagged = [int(index) for index in estimator.indicator_.features_]
        self.width: int | None = (filled.width or 0) + len(self._flagged)
        self._whole = EstimatorKernel(estimator)

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        return self._filled.output_dtype(X)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if hasattr(X, "indptr"):
            return self._whole.apply(X)
        if hasattr(X, "iloc"):
            X = X.to_numpy()
        out = np.empty((X.shape[0], self.width or 0), self.output_dtype(X))
        self.write(X, out)
        return out

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        values = self._filled.width or 0
        self._filled.write(X, out[:, :values])
        for place, column in enumerate(self._flagged, start=values):
            found = gap_numbers(X, column)
            out[:, place] = 0 if found is None else np.isnan(found)


def gap_numbers(X: Block, column: int) -> NDArray[Any] | None:
    """Return a column in which gaps are NaN; None where whole numbers leave none."""
    values = column_numbers(X.column(column)) if isinstance(X, pa.RecordBatch) else X[:, column]
    return values if values.dtype.kind == "f" else None


def compile_indicator(estimator: Any) -> Kernel | None:
    """Return the kernel of a fitted MissingIndicator; None where it keeps its own transform."""
    if not _is_nan(estimator.missing_values) or estimator.sparse is True:
        return None
    return GapsKernel(estimator)


def flag(filled: ElementwiseKernel | None, estimator: Any) -> Kernel | None:
    """Add the indicator of an imputer to what fills its gaps."""
    if filled is None or not estimator.add_indicator:
        return filled
    indicator = estimator.indicator_
    sound = _is_nan(estimator.missing_values) and not indicator.error_on_new
    return FlaggedKernel(filled, estimator) if sound else None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))
