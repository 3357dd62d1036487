"""The footer of a parquet file: read, and believed only where it agrees with itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.errors import SourceError
from streamlearn.source.files import Stamp, Stores

__all__ = ["check_unchanged", "open_parquet", "read_footer"]

_LEAST_BYTES = 12
"""Of any parquet file: two magic numbers and a length."""


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
    try:
        stamp = stores.stamp(path)
        if stamp.size < _LEAST_BYTES:
            raise SourceError(
                f"{path}: cannot be read as parquet: it has {stamp.size} bytes, and the shortest "
                "parquet file has more; write it again, or leave it out"
            )
        with stores.ranges(path, stamp) as read:
            magic = read(4, stamp.size - 4)
        if magic == b"PARE":
            raise SourceError(
                f"{path}: this parquet file is encrypted, and encrypted files are not read; "
                "write it again without encryption"
            )
        with stores.open(path, stamp) as opened:
            metadata = pq.read_metadata(opened)
        _check(path, metadata)
    except MemoryError:
        raise
    except PermissionError as error:
        raise SourceError(f"{path}: this file may not be read; ask for permission") from error
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: cannot be read as parquet: {error}") from error
    return metadata, stamp


def _check(path: str, metadata: Any) -> None:
    """Refuse a footer that contradicts itself: rows would be lost without a word."""
    rows = sum(metadata.row_group(part).num_rows for part in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        raise SourceError(
            f"{path}: cannot be read as parquet: the footer says {metadata.num_rows:,} rows, but "
            f"its {metadata.num_row_groups} row groups have {rows:,}; the file is damaged"
        )


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
