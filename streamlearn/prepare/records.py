"""Rows as dicts, from column to value, without making them.

Over a table, a row is the dict that ``frame.to_dict("records")`` would give of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError

__all__ = ["distinct_texts", "is_number", "is_text", "is_texts", "records_of", "refuse_column"]


def records_of(X: Block, step: str) -> pa.RecordBatch | list[Any]:
    """Return rows as a table, a struct's fields for columns; or as a list of dicts.

    Parameters
    ----------
    X : RecordBatch, frame, or Series, list or array (one dimension) of dicts
    step : str
        Who asks, for errors.

    Raises
    ------
    CellError
        If a row is missing, or is no dict.
    ValueError
        If there are no names of columns.
    """
    if hasattr(X, "iloc") and X.ndim == 2:
        X = pa.RecordBatch.from_pandas(X, preserve_index=False)
    if isinstance(X, pa.RecordBatch):
        kind = X.schema.types[0] if X.num_columns == 1 else None
        if kind is not None and pa.types.is_struct(kind):
            _refuse_missing(X.column(0), X.schema.names[0], step)
            return pa.RecordBatch.from_arrays(X.column(0).flatten(), names=kind.names)
        if kind is not None and pa.types.is_map(kind):
            _refuse_missing(X.column(0), X.schema.names[0], step)
            return [dict(row) for row in X.column(0).to_pylist()]
        return X
    if getattr(X, "ndim", 1) != 1:
        raise ValueError(
            f"{step} takes rows as dicts, and a matrix has no names; put it where the columns "
            "still have theirs"
        )
    for row, record in enumerate(X):
        if not isinstance(record, Mapping):
            raise CellError(
                row,
                str(getattr(X, "name", None) or "features"),
                f"a {type(record).__name__} where {step} takes a dict; leave such rows out with "
                "drop_missing=True, or use it as the only step over the columns of a table",
            )
    return list(X)


def _refuse_missing(column: pa.Array, name: str, step: str) -> None:
    if column.null_count:
        raise CellError(
            int(column.is_null().to_numpy(zero_copy_only=False).argmax()),
            name,
            f"a missing row, and {step} takes dicts; leave such rows out with drop_missing=True",
        )


def is_number(kind: pa.DataType) -> bool:
    """Whether values are numbers, or nothing but missing, which counts as one."""
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(is_kind(kind) for is_kind in kinds)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_texts(kind: pa.DataType) -> bool:
    """Whether values are lists of texts."""
    return bool(
        (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and is_text(kind.value_type)
    )


def refuse_column(name: str, kind: pa.DataType, step: str) -> CellError:
    """Make the error for a column whose values mean nothing to a dict's taker."""
    return CellError(
        None,
        name,
        f"{kind}, and {step} takes numbers and texts; leave the column out, or compute one of "
        "these with derive=",
    )


def distinct_texts(column: pa.Array) -> tuple[list[str], NDArray[np.int32]]:
    """Return the distinct texts, and which of them each row is; one past the last is missing."""
    encoded = column.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(distinct)) if column.null_count else encoded.indices
    return distinct, np.asarray(codes)
