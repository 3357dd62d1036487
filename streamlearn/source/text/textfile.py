"""Text files as UTF-8 bytes that can be read at any place.

What is compressed or otherwise encoded goes by way of a file on disk.
"""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import lzma
import os
import re
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from streamlearn.errors import SourceError, UsageError
from streamlearn.sizes import format_bytes

__all__ = ["COMPRESSED", "UNDECODABLE", "TextFile", "open_texts"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
UNDECODABLE = "\ufdd1".encode()
"""Stands in spooled text for bytes that the encoding does not know: Unicode has no such character."""
_COPY_BYTES = 1 << 20
_BOM = codecs.BOM_UTF8
_MAGIC = (
    (b"\x1f\x8b", "a gzip file; name it with .gz behind"),
    (b"BZh", "a bzip2 file; name it with .bz2 behind"),
    (b"\xfd7zXZ\0", "an xz file; name it with .xz behind"),
    (b"\x28\xb5\x2f\xfd", "a zstandard file; name it with .zst behind"),
    (b"\x04\x22\x4d\x18", "an lz4 file; name it with .lz4 behind"),
    (b"PAR1", "a parquet file; say format='parquet' or --format parquet"),
    (b"ARROW1", "an Arrow file; say format='arrow' or --format arrow"),
    (b"PK\x03\x04", "a zip archive (Excel's .xlsx is one); unpack it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel or Office file; save it as CSV"),
    (b"\x89HDF", "an HDF5 file; convert it to parquet or zarr"),
    (b"\x93NUMPY", "a NumPy file; name it with .npy behind"),
    (b"SQLite format 3\0", "an SQLite database; export the table as CSV or parquet"),
    (b"%PDF", "a PDF document"),
)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HTML = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)


class _Spool:
    """A file without a name, closed with the last that reads it."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            self.handle = os.dup(file.fileno())
        self.end = 0
        weakref.finalize(self, os.close, self.handle)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        rest = memoryview(data)
        while rest:
            written = os.write(self.handle, rest)
            self.end += written
            rest = rest[written:]


@dataclass(frozen=True)
class TextFile:
    """One file's text, in UTF-8."""

    path: str
    begin: int
    """Where the text begins: in the file, or in the spool."""
    end: int
    status: tuple[int, int]
    """Size and time of change of the file, as opened."""
    spool: _Spool | None = None
    """Where the text is, where it is not in the file itself."""

    def read(self, at: int, size: int) -> bytes:
        """Read ``size`` bytes, or up to the end; any thread, any order.

        Raises
        ------
        SourceError
            If the file has vanished, or is not what it was.
        """
        size = min(size, self.end - at)
        if self.spool is not None:
            return _pread(self.spool.handle, size, at)
        try:
            with open(self.path, "rb", buffering=0) as file:
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != self.status:
                    raise SourceError(
                        f"{self.path}: has changed since it was opened "
                        f"({self.status[0]:,} bytes then, {found.st_size:,} now); scan it again"
                    )
                data = _pread(file.fileno(), size, at)
        except OSError as error:
            raise SourceError(
                f"{self.path}: cannot be read any more: {error.strerror or error}"
            ) from error
        if len(data) < size:
            raise SourceError(f"{self.path}: became shorter while it was read; scan it again")
        return data


def open_texts(paths: Sequence[str], encoding: str = "utf-8") -> list[TextFile]:
    """Open files as text; compressed ones by their names, spooled to ``TMPDIR``.

    Raises
    ------
    SourceError
        If a file is empty, no text, damaged, or there is no room for what is spooled.
    UsageError
        If Python knows no such encoding.
    """
    try:
        codec = codecs.lookup(encoding)
        plain = codec.name in ("utf-8", "utf-8-sig", "ascii")
        codec.incrementaldecoder("strict")
    except (LookupError, TypeError) as error:
        raise UsageError(
            f"encoding={encoding!r}: Python has no such text encoding; write for example utf-8, "
            "latin-1, cp1252 or utf-16"
        ) from error
    spool: _Spool | None = None
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
        stamp = (status.st_size, status.st_mtime_ns)
        if not status.st_size:
            raise SourceError(f"{path}: is empty (0 bytes); leave it out")
        if plain and not path.endswith(COMPRESSED):
            text = TextFile(path, 0, status.st_size, stamp)
        else:
            spool = spool or _Spool()
            text = _spooled(path, encoding if not plain else None, spool, stamp)
        found.append(_checked(text, encoding, plain))
    return found


def _checked(text: TextFile, encoding: str, plain: bool) -> TextFile:
    """Refuse what is no text, and begin behind a byte order mark."""
    head = text.read(text.begin, 4096)
    if not head:
        raise SourceError(f"{text.path}: is empty (0 bytes once unpacked); leave it out")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise SourceError(f"{text.path}: is no text but {what}")
    if plain and head.startswith(_UTF_16):
        raise SourceError(
            f"{text.path}: is text in UTF-16, not in {encoding}; "
            "say so with sl.Csv(encoding='utf-16') or --encoding utf-16"
        )
    if _HTML.match(head):
        raise SourceError(
            f"{text.path}: is an HTML page, not a table; a download probably brought the page "
            "about the file (or one to log in) instead of the file"
        )
    if head.startswith(_BOM):
        return TextFile(text.path, text.begin + len(_BOM), text.end, text.status, text.spool)
    return text


def _spooled(path: str, encoding: str | None, spool: _Spool, status: tuple[int, int]) -> TextFile:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < status[0]:
        raise SourceError(
            f"{path}: is unpacked to {folder}, where {format_bytes(free)} are free, fewer than "
            f"its {format_bytes(status[0])}; name another folder with the environment variable "
            "TMPDIR"
        )
    begin = spool.end
    decoder = None
    if encoding is not None:
        decoder = codecs.getincrementaldecoder(encoding)("streamlearn-undecodable")
    try:
        with _unpacked(path) as stream:
            while data := stream.read(_COPY_BYTES):
                spool.write(data if decoder is None else decoder.decode(data).encode())
        if decoder is not None:
            spool.write(decoder.decode(b"", final=True).encode())
    except MemoryError:
        raise
    except UnicodeError as error:
        raise SourceError(
            f"{path}: is no text in {encoding}: {error}; say what it is with sl.Csv(encoding=...) or "
            "--encoding"
        ) from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceError(
                f"{path}: is unpacked to {folder}, which is full; name another folder with the "
                "environment variable TMPDIR"
            ) from error
        raise SourceError(f"{path}: cannot be unpacked, it is damaged or cut: {error}") from error
    return TextFile(path, begin, spool.end, status, spool)


def _unpacked(path: str) -> Any:
    if path.endswith(".gz"):
        return gzip.open(path)
    if path.endswith(".bz2"):
        return bz2.open(path)
    if path.endswith(".xz"):
        return lzma.open(path)
    if path.endswith((".zst", ".lz4")):
        kind = "zstd" if path.endswith(".zst") else "lz4"
        return pa.CompressedInputStream(pa.OSFile(path), kind)
    return open(path, "rb")


def _pread(handle: int, size: int, at: int) -> bytes:
    data = os.pread(handle, size, at)
    while len(data) < size:
        more = os.pread(handle, size - len(data), at + len(data))
        if not more:
            break
        data += more
    return data


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE.decode(), error.end


codecs.register_error("streamlearn-undecodable", _replace)
