"""What to slice by, as text: a column, and how its values make slices."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from streamlearn.chunk import Schema
from streamlearn.errors import UsageError

__all__ = ["SliceBy", "parse_slice"]

_DATES = ("year", "month", "day", "weekday", "hour")
_MOST_BINS = 1_000


@dataclass(frozen=True)
class SliceBy:
    """What to slice by, as the user asked."""

    text: str
    column: str
    """Empty for files."""
    unit: str = ""
    """"" (values as they are, floats with many values in bins), "bins", "file", or a part of a
    date: "year", "month", "day", "weekday", "hour"."""
    bins: int = 0


def parse_slice(text: str, schema: Schema) -> SliceBy:
    """Read ``"column"``, ``"column:4"`` (quantile bins), ``"column:month"`` or ``"file"``.

    A column of that whole name comes first; dates without a unit are sliced by month.

    Parameters
    ----------
    text : str
    schema : Schema
        Of the data.

    Raises
    ------
    SchemaError
        If there is no such column.
    UsageError
        If its values cannot be sliced so.

    Examples
    --------
    >>> from streamlearn.chunk import Field
    >>> schema = Schema((Field("zone", pa.int32()), Field("pickup", pa.timestamp("us"))))
    >>> parse_slice("pickup:month", schema)
    SliceBy(text='pickup:month', column='pickup', unit='month', bins=0)
    >>> parse_slice("zone:4", schema).bins
    4
    """
    name, sign, unit = text.rpartition(":")
    if text in schema or not sign:
        if text == "file" and text not in schema:
            return SliceBy(text, "", "file")
        name, unit = text, ""
    field = schema[name]
    dates = pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)
    if pa.types.is_nested(field.type):
        raise UsageError(f"cannot slice by {name!r}: it is nested ({field.type})")
    if not unit:
        return SliceBy(text, name, "month" if dates else "")
    if unit in _DATES:
        if not dates or (unit == "hour" and pa.types.is_date(field.type)):
            raise UsageError(
                f"cannot slice by {text!r}: {name!r} is {field.type}, which has no {unit}"
            )
        return SliceBy(text, name, unit)
    if not unit.isdigit() or not 2 <= int(unit) <= _MOST_BINS:
        raise UsageError(
            f"cannot slice by {text!r}: after the colon stands a number of quantile bins from 2 to "
            f"{_MOST_BINS:,}, or one of {', '.join(_DATES)}"
        )
    if not field.is_number:
        raise UsageError(f"cannot slice by {text!r}: {name!r} is {field.type} and not a number")
    return SliceBy(text, name, "bins", int(unit))
