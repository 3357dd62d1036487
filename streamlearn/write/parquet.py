"""Parquet files, a group of rows a row group."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.plan.memory import Term
from streamlearn.sizes import parse_bytes
from streamlearn.write.base import Columns, Written
from streamlearn.write.groups import GroupSize

__all__ = ["ParquetWriter", "group_bytes_of"]

_GROUP_BYTES = 32 << 20
_LEAST_GROUP = 1 << 16

COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "brotli", "none")
_GROUPS_A_FILE = 16
"""Row groups of a file in a folder, where its rows are not given."""
_GATHERED = 1.7
"""A row group is held in pieces and whole, for the allocator keeps what columns gave back."""
_ENCODER_BYTES = 10 << 20
_COLUMN_BYTES = 40_000
"""What an open column holds while a row group is written, besides its values (measured)."""


class ParquetWriter:
    """Writes one file, or the files ``part-00000.parquet``, ... of a folder.

    Parameters
    ----------
    layout : Columns
    many : bool
        Whether the output is a folder.
    compression : str
    group_bytes : int
        Decoded bytes of a row group.
    rows_per_file : int, optional
        For a folder; by default 16 row groups.

    Raises
    ------
    UsageError
        If the options contradict each other.
    SchemaError
        If parquet has no such type.
    """

    def __init__(
        self,
        layout: Columns,
        *,
        many: bool,
        compression: str,
        group_bytes: int,
        rows_per_file: int | None,
    ) -> None:
        if compression not in COMPRESSIONS:
            raise UsageError(
                f"compression={compression!r} is not one of parquet's: {', '.join(COMPRESSIONS)}"
            )
        if rows_per_file is not None and not many:
            raise UsageError(
                "rows_per_file= cuts a folder of files, and the output is one file; end its name "
                "in '/' for a folder"
            )
        if rows_per_file is not None and rows_per_file < 1:
            raise UsageError(f"rows_per_file must be 1 or more, not {rows_per_file}")
        self._layout = layout
        self._schema = layout.columns
        self._many = many
        self._compression = compression
        self._rows_per_file = rows_per_file
        self._group_bytes = group_bytes
        self.size = GroupSize(most_bytes=group_bytes, every_rows=rows_per_file)
        self._place = Path()
        self._files: list[Path] = []
        self._open: pq.ParquetWriter | None = None
        self._groups = self._rows = 0
        _require_types(self._schema)

    def terms(self) -> tuple[Term, ...]:
        """See `streamlearn.write.base.Writer.terms`."""
        return (
            Term("row group being gathered", int(_GATHERED * self._group_bytes)),
            Term("row group being encoded", _ENCODER_BYTES + _COLUMN_BYTES * len(self._schema)),
        )

    def begin(self, place: Path) -> None:
        """Say where to write."""
        self._place = place

    def append(self, group: pa.RecordBatch) -> None:
        """See `streamlearn.write.base.Writer.append`."""
        if self._open is None:
            self._next_file()
        assert self._open is not None
        table = pa.Table.from_batches([self._layout.as_columns(group)])
        self._open.write_table(table, row_group_size=group.num_rows)
        self._groups += 1
        self._rows += group.num_rows
        if self._rows_per_file is not None:
            full = self._rows >= self._rows_per_file
        else:
            full = self._groups >= _GROUPS_A_FILE
        if self._many and full:
            self._close()

    def _next_file(self) -> None:
        name = f"part-{len(self._files):05d}.parquet"
        self._files.append(self._place / name if self._many else self._place)
        plain = pa.types.is_floating
        self._open = pq.ParquetWriter(
            self._files[-1],
            self._schema,
            compression=self._compression,
            # Numbers with a fraction seldom repeat, and trying costs time and memory.
            use_dictionary=[item.name for item in self._schema if not plain(item.type)] or False,
        )
        self._groups = self._rows = 0

    def _close(self) -> None:
        if self._open is not None:
            writer, self._open = self._open, None
            writer.close()

    def finish(self) -> Written:
        """See `streamlearn.write.base.Writer.finish`."""
        if not self._files:
            self._next_file()
        self._close()
        rows = 0
        for file in self._files:
            try:
                rows += pq.read_metadata(file).num_rows
            except pa.ArrowException as error:
                raise SourceError(f"{file}: what was written cannot be read: {error}") from error
        return Written(rows, sum(os.stat(file).st_size for file in self._files), len(self._files))

    def abandon(self) -> None:
        """See `streamlearn.write.base.Writer.abandon`."""
        try:
            self._close()
        except (OSError, pa.ArrowException):
            return  # The error that led here is the one to tell.


def group_bytes_of(wanted: str | int | None) -> int:
    """Return the decoded bytes of a row group: those asked for, or 32 MiB.

    Raises
    ------
    UsageError
        If they are less than 64 KiB.
    """
    size = _GROUP_BYTES if wanted is None else parse_bytes(wanted)
    if size < _LEAST_GROUP:
        raise UsageError(
            f"row_group_bytes={wanted!r} is less than 64 KiB: the output would be more headers "
            "than rows; 16MB to 64MB is good"
        )
    return size


def _require_types(schema: pa.Schema) -> None:
    """Try the types on no rows, so that the error comes before any work and names its column."""
    for item in schema:
        try:
            pq.write_table(pa.schema([item]).empty_table(), pa.BufferOutputStream())
        except pa.ArrowException as error:
            raise SchemaError(
                f"column {item.name!r} is {item.type}, which parquet cannot hold ({error}); leave "
                "it out with features= or --features, or compute another with derive="
            ) from error
