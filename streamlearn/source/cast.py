"""A stored column as the type that was settled for it."""

from __future__ import annotations

import pyarrow as pa

from streamlearn.errors import DataError
from streamlearn.source.base import Fragment

__all__ = ["decoded", "settled", "stored_type"]


def stored_type(type_: pa.DataType) -> pa.DataType:
    """Return the type that a stored type is read as: without dictionary, and with its own bytes."""
    value = type_.value_type if pa.types.is_dictionary(type_) else type_
    # Arrow has few functions for views.
    if value == pa.string_view():
        return pa.large_string()
    return pa.large_binary() if value == pa.binary_view() else value


def decoded(column: pa.Array) -> pa.Array:
    """Return a column as the type it is read as."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    wanted = stored_type(column.type)
    return column if column.type.equals(wanted) else column.cast(wanted)


def settled(column: pa.Array, wanted: pa.DataType, name: str, part: Fragment, row: int) -> pa.Array:
    """Cast a column, and refuse the value that would not survive it.

    Parameters
    ----------
    row : int
        Of the column's first value in its row group, for messages.

    Raises
    ------
    DataError
        Naming file, row group, row, column and value.
    """
    if column.type.equals(wanted):
        return column
    column = decoded(column)
    try:
        return column.cast(wanted)
    except pa.ArrowException as error:
        bad = _first_bad(column, wanted)
        raise DataError(
            f"{part.path}, row group {part.part}, row {row + bad}: column {name!r} holds "
            f"{_shown(column[bad])} ({column.type}), which is not {wanted}; choose another type "
            f"with schema= or --schema {name}=TYPE"
        ) from error


def _shown(value: pa.Scalar) -> str:
    try:
        return repr(value.as_py())
    except (OverflowError, ValueError):  # a date that Python has not
        return f"{value.cast(pa.int64())} {value.type} since 1970"


def _first_bad(column: pa.Array, wanted: pa.DataType) -> int:
    for index in range(len(column)):
        try:
            column.slice(index, 1).cast(wanted)
        except pa.ArrowException:
            return index
    return 0
