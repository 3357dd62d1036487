"""Types that hold what every block of a text holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Field
from streamlearn.source.base import Fragment
from streamlearn.source.reconcile import promote

__all__ = ["ColumnTypes", "Seen", "inexact_integer", "meet_json", "meet_texts"]

_EXACT = 2**53
_TEXT_BYTES = 28.0
"""Of a value that looked like a number in its block and is text in others."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a column is in one block."""

    type: pa.DataType
    nbytes: int
    rows: int
    inexact: tuple[int, str] | None = None
    """Row of the block and digits of an integer that a double cannot hold."""
    clash: str = ""
    """Types of its values, where no type holds them all."""


def inexact_integer(column: pa.ChunkedArray) -> tuple[int, str] | None:
    """Find the first integer that a double cannot hold, in numbers or in their texts.

    Of doubles it is the first that may have been one.

    Examples
    --------
    >>> inexact_integer(pa.chunked_array([["0.5", "9007199254740993"]]))
    (1, '9007199254740993')
    """
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.to_numpy()
        kind = values.dtype.kind
        if kind == "f":
            large = np.isfinite(values) & (np.abs(values) >= _EXACT)
        else:
            large = (values > _EXACT) | (values < -_EXACT)
        for row in map(int, np.flatnonzero(large)):
            if kind == "f" or int(float(values[row])) != int(values[row]):
                return row, str(values[row])
        return None
    if not pa.types.is_string(column.type):
        return None
    for at, text in enumerate(column.to_pylist()):
        digits = (text or "").strip().lstrip("+-")
        if len(digits) > 15 and digits.isdigit() and int(float(digits)) != int(digits):
            return at, text.strip()
    return None


def meet_texts(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """Return the type of a column of text that holds both; text itself if no other does.

    Examples
    --------
    >>> meet_texts(pa.int64(), pa.bool_()), meet_texts(pa.date32(), pa.timestamp("s"))
    (DataType(string), TimestampType(timestamp[s]))
    """
    for one, other in ((left, right), (right, left)):
        if pa.types.is_date(one) and pa.types.is_timestamp(other) and other.tz is None:
            return other
    return promote(left, right) or pa.string()


def meet_json(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """Return the type that holds both: texts may look like times, and objects may differ in keys.

    Examples
    --------
    >>> meet_json(pa.timestamp("s"), pa.string()), meet_json(pa.int64(), pa.string())
    (DataType(string), None)
    """
    found = promote(left, right)
    if found is not None:
        return found
    if all(pa.types.is_string(kind) or pa.types.is_timestamp(kind) for kind in (left, right)):
        return pa.string()
    if pa.types.is_list(left) and pa.types.is_list(right):
        inner = meet_json(left.value_type, right.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        kinds = {item.name: item.type for item in left}
        for item in right:
            inner = meet_json(kinds.get(item.name, pa.null()), item.type)
            if inner is None:
                return None
            kinds[item.name] = inner
        return pa.struct(list(kinds.items()))
    return None


class ColumnTypes:
    """Types of columns over all blocks, in order.

    Parameters
    ----------
    names : sequence of str
        Columns known beforehand; others are added as they are met.
    given : mapping of str to pyarrow.DataType
        Types that the user settled.
    meet : callable
        Returns the type that holds two, or None.
    """

    def __init__(
        self,
        names: Sequence[str],
        given: Mapping[str, pa.DataType],
        meet: Callable[[pa.DataType, pa.DataType], pa.DataType | None],
    ) -> None:
        self._given = dict(given)
        self._meet = meet
        self._types: dict[str, pa.DataType] = {name: pa.null() for name in names}
        self._first: dict[str, dict[pa.DataType, Fragment]] = {name: {} for name in names}
        self._inexact: dict[str, tuple[Fragment, int, str]] = {}
        self._bytes: dict[str, float] = {}
        self._clashes: dict[str, str] = {}

    def __iter__(self) -> Any:
        return iter(self._types)

    def add(
        self, found: Mapping[str, Seen], fragment: Fragment, faults: Sequence[int] = ()
    ) -> None:
        """Take up one block; rows at fault are not among those that were seen."""
        for name, seen in found.items():
            first = self._first.setdefault(name, {})
            first.setdefault(seen.type, fragment)
            before = self._types.get(name, pa.null())
            met = self._meet(before, seen.type)
            if met is None:
                self.clash(name, fragment, f"{before} before and {seen.type} from there on")
            self._types[name] = before if met is None else met
            if seen.inexact is not None and name not in self._inexact:
                row, text = seen.inexact
                sound = np.delete(np.arange(fragment.rows), list(faults))
                self._inexact[name] = (fragment, int(sound[row]), text)
            if seen.clash:
                self.clash(name, fragment, seen.clash)
            each = seen.nbytes / max(1, seen.rows)
            self._bytes[name] = max(self._bytes.get(name, 0.0), each)

    def clash(self, name: str, fragment: Fragment, what: str) -> None:
        """Note that a column has no single type."""
        self._types.setdefault(name, pa.null())
        self._clashes.setdefault(
            name,
            f"column {name!r} has values of several types, at {fragment}, {fragment.rows} rows "
            f"from row {fragment.first} of the source: {what}; a column has one type: rewrite it, "
            "or leave it out by naming the columns to learn from with features= or --features",
        )

    def types(self) -> dict[str, pa.DataType]:
        """Return the type of each column."""
        return {name: self._given.get(name, kind) for name, kind in self._types.items()}

    def conflicts(self) -> dict[str, str]:
        """Return what keeps columns from being used."""
        found = dict(self._clashes)
        for name, (fragment, row, text) in self._inexact.items():
            if name in self._given or not pa.types.is_floating(self._types[name]):
                continue
            found[name] = (
                f"{fragment}, row {fragment.first + row} of the source: column {name!r} holds the "
                f"integer {text}, and is read as double, which holds integers up to 2**53 "
                f"({_EXACT}): this one would be changed; keep it as text with "
                f"schema={{{name!r}: 'string'}} or --schema {name}=string, or round it with "
                "'double'"
            )
        return found

    def notes(self) -> dict[str, tuple[str, ...]]:
        """Say of which columns the type is not that of all their blocks."""
        found: dict[str, tuple[str, ...]] = {}
        for name, first in self._first.items():
            kinds = [kind for kind in first if not pa.types.is_null(kind)]
            type_ = self.types()[name]
            if name in self._given or all(kind.equals(type_) for kind in kinds):
                continue
            places = [f"{kind} from row {first[kind].first}" for kind in kinds]
            remedy = ""
            if pa.types.is_string(type_):
                remedy = f"; if it is {kinds[0]}, say so with --schema {name}={kinds[0]}"
            found[name] = (f"column {name!r}: {', '.join(places)}; read as {type_}{remedy}",)
        return found

    def row_bytes(self, field: Field) -> float:
        """Bytes of a value where they are longest."""
        width = field.width_bytes
        if width is not None:
            return width + 0.125
        seen = self._bytes.get(field.name, 0.0)
        texts = all(field.type.equals(kind) for kind in self._first.get(field.name, ()))
        return max(4.0, seen if texts else max(seen, _TEXT_BYTES))
