"""Scaling and imputing: one operation per cell, in place, in the dtype scikit-learn uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.base import Rows
from streamlearn.prepare.frame import column_numbers, matrix_dtype, numbers
from streamlearn.prepare.operations import (
    Operation,
    clip,
    divide,
    fill,
    input_names,
    multiply_add,
    refuse_infinite,
    refuse_unusable,
    subtract,
)

__all__ = ["ElementwiseKernel", "FillKernel", "compile_elementwise"]


class ElementwiseKernel:
    """A chain of in-place operations on a matrix of floats.

    Parameters
    ----------
    operations : sequence of (array, column or slice) -> None
    columns_in : int
        Columns taken.
    kept : array of int or None
        Input columns that reach the output (None: all).
    dtype : numpy dtype or None
        Output dtype; None: as the input's, float32 or float64.
    estimators : sequence of fitted transformer
        What was compiled: their own ``transform`` serves sparse matrices.
    picked : array of int or None
        Which of the operations' columns are wanted (None: all); no other is worked on.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        columns_in: int,
        kept: NDArray[np.intp] | None = None,
        dtype: np.dtype[Any] | None = None,
        estimators: Sequence[Any] = (),
        picked: NDArray[np.intp] | None = None,
    ) -> None:
        self.operations = tuple(operations)
        self.columns_in = columns_in
        self.kept = kept
        self.dtype = dtype
        self.estimators = tuple(estimators)
        self.picked = picked
        self._places = np.arange(columns_in if kept is None else len(kept))
        if picked is not None:
            self._places = self._places[picked]
        self._sources = self._places if kept is None else kept[self._places]
        self.width: int | None = len(self._places)

    def pick(self, columns: NDArray[np.intp], check: Operation, selector: Any) -> ElementwiseKernel:
        """Return the kernel that gives only some of the columns, and works on no other."""
        return ElementwiseKernel(
            (*self.operations, check),
            self.columns_in,
            self.kept,
            self.dtype,
            (*self.estimators, selector),
            columns,
        )

    def then(self, other: ElementwiseKernel) -> ElementwiseKernel | None:
        """Fuse with the kernel that follows, or None where they cannot be one."""
        if (
            self.picked is not None
            or other.kept is not None
            or other.dtype not in (None, self.dtype)
        ):
            return None
        return ElementwiseKernel(
            (*self.operations, *other.operations),
            self.columns_in,
            self.kept,
            self.dtype,
            (*self.estimators, *other.estimators),
            other.picked,
        )

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """Return the dtype `apply` gives for this block."""
        return self.dtype or matrix_dtype(X)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if hasattr(X, "indptr"):
            for estimator in self.estimators:
                X = estimator.transform(X)
            return X
        if hasattr(X, "iloc"):
            X = X.to_numpy()
        length = X.num_rows if isinstance(X, pa.RecordBatch) else len(X)
        out = np.empty((length, self.width or 0), self.output_dtype(X))
        self.write(X, out)
        return out

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        kind = self.output_dtype(X)
        if isinstance(X, pa.RecordBatch):
            # Column by column: a column of a batch stays in the processor's cache through all
            # operations, and each cell of the matrix is written once.
            scratch = np.empty(len(out), kind)
            for place, (source, column) in enumerate(
                zip(self._sources.tolist(), self._places.tolist(), strict=True)
            ):
                scratch[:] = column_numbers(X.column(source))
                for operation in self.operations:
                    operation(scratch, column)
                out[:, place] = scratch
            return
        matrix = numbers(X, kind)
        whole = self.kept is None and self.picked is None
        # What is computed in float32 stays so, where the matrix around it is wider.
        target = out if out.dtype == kind else np.empty(out.shape, kind)
        target[:] = matrix if whole else matrix[:, self._sources]
        for operation in self.operations:
            operation(target, self._places)
        if target is not out:
            out[:] = target


class FillKernel:
    """Missing strings replaced; the block stays a table of Arrow columns."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = tuple(values)
        self.width: int | None = len(self._values)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        columns = [
            column.fill_null(value) if column.null_count else column
            for column, value in zip(X.columns, self._values, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=X.schema)


def compile_elementwise(estimator: Any) -> ElementwiseKernel | None:
    """Compile a fitted scaler or numeric imputer; None where only its own transform will do."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    columns = int(estimator.n_features_in_)
    names = input_names(estimator)
    check = refuse_infinite(names, type(estimator).__name__)
    if type(estimator) is StandardScaler:
        operations: list[Operation] = [check]
        if estimator.with_mean:
            operations.append(subtract(estimator.mean_))
        if estimator.with_std:
            operations.append(divide(estimator.scale_))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is RobustScaler:
        operations = [check]
        if estimator.with_centering:
            operations.append(subtract(estimator.center_, widely=True))
        if estimator.with_scaling:
            operations.append(divide(estimator.scale_, widely=True))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is MinMaxScaler:
        operations = [check, multiply_add(estimator.scale_, estimator.min_)]
        if estimator.clip:
            operations.append(clip(*estimator.feature_range))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is MaxAbsScaler:
        operations = [check, divide(estimator.scale_)]
        if getattr(estimator, "clip", False):
            operations.append(clip(-1.0, 1.0))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is SimpleImputer and estimator._fit_dtype.kind == "f":
        return _compile_imputer(estimator, columns, names)
    return None


def _compile_imputer(
    estimator: Any, columns: int, names: Sequence[str]
) -> ElementwiseKernel | None:
    marker = estimator.missing_values
    if not isinstance(marker, float | int | np.number):
        return None
    values = np.asarray(estimator.statistics_, dtype=np.float64)
    kept = None if estimator.keep_empty_features else np.flatnonzero(~np.isnan(values))
    if kept is not None and len(kept) < columns:
        values = values[kept]
        names = [names[index] for index in kept.tolist()]
    else:
        kept = None
    dtype = estimator._fit_dtype
    refuse = refuse_infinite if np.isnan(marker) else refuse_unusable
    check = refuse(names, type(estimator).__name__)
    operations = [check, fill(values.astype(dtype), float(marker))]
    return ElementwiseKernel(operations, columns, kept, dtype, [estimator])
