"""A file in a store that fsspec knows, as pyarrow reads files: range by range, nothing kept."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

from streamlearn.errors import MissingExtraError, SourceError, UsageError
from streamlearn.source.stores.retry import Breaker

__all__ = ["RemoteFile", "filesystem"]

_AHEAD_BYTES = 16_384
"""Fetched with a page header: where pages are small, the next ones come with it."""


class RemoteFile:
    """A file behind a URL, as pyarrow reads files; nothing of it is kept.

    Parameters
    ----------
    url : str
    size : int
        Bytes.
    breaker : Breaker
        Of its store.
    """

    mode = "rb"

    def __init__(self, url: str, size: int, breaker: Breaker) -> None:
        self._url, self._size, self._breaker = url, size, breaker
        self._fs, self._path = filesystem(url)
        self._stream: Any = None
        self._at = 0
        self._seen = (0, b"")
        self.closed = False

    def fetch(self, start: int, stop: int) -> bytes:
        """Return a range of bytes, all of them.

        Raises
        ------
        SourceError
            If they cannot be had.
        """
        stop = min(stop, self._size)
        if start >= stop:
            return b""

        def ask() -> bytes:
            try:
                found = self._ask(start, stop)
            except Exception:
                self._drop()
                raise
            if len(found) != stop - start:
                raise ConnectionError(f"{len(found):,} bytes came of {stop - start:,}")
            return found

        what = f"{self._url}, bytes {start:,} to {stop:,}"
        try:
            return self._breaker.call(what, ask)
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{what}: cannot be read: {type(error).__name__}: {error}") from error

    def _ask(self, start: int, stop: int) -> bytes:
        if not self._url.startswith("http"):
            return bytes(self._fs.cat_file(self._path, start=start, end=stop))
        # Asked for a range as a whole, fsspec takes all that a server without ranges sends.
        if self._stream is None:
            self._stream = self._fs.open(self._path, "rb", cache_type="none")
        if not hasattr(self._stream, "async_fetch_range"):
            raise SourceError(
                f"{self._url}: the server does not give out parts of files (HTTP ranges), and "
                "whole files may not fit in memory; download it first"
            )
        self._stream.seek(start)
        try:
            return bytes(self._stream.read(stop - start))
        except ValueError as error:
            raise SourceError(
                f"{self._url}: the server does not give out parts of files (HTTP ranges), and "
                "whole files may not fit in memory; download it first"
            ) from error

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(Exception):
                stream.close()

    def look(self, size: int, at: int) -> bytes:
        """Return bytes from a place, and remember a few that follow."""
        start, held = self._seen
        if not start <= at <= at + size <= start + len(held):
            start, held = at, self.fetch(at, at + max(size, _AHEAD_BYTES))
            self._seen = start, held
        return held[at - start : at - start + size]

    def read(self, size: int | None = -1) -> bytes:
        """Return the bytes that follow."""
        stop = self._size if size is None or size < 0 else self._at + size
        found = self.fetch(self._at, stop)
        self._at += len(found)
        return found

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + place
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether `seek` works: yes."""
        return True

    def writable(self) -> bool:
        """Whether it can be written: no."""
        return False

    def flush(self) -> None:
        """Do nothing: there is nothing to write."""

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        self._seen = (0, b"")
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def filesystem(url: str) -> tuple[Any, str]:
    """Return the store of a URL, as fsspec has it, and the path in it.

    Raises
    ------
    MissingExtraError, SourceError
        If what reads this kind of URL is not installed, or there is no such kind.
    UsageError
        If the URL is a chain.
    """
    from fsspec.core import url_to_fs

    if "::" in url:
        raise UsageError(f"{url}: chained URLs are not read; name the store itself")
    scheme = urlsplit(url).scheme
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        if scheme in ("http", "https"):
            raise MissingExtraError(f"reading {scheme}://", "aiohttp", "remote") from error
        raise SourceError(
            f"{url}: reading {scheme}:// needs a package that is not installed: {error}"
        ) from error
    except ValueError as error:
        raise SourceError(f"{url}: fsspec knows no store of this kind: {error}") from error
    return fs, str(path)
