"""Smallest and largest finite value of columns of any numeric type, and NaN and infinities counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Extents"]

_LONG = 4_096
"""Rows from which a column is taken by itself: the calls weigh less than a copy of it."""
_AT_ONCE = 8_192
"""Rows of a matrix that are turned at once."""


class Extents:
    """Exact extrema of each column, in its own type: 64-bit integers stay what they are.

    Short columns of one type are taken together: calls would take longer than the work.

    Parameters
    ----------
    types : sequence of pyarrow.DataType
        Of all columns; those that are neither numbers nor points in time are passed over.

    Examples
    --------
    >>> extents = Extents([pa.int64(), pa.float32()])
    >>> extents.add([pa.array([2**60 + 1, None]), pa.array([1.5, float("inf")], pa.float32())])
    >>> extents.of(0), extents.of(1), extents.infinite.tolist()
    ((1152921504606846977, 1152921504606846977), (1.5, 1.5), [0, 1])
    """

    def __init__(self, types: Sequence[pa.DataType]) -> None:
        self.nans = np.zeros(len(types), dtype=np.int64)
        """NaN of each column; nulls are not among them."""
        self.infinite = np.zeros(len(types), dtype=np.int64)
        self._groups: dict[np.dtype[Any], _Group] = {}
        self._decimals: dict[int, tuple[Any, Any] | None] = {}
        self._place: dict[int, tuple[np.dtype[Any], int]] = {}
        members: dict[np.dtype[Any], list[int]] = {}
        for index, kind in enumerate(types):
            if pa.types.is_decimal(kind):
                self._decimals[index] = None
            elif (dtype := _stored_as(kind)) is not None:
                self._place[index] = (dtype, len(members.setdefault(dtype, [])))
                members[dtype].append(index)
        for dtype, columns in members.items():
            self._groups[dtype] = _Group(dtype, np.array(columns))

    def add(self, columns: Sequence[Any]) -> None:
        """Take in rows: for each column an Arrow array, or a NumPy array of its type."""
        for group in self._groups.values():
            whole, arrays = [], []
            for place, index in enumerate(group.numbers):
                column = columns[index]
                if isinstance(column, pa.Array):
                    has_nulls = column.null_count
                    column = _values(column.drop_null() if has_nulls else column)
                    if has_nulls or len(column) >= _LONG:
                        self._take(group, [place], column[None, :])
                        continue
                whole.append(place)
                arrays.append(column)
            if arrays:
                self._take(group, whole, np.stack(arrays))
        for index, known in self._decimals.items():
            found = pc.min_max(columns[index]).as_py()
            if found["min"] is not None:
                self._decimals[index] = _wider(known, (found["min"], found["max"]))

    def add_matrix(self, matrix: NDArray[Any], others: Sequence[Any] = ()) -> None:
        """Take in a block of shape (rows, columns), and what columns come after it."""
        if not len(matrix):
            return
        for start in range(0, len(matrix), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            # Along contiguous rows NumPy is many times faster than across short ones.
            across = np.ascontiguousarray(matrix[part].T)
            self.add([*across, *(other[part] for other in others)])

    def _take(self, group: _Group, places: list[int], values: NDArray[Any]) -> None:
        if not values.size:
            return
        low, high = values.min(axis=1), values.max(axis=1)
        if values.dtype.kind == "f":
            odd = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))
            if len(odd):
                self._note_odd(group.columns[np.array(places)[odd]], values[odd], low, high, odd)
        group.low[places] = np.fmin(group.low[places], low)
        group.high[places] = np.fmax(group.high[places], high)
        group.seen[places] = True

    def _note_odd(
        self,
        columns: NDArray[np.intp],
        values: NDArray[Any],
        low: NDArray[Any],
        high: NDArray[Any],
        odd: NDArray[np.intp],
    ) -> None:
        """Count what is not finite, and leave it out of the extrema."""
        missing = np.isnan(values).sum(axis=1)
        finite = np.isfinite(values)
        self.nans[columns] += missing
        self.infinite[columns] += values.shape[1] - finite.sum(axis=1) - missing
        low[odd] = np.where(finite, values, np.inf).min(axis=1)
        high[odd] = np.where(finite, values, -np.inf).max(axis=1)

    def merge(self, other: Extents) -> None:
        """Take in the values of other rows."""
        self.nans += other.nans
        self.infinite += other.infinite
        for dtype, group in self._groups.items():
            theirs = other._groups[dtype]
            group.low = np.fmin(group.low, theirs.low)
            group.high = np.fmax(group.high, theirs.high)
            group.seen |= theirs.seen
        for index, found in other._decimals.items():
            if found is not None:
                self._decimals[index] = _wider(self._decimals[index], found)

    def of(self, column: int) -> tuple[Any, Any] | None:
        """Return the smallest and largest finite value, or None where there is none.

        Points in time are whole numbers of their unit.
        """
        if column in self._decimals:
            return self._decimals[column]
        if column not in self._place:
            return None
        dtype, place = self._place[column]
        group = self._groups[dtype]
        low, high = group.low[place].item(), group.high[place].item()
        return (low, high) if group.seen[place] and low <= high else None


class _Group:
    """Columns of one type."""

    def __init__(self, dtype: np.dtype[Any], columns: NDArray[np.intp]) -> None:
        ends: tuple[Any, Any] = (-np.inf, np.inf)
        if dtype.kind != "f":
            ends = (np.iinfo(dtype).min, np.iinfo(dtype).max)
        self.columns = columns
        self.numbers: list[int] = columns.tolist()
        self.low = np.full(len(columns), ends[1], dtype=dtype)
        self.high = np.full(len(columns), ends[0], dtype=dtype)
        self.seen = np.zeros(len(columns), dtype=bool)


def _stored_as(kind: pa.DataType) -> np.dtype[Any] | None:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return np.dtype(np.int64 if kind.bit_width == 64 else np.int32)
    return None


def _values(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_temporal(column.type):
        column = column.view(pa.int64() if column.type.bit_width == 64 else pa.int32())
    return np.asarray(column.to_numpy(zero_copy_only=True))


def _wider(one: tuple[Any, Any] | None, other: tuple[Any, Any]) -> tuple[Any, Any]:
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))
