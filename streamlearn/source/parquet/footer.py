"""The footer of a parquet file: read, and believed only where it agrees with itself."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.errors import SourceError
from streamlearn.source.stores.files import Stamp, Stores

__all__ = ["check_unchanged", "open_parquet", "read_again", "read_footer", "said_by_name"]

_LEAST_BYTES = 12
"""Of any parquet file: two magic numbers and a length."""
_SIGNATURE_BYTES = 28
"""Behind the footer of a file whose columns are encrypted, and whose footer is not."""


@contextmanager
def open_parquet(
    stores: Stores, path: str, stamp: Stamp, buffer: int = 65_536
) -> Iterator[pq.ParquetFile]:
    """Open a file for reading column by column, no more than its pages held.

    Checksums of pages are verified where a file has them.
    """
    with (
        stores.open(path, stamp) as opened,
        pq.ParquetFile(
            opened, pre_buffer=False, buffer_size=buffer, page_checksum_verification=True
        ) as file,
    ):
        yield file


def read_footer(stores: Stores, path: str) -> tuple[pq.FileMetaData, Stamp]:
    """Read the metadata of a file.

    Raises
    ------
    SourceError
        Saying what the file is if it is no parquet file that can be read.
    """
    with said_by_name(path, "cannot be read as parquet"):
        stamp = stores.stamp(path)
        if stamp.size < _LEAST_BYTES:
            raise SourceError(
                f"{path}: cannot be read as parquet: it has {stamp.size} bytes, and the shortest "
                "parquet file has more; write it again, or leave it out"
            )
        with stores.ranges(path, stamp) as read:
            end = read(8, stamp.size - 8)
        stored_bytes, magic = int.from_bytes(end[:4], "little"), end[4:]
        if magic == b"PARE":
            raise SourceError(
                f"{path}: this parquet file is encrypted, and encrypted files are not read; "
                "write it again without encryption"
            )
        with stores.open(path, stamp) as opened:
            metadata = pq.read_metadata(opened)
        _check(path, metadata, stored_bytes)
        return metadata, stamp


def read_again(stores: Stores, path: str, stamp: Stamp) -> pq.FileMetaData:
    """Read the metadata of a file that `read_footer` found in order.

    Raises
    ------
    SourceError
        If it changed since.
    """
    with said_by_name(path, "cannot be read as parquet"):
        check_unchanged(stores, path, stamp)
        with stores.open(path, stamp) as opened:
            return pq.read_metadata(opened)


@contextmanager
def said_by_name(place: str, what: str) -> Iterator[None]:
    """Turn what pyarrow and the system say of a file into an error that names it.

    Raises
    ------
    SourceError
    """
    try:
        yield
    except MemoryError:  # Arrow's is one of its own exceptions too
        raise
    except PermissionError as error:
        raise SourceError(f"{place}: this file may not be read; ask for permission") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{place}: {what}: it holds a name or text that is not UTF-8; the file is damaged"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{place}: {what}: {error}") from error


def _check(path: str, metadata: pq.FileMetaData, stored_bytes: int) -> None:
    """Refuse a footer that contradicts itself: rows would be lost without a word.

    Some contradictions end the process where Python asks pyarrow for a column's metadata; so a
    reader in C++, which turns them into errors, is set up first, on a file without bytes.
    """
    if stored_bytes - metadata.serialized_size == _SIGNATURE_BYTES:
        raise SourceError(
            f"{path}: this parquet file has encrypted columns, and encrypted files are not read; "
            "write it again without encryption"
        )
    groups = [metadata.row_group(part).num_rows for part in range(metadata.num_row_groups)]
    if sum(groups) != metadata.num_rows or min(groups, default=0) < 0:
        raise SourceError(
            f"{path}: cannot be read as parquet: the footer says {metadata.num_rows:,} rows, but "
            f"its {len(groups)} row groups have {sum(groups):,}; the file is damaged"
        )
    columns = list(range(metadata.num_columns))
    with pq.ParquetFile(_NoBytes(), metadata=metadata, pre_buffer=False, buffer_size=1) as file:
        for part, rows in enumerate(groups):
            if rows and columns:
                with suppress(_ReadError):
                    next(file.reader.iter_batches(1, [part], columns, use_threads=False), None)


class _ReadError(OSError):
    """Where reading begins, all that can be checked before it has been."""


class _NoBytes(io.RawIOBase):
    """A file whose bytes nobody may read."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        del whence
        return place

    def tell(self) -> int:
        return 1 << 62

    def read(self, size: int = -1) -> bytes:
        raise _ReadError(f"{size} bytes")


def check_unchanged(stores: Stores, path: str, stamp: Stamp) -> None:
    """Refuse a file that is no longer what it was when its footer was read.

    Raises
    ------
    SourceError
        If it was replaced, changed or deleted.
    """
    try:
        now = stores.stamp(path)
    except FileNotFoundError as error:
        raise SourceError(
            f"{path}: this file was there when it was opened, and is gone; put it back, or run "
            "again without it"
        ) from error
    if now != stamp:
        what = (
            f"{stamp.size:,} bytes then, {now.size:,} bytes now"
            if now.size != stamp.size
            else "written to since, with as many bytes"
        )
        raise SourceError(
            f"{path}: this file changed since it was opened ({what}); run again, on files that "
            "stay as they are"
        )
