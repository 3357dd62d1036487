"""Parquet files, read row group by row group with memory that stays flat.

The reader is `pyarrow.parquet.ParquetFile.iter_batches` without pre-buffering and with small
file buffers: the other ways pyarrow offers hold whole row groups, or whole files.
"""

from __future__ import annotations

import copy
import glob
import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.sizes import format_bytes
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.pages import page_sizes
from streamlearn.source.reconcile import Reconciled, reconcile
from streamlearn.source.spool import spooled

__all__ = ["ParquetSource", "find_files"]

SUFFIXES = (".parquet", ".parq", ".pq")
_BUFFER_BYTES = 65_536
_FIXED_BYTES = 8 << 20
_DECODE_FACTOR = 2.3
"""Held while a batch is decoded, in units of the decoded row (measured: 3.3 with the row)."""
_COLUMN_BYTES, _CHUNK_COLUMN_BYTES = 32_000, 8_000
"""What a column costs while it is decoded, and in a chunk, besides its values (measured)."""
_SMALL_BYTES = 2 << 20
"""Columns that are no more than this altogether have no page worth looking at."""
_DICTIONARY_FACTOR = 2.5
"""A dictionary is held as its page, as values, and as what finds them (measured)."""
_GROUP_BYTES = 24 << 20
"""Pages that are held at once where columns are read group by group."""
_LARGE_BYTES = 64 << 20
"""Pages that come unforeseen are read group by group from here on."""
_LOOKED_AT = 2_000
"""Column chunks whose page headers are read for a plan, at most."""
_FIRST_ROWS = 1_024
"""Texts are read in small batches until their length is known."""
_LEAST_ROWS = 64


