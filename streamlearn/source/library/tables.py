"""Tables in memory (pyarrow, pandas, polars), and Arrow files: what becomes columns as it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import DataError, SchemaError, SourceError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.cast import decoded as plain
from streamlearn.source.cast import stored_type

__all__ = ["IpcSource", "TableSource", "decoded", "is_arrow_file", "is_table", "plain_schema"]

_FRAGMENT_ROWS = 131_072
_ARROW_FILES = (".arrow", ".feather", ".ipc")
_SAMPLE_ROWS = 64


def is_table(data: Any) -> bool:
    """Whether something is a table in memory: of pyarrow, pandas or polars."""
    if isinstance(data, pa.Table | pa.RecordBatch):
        return True
    package = type(data).__module__.partition(".")[0]
    return package in ("pandas", "polars") and type(data).__name__ == "DataFrame"


def is_arrow_file(data: Any) -> bool:
    """Whether something is the path of an Arrow file (IPC, or Feather version 2)."""
    return isinstance(data, str | os.PathLike) and os.fspath(data).endswith(_ARROW_FILES)


class TableSource:
    """Rows of a table in memory; slices of it become columns when they are read.

    Parameters
    ----------
    data : pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame or polars.DataFrame
        The index of a pandas frame is no column.
    target : array of shape (rows,), optional
        Becomes the column `target_name`.

    Raises
    ------
    SchemaError
        If names repeat, a column of Python objects mixes types, or the target is of another
        length.
    """

    def __init__(self, data: Any, target: Any = None) -> None:
        if isinstance(data, pa.RecordBatch):
            data = pa.Table.from_batches([data])
        self._data = data
        self._is_arrow = isinstance(data, pa.Table)
        self._is_pandas = not self._is_arrow and hasattr(data, "iloc")
        rows = data.num_rows if self._is_arrow else len(data)
        self._stored = self._arrow_schema()
        self.target_name: str | None = None
        """Name of the column that the target became."""
        self._target = None if target is None else np.asarray(target)
        if self._target is not None:
            self._add_target(getattr(target, "name", None), rows)
        self.schema = Schema.from_arrow(plain_schema(self._stored))
        self.fragments = [
            Fragment(index, "table", index, first, min(_FRAGMENT_ROWS, rows - first))
            for index, first in enumerate(range(0, rows, _FRAGMENT_ROWS))
        ]
        self.fingerprint = self._digest(rows)

    def _add_target(self, name: Any, rows: int) -> None:
        assert self._target is not None
        if self._target.shape != (rows,):
            raise SchemaError(
                f"the target must have shape ({rows},), one value a row, not {self._target.shape}"
            )
        names = self._stored.names
        self.target_name = str(name) if name is not None else "target"
        while self.target_name in names:
            self.target_name += "_"
        self._stored = self._stored.append(
            pa.field(self.target_name, pa.array(self._target[:1_000], from_pandas=True).type)
        )

    def _arrow_schema(self) -> pa.Schema:
        if self._is_arrow:
            return self._data.schema
        if not self._is_pandas:
            return self._data.head(0).to_arrow().schema
        names = [str(name) for name in self._data.columns]
        if len(set(names)) != len(names):
            Schema.from_arrow(pa.schema([(name, pa.null()) for name in names]))
        try:
            found = pa.Schema.from_pandas(self._data, preserve_index=False)
        except pa.ArrowException as error:
            raise SchemaError(
                f"the frame has a column of Python objects that are not of one type: {error}"
            ) from error
        return found.remove_metadata()

    def _digest(self, rows: int) -> str:
        """Take schema, length and 64 rows spread over the table: all of it would be a pass."""
        digest = hashlib.sha256(f"{self.schema.to_arrow()}|{rows}".encode())
        for row in np.unique(np.linspace(0, max(0, rows - 1), _SAMPLE_ROWS).astype(np.int64)):
            if rows:
                digest.update(repr(self._slice(int(row), int(row) + 1).to_pylist()).encode())
        return digest.hexdigest()

    def _slice(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        names = self.schema.names if columns is None else list(columns)
        kept = [name for name in names if name != self.target_name]
        if self._is_arrow:
            batch = _one_batch(self._data.select(kept).slice(start, stop - start))
        elif self._is_pandas:
            known = self._stored.names
            frame = self._data.iloc[start:stop, [known.index(name) for name in kept]]
            frame.columns = kept
            schema = pa.schema([self._stored.field(name) for name in kept])
            batch = pa.RecordBatch.from_pandas(frame, schema=schema, preserve_index=False)
        else:
            batch = _one_batch(self._data.select(kept).slice(start, stop - start).to_arrow())
        if len(kept) == len(names):
            return batch
        assert self._target is not None
        kind = self._stored.field(self.target_name).type
        columns_by_name = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns_by_name[str(self.target_name)] = pa.array(
            self._target[start:stop], kind, from_pandas=True
        )
        return pa.RecordBatch.from_arrays([columns_by_name[name] for name in names], names=names)

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def lean(self, scratch_dir: str | None) -> TableSource:
        """See `streamlearn.source.base.Source.lean`: it is lean as it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        row = 8.0 + sum(self.schema[name].width_bytes or 64 for name in columns)
        return ReaderCost(1 << 20, 2 * row, row)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        end = fragment.first + fragment.rows
        for start in range(fragment.first, end, rows):
            stop = min(start + rows, end)
            table = decoded(self._slice(start, stop, columns), stop - start)
            yield Chunk(table, np.arange(start, stop, dtype=np.int64))


