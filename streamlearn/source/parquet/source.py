"""Parquet files, read row group by row group with memory that stays flat.

The reader is `pyarrow.parquet.ParquetFile.iter_batches` without pre-buffering and with small
file buffers: the other ways pyarrow offers hold whole row groups, or whole files.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.sizes import format_bytes
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.cast import decoded, settled, stored_type
from streamlearn.source.parquet.footer import (
    check_unchanged,
    open_parquet,
    read_again,
    read_footer,
    said_by_name,
)
from streamlearn.source.parquet.hive import hive_types, hive_values
from streamlearn.source.parquet.prune import Cases, constant_case, impossible, statistics_cases
from streamlearn.source.parquet.spool import spooled
from streamlearn.source.parquet.widths import Widths, column_pages
from streamlearn.source.reconcile import Reconciled, reconcile
from streamlearn.source.stores.files import Stamp, Stores, file_name, find_files, is_remote
from streamlearn.source.stores.retry import NoAnswerError

__all__ = ["ParquetSource"]

_BUFFER_BYTES, _REMOTE_BUFFER_BYTES = 65_536, 1 << 20
"""Read at once of a column; over a network a request costs as much as many bytes."""
_FIXED_BYTES = 8 << 20
_DECODE_FACTOR = 2.3
"""Held while a batch is decoded, in units of the decoded row (measured: 3.3 with the row)."""
_COLUMN_BYTES, _CHUNK_COLUMN_BYTES = 32_000, 8_000
"""What a column costs while it is decoded, and in a chunk, besides its values (measured)."""
_GROUP_BYTES = 24 << 20
"""Pages that are held at once where columns are read group by group."""
_LARGE_BYTES = 64 << 20
"""Pages that come unforeseen are read group by group from here on."""
_FIRST_ROWS = 1_024
"""Texts are read in small batches until their length is known."""
_LEAST_ROWS = 64


class ParquetSource:
    """Rows of one or more parquet files.

    Parameters
    ----------
    data : path, glob, directory, or a sequence of them
        Files are read in sorted order within each glob or directory, and in the order given.
        Directories of the form ``key=value`` (hive partitions) become columns.
    schema : mapping of str to pyarrow.DataType, optional
        Types that settle drift between files.

    Raises
    ------
    SourceError
        If a file is missing or has no readable footer.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        schema: Mapping[str, pa.DataType] | None = None,
    ) -> None:
        paths = [data] if isinstance(data, str | os.PathLike) else list(data)
        if not paths:
            raise UsageError("an empty list of files was given; name at least one")
        self.files = [file for path in paths for file in find_files(path)]
        self._partitions = {file: hive_values(file) for file in self.files}
        self._typed = hive_types(self._partitions.values())
        self.fragments: list[Fragment] = []
        self._stores = Stores()
        self._stamps: dict[str, Stamp] = {}
        self._remote = any(map(is_remote, self.files))
        self._lean = False
        self._scratch_dir: str | None = None
        self._widths = Widths()
        self._rows_of: dict[tuple[str, ...], tuple[bool, float]] = {}
        digest = hashlib.sha256()
        reconciled = reconcile(self._footers(digest), schema)
        self.reconciled: Reconciled = reconciled
        self.schema: Schema = reconciled.schema
        self.fingerprint = digest.hexdigest()

    def _footers(self, digest: Any) -> Iterator[tuple[str, pa.Schema]]:
        """Read each footer once, keep what planning needs, and let it go."""
        first = 0
        for file in self.files:
            metadata, stamp = read_footer(self._stores, file)
            self._stamps[file] = stamp
            digest.update(
                f"{file_name(file)}|{stamp.size}|{stamp.mark}|"
                f"{metadata.num_rows}|{metadata.num_row_groups};".encode()
            )
            stored = self._schema_of(file, metadata)
            for part in range(metadata.num_row_groups):
                group = metadata.row_group(part)
                if group.num_rows:
                    self.fragments.append(
                        Fragment(len(self.fragments), file, part, first, group.num_rows)
                    )
                    with said_by_name(f"{file}, row group {part}", "cannot be read"):
                        self._widths.add(group)
                first += group.num_rows
            for name, value in self._partitions[file].items():
                if name in stored.names:
                    raise SchemaError(
                        f"{file}: the directory gives column {name!r} the value {value!r}, but "
                        "the file has a column of that name too; rename one of them"
                    )
                stored = stored.append(pa.field(name, self._typed[name]))
            yield file, stored

    def _schema_of(self, file: str, metadata: pq.FileMetaData) -> pa.Schema:
        """Return the columns of a file as they are read."""
        with said_by_name(file, "cannot be read as parquet"):
            stored = metadata.schema.to_arrow_schema()
        return pa.schema([(item.name, stored_type(item.type)) for item in stored])

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        return tuple(note for name in columns for note in self.reconciled.notes.get(name, ()))

    def lean(self, scratch_dir: str | None) -> ParquetSource:
        """See `streamlearn.source.base.Source.lean`."""
        found = copy.copy(self)
        found._lean, found._scratch_dir = True, scratch_dir
        return found

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        pages = self._pages(columns)
        row = sum(self._value_bytes(name) for name in columns)
        held, largest = sum(pages.values()), max(pages.values(), default=0)
        at_once = len(columns)
        note = ""
        if self._lean and held > _GROUP_BYTES:
            at_once = min(at_once, int(_GROUP_BYTES * len(columns) / held) + 1)
            held = max(_GROUP_BYTES, largest)
            note = "columns read group by group, by way of a file on disk"
        if largest > _GROUP_BYTES // 2:
            name = max(pages, key=lambda item: pages[item])
            note = f"{note and note + '; '}largest page: {format_bytes(largest)} of {name!r}"
        # A page as stored is held while it is unpacked, of one column at a time.
        held += largest + at_once * _COLUMN_BYTES + len(columns) * _CHUNK_COLUMN_BYTES
        if self._remote:  # what came is held in pieces while it is put together
            held += largest + 2 * self._buffer(len(columns))
        return ReaderCost(int(_FIXED_BYTES + held), row * (1 + _DECODE_FACTOR), row, note)

    def _pages(self, columns: Sequence[str]) -> dict[str, int]:
        """Bytes a reader holds of each column whatever the chunk: page, dictionary, buffer."""
        buffer = self._buffer(len(columns))
        held = self._widths.held(columns, self.fragments, self._look)
        return {name: size + buffer for name, size in held.items()}

    def _value_bytes(self, name: str) -> float:
        return self._widths.value_bytes(name, self.schema, self.fragments, self._look)

    def _row_of(self, names: tuple[str, ...]) -> tuple[bool, float]:
        """Return whether columns hold texts, and the bytes of a row; asked for every fragment."""
        if names not in self._rows_of:
            text = any(self.schema[name].width_bytes is None for name in names)
            row = max(1.0, sum(self._value_bytes(name) for name in names))
            self._rows_of[names] = (text, row)
        return self._rows_of[names]

    def _look(self, fragment: Fragment, names: Sequence[str]) -> dict[str, tuple[int, float]]:
        with _damage(fragment), self._open(fragment, names) as file:
            return self._looked_at(file, fragment, names)

    def _looked_at(
        self, file: pq.ParquetFile, fragment: Fragment, names: Sequence[str]
    ) -> dict[str, tuple[int, float]]:
        with self._stores.ranges(fragment.path, self._stamps[fragment.path]) as read:
            return column_pages(file.metadata, fragment.part, names, read)

    def _buffer(self, columns: int) -> int:
        most = _REMOTE_BUFFER_BYTES if self._remote else _BUFFER_BYTES
        return int(min(most, max(4096, (16 << 20) // max(1, columns))))

    def _open(self, fragment: Fragment, columns: Sequence[str]) -> Any:
        stamp = self._stamps[fragment.path]
        check_unchanged(self._stores, fragment.path, stamp)
        return open_parquet(self._stores, fragment.path, stamp, self._buffer(len(columns)))

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        done = 0
        try:
            with _damage(fragment), self._open(fragment, columns) as file:
                stored = set(file.schema_arrow.names)
                names = [name for name in columns if name in stored]
                groups = self._groups(file, fragment, names)
                if not names:
                    batches = _without_columns(fragment.rows, rows)
                elif len(groups) > 1:
                    batches = self._spooled(file, fragment, groups, rows)
                else:
                    batches = self._direct(file, fragment, names, rows)
                for chunk in self._chunks(fragment, columns, batches):
                    yield chunk
                    done += len(chunk)
        except NoAnswerError as error:
            raise SourceError(
                f"{fragment.path}, row group {fragment.part}, after {done:,} of its "
                f"{fragment.rows:,} rows and {fragment.first:,} rows before it: {error}"
            ) from error

    def impossible(
        self, condition: pc.Expression, schema: pa.Schema, names: Sequence[str]
    ) -> frozenset[int]:
        """Return indexes of the fragments of which statistics prove that no row passes.

        Parameters
        ----------
        condition : pyarrow.compute.Expression
            Of columns as they are read.
        schema : pyarrow.Schema
            Of all that it may name.
        names : sequence of str
            Stored columns that statistics are taken of.
        """
        return impossible(condition, schema, self._cases(names))

    def _cases(self, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Cases]]]:
        """Take from footers and directories what they say of columns, fragment by fragment."""
        for file, parts in itertools.groupby(self.fragments, lambda part: part.path):
            metadata = read_again(self._stores, file, self._stamps[file])
            stored = metadata.schema.to_arrow_schema()
            at = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
            for part in parts:
                group = metadata.row_group(part.part)
                found: dict[str, Cases] = {}
                for name in names:
                    wanted = self.schema[name].type
                    if name in at and name in stored.names:
                        chunk = group.column(at[name])
                        found[name] = statistics_cases(name, wanted, stored.field(name).type, chunk)
                    elif name not in stored.names:
                        found[name] = constant_case(name, self._constant(file, name))
                yield part.index, found

    def _constant(self, file: str, name: str) -> pa.Scalar:
        """Return what a column that the file lacks is there: its directory's value, or null."""
        return pa.scalar(self._partitions[file].get(name)).cast(self.schema[name].type)

    def _groups(
        self, file: pq.ParquetFile, fragment: Fragment, names: list[str]
    ) -> list[list[str]]:
        """Cut the columns into groups whose pages may be held at once."""
        expected = sum(self._pages(names).values())
        most = _GROUP_BYTES if self._lean else max(_LARGE_BYTES, 2 * expected)
        if self._widths.row_groups[fragment.index] <= most:
            return [names]
        pages = {name: held for name, (held, _) in self._looked_at(file, fragment, names).items()}
        if sum(pages.values()) <= most:
            return [names]
        groups: list[list[str]] = [[]]
        held = 0
        for name in names:
            if groups[-1] and held + pages[name] > _GROUP_BYTES:
                groups.append([])
                held = 0
            groups[-1].append(name)
            held += pages[name]
        return groups

    def _spooled(
        self, file: pq.ParquetFile, fragment: Fragment, groups: list[list[str]], rows: int
    ) -> Iterator[pa.RecordBatch]:
        def read(names: list[str]) -> Iterator[pa.RecordBatch]:
            for batch in file.iter_batches(
                batch_size=rows, row_groups=[fragment.part], columns=names, use_threads=False
            ):
                yield pa.RecordBatch.from_arrays(
                    [decoded(column) for column in batch.columns], names=batch.schema.names
                )

        yield from spooled([partial(read, names) for names in groups], rows, self._scratch_dir)

    def _direct(
        self, file: pq.ParquetFile, fragment: Fragment, names: list[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read batches of ``rows`` rows, and of fewer where texts are longer than planned for."""
        text, row_bytes = self._row_of(tuple(names))
        allowed = rows * row_bytes
        # Opening twice costs more than it saves where there is little to read.
        size = min(rows, _FIRST_ROWS) if text and fragment.rows > 4 * _FIRST_ROWS else rows
        done = 0
        while done < fragment.rows:
            skip = done
            for batch in file.iter_batches(
                batch_size=size, row_groups=[fragment.part], columns=names, use_threads=False
            ):
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                part = batch.slice(skip)
                skip = 0
                done += part.num_rows
                yield part
                if text and (fitting := _fitting(part, allowed, rows)) != size:
                    grows = size < rows and done <= _FIRST_ROWS and fitting > size
                    if grows or fitting < size // 2:
                        size = fitting
                        break
            else:
                return

    def _chunks(
        self, fragment: Fragment, columns: Sequence[str], batches: Iterable[Any]
    ) -> Iterator[Chunk]:
        start = fragment.first
        for batch in batches:
            size = batch.num_rows
            if not size:
                continue
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            arrays = [
                self._column(fragment, found.get(name), name, start, size) for name in columns
            ]
            table = pa.RecordBatch.from_arrays(arrays, names=list(columns))
            yield Chunk(table, np.arange(start, start + size, dtype=np.int64))
            start += size
        if start != fragment.first + fragment.rows:
            raise SourceError(
                f"{fragment.path}, row group {fragment.part}: {start - fragment.first} rows were "
                f"read where the footer says {fragment.rows}"
            )

    def _column(
        self, fragment: Fragment, column: pa.Array | None, name: str, start: int, size: int
    ) -> pa.Array:
        if column is None:
            return pa.repeat(self._constant(fragment.path, name), size)
        wanted = self.schema[name].type
        return settled(column, wanted, name, fragment, start - fragment.first)


def _damage(fragment: Fragment) -> AbstractContextManager[None]:
    return said_by_name(f"{fragment.path}, row group {fragment.part}", "cannot be read")


def _without_columns(total: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Rows whose every column comes from elsewhere: the directory, or nowhere."""
    for start in range(0, total, rows):
        yield pa.record_batch({"": pa.nulls(min(rows, total - start))})


def _fitting(batch: pa.RecordBatch, allowed: float, rows: int) -> int:
    """Return how many rows like these make a chunk of the bytes that are allowed."""
    row = sum(decoded(column).nbytes for column in batch.columns) / batch.num_rows
    return max(_LEAST_ROWS, min(rows, int(allowed / max(1.0, row))))
