"""Columns of numbers as one matrix: the smallest type that holds all of them exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import DataError, UsageError
from streamlearn.source.dataset import Dataset

__all__ = ["Numbers", "common_type"]

_EXACT = 2**53


def common_type(kinds: Iterable[pa.DataType]) -> np.dtype[Any]:
    """Return the smallest type that holds values of all kinds; of 64-bit integers up to 2**53.

    Examples
    --------
    >>> common_type([pa.int8(), pa.float32()]), common_type([pa.int64(), pa.float32()])
    (dtype('float32'), dtype('float64'))
    """
    dtypes = [np.dtype(np.float32) if pa.types.is_null(kind) else _dtype(kind) for kind in kinds]
    return np.result_type(*dtypes)


def _dtype(kind: pa.DataType) -> np.dtype[Any]:
    found: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    return found


class Numbers:
    """Named columns as arrays of one type.

    Parameters
    ----------
    schema : Schema
        The columns.

    Raises
    ------
    UsageError
        If some are not numbers; the message names them.
    """

    def __init__(self, schema: Schema) -> None:
        wrong = [field for field in schema if not field.is_number]
        if wrong:
            shown = ", ".join(f"{field.name!r} ({field.type})" for field in wrong)
            raise UsageError(
                f"a zarr store holds numbers, and these columns are none: {shown}; name the "
                "columns to write with features= or --features, compute numbers with derive= or "
                "--derive, or write parquet"
            )
        self.schema = schema
        self.dtype = common_type([field.type for field in schema])

    def check(self, chunk: Chunk, data: Dataset) -> None:
        """Refuse what the type cannot hold: a gap in integers, a large integer among fractions.

        Raises
        ------
        DataError
            Naming place, column and value.
        """
        for field in self.schema:
            self._check(field, chunk.X.column(field.name), chunk.rows, data)

    def _check(
        self, field: Field, column: pa.Array, rows: NDArray[np.int64], data: Dataset
    ) -> None:
        if self.dtype.kind != "f":
            if column.null_count:
                at = int(np.asarray(column.is_null()).argmax())
                raise DataError(
                    f"{data.locate(int(rows[at]))}: column {field.name!r} is missing (null), and "
                    f"{self.dtype} has no such value; leave such rows out with where= (in SQL: "
                    f"{field.name} IS NOT NULL), or make the column one of fractions with derive=; "
                    "parquet holds missing values of any type"
                )
        elif _dtype(field.type).kind in "iu" and _dtype(field.type).itemsize == 8:
            bound = pc.min_max(column).as_py()
            if any(abs(value) > _EXACT for value in bound.values() if value is not None):
                values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
                at = int(np.argmax((values > _EXACT) | (values < -_EXACT)))
                raise DataError(
                    f"{data.locate(int(rows[at]))}: column {field.name!r} is {values[at]}, and "
                    f"{self.dtype}, the type that all columns share, holds whole numbers up to "
                    "2**53 exactly; leave the column out with features= or --features"
                )

    def fill(self, group: pa.RecordBatch) -> NDArray[Any]:
        """Return a group's columns as a matrix, shape (rows, columns); gaps are NaN."""
        out = np.empty((group.num_rows, len(self.schema)), self.dtype)
        for at, field in enumerate(self.schema):
            column = group.column(field.name)
            if pa.types.is_null(field.type):
                out[:, at] = np.nan
                continue
            if pa.types.is_boolean(field.type):
                column = column.cast(pa.uint8())
            gaps = column.null_count
            values = column.fill_null(0) if gaps else column
            out[:, at] = values.to_numpy(zero_copy_only=False)
            if gaps:
                out[np.asarray(column.is_null()), at] = np.nan
        return out