class IpcSource:
    """Rows of Arrow files, a stored batch a fragment.

    Parameters
    ----------
    files : sequence of path

    Raises
    ------
    SourceError
        If a file is missing, or no Arrow file.
    SchemaError
        If the files' schemas differ.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.fragments: list[Fragment] = []
        self._longest: dict[str, float] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        digest = hashlib.sha256()
        stored: pa.Schema | None = None
        first = 0
        for file in files:
            try:
                with pa.memory_map(file) as opened:
                    reader = pa.ipc.open_file(opened)
                    schema = reader.schema
                    lengths = []
                    for part in range(reader.num_record_batches):
                        batch = reader.get_batch(part)
                        batch.validate()
                        lengths.append(batch.num_rows)
                        self._note_sizes(batch)
                    status = os.stat(file)
            except (OSError, ValueError, pa.ArrowException) as error:
                raise SourceError(f"{file}: cannot be read as an Arrow file: {error}") from error
            self._stamps[file] = (status.st_size, status.st_mtime_ns)
            schema = schema.remove_metadata()
            if stored is not None and not stored.equals(schema):
                raise SchemaError(f"{files[0]} and {file} have not the same columns and types")
            stored = schema
            for part, rows in enumerate(lengths):
                if rows:
                    self.fragments.append(Fragment(len(self.fragments), file, part, first, rows))
                    first += rows
            digest.update(
                f"{os.path.basename(file)}|{status.st_size}|{status.st_mtime_ns};".encode()
            )
        if stored is None:
            raise SourceError("there is no file to read")
        self.schema = Schema.from_arrow(plain_schema(stored))
        self.fingerprint = digest.hexdigest()

    def _note_sizes(self, batch: pa.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            row = column.nbytes / max(1, batch.num_rows)
            self._longest[name] = max(self._longest.get(name, 0.0), row)

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def lean(self, scratch_dir: str | None) -> IpcSource:
        """See `streamlearn.source.base.Source.lean`: a batch is what it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        most = max((fragment.rows for fragment in self.fragments), default=0)
        row = 8.0 + sum(self._longest.get(name, 8.0) for name in columns)
        return ReaderCost((2 << 20) + int(most * row), row, row)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        try:
            status = os.stat(fragment.path)
            if (status.st_size, status.st_mtime_ns) != self._stamps[fragment.path]:
                raise SourceError(f"{fragment.path}: the file has changed since it was opened")
            with pa.OSFile(fragment.path) as opened:
                batch = pa.ipc.open_file(opened).get_batch(fragment.part).select(list(columns))
            # Offsets and codes are taken on trust by whatever comes after.
            batch.validate(full=True)
        except (MemoryError, DataError):
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise SourceError(
                f"{fragment.path}, batch {fragment.part}: cannot be read: {error}"
            ) from error
        if batch.num_rows != fragment.rows:
            raise SourceError(
                f"{fragment.path}, batch {fragment.part}: has {batch.num_rows} rows, and had "
                f"{fragment.rows} when it was opened"
            )
        for start in range(0, fragment.rows, rows):
            size = min(rows, fragment.rows - start)
            begin = fragment.first + start
            table = decoded(batch.slice(start, size), size)
            yield Chunk(table, np.arange(begin, begin + size, dtype=np.int64))


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with dictionaries decoded."""
    return pa.schema([(item.name, stored_type(item.type)) for item in schema])


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    if not table.num_columns:
        return pa.record_batch({"": pa.nulls(table.num_rows)})
    arrays = [
        column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        for column in table.columns
    ]
    arrays = [
        array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array for array in arrays
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def decoded(batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
    """Return a batch with dictionaries decoded; rows without a column stay rows."""
    if not batch.num_columns:
        return pa.record_batch({"": pa.nulls(rows)}).select([])
    arrays = [plain(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
