"""`pyarrow.dataset` datasets: parquet by the reader that is flat in memory, the rest by theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost, Source
from streamlearn.source.library.tables import IpcSource, TableSource, decoded, plain_schema
from streamlearn.source.parquet.source import ParquetSource
from streamlearn.source.reconcile import Reconciled

__all__ = ["PartitionedSource", "ScannedSource", "is_arrow_dataset", "open_dataset"]

_OPEN_ROWS = 16_384
_FIXED_BYTES = 64 << 20
_BATCH_FACTOR = 6
"""What the scanner holds: blocks of text as read and as parsed, some batches ahead (measured)."""


def is_arrow_dataset(data: Any) -> bool:
    """Whether something is a `pyarrow.dataset.Dataset`."""
    kind = type(data)
    return kind.__module__ == "pyarrow._dataset" and kind.__name__.endswith("Dataset")


def open_dataset(data: Any) -> Source:
    """Open a dataset of pyarrow.

    Parameters
    ----------
    data : pyarrow.dataset.Dataset

    Raises
    ------
    UsageError
        If it is filtered, or reads only some row groups of its files.
    """
    if data._scan_options:
        raise UsageError(
            f"this pyarrow dataset carries a filter ({data._scan_options.get('filter')}); scan the "
            "dataset without it, and give the condition as where= (it takes the same expression)"
        )
    if type(data).__name__ == "InMemoryDataset":
        return TableSource(data.to_table())
    fragments = list(data.get_fragments())
    if fragments and all(_is_local(fragment, "ParquetFileFormat") for fragment in fragments):
        return PartitionedSource(fragments, data.schema)
    if fragments and all(_is_local_ipc(fragment, data.schema) for fragment in fragments):
        return IpcSource([fragment.path for fragment in fragments])
    return ScannedSource(fragments, data.schema)


def _is_local(fragment: Any, kind: str) -> bool:
    from pyarrow.fs import LocalFileSystem

    return (
        type(getattr(fragment, "format", None)).__name__ == kind
        and fragment.buffer is None
        and isinstance(fragment.filesystem, LocalFileSystem)
    )


def _is_local_ipc(fragment: Any, schema: pa.Schema) -> bool:
    """Whether a fragment is an Arrow file that gives all columns, as they are stored."""
    return _is_local(fragment, "IpcFileFormat") and fragment.physical_schema.equals(schema)


def _keys(fragment: Any, schema: pa.Schema) -> dict[str, pa.Scalar]:
    """Return the values that a fragment's place gives to columns, by name."""
    from pyarrow.dataset import get_partition_keys

    plain = plain_schema(schema)
    return {
        name: pa.scalar(value, plain.field(name).type)
        for name, value in get_partition_keys(fragment.partition_expression).items()
        if name in plain.names
    }


