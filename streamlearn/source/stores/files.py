"""Files by their paths, local or in a store that fsspec knows: listed, opened, told apart.

Local files are left to pyarrow. Of files elsewhere, only the ranges asked for are fetched: each
range is one request, tried again where that may help (`streamlearn.source.stores.retry`).
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from streamlearn.errors import SourceError
from streamlearn.source.stores.remote import RemoteFile, filesystem
from streamlearn.source.stores.retry import Breaker, Patience

__all__ = ["Stamp", "Stores", "file_name", "find_files", "is_remote"]

SUFFIXES = (".parquet", ".parq", ".pq")
PATIENCE = Patience()
_MARKS = ("ETag", "etag", "ukey", "md5Hash", "generation", "Last-Modified", "LastModified")
_TIMES = ("mtime", "last_modified", "created")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes whenever a file does."""

    size: int
    mark: str


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a URL: ``s3://bucket/a.parquet``, ``http://...``, ``memory://...``."""
    return "://" in os.fspath(path)


def file_name(path: str) -> str:
    """Return the last part of a path or URL; what signs a URL is no part of it.

    Examples
    --------
    >>> file_name("https://host/trips/a.parquet?token=x")
    'a.parquet'
    """
    return os.path.basename(urlsplit(path).path if is_remote(path) else path)


def find_files(data: str | os.PathLike[str], suffixes: Sequence[str] = SUFFIXES) -> list[str]:
    """List the files behind a path or URL: a file, a glob, or a directory searched to any depth.

    Names that start with ``.`` or ``_`` are left out in directories, as Spark and Arrow do.

    Raises
    ------
    SourceError
        If nothing is there.
    """
    path = os.fspath(data)
    if is_remote(path):
        return Stores().find(path, suffixes)
    if os.path.isdir(path):
        if not os.access(path, os.R_OK | os.X_OK):
            raise SourceError(f"{path}: this directory may not be read; ask for permission")
        found = sorted(
            str(file)
            for file in Path(path).rglob("*")
            if file.suffix in suffixes
            and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
            and file.is_file()
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


class Stores:
    """Where files are: the local disk, and stores behind URLs, each with its own `Breaker`.

    Parameters
    ----------
    patience : Patience, optional
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or PATIENCE
        self._breakers: dict[str, Breaker] = {}

    def _breaker(self, url: str) -> Breaker:
        parts = urlsplit(url)
        name = f"{parts.scheme}://{parts.netloc}"
        return self._breakers.setdefault(name, Breaker(name, self._patience))

    def ask(self, url: str, ask: Callable[[Any, str], Any]) -> Any:
        """Ask the store of a URL for something, with patience.

        Raises
        ------
        SourceError
            If there is no such file, no permission, or no answer.
        """
        fs, path = filesystem(url)
        try:
            return self._breaker(url).call(url, lambda: ask(fs, path))
        except SourceError:
            raise
        except FileNotFoundError as error:
            raise SourceError(f"{url}: there is no such file or directory") from error
        except Exception as error:
            raise SourceError(f"{url}: cannot be read: {type(error).__name__}: {error}") from error

    def find(self, url: str, suffixes: Sequence[str]) -> list[str]:
        """List the files behind a URL; see `find_files`."""

        def whole(fs: Any, found: Sequence[str]) -> list[str]:
            return sorted(str(fs.unstrip_protocol(path)) for path in found)

        if any(sign in url for sign in "*[") or ("?" in url and not url.startswith("http")):
            found = self.ask(url, lambda fs, path: whole(fs, fs.glob(path)))
            if not found:
                raise SourceError(f"{url}: no file matches this pattern")
            return list(found)
        if PurePosixPath(urlsplit(url).path).suffix in suffixes:
            return [url]

        def beneath(fs: Any, path: str) -> list[str] | None:
            if not path.endswith("/") and fs.info(path)["type"] != "directory":
                return None
            root = path.rstrip("/")
            kept = []
            for file in fs.find(path):
                parts = file[len(root) :].strip("/").split("/")
                if not any(part.startswith((".", "_")) for part in parts):
                    kept.append(file)
            return whole(fs, [file for file in kept if file.endswith(tuple(suffixes))])

        listed = self.ask(url, beneath)
        if listed is None:
            return [url]
        if not listed:
            raise SourceError(f"{url}: no file in this directory ends in {', '.join(suffixes)}")
        return list(listed)

    def stamp(self, path: str) -> Stamp:
        """Return size and mark of a file as it is now.

        Raises
        ------
        SourceError
            If a file behind a URL does not say how long it is.
        OSError
            If a local file is not there.
        """
        if not is_remote(path):
            status = os.stat(path)
            return Stamp(status.st_size, str(status.st_mtime_ns))

        def look(fs: Any, inner: str) -> Any:
            with suppress(AttributeError, NotImplementedError):
                fs.invalidate_cache()
            return fs.info(inner)

        info = self.ask(path, look)
        if not isinstance(info.get("size"), int):
            raise SourceError(f"{path}: the store does not say how long this file is")
        marks = [str(info[name]) for name in _MARKS if info.get(name)]
        marks = marks or [str(info[name]) for name in _TIMES if info.get(name)]
        return Stamp(info["size"], hashlib.sha256("|".join(marks).encode()).hexdigest()[:16])

    @contextmanager
    def open(self, path: str, stamp: Stamp) -> Iterator[Any]:
        """Open a file: what pyarrow takes, a path or something that reads."""
        if not is_remote(path):
            yield path
            return
        with RemoteFile(path, stamp.size, self._breaker(path)) as file:
            yield file

    @contextmanager
    def ranges(self, path: str, stamp: Stamp) -> Iterator[Callable[[int, int], bytes]]:
        """Open a file for short looks: a function of length and place."""
        if not is_remote(path):
            with open(path, "rb", buffering=0) as raw:
                handle = raw.fileno()
                yield lambda size, at: os.pread(handle, size, at)
            return
        with RemoteFile(path, stamp.size, self._breaker(path)) as file:
            yield file.look
