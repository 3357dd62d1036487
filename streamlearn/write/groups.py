"""Rows cut into the groups that are written together: by the data alone, never by the chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["GroupSize", "fixed_bytes", "groups", "join_columns", "row_sizes"]

_LEAST_ROW = 8
"""A row counts as no less, so that a column of booleans makes no group of 32 million rows."""
_GIVE_BACK_BYTES = 4 << 20
"""The allocator keeps what was freed unless it is asked for it."""


@dataclass(frozen=True)
class GroupSize:
    """Where groups end."""

    most_bytes: int | None = None
    """Decoded bytes after which a group ends."""
    most_rows: int | None = None
    every_rows: int | None = None
    """A group ends at each multiple of this many rows: where a file does."""


def fixed_bytes(kind: pa.DataType) -> int | None:
    """Return decoded bytes of a value, or None where lengths vary.

    Examples
    --------
    >>> fixed_bytes(pa.int32()), fixed_bytes(pa.bool_()), fixed_bytes(pa.list_(pa.float64(), 3))
    (4, 1, 24)
    >>> fixed_bytes(pa.string()) is None
    True
    """
    if pa.types.is_null(kind):
        return 0
    if pa.types.is_fixed_size_list(kind):
        each = fixed_bytes(kind.value_type)
        return None if each is None else each * kind.list_size
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return None


def row_sizes(batch: pa.RecordBatch) -> int | NDArray[np.int64]:
    """Return decoded bytes of each row: one number where all are the same."""
    widths = [fixed_bytes(kind) for kind in batch.schema.types]
    size = max(_LEAST_ROW, sum(width for width in widths if width is not None))
    if None not in widths:
        return size
    sizes = np.full(batch.num_rows, size, np.int64)
    for column, width in zip(batch.columns, widths, strict=True):
        if width is None:
            sizes += _lengths(column)
    return sizes


def _lengths(column: pa.Array) -> NDArray[np.int64]:
    lengths = pc.fill_null(pc.binary_length(column), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), dtype=np.int64) + 4


def groups(batches: Iterable[pa.RecordBatch], size: GroupSize) -> Iterator[pa.RecordBatch]:
    """Cut a stream of batches into groups, only the last one short.

    A group ends with the row that brings it to its size: the rows of a group depend on the rows
    alone, and not on how they came.

    Examples
    --------
    >>> batch = pa.record_batch({"a": [1.0, 2, 3, 4, 5]})
    >>> [group.num_rows for group in groups([batch[:1], batch[1:]], GroupSize(most_bytes=16))]
    [2, 2, 1]
    """
    cutter = _Cutter(size)
    for batch in batches:
        yield from cutter.push(batch)
        del batch
    yield from cutter.rest()


class _Cutter:
    """Collects pieces until they make a group."""

    def __init__(self, size: GroupSize) -> None:
        self._size = size
        self._pieces: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._in_file = 0

    def push(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        sizes = row_sizes(batch) if self._size.most_bytes is not None else 0
        ends = None if isinstance(sizes, int) else np.cumsum(sizes)
        start = 0
        while start < batch.num_rows:
            left = batch.num_rows - start
            taken, full = left, False
            for most in self._allowed(sizes, ends, start):
                if most <= taken:
                    taken, full = most, True
            stop = start + taken
            self._pieces.append(batch.slice(start, taken))
            self._rows += taken
            self._bytes += self._taken_bytes(sizes, ends, start, stop)
            start = stop
            if full:
                yield from self.rest()

    def _allowed(
        self, sizes: int | NDArray[np.int64], ends: NDArray[np.int64] | None, start: int
    ) -> Iterator[int]:
        """Yield how many rows from ``start`` on each limit allows, at least one."""
        size = self._size
        if size.most_rows is not None:
            yield size.most_rows - self._rows
        if size.every_rows is not None:
            yield size.every_rows - (self._in_file + self._rows) % size.every_rows
        if size.most_bytes is not None:
            room = size.most_bytes - self._bytes
            if ends is None:
                assert isinstance(sizes, int)
                yield max(1, -(-room // sizes))
            else:
                before = int(ends[start - 1]) if start else 0
                yield int(np.searchsorted(ends, before + room)) + 1 - start

    @staticmethod
    def _taken_bytes(
        sizes: int | NDArray[np.int64], ends: NDArray[np.int64] | None, start: int, stop: int
    ) -> int:
        if ends is None:
            assert isinstance(sizes, int)
            return sizes * (stop - start)
        return int(ends[stop - 1]) - (int(ends[start - 1]) if start else 0)

    def rest(self) -> Iterator[pa.RecordBatch]:
        if self._rows:
            pieces, self._pieces = self._pieces, []
            self._in_file += self._rows
            self._rows = self._bytes = 0
            yield join_columns(pieces)


def join_columns(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Put batches one below the other, a column at a time, and let go of them meanwhile.

    Parameters
    ----------
    pieces : list of RecordBatch
        Emptied.
    """
    schema = pieces[0].schema
    if len(pieces) == 1:
        return pieces.pop()
    waiting = [list(piece.columns) for piece in pieces]
    pieces.clear()
    arrays, given_back = [], 0
    for _ in schema:
        joined = [columns.pop(0) for columns in waiting]
        arrays.append(pa.concat_arrays(joined))
        del joined
        given_back += arrays[-1].nbytes
        if given_back > _GIVE_BACK_BYTES:
            pa.default_memory_pool().release_unused()
            given_back = 0
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
