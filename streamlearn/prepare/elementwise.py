"""Scaling and imputing: one operation per cell, in place, in the dtype scikit-learn uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import Rows
from streamlearn.prepare.frame import column_numbers, matrix_dtype, numbers

__all__ = ["ElementwiseKernel", "FillKernel", "compile_elementwise"]

Operation = Callable[[NDArray[Any], int | slice], None]
"""Changes a column (index) or the whole matrix (slice) in place."""


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
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        columns_in: int,
        kept: NDArray[np.intp] | None = None,
        dtype: np.dtype[Any] | None = None,
        estimators: Sequence[Any] = (),
    ) -> None:
        self.operations = tuple(operations)
        self.columns_in = columns_in
        self.kept = kept
        self.dtype = dtype
        self.estimators = tuple(estimators)
        self.width: int | None = columns_in if kept is None else len(kept)

    def then(self, other: ElementwiseKernel) -> ElementwiseKernel | None:
        """Fuse with the kernel that follows, or None where they cannot be one."""
        if other.kept is not None or (other.dtype not in (None, self.dtype)):
            return None
        return ElementwiseKernel(
            (*self.operations, *other.operations),
            self.columns_in,
            self.kept,
            self.dtype,
            (*self.estimators, *other.estimators),
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
        """Fill ``out`` of shape (rows, width), whose dtype is `output_dtype`."""
        if isinstance(X, pa.RecordBatch):
            # Column by column: a column of a batch stays in the processor's cache through all
            # operations, and each cell of the matrix is written once.
            scratch = np.empty(len(out), out.dtype)
            for place, source in enumerate(
                range(self.columns_in) if self.kept is None else self.kept
            ):
                scratch[:] = column_numbers(X.column(int(source)))
                for operation in self.operations:
                    operation(scratch, place)
                out[:, place] = scratch
            return
        matrix = numbers(X, out.dtype)
        out[:] = matrix if self.kept is None else matrix[:, self.kept]
        for operation in self.operations:
            operation(out, slice(None))


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


def _subtract(values: NDArray[Any], *, widely: bool = False) -> Operation:
    """Subtract in the matrix's dtype, or ``widely`` in that of the values, as some scalers do."""

    def run(out: NDArray[Any], at: int | slice) -> None:
        out -= values[at] if widely else values[at].astype(out.dtype)

    return run


def _divide(values: NDArray[Any], *, widely: bool = False) -> Operation:
    def run(out: NDArray[Any], at: int | slice) -> None:
        out /= values[at] if widely else values[at].astype(out.dtype)

    return run


def _multiply_add(scale: NDArray[Any], offset: NDArray[Any]) -> Operation:
    def run(out: NDArray[Any], at: int | slice) -> None:
        out *= scale[at]
        out += offset[at]

    return run


def _clip(low: float, high: float) -> Operation:
    def run(out: NDArray[Any], at: int | slice) -> None:
        del at
        np.clip(out, out.dtype.type(low), out.dtype.type(high), out=out)

    return run


def _fill(values: NDArray[Any]) -> Operation:
    def run(out: NDArray[Any], at: int | slice) -> None:
        missing = np.isnan(out)
        if not missing.any():
            return
        if isinstance(at, slice):
            rows, columns = np.nonzero(missing)
            out[rows, columns] = values[columns]
        else:
            out[missing] = values[at]

    return run


def _finite(names: Sequence[str], step: str) -> Operation:
    """scikit-learn's scalers take NaN, and refuse infinity."""

    def run(out: NDArray[Any], at: int | slice) -> None:
        bad = np.isinf(out)
        if bad.any():
            if isinstance(at, slice):
                row, column = (int(part) for part in np.argwhere(bad)[0])
            else:
                row, column = int(bad.argmax()), at
            raise CellError(
                row, names[column], f"infinite, which {step} does not take; filter it with where="
            )

    return run


def compile_elementwise(estimator: Any) -> ElementwiseKernel | None:
    """Compile a fitted scaler or numeric imputer; None where only its own transform will do."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    columns = int(estimator.n_features_in_)
    names = [str(name) for name in getattr(estimator, "feature_names_in_", range(columns))]
    check = _finite(names, type(estimator).__name__)
    if type(estimator) is StandardScaler:
        operations: list[Operation] = [check]
        if estimator.with_mean:
            operations.append(_subtract(estimator.mean_))
        if estimator.with_std:
            operations.append(_divide(estimator.scale_))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is RobustScaler:
        operations = [check]
        if estimator.with_centering:
            operations.append(_subtract(estimator.center_, widely=True))
        if estimator.with_scaling:
            operations.append(_divide(estimator.scale_, widely=True))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is MinMaxScaler:
        operations = [check, _multiply_add(estimator.scale_, estimator.min_)]
        if estimator.clip:
            operations.append(_clip(*estimator.feature_range))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is MaxAbsScaler:
        operations = [check, _divide(estimator.scale_)]
        if getattr(estimator, "clip", False):
            operations.append(_clip(-1.0, 1.0))
        return ElementwiseKernel(operations, columns, estimators=[estimator])
    if type(estimator) is SimpleImputer and estimator._fit_dtype.kind == "f":
        return _compile_imputer(estimator, columns, check)
    return None


def _compile_imputer(estimator: Any, columns: int, check: Operation) -> ElementwiseKernel | None:
    missing = estimator.missing_values
    is_nan = isinstance(missing, float) and np.isnan(missing)
    if not is_nan or estimator.add_indicator:
        return None
    values = np.asarray(estimator.statistics_, dtype=np.float64)
    kept = None if estimator.keep_empty_features else np.flatnonzero(~np.isnan(values))
    if kept is not None and len(kept) < columns:
        values = values[kept]
    else:
        kept = None
    dtype = estimator._fit_dtype
    return ElementwiseKernel(
        [check, _fill(values.astype(dtype))], columns, kept, dtype, [estimator]
    )
