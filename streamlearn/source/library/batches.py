"""Batches that come one after the other and only once: written down, to be read again and again.

The file is unlinked from the start, so that nothing is left behind whatever happens. Each
message in it is an Arrow stream of its own, so that any thread can read any of them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.library.tables import decoded, is_table, plain_schema

__all__ = ["BatchSource", "is_batch_list", "is_batches", "join_batches"]

_FRAGMENT_ROWS = 131_072
"""As of a table in memory: the same rows give the same model, to the bit."""
_MESSAGE_BYTES = 4 << 20


def is_batches(data: Any) -> bool:
    """Whether something gives batches one after the other, and perhaps only once."""
    if isinstance(data, pa.RecordBatchReader) or hasattr(data, "__next__"):
        return True
    return hasattr(data, "__arrow_c_stream__") and not is_table(data)


def is_batch_list(data: Any) -> bool:
    """Whether something is a list of Arrow batches or tables."""
    return isinstance(data, list) and bool(data) and isinstance(data[0], pa.RecordBatch | pa.Table)


def join_batches(data: Sequence[Any]) -> pa.Table:
    """Return a list of batches as the one table it is, without a copy.

    Raises
    ------
    SchemaError
        If a batch has other columns or types than the first.

    Examples
    --------
    >>> join_batches([pa.record_batch({"x": [1]}), pa.record_batch({"x": [2, 3]})]).num_rows
    3
    """
    return pa.concat_tables(list(_tables(iter(data), "list")))


class BatchSource:
    """Rows of a stream of batches, kept on disk from the moment it is opened.

    The stream is read to its end once, a batch at a time, and compressed into an unlinked file
    in the system's temporary folder (``TMPDIR`` names another). Learning reads that file.

    Parameters
    ----------
    data : pyarrow.RecordBatchReader, or iterator
        Of `pyarrow.RecordBatch`, `pyarrow.Table`, or pandas or polars frames of one schema;
        anything with ``__arrow_c_stream__`` as well.

    Raises
    ------
    SchemaError
        If a batch has other columns or types than the first.
    SourceError
        If the disk is full, or the reader fails.
    """

    def __init__(self, data: Any) -> None:
        stream, schema = _opened(data)
        self._spool = _Spool()
        self._longest: dict[str, float] = {}
        self._largest = 0
        self._messages: list[list[_Message]] = []
        self._digest = hashlib.sha256()
        self._rows = 0
        pending = _Pending()
        for table in _tables(stream, type(data).__name__):
            schema = schema or table.schema
            for batch in table.to_batches():
                self._take(batch, pending)
        self._write(pending)
        pa.default_memory_pool().release_unused()
        if schema is None:
            raise DataError("the iterator gave no batch: there is nothing to learn from")
        self.schema = Schema.from_arrow(plain_schema(schema))
        self.fragments = [
            Fragment(index, "batches", index, index * _FRAGMENT_ROWS, _count(messages))
            for index, messages in enumerate(self._messages)
        ]
        self._digest.update(str(self.schema.to_arrow()).encode())
        self.fingerprint = self._digest.hexdigest()

    def _take(self, batch: pa.RecordBatch, pending: _Pending) -> None:
        """Cut a batch where fragments end and messages are full; write what is full."""
        row_bytes = max(1.0, batch.nbytes / max(1, batch.num_rows))
        start = 0
        while start < batch.num_rows:
            left = _FRAGMENT_ROWS - (self._rows + pending.rows) % _FRAGMENT_ROWS
            room = max(1, int((_MESSAGE_BYTES - pending.size) / row_bytes))
            size = min(left, room, batch.num_rows - start)
            pending.add(decoded(batch.slice(start, size), size))
            start += size
            if size == left or pending.size >= _MESSAGE_BYTES:
                self._write(pending)
        if batch.nbytes > _MESSAGE_BYTES:
            # What waits would keep all of it alive while the next one is being made.
            self._write(pending)

    def _write(self, pending: _Pending) -> None:
        if not pending.rows:
            return
        batch = pa.concat_batches(pending.batches)
        if self._rows % _FRAGMENT_ROWS == 0:
            self._messages.append([])
        self._messages[-1].append(self._spool.append(batch, self._digest))
        self._rows += batch.num_rows
        self._largest = max(self._largest, batch.nbytes)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            longest = max(self._longest.get(name, 0.0), column.nbytes / batch.num_rows)
            self._longest[name] = longest
        pending.clear()

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def lean(self, scratch_dir: str | None) -> BatchSource:
        """See `streamlearn.source.base.Source.lean`: it is lean as it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`: a message is held as stored and as decoded."""
        row = 8.0 + sum(
            self.schema[name].width_bytes or self._longest.get(name, 64.0) for name in columns
        )
        return ReaderCost((4 << 20) + 3 * self._largest, row, row)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        first = fragment.first
        for message in self._messages[fragment.index]:
            batch = self._spool.read(message, self.schema.names, columns)
            for start in range(0, message.rows, rows):
                size = min(rows, message.rows - start)
                numbers = np.arange(first + start, first + start + size, dtype=np.int64)
                yield Chunk(decoded(batch.slice(start, size), size), numbers)
            first += message.rows


@dataclass(frozen=True, slots=True)
class _Message:
    """Where rows stand in the file."""

    at: int
    size: int
    rows: int


class _Pending:
    """Rows that wait to be written together."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.rows = 0
        self.size = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.size += batch.nbytes


class _Spool:
    """An unlinked file of messages; it lives as long as whoever reads it."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            self._handle = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._handle)
        self._end = 0
        self._options = pa.ipc.IpcWriteOptions(
            compression="lz4" if pa.Codec.is_available("lz4_frame") else None, use_threads=False
        )

    def append(self, batch: pa.RecordBatch, digest: Any) -> _Message:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema, options=self._options) as writer:
            writer.write_batch(batch)
        data = memoryview(sink.getvalue())
        digest.update(data)
        message = _Message(self._end, len(data), batch.num_rows)
        self._end += len(data)
        try:
            while data:
                data = data[os.write(self._handle, data) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise SourceError(
                f"batches are read once and kept on disk, but {tempfile.gettempdir()} is full "
                f"after {message.at:,} bytes; name a folder with more room in the environment "
                "variable TMPDIR, or write the batches to parquet files and scan those"
            ) from error
        return message

    def read(
        self, message: _Message, stored: Sequence[str], columns: Sequence[str]
    ) -> pa.RecordBatch:
        if not columns:
            return pa.record_batch({"": pa.nulls(message.rows)})
        data = np.empty(message.size, dtype=np.uint8)
        done = 0
        while done < message.size:
            got = os.preadv(self._handle, [data[done:].data], message.at + done)
            if not got:
                raise SourceError("the batches kept on disk are shorter than what was written")
            done += got
        options = pa.ipc.IpcReadOptions(
            included_fields=[stored.index(name) for name in columns], use_threads=False
        )
        batch = pa.ipc.open_stream(pa.py_buffer(data), options=options).read_next_batch()
        return batch.select(list(columns))


def _count(messages: Iterable[_Message]) -> int:
    return sum(message.rows for message in messages)


def _opened(data: Any) -> tuple[Iterator[Any], pa.Schema | None]:
    """Return something's batches, and their schema where it says."""
    if hasattr(data, "__next__") and not isinstance(data, pa.RecordBatchReader):
        return data, None
    if not isinstance(data, pa.RecordBatchReader):
        try:
            data = pa.RecordBatchReader.from_stream(data)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise UsageError(
                f"{type(data).__name__} gives no stream of Arrow batches: {error}"
            ) from error
    return iter(data), data.schema


def _tables(batches: Iterator[Any], what: str) -> Iterator[pa.Table]:
    """Yield each batch as a table; all have the first one's columns and types."""
    schema: pa.Schema | None = None
    number = rows = 0
    while True:
        number += 1
        place = f"batch {number} of the {what}, after {rows:,} rows"
        try:
            item = next(batches)
        except StopIteration:
            return
        except MemoryError:
            raise
        except pa.ArrowException as error:
            raise SourceError(f"{place}: cannot be read: {error}") from error
        except Exception as error:
            error.add_note(f"raised when scan() asked for {place}")
            raise
        table = _as_table(item, place)
        if schema is None:
            schema = plain_schema(table.schema)
        _require_same(schema, plain_schema(table.schema), place)
        rows += table.num_rows
        yield table


def _as_table(item: Any, place: str) -> pa.Table:
    if isinstance(item, pa.Table):
        return item
    if isinstance(item, pa.RecordBatch):
        return pa.Table.from_batches([item])
    if not is_table(item):
        raise UsageError(
            f"{place}: is {type(item).__name__}; batches are pyarrow record batches or tables, "
            "or pandas or polars frames"
        )
    if not hasattr(item, "iloc"):
        return item.to_arrow()
    try:
        return pa.Table.from_pandas(item, preserve_index=False, nthreads=1)
    except pa.ArrowException as error:
        raise SchemaError(
            f"{place}: the frame has a column of Python objects that are not of one type: {error}"
        ) from error


def _require_same(first: pa.Schema, found: pa.Schema, place: str) -> None:
    if found.equals(first):
        return
    for name in [*first.names, *found.names]:
        kinds = [
            str(schema.field(name).type) if name in schema.names else "absent"
            for schema in (first, found)
        ]
        if kinds[0] != kinds[1]:
            raise SchemaError(
                f"{place}: column {name!r} is {kinds[1]}, and {kinds[0]} in the first batch; "
                "give every batch one schema (pyarrow: batch.cast(schema); pandas: "
                "frame.astype(...))"
            )
    raise SchemaError(
        f"{place}: the columns are in another order ({', '.join(found.names)}) than in the first "
        f"batch ({', '.join(first.names)})"
    )
