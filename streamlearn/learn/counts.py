"""Distinct values of a column and how often each occurs, however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["ValueCounts", "count_values"]

_PENDING_VALUES = 65_536
"""Values that wait at least before they are merged with those known."""
_PENDING_PARTS = 256
_CLOSE = 4_096
"""Widest span of integers that are counted in a table, whatever their number."""
_PENDING_BYTES = 8 << 20
_HASHED_PARTS = 16
"""Into which many texts are divided, so that one hash table at a time is rebuilt."""


def count_values(column: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the distinct values of a column, and how often each is there.

    Examples
    --------
    >>> values, counts = count_values(pa.array([3, 1, 3]))
    >>> values.to_pylist(), counts.tolist()
    ([1, 3], [1, 2])
    """
    kind = column.type
    if pa.types.is_integer(kind) and len(column) and not column.null_count:
        found = _count_integers(column.to_numpy())
        if found is not None:
            return pa.array(found[0], kind), found[1]
    # Before pyarrow 24 there is no counting of half floats.
    wide = column.cast(pa.float32()) if pa.types.is_float16(kind) else column
    found = wide.value_counts()
    return found.field(0).cast(kind), np.asarray(found.field(1))


def _count_integers(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]] | None:
    """Count integers that lie close together by their place in a table; others are not for it."""
    low, high = int(values.min()), int(values.max())
    if high - low > max(_CLOSE, len(values) // 4):
        return None
    # Short integers would overflow; unsigned ones beyond int64 are shifted before they are cast.
    wide = values if values.itemsize == 8 else values.astype(np.int64)
    counts = np.bincount((wide - wide.dtype.type(low)).astype(np.intp, copy=False))
    places = np.flatnonzero(counts)
    found = places.astype(wide.dtype) + wide.dtype.type(low)
    return found.astype(values.dtype), counts[places].astype(np.int64, copy=False)


class ValueCounts:
    """Distinct values of one column with their counts; missing ones counted apart.

    Numbers are kept sorted in NumPy and merged in place, for they may be millions; anything
    else is kept in Arrow and found by hashing.

    Examples
    --------
    >>> counts = ValueCounts()
    >>> counts.add(pa.array(["b", "a", None, "b"]))
    >>> values, times = counts.result()
    >>> dict(zip(values.to_pylist(), times.tolist())), counts.missing
    ({'b': 2, 'a': 1}, 1)
    """

    def __init__(self) -> None:
        self.missing = 0
        """Nulls and NaN."""
        self._parts: list[_Part] = [_Part()]
        self._pending: list[tuple[pa.Array, NDArray[np.int64]]] = []
        self._waiting = 0
        self._waiting_bytes = 0
        self._kind: pa.DataType | None = None

    def __len__(self) -> int:
        """Return how many distinct values there are at least."""
        return sum(len(part.counts) for part in self._parts)

    def add(self, column: pa.Array) -> None:
        """Take in a column of values."""
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        self.missing += column.null_count
        if column.null_count:
            column = column.drop_null()
        self._push(*count_values(column))

    def merge(self, other: ValueCounts) -> None:
        """Take in the values of another."""
        self.missing += other.missing
        for part in other._parts:
            if part.values is not None:
                self._push(part.values, part.counts)
        for values, counts in other._pending:
            self._push(values, counts)

    def _push(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        self._kind = values.type
        self._pending.append((values, counts))
        self._waiting += len(values)
        self._waiting_bytes += values.nbytes + counts.nbytes
        if (
            self._waiting > max(_PENDING_VALUES, len(self) // 8)
            or self._waiting_bytes > max(_PENDING_BYTES, self._held // 4)
            or len(self._pending) > _PENDING_PARTS
        ):
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        values = pa.concat_arrays([values for values, _ in self._pending])
        counts = np.concatenate([counts for _, counts in self._pending])
        self._pending, self._waiting, self._waiting_bytes = [], 0, 0
        if self.is_number:
            self._parts[0].merge_numbers(values.to_numpy(), counts, values.type)
            return
        if len(self._parts) == 1 and len(self) > _PENDING_VALUES and _is_text(values.type):
            whole = self._parts[0]
            self._parts = [_Part() for _ in range(_HASHED_PARTS)]
            self._spread(whole.values, whole.counts)
        self._spread(values, counts)

    def _spread(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        """Give each part its values: rebuilding a hash table then takes one part's memory."""
        if len(self._parts) == 1:
            self._parts[0].merge_hashed(values, counts)
            return
        numbers = _part_numbers(values, len(self._parts))
        for number, part in enumerate(self._parts):
            mine = numbers == number
            if mine.any():
                part.merge_hashed(values.filter(pa.array(mine)), counts[mine])

    def result(self) -> tuple[pa.Array, NDArray[np.int64]]:
        """Return distinct values (none missing) and their counts, in no particular order."""
        self._compact()
        found = [part for part in self._parts if part.values is not None]
        if len(found) < 2:
            return (
                (found[0].values, found[0].counts)
                if found
                else (pa.nulls(0), self._parts[0].counts)
            )
        return (
            pa.concat_arrays([part.values for part in found]),
            np.concatenate([part.counts for part in found]),
        )

    @property
    def _held(self) -> int:
        return sum(part.nbytes for part in self._parts)

    @property
    def nbytes(self) -> int:
        """Bytes held, what merging needs for a moment included."""
        hashing = 0 if self.is_number else _HASH_BYTES * (len(self) + self._waiting)
        return 2 * (self._held + self._waiting_bytes) + hashing // len(self._parts)

    @property
    def is_number(self) -> bool:
        """Whether the values are integers or floats."""
        kind = self._kind
        return kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))

    @property
    def text_bytes(self) -> tuple[int, int]:
        """Bytes a text takes while an encoder is fitted with it, and in the encoder (measured)."""
        length = (self._held + self._waiting_bytes) // max(1, len(self) + self._waiting)
        return 270 + 2 * length, 150 + 2 * length


class _Part:
    """Distinct values and their counts, sorted where they are numbers."""

    def __init__(self) -> None:
        self.values: pa.Array | None = None
        self.counts = np.zeros(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        return 0 if self.values is None else int(self.values.nbytes + self.counts.nbytes)

    def merge_numbers(self, values: NDArray[Any], counts: NDArray[np.int64], kind: Any) -> None:
        order = np.argsort(values, kind="stable")
        values, counts = values[order], counts[order]
        del order
        if len(values):
            first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
            values, counts = values[first], np.add.reduceat(counts, first)
        if self.values is None or not len(self.values):
            self.values, self.counts = pa.array(values, kind), counts
            return
        known = self.values.to_numpy()
        place = np.searchsorted(known, values)
        hit = known[np.minimum(place, len(known) - 1)] == values
        self.counts[place[hit]] += counts[hit]
        if not hit.all():
            new = ~hit
            self.values = pa.array(np.insert(known, place[new], values[new]), kind)
            del known
            self.counts = np.insert(self.counts, place[new], counts[new])

    def merge_hashed(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        if self.values is not None:
            values = pa.concat_arrays([self.values, values])
            counts = np.concatenate([self.counts, counts])
        encoded = values.dictionary_encode()
        # Sums of counts are exact in float64 up to 2**53 rows.
        summed = np.bincount(
            np.asarray(encoded.indices), weights=counts, minlength=len(encoded.dictionary)
        )
        self.values, self.counts = encoded.dictionary, summed.astype(np.int64)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _part_numbers(texts: pa.Array, parts: int) -> NDArray[np.int64]:
    """Spread texts over parts by their length and some of their bytes."""
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(ends)
    mixed = lengths.astype(np.int64) * 31
    if data is not None and data.size:
        letters = np.frombuffer(data, np.uint8)
        for share, factor in ((0, 7), (1, 13), (2, 17), (3, 29), (4, 37)):
            # From the last byte to the first, in quarters.
            at = ends[1:] - 1 - (np.maximum(lengths, 1) - 1) * share // 4
            letter = letters[np.clip(at, 0, len(letters) - 1)].astype(np.int64)
            mixed += np.where(lengths > 0, letter * factor, 0)
        at = ends[1:] - 2
        mixed += np.where(
            lengths > 1, letters[np.clip(at, 0, len(letters) - 1)].astype(np.int64) * 41, 0
        )
    return mixed % parts


_HASH_BYTES = 230
"""Of Arrow's hash tables for each distinct text, while they are rebuilt (measured)."""
