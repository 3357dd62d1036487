"""Arrow columns as scikit-learn sees them: a pandas frame, or a matrix of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block, Field, Schema
from streamlearn.errors import CellError

__all__ = [
    "blank_frame",
    "column_numbers",
    "copy_columns",
    "matrix_dtype",
    "numbers",
    "require_numbers",
    "select",
    "to_frame",
]


def to_frame(batch: pa.RecordBatch) -> Any:
    """Return the pandas frame that reading the same columns in memory would give."""
    return batch.to_pandas(split_blocks=True)


def blank_frame(schema: Schema, rows: int = 2) -> Any:
    """Return a frame (or array) of the schema's names and types with neutral values."""
    if not schema.named:
        kind = schema.fields[0].type.to_pandas_dtype() if len(schema) else np.float64
        return np.zeros((rows, len(schema)), dtype=kind)
    arrays = [_neutral(field, rows) for field in schema]
    return to_frame(pa.RecordBatch.from_arrays(arrays, names=schema.names))


def _neutral(field: Field, rows: int) -> pa.Array:
    if pa.types.is_null(field.type):
        return pa.nulls(rows)
    if pa.types.is_struct(field.type):
        inner = [_neutral(Field(item.name, item.type), rows) for item in field.type.fields]
        return pa.StructArray.from_arrays(inner, fields=field.type.fields)
    if pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
        return pa.array([[]] * rows, field.type)
    for value in (0, "", b"", False):
        try:
            return pa.array([value] * rows).cast(field.type)
        except (pa.ArrowException, TypeError, ValueError):
            continue
    return pa.nulls(rows, field.type)


def matrix_dtype(block: Block) -> np.dtype[Any]:
    """Return the dtype scikit-learn's scalers would give these columns: float32 or float64."""
    if isinstance(block, pa.RecordBatch):
        kinds = [_numpy_dtype(kind) for kind in set(block.schema.types)]
        found = np.result_type(*kinds) if kinds else np.dtype(np.float64)
    else:
        found = block.dtype
    single: bool = found == np.float32
    return np.dtype(np.float32 if single else np.float64)


def _numpy_dtype(type_: pa.DataType) -> np.dtype[Any]:
    if not Field("", type_).is_number:
        raise TypeError(str(type_))
    if pa.types.is_null(type_) or pa.types.is_decimal(type_):
        return np.dtype(np.float64)
    kind: np.dtype[Any] = np.dtype(type_.to_pandas_dtype())
    return kind


def column_numbers(column: pa.Array) -> NDArray[Any]:
    """Return a numeric column as an array; missing values as NaN, without copy where possible."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    elif pa.types.is_decimal(column.type):
        # As scikit-learn does with Python's own decimals.
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def numbers(
    block: Block, dtype: np.dtype[Any] | type | None = None, order: Literal["C", "F"] = "F"
) -> NDArray[Any]:
    """Return a block as a matrix of floats; missing values as NaN.

    Parameters
    ----------
    block : RecordBatch or array of shape (rows, columns)
    dtype : float dtype, optional
        By default what `matrix_dtype` says.
    order : {"F", "C"}
        Memory order of a matrix made from columns; an array that fits is returned as it is.

    Raises
    ------
    CellError
        If a column holds no numbers.
    """
    if not isinstance(block, pa.RecordBatch):
        return np.asarray(block, dtype=dtype or matrix_dtype(block))
    require_numbers(block)
    shape = (block.num_rows, block.num_columns)
    out: NDArray[Any] = np.empty(shape, dtype or matrix_dtype(block), order=order)
    copy_columns(block, out)
    return out


def require_numbers(batch: pa.RecordBatch) -> None:
    """Raise CellError where a column of a table holds no numbers."""
    for kind in set(batch.schema.types):
        if not Field("", kind).is_number:
            name = next(item.name for item in batch.schema if item.type == kind)
            raise CellError(
                None, name, f"{kind} where numbers are needed; encode it, or leave it out"
            )


def copy_columns(block: Block, out: NDArray[Any]) -> None:
    """Fill a matrix with numeric columns; missing values as NaN."""
    if not isinstance(block, pa.RecordBatch):
        out[:] = block
        return
    for index, column in enumerate(block.columns):
        out[:, index] = column_numbers(column)


def select(block: Block, columns: Sequence[Any]) -> Block:
    """Return columns of a block: by name of a table, by position of a matrix."""
    if isinstance(block, pa.RecordBatch):
        schema = block.schema
        if list(columns) == schema.names:
            return block
        picked = [schema.get_field_index(name) for name in columns]
        return pa.RecordBatch.from_arrays(
            [block.column(index) for index in picked],
            schema=pa.schema([schema.field(index) for index in picked]),
        )
    if hasattr(block, "iloc"):
        return block[list(columns)]
    return block[:, list(columns)]
