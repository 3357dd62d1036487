"""Parquet files, read row group by row group with memory that stays flat.

The reader is `pyarrow.parquet.ParquetFile.iter_batches` without pre-buffering and with small
file buffers: the other ways pyarrow offers hold whole row groups, or whole files.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.reconcile import Reconciled, reconcile

__all__ = ["ParquetSource", "find_files"]

SUFFIXES = (".parquet", ".parq", ".pq")
_BUFFER_BYTES = 65_536
_PAGE_BYTES = 1 << 20
_FIXED_BYTES = 8 << 20
_DECODE_FACTOR = 2.3
"""Held while a batch is decoded, in units of the decoded row (measured: 3.3 with the row)."""


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
        self._bytes: dict[str, float] = {}
        digest = hashlib.sha256()
        reconciled = reconcile(self._footers(digest), schema)
        self.reconciled: Reconciled = reconciled
        self.schema: Schema = reconciled.schema
        self.fingerprint = digest.hexdigest()
        rows = sum(fragment.rows for fragment in self.fragments)
        self._row_bytes = {name: size / max(1, rows) for name, size in self._bytes.items()}

    def _footers(self, digest: Any) -> Iterator[tuple[str, pa.Schema]]:
        """Read each footer once, keep what planning needs, and let it go."""
        first = 0
        for file in self.files:
            try:
                metadata = pq.read_metadata(file)
                stored = metadata.schema.to_arrow_schema()
                status = os.stat(file)
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
        for index in range(group.num_columns):
            column = group.column(index)
            name = column.path_in_schema.split(".", 1)[0]
            self._bytes[name] = self._bytes.get(name, 0.0) + column.total_uncompressed_size

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        return tuple(note for name in columns for note in self.reconciled.notes.get(name, ()))

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        row = sum(self._value_bytes(name) for name in columns)
        groups = max(1, len(self.fragments))
        pages = sum(
            min(_PAGE_BYTES, self._bytes.get(name, 0.0) / groups) * 2 + self._buffer(len(columns))
            for name in columns
        )
        return ReaderCost(int(_FIXED_BYTES + pages), row * (1 + _DECODE_FACTOR), row)

    def _value_bytes(self, name: str) -> float:
        width = self.schema[name].width_bytes
        # Dictionary pages make stored strings look shorter than they decode to.
        return float(width) if width is not None else max(16.0, 2 * self._row_bytes.get(name, 0.0))

    @staticmethod
    def _buffer(columns: int) -> int:
        return int(min(_BUFFER_BYTES, max(4096, (16 << 20) // max(1, columns))))

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        try:
            with pq.ParquetFile(
                fragment.path, pre_buffer=False, buffer_size=self._buffer(len(columns))
            ) as file:
                stored = set(file.schema_arrow.names)
                batches = file.iter_batches(
                    batch_size=rows,
                    row_groups=[fragment.part],
                    columns=[name for name in columns if name in stored],
                    use_threads=False,
                )
                yield from self._chunks(fragment, columns, batches, rows)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"{fragment.path}, row group {fragment.part}: cannot be read: {error}"
            ) from error

    def _chunks(
        self, fragment: Fragment, columns: Sequence[str], batches: Iterable[Any], rows: int
    ) -> Iterator[Chunk]:
        start = fragment.first
        if not any(name not in self._partitions[fragment.path] for name in columns):
            sizes = [min(rows, fragment.rows - at) for at in range(0, fragment.rows, rows)]
            batches = (pa.record_batch({"": pa.nulls(size)}) for size in sizes)
        for batch in batches:
            size = batch.num_rows
            if not size:
                continue
            arrays = [self._column(fragment, batch, name, start) for name in columns]
            table = pa.RecordBatch.from_arrays(arrays, names=list(columns))
            yield Chunk(table, np.arange(start, start + size, dtype=np.int64))
            start += size
        if start != fragment.first + fragment.rows:
            raise SourceError(
                f"{fragment.path}, row group {fragment.part}: {start - fragment.first} rows were "
                f"read where the footer says {fragment.rows}"
            )

    def _column(self, fragment: Fragment, batch: pa.RecordBatch, name: str, start: int) -> pa.Array:
        wanted = self.schema[name].type
        given = self._partitions[fragment.path].get(name)
        if given is not None or name not in batch.schema.names:
            value = pa.scalar(given).cast(wanted) if given is not None else pa.scalar(None, wanted)
            return pa.repeat(value, batch.num_rows)
        column = batch.column(name)
        if column.type.equals(wanted):
            return column
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        try:
            return column.cast(wanted)
        except pa.ArrowException as error:
            bad = _first_bad(column, wanted)
            raise DataError(
                f"{fragment.path}, row group {fragment.part}, row {start - fragment.first + bad}: "
                f"column {name!r} holds {column[bad].as_py()!r} ({column.type}), which is not "
                f"{wanted}; choose another type with schema= or --schema {name}=TYPE"
            ) from error


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
