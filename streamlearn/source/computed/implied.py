"""What a condition in SQL implies of single columns, as an Arrow expression.

A superset of the rows is always right: conditions between a column and constants are taken where
they stand side by side, a little widened, and the rest is left out. To DuckDB NaN is above every
number and equal to itself; to Arrow it is neither.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streamlearn.chunk import Schema

__all__ = ["implied"]

Evaluate = Callable[[Any], Any]
"""From a node of a parsed query without columns to its value in Python."""

_SIGNS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">",
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?)?")
_TURNED = {"=": "=", "<": ">", ">": "<"}


def implied(node: Any, schema: Schema, evaluate: Evaluate) -> pc.Expression | None:
    """Return a condition that holds wherever a parsed one does, or None.

    Parameters
    ----------
    node : dict
        As DuckDB's ``json_serialize_sql`` gives it.
    schema : Schema
        Columns that conditions may be taken of.
    evaluate : callable
    """
    kind = str(node.get("type", ""))
    if kind == "CONJUNCTION_AND":
        return _all([implied(child, schema, evaluate) for child in node["children"]])
    if kind == "CONJUNCTION_OR":
        return _any([implied(child, schema, evaluate) for child in node["children"]])
    if kind in _SIGNS:
        return _compared(node, schema, evaluate)
    if kind in ("COMPARE_BETWEEN", "BETWEEN"):
        name = _column(node["input"], schema)
        ends = ((">", node["lower"]), ("<", node["upper"]))
        return _all(
            [_bound(schema, name, sign, _value(end, evaluate)) for sign, end in ends]
            if name
            else []
        )
    if kind == "COMPARE_IN":
        name = _column(node["children"][0], schema)
        values = [_value(child, evaluate) for child in node["children"][1:]]
        return _any([_bound(schema, name, "=", value) for value in values] if name else [])
    if kind == "OPERATOR_IS_NOT_NULL":
        name = _column(node["children"][0], schema)
        return pc.field(name).is_valid() if name else None
    if kind == "FUNCTION" and node.get("function_name") == "isfinite":
        name = _column(_argument(node), schema)
        floating = name is not None and pa.types.is_floating(schema[name].type)
        return pc.is_finite(pc.field(name)) if floating else None
    if kind == "COLUMN_REF":
        name = _column(node, schema)
        return pc.field(name) if name and pa.types.is_boolean(schema[name].type) else None
    return None


def _argument(node: Any) -> Any:
    """Return what a function of one argument is of; how that is written changed in DuckDB 2."""
    given = (node.get("arguments") or node.get("children") or [{}])[0]
    return given.get("expression", given)


def _compared(node: Any, schema: Schema, evaluate: Evaluate) -> pc.Expression | None:
    sign = _SIGNS[node["type"]]
    for one, other, turned in (("left", "right", sign), ("right", "left", _TURNED[sign])):
        name = _column(node[one], schema)
        if name is not None:
            return _bound(schema, name, turned, _value(node[other], evaluate))
    return None


def _column(node: Any, schema: Schema) -> str | None:
    """Return the column that a node is, where it is one."""
    if node.get("class") != "COLUMN_REF" or len(node["column_names"]) != 1:
        return None
    wanted = node["column_names"][0].casefold()
    names = [name for name in schema.names if name.casefold() == wanted]
    return names[0] if len(names) == 1 else None


def _value(node: Any, evaluate: Evaluate) -> Any:
    return None if "COLUMN_REF" in str(node) else evaluate(node)


def _all(parts: Sequence[pc.Expression | None]) -> pc.Expression | None:
    known = [part for part in parts if part is not None]
    return reduce(and_, known) if known else None


def _any(parts: Sequence[pc.Expression | None]) -> pc.Expression | None:
    known = [part for part in parts if part is not None]
    return reduce(or_, known) if known and len(known) == len(parts) else None


def _bound(schema: Schema, name: str, sign: str, value: Any) -> pc.Expression | None:
    """Return a condition on one column, widened by no more than one step of its values."""
    type_ = schema[name].type
    try:
        found = _widened(type_, value)
        if found is None:
            return None
        low, high = (pa.scalar(end, type_) for end in found)
    except (pa.ArrowException, OverflowError, ValueError):  # beyond what the type holds
        return None
    field = pc.field(name)
    if sign == "<":
        return field <= high
    if sign == "=":
        return (field >= low) & (field <= high)
    # Written so that NaN passes, which DuckDB holds to be above everything.
    return ~(field < low) if pa.types.is_floating(type_) else field >= low


def _widened(type_: pa.DataType, value: Any) -> tuple[Any, Any] | None:
    """Return two values of a column's type with the value between them, or None."""
    kinds = pa.types
    if isinstance(value, bool):
        return (value, value) if kinds.is_boolean(type_) else None
    if isinstance(value, int | float | Decimal):
        return _widened_number(type_, value)
    if isinstance(value, str) and _MOMENT.fullmatch(value) and not _is_text(type_):
        return _widened_time(type_, dt.datetime.fromisoformat(value))
    if isinstance(value, str):
        return (value, value) if _is_text(type_) else None
    if isinstance(value, dt.date):  # a datetime is one
        return _widened_time(type_, value)
    return None


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _widened_number(type_: pa.DataType, value: float | Decimal) -> tuple[Any, Any] | None:
    if not math.isfinite(value):
        return None
    if pa.types.is_integer(type_):
        # DuckDB may compare as double, in which whole numbers beyond 2**53 run together.
        low, high = math.floor(value), math.ceil(value)
        return (low, high) if max(abs(low), abs(high)) < 2 ** min(53, type_.bit_width - 1) else None
    if pa.types.is_float32(type_) or pa.types.is_float64(type_):
        kind = np.float32 if pa.types.is_float32(type_) else np.float64
        with np.errstate(over="ignore"):
            near = kind(float(value))
        if not np.isfinite(near):
            return None
        ends = np.nextafter(near, kind(-np.inf)), np.nextafter(near, kind(np.inf))
        return float(ends[0]), float(ends[1])
    return None


def _widened_time(type_: pa.DataType, value: dt.date) -> tuple[Any, Any] | None:
    if getattr(value, "tzinfo", None) is not None:
        return None
    exact = isinstance(value, dt.datetime)
    if pa.types.is_date32(type_):
        day = value.date() if isinstance(value, dt.datetime) else value
        return day, day + dt.timedelta(days=1) if exact else day
    if pa.types.is_timestamp(type_) and type_.tz is None:
        moment = value if isinstance(value, dt.datetime) else dt.datetime(*value.timetuple()[:3])  # noqa: DTZ001
        if type_.unit == "s":
            start = moment.replace(microsecond=0)
            return start, start + dt.timedelta(seconds=1)
        start = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        return start, start + dt.timedelta(milliseconds=1)
    return None