def find_files(data: str | os.PathLike[str], suffixes: Sequence[str] = SUFFIXES) -> list[str]:
    """List the files behind a path: a file, a glob, or a directory searched to any depth.

    Names that start with ``.`` or ``_`` are left out in directories, as Spark and Arrow do.

    Raises
    ------
    SourceError
        If nothing is there.
    """
    path = os.fspath(data)
    if os.path.isdir(path):
        found = sorted(
            str(file)
            for file in Path(path).rglob("*")
            if file.suffix in suffixes
            and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
        )
        if not found:
            raise SourceError(f"{path}: no file in this directory ends in {', '.join(suffixes)}")
        return found
    if os.path.exists(path):
        return [path]
    if glob.has_magic(path):
        found = sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))
        if found:
            return found
        raise SourceError(f"{path}: no file matches this pattern")
    raise SourceError(f"{path}: there is no such file or directory")


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
        self._partitions = {file: _hive_values(file) for file in self.files}
        self._typed = _hive_types(self._partitions.values())
        self.fragments: list[Fragment] = []
        self._lean = False
        self._scratch_dir: str | None = None
        self._fragment_bytes = array("d")
        self._largest: dict[str, int] = {}
        self._texts: dict[str, array[float]] = {}
        self._pages_of: dict[tuple[str, ...], dict[str, int]] = {}
        self._longest: dict[str, float] = {}
        digest = hashlib.sha256()
        reconciled = reconcile(self._footers(digest), schema)
        self.reconciled: Reconciled = reconciled
        self.schema: Schema = reconciled.schema
        self.fingerprint = digest.hexdigest()

    def _footers(self, digest: Any) -> Iterator[tuple[str, pa.Schema]]:
        """Read each footer once, keep what planning needs, and let it go."""
        first = 0
        for file in self.files:
            try:
                metadata = pq.read_metadata(file)
                stored = metadata.schema.to_arrow_schema()
                status = os.stat(file)
            except MemoryError:
                raise
            except (OSError, pa.ArrowException) as error:
                raise SourceError(f"{file}: cannot be read as parquet: {error}") from error
            digest.update(
                f"{os.path.basename(file)}|{status.st_size}|{status.st_mtime_ns}|"
                f"{metadata.num_rows}|{metadata.num_row_groups};".encode()
            )
            for part in range(metadata.num_row_groups):
                group = metadata.row_group(part)
                if group.num_rows:
                    self.fragments.append(
                        Fragment(len(self.fragments), file, part, first, group.num_rows)
                    )
                    self._add_sizes(group)
                first += group.num_rows
            for name, value in self._partitions[file].items():
                if name in stored.names:
                    raise SchemaError(
                        f"{file}: the directory gives column {name!r} the value {value!r}, but "
                        "the file has a column of that name too; rename one of them"
                    )
                stored = stored.append(pa.field(name, self._typed[name]))
            yield file, stored

    def _add_sizes(self, group: Any) -> None:
        total = 0.0
        for index in range(group.num_columns):
            column = group.column(index)
            name = column.path_in_schema.split(".", 1)[0]
            size = column.total_uncompressed_size
            total += size
            self._largest[name] = max(self._largest.get(name, 0), size)
            if column.physical_type == "BYTE_ARRAY":
                sizes = self._texts.setdefault(name, array("d"))
                sizes.extend([0.0] * (len(self._fragment_bytes) + 1 - len(sizes)))
                sizes[-1] += size
        self._fragment_bytes.append(total)

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
        return ReaderCost(int(_FIXED_BYTES + held), row * (1 + _DECODE_FACTOR), row, note)

    def _pages(self, columns: Sequence[str]) -> dict[str, int]:
        """Bytes a reader holds of each column whatever the chunk: page, dictionary, buffer."""
        key = tuple(columns)
        if key not in self._pages_of:
            buffer = self._buffer(len(columns))
            whole = {name: self._largest.get(name, 0) for name in columns}
            found = {name: int((1 + _DICTIONARY_FACTOR) * whole[name]) for name in columns}
            texts = [name for name in columns if name in self._texts]
            if sum(whole.values()) > _SMALL_BYTES or texts:
                found = dict.fromkeys(columns, 0)
                for fragment in self._largest_fragments(len(columns)):
                    with self._open(fragment, columns) as file:
                        looked_at = _column_pages(file, fragment, columns)
                    for name, (held, _) in looked_at.items():
                        found[name] = max(found[name], held)
            found = {name: held + buffer for name, held in found.items()}
            self._pages_of[key] = found
        return self._pages_of[key]

    def _largest_fragments(self, columns: int) -> list[Fragment]:
        most = max(1, min(16, _LOOKED_AT // max(1, columns)))
        order = sorted(
            range(len(self.fragments)), key=self._fragment_bytes.__getitem__, reverse=True
        )
        return [self.fragments[index] for index in order[:most]]

    def _value_bytes(self, name: str) -> float:
        """Return decoded bytes of a value; of texts in the fragment where they are longest."""
        width = self.schema[name].width_bytes
        if width is not None:
            return float(width)
        sizes = self._texts.get(name, ())
        longest = max(
            (size / part.rows for size, part in zip(sizes, self.fragments, strict=False)),
            default=0.0,
        )
        # What a dictionary hides shows in the length of its entries.
        longest = max(longest, self._text_length(name))
        return max(16.0, 2 * longest) if longest < 64 else 16 + 1.1 * longest

    def _text_length(self, name: str) -> float:
        """Return the length of a column's texts where they are longest, as pages tell it.

        Batches are cut by it: it depends on what is stored, and not on what else was asked for.
        """
        if name not in self._longest:
            found = 0.0
            for fragment in self._largest_fragments(1):
                with self._open(fragment, [name]) as file:
                    found = max(found, _column_pages(file, fragment, [name])[name][1])
            self._longest[name] = found
        return self._longest[name]

    @staticmethod
    def _buffer(columns: int) -> int:
        return int(min(_BUFFER_BYTES, max(4096, (16 << 20) // max(1, columns))))

    def _open(self, fragment: Fragment, columns: Sequence[str]) -> pq.ParquetFile:
        return pq.ParquetFile(
            fragment.path, pre_buffer=False, buffer_size=self._buffer(len(columns))
        )

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        try:
            with self._open(fragment, columns) as file:
                stored = set(file.schema_arrow.names)
                names = [name for name in columns if name in stored]
                groups = self._groups(file, fragment, names)
                if not names:
                    batches = _without_columns(fragment.rows, rows)
                elif len(groups) > 1:
                    batches = self._spooled(file, fragment, groups, rows)
                else:
                    batches = self._direct(file, fragment, names, rows)
                yield from self._chunks(fragment, columns, batches)
        except MemoryError:  # Arrow's is one of its own exceptions too
            raise
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"{fragment.path}, row group {fragment.part}: cannot be read: {error}"
            ) from error

    def _groups(
        self, file: pq.ParquetFile, fragment: Fragment, names: list[str]
    ) -> list[list[str]]:
        """Cut the columns into groups whose pages may be held at once."""
        expected = sum(self._pages(names).values())
        most = _GROUP_BYTES if self._lean else max(_LARGE_BYTES, 2 * expected)
        if self._fragment_bytes[fragment.index] <= most:
            return [names]
        pages = {name: held for name, (held, _) in _column_pages(file, fragment, names).items()}
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
                    [_plain(column) for column in batch.columns], names=batch.schema.names
                )

        yield from spooled([partial(read, names) for names in groups], rows, self._scratch_dir)

    def _direct(
        self, file: pq.ParquetFile, fragment: Fragment, names: list[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read batches of ``rows`` rows, and of fewer where texts are longer than planned for."""
        text = any(self.schema[name].width_bytes is None for name in names)
        allowed = rows * max(1.0, sum(self._value_bytes(name) for name in names))
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
        wanted = self.schema[name].type
        given = self._partitions[fragment.path].get(name)
        if given is not None or column is None:
            value = pa.scalar(given).cast(wanted) if given is not None else pa.scalar(None, wanted)
            return pa.repeat(value, size)
        if column.type.equals(wanted):
            return column
        column = _plain(column)
        try:
            return column.cast(wanted)
        except pa.ArrowException as error:
            bad = _first_bad(column, wanted)
            raise DataError(
                f"{fragment.path}, row group {fragment.part}, row {start - fragment.first + bad}: "
                f"column {name!r} holds {column[bad].as_py()!r} ({column.type}), which is not "
                f"{wanted}; choose another type with schema= or --schema {name}=TYPE"
            ) from error


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _without_columns(total: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Rows whose every column comes from elsewhere: the directory, or nowhere."""
    for start in range(0, total, rows):
        yield pa.record_batch({"": pa.nulls(min(rows, total - start))})


def _fitting(batch: pa.RecordBatch, allowed: float, rows: int) -> int:
    """Return how many rows like these make a chunk of the bytes that are allowed."""
    row = sum(_plain(column).nbytes for column in batch.columns) / batch.num_rows
    return max(_LEAST_ROWS, min(rows, int(allowed / max(1.0, row))))


def _column_pages(
    file: pq.ParquetFile, fragment: Fragment, names: Sequence[str]
) -> dict[str, tuple[int, float]]:
    """Bytes held of each column of a fragment while a page is decoded, and its longest value."""
    group = file.metadata.row_group(fragment.part)
    wanted = set(names)
    found = dict.fromkeys(names, (0, 0.0))
    with open(fragment.path, "rb", buffering=0) as raw:
        for index in range(group.num_columns):
            column = group.column(index)
            name = column.path_in_schema.split(".", 1)[0]
            if name not in wanted:
                continue
            held, longest = column.total_uncompressed_size, 0.0
            start = min(at for at in (column.dictionary_page_offset, column.data_page_offset) if at)
            sizes = page_sizes(
                raw.fileno(),
                start,
                start + column.total_compressed_size,
                texts=column.physical_type == "BYTE_ARRAY",
            )
            if sizes is not None:
                held = min(held, max(sizes.decoded, sizes.stored))
                held += int(_DICTIONARY_FACTOR * sizes.dictionary)
                longest = sizes.value_bytes
            before = found[name]
            found[name] = (before[0] + held, max(before[1], longest))
    return found


def _first_bad(column: pa.Array, wanted: pa.DataType) -> int:
    for index in range(len(column)):
        try:
            column.slice(index, 1).cast(wanted)
        except pa.ArrowException:
            return index
    return 0


def _hive_values(file: str) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for part in Path(file).parent.parts:
        name, sign, value = part.partition("=")
        if sign and name:
            values[name] = None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
    return values


def _hive_types(partitions: Iterable[Mapping[str, str | None]]) -> dict[str, pa.DataType]:
    types: dict[str, pa.DataType] = {}
    for values in partitions:
        for name, value in values.items():
            whole = value is None or value.lstrip("-").isdigit()
            if types.setdefault(name, pa.int64()) == pa.int64() and not whole:
                types[name] = pa.string()
    return types
