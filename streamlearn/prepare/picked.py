"""Columns picked from those there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.base import EstimatorKernel, Kernel, Rows
from streamlearn.prepare.frame import (
    column_numbers,
    copy_columns,
    matrix_dtype,
    numbers,
    require_numbers,
)
from streamlearn.prepare.operations import input_names, refuse_infinite, refuse_unusable

__all__ = ["PickKernel", "compile_selector"]


class PickKernel:
    """A fitted feature selection: columns of a table stay as they are, none is copied.

    Cells of columns that are not picked are not looked at.

    Parameters
    ----------
    estimator : fitted selector
        Any that has ``get_support``.
    """

    def __init__(self, estimator: Any) -> None:
        from sklearn.utils import get_tags

        self.estimator = estimator
        self.columns: NDArray[np.intp] = np.flatnonzero(estimator.get_support())
        self.width: int | None = len(self.columns)
        takes_gaps = bool(get_tags(estimator).input_tags.allow_nan)
        self._names = input_names(estimator)
        refuse = refuse_infinite if takes_gaps else refuse_unusable
        self.check = refuse(self._names, type(estimator).__name__)
        """For these columns, counted before any is picked."""
        self._whole = EstimatorKernel(estimator)

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        if not isinstance(X, pa.RecordBatch):
            kind: np.dtype[Any] = X.dtype
            return kind
        require_numbers(X)
        return matrix_dtype(X)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if not isinstance(X, pa.RecordBatch):
            if hasattr(X, "indptr") or hasattr(X, "iloc") or X.dtype.kind not in "biuf":
                return self._whole.apply(X)
            out = np.empty((len(X), len(self.columns)), X.dtype)
            self.write(X, out)
            return out
        kind = self.output_dtype(X)
        picked = self._columns_of(X)
        # A column of few digits among wider ones is as wide as they are in a matrix.
        return picked if matrix_dtype(picked) == kind else numbers(picked, kind, order="C")

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        if isinstance(X, pa.RecordBatch):
            copy_columns(self._columns_of(X), out)
            return
        out[:] = X[:, self.columns]
        if X.dtype.kind == "f":
            self.check(out, self.columns)

    def _columns_of(self, X: pa.RecordBatch) -> pa.RecordBatch:
        picked = X.select(self.columns.tolist())
        for values, index in zip(picked.columns, self.columns.tolist(), strict=True):
            if pa.types.is_floating(values.type) or values.null_count:
                self.check(column_numbers(values), index)
        return picked


def compile_selector(estimator: Any) -> Kernel | None:
    """Return the kernel of a fitted selector; None where it picks nothing, and says so itself."""
    kernel = PickKernel(estimator)
    return kernel if kernel.width else None