class PartitionedSource:
    """Parquet files of a dataset, with its schema and the columns that its partitions give.

    Parameters
    ----------
    fragments : sequence of pyarrow.dataset.ParquetFileFragment
        On the local file system, in reading order.
    schema : pyarrow.Schema
        Of the dataset: other columns are not read, and those a file lacks are null in it.
    """

    def __init__(self, fragments: Sequence[Any], schema: pa.Schema) -> None:
        self._keys = {fragment.path: _keys(fragment, schema) for fragment in fragments}
        given = {name for keys in self._keys.values() for name in keys}
        files = [fragment.path for fragment in fragments]
        types = {item.name: item.type for item in plain_schema(schema) if item.name not in given}
        stored = _stored_names(files, set(types))
        self._stored = [name for name in types if name in stored]
        self._files = ParquetSource(files, {name: types[name] for name in self._stored})
        self._require_whole(fragments)
        self.schema = Schema.from_arrow(plain_schema(schema))
        self.reconciled: Reconciled = self._files.reconciled
        self._start(self._files)

    def _start(self, files: ParquetSource) -> None:
        self._files = files
        self.fragments = files.fragments
        digest = hashlib.sha256(f"{files.fingerprint}|{self.schema.to_arrow()}".encode())
        for keys in self._keys.values():
            digest.update(repr(sorted((name, str(value)) for name, value in keys.items())).encode())
        self.fingerprint = digest.hexdigest()

    def _require_whole(self, fragments: Sequence[Any]) -> None:
        rows: dict[str, int] = {}
        for part in self._files.fragments:
            rows[part.path] = rows.get(part.path, 0) + part.rows
        for fragment in fragments:
            # Its count_rows() is the file's, whichever row groups were chosen.
            chosen = sum(group.num_rows for group in fragment.row_groups)
            if chosen != rows.get(fragment.path, 0):
                raise UsageError(
                    f"{fragment.path}: this pyarrow dataset reads {chosen:,} of its "
                    f"{rows.get(fragment.path, 0):,} rows, some row groups only; scan whole files, "
                    "and choose rows with where="
                )

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        return self._files.notes(columns)

    def lean(self, scratch_dir: str | None) -> PartitionedSource:
        """See `streamlearn.source.base.Source.lean`."""
        found = PartitionedSource.__new__(PartitionedSource)
        found.__dict__.update(self.__dict__)
        found._start(self._files.lean(scratch_dir))
        return found

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        cost = self._files.cost([name for name in columns if name in self._stored])
        added = sum(
            self.schema[name].width_bytes or 64 for name in columns if name not in self._stored
        )
        return ReaderCost(
            cost.fixed_bytes, cost.row_bytes + added, cost.chunk_row_bytes + added, cost.note
        )

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        stored = [name for name in columns if name in self._stored]
        for chunk in self._files.read(fragment, stored, rows):
            arrays = [
                chunk.X.column(stored.index(name))
                if name in self._stored
                else self._constant(fragment, name, len(chunk))
                for name in columns
            ]
            table = pa.RecordBatch.from_arrays(arrays, names=list(columns))
            if not columns:
                table = decoded(table, len(chunk))
            yield Chunk(table, chunk.rows)

    def _constant(self, fragment: Fragment, name: str, rows: int) -> pa.Array:
        value = self._keys[fragment.path].get(name)
        kind = self.schema[name].type
        return pa.repeat(value if value is not None else pa.scalar(None, kind), rows)


def _stored_names(files: Sequence[str], wanted: set[str]) -> set[str]:
    """Return which columns some file has; most often the first file has them all."""
    found: set[str] = set()
    for file in files:
        if wanted <= found:
            break
        try:
            found |= set(pq.read_schema(file).names) & wanted
        except MemoryError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{file}: cannot be read as parquet: {error}") from error
    return found


