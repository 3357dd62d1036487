"""Columns read one after the other, rows given out all the same: by way of a file on disk.

Where the pages of all columns together are too large to hold (one page per column, thousands of
columns), each group of columns is decoded on its own and written down in blocks of rows; the
blocks are then put side by side.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from streamlearn.errors import SourceError

__all__ = ["spooled"]


def spooled(
    groups: Sequence[Callable[[], Iterable[pa.RecordBatch]]],
    rows: int,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Put groups of columns side by side, holding one group while writing and one chunk after.

    Parameters
    ----------
    groups : sequence of callables
        Each returns the same rows as batches of its own columns, of any length.
    rows : int
        Rows written down together, of each group as one message, and given out together.
    folder : path, optional
        Where the file is kept; it is unlinked from the start.

    Raises
    ------
    SourceError
        If the disk is full.

    Yields
    ------
    RecordBatch
        Columns of the groups, one group after the other.

    Examples
    --------
    >>> left = lambda: [pa.record_batch({"a": [1, 2, 3]})]
    >>> right = lambda: [pa.record_batch({"b": [4]}), pa.record_batch({"b": [5, 6]})]
    >>> [batch.to_pydict() for batch in spooled([left, right], 2)]
    [{'a': [1, 2], 'b': [4, 5]}, {'a': [3], 'b': [6]}]
    """
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        try:
            written = [_write(file.fileno(), group(), rows) for group in groups]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise SourceError(
                "these columns are too large to be read side by side and go by way of the disk, "
                f"but {folder or tempfile.gettempdir()} is full; name another folder with "
                "scratch_dir= or --scratch-dir, or use a larger memory budget"
            ) from error
        for block in range(min((len(places) for _, places in written), default=0)):
            parts = [_read(file.fileno(), places[block], schema) for schema, places in written]
            fields = [field for part in parts for field in part.schema]
            columns = [column for part in parts for column in part.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _write(
    handle: int, batches: Iterable[pa.RecordBatch], rows: int
) -> tuple[pa.Schema, list[tuple[int, int]]]:
    """Append batches as messages of ``rows`` rows; return where each of them stands."""
    places: list[tuple[int, int]] = []
    waiting: list[pa.RecordBatch] = []
    held = 0
    schema = pa.schema([])

    def put(batch: pa.RecordBatch) -> None:
        message = batch.serialize()
        at = os.lseek(handle, 0, os.SEEK_END)
        data = memoryview(message)
        while data:
            data = data[os.write(handle, data) :]
        places.append((at, message.size))

    for batch in batches:
        schema = batch.schema
        start = 0
        while batch.num_rows - start + held >= rows:
            stop = start + rows - held
            waiting.append(batch.slice(start, stop - start))
            put(pa.concat_batches(waiting) if len(waiting) > 1 else waiting[0])
            waiting, held, start = [], 0, stop
        if start < batch.num_rows:
            waiting.append(batch.slice(start))
            held += batch.num_rows - start
    if waiting:
        put(pa.concat_batches(waiting) if len(waiting) > 1 else waiting[0])
    return schema, places


def _read(handle: int, place: tuple[int, int], schema: pa.Schema) -> pa.RecordBatch:
    at, size = place
    data = os.pread(handle, size, at)
    while len(data) < size:
        more = os.pread(handle, size - len(data), at + len(data))
        if not more:
            raise OSError("the spooled columns on disk are shorter than what was written")
        data += more
    return pa.ipc.read_record_batch(pa.py_buffer(data), schema)