class ScannedSource:
    """Files of a dataset in a format without footers, or not at hand: read by pyarrow's scanner.

    Opening reads everything once, as nothing else tells how many rows there are. A fragment is
    a file, or a row group of a parquet file; a reader works through it from its beginning.

    Parameters
    ----------
    fragments : sequence of pyarrow.dataset.Fragment
    schema : pyarrow.Schema
        Of the dataset.
    """

    def __init__(self, fragments: Sequence[Any], schema: pa.Schema) -> None:
        self._stored = schema
        self.schema = Schema.from_arrow(plain_schema(schema))
        self._parts: list[Any] = []
        self.fragments: list[Fragment] = []
        self._longest: dict[str, float] = {}
        self._largest = 0
        digest = hashlib.sha256(str(self.schema.to_arrow()).encode())
        first = 0
        for fragment in fragments:
            parquet = hasattr(fragment, "split_by_row_group")
            digest.update(_identity(fragment).encode())
            for part, piece in enumerate(fragment.split_by_row_group() if parquet else [fragment]):
                place = f"{fragment.path or 'buffer'} (part {part})"
                rows = self._measure(piece, place)
                digest.update(f"|{rows}".encode())
                if rows:
                    index = len(self.fragments)
                    self.fragments.append(Fragment(index, fragment.path, part, first, rows))
                    self._parts.append(piece)
                first += rows
        self.fingerprint = digest.hexdigest()

    def _measure(self, piece: Any, place: str) -> int:
        """Count rows, and the bytes of columns where they are longest."""
        rows = 0
        for batch in self._batches(piece, self._stored.names, _OPEN_ROWS, place):
            if batch.num_rows:
                rows += batch.num_rows
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    longest = max(self._longest.get(name, 0.0), column.nbytes / batch.num_rows)
                    self._longest[name] = longest
                # A batch may be a slice of what the file stores as one: that is what is held.
                self._largest = max(self._largest, batch.get_total_buffer_size())
        return rows

    def _batches(
        self, piece: Any, columns: Sequence[str], rows: int, place: str
    ) -> Iterator[pa.RecordBatch]:
        if type(piece.format).__name__ == "CsvFileFormat":
            yield from self._lines(piece, columns, place)
            return
        options: dict[str, Any] = {}
        if hasattr(piece, "split_by_row_group"):
            from pyarrow.dataset import ParquetFragmentScanOptions

            options["fragment_scan_options"] = ParquetFragmentScanOptions(
                pre_buffer=False, use_buffered_stream=True, buffer_size=65_536
            )
        try:
            scanner = piece.scanner(
                schema=self._stored,
                columns=list(columns),
                batch_size=rows,
                batch_readahead=0,
                fragment_readahead=0,
                use_threads=False,
                **options,
            )
            for batch in scanner.to_batches():
                # Columns that are missing everywhere, or partition keys, come as the schema says.
                yield decoded(batch, batch.num_rows)
        except MemoryError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{place}: cannot be read: {error}") from error

    def _lines(self, piece: Any, columns: Sequence[str], place: str) -> Iterator[pa.RecordBatch]:
        """Read CSV block by block; pyarrow's scanner would read on to the end of the file."""
        from pyarrow import csv

        keys = _keys(piece, self._stored)
        given = piece.format.default_fragment_scan_options
        read, convert = given.read_options, given.convert_options
        read.use_threads = False
        stored = [name for name in columns if name not in keys]
        # Without a column nothing would be read.
        convert.include_columns = stored or [
            name for name in self._stored.names if name not in keys
        ]
        convert.include_missing_columns = True
        convert.column_types = {
            name: self.schema[name].type for name in self._stored.names if name not in keys
        }
        try:
            with (
                _opened(piece) as file,
                csv.open_csv(file, read, piece.format.parse_options, convert) as batches,
            ):
                for batch in batches:
                    arrays = [
                        pa.repeat(keys[name], batch.num_rows)
                        if name in keys
                        else batch.column(batch.schema.get_field_index(name))
                        for name in columns
                    ]
                    table = pa.RecordBatch.from_arrays(arrays, names=list(columns))
                    yield decoded(table, batch.num_rows)
        except MemoryError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{place}: cannot be read: {error}") from error

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def lean(self, scratch_dir: str | None) -> ScannedSource:
        """See `streamlearn.source.base.Source.lean`: it is lean as it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        row = 8.0 + sum(max(1.0, self._longest.get(name, 8.0)) for name in columns)
        return ReaderCost(_FIXED_BYTES + _BATCH_FACTOR * self._largest, 2 * row, row)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        # Without a column nothing would be read, and nobody would notice a file that was cut.
        names = list(columns) or self._stored.names[:1]
        start, end = fragment.first, fragment.first + fragment.rows
        for batch in self._batches(self._parts[fragment.index], names, rows, str(fragment)):
            for at in range(0, batch.num_rows, rows):
                table = batch.slice(at, rows)
                size = table.num_rows
                if start + size > end:
                    raise SourceError(
                        f"{fragment}: has more rows than the {fragment.rows} it had when it was "
                        "opened"
                    )
                if not table.schema.equals(self._plain(names)):
                    raise SchemaError(f"{fragment}: types are not those of the dataset's schema")
                kept = table if columns else decoded(table.select([]), size)
                yield Chunk(kept, np.arange(start, start + size, dtype=np.int64))
                start += size
        if start != end:
            raise SourceError(
                f"{fragment}: {start - fragment.first} rows were read, and it had "
                f"{fragment.rows} when it was opened"
            )

    def _plain(self, names: Sequence[str]) -> pa.Schema:
        return self.schema.select(names).to_arrow()


def _opened(piece: Any) -> Any:
    """Open a file of text, unpacked where its name says that it is compressed."""
    if piece.buffer is not None or not piece.path:
        return piece.open()
    return piece.filesystem.open_input_stream(piece.path)


def _identity(fragment: Any) -> str:
    """Return name, size and time of a file."""
    if not fragment.path or fragment.buffer is not None:
        return "buffer"
    info = fragment.filesystem.get_file_info(fragment.path)
    return f"{info.base_name}|{info.size}|{info.mtime_ns};"
