"""From a path, URL or store to an open zarr array or group."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from streamlearn.errors import SourceError

__all__ = ["is_zarr", "open_store", "opening"]

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")


def is_zarr(data: Any) -> bool:
    """Whether something is a zarr array or group, or the path of one."""
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        if path.suffix == ".zarr" or any((path / name).is_file() for name in _METADATA):
            return True
        return path.suffix == ".zip" and path.is_file() and _is_zipped(path)
    return type(data).__module__.startswith("zarr.")


def _is_zipped(path: Path) -> bool:
    try:
        with ZipFile(path) as archive:
            return any(name in _METADATA for name in archive.namelist())
    except (OSError, BadZipFile):
        return False


def open_store(data: Any, name: str) -> Any:
    """Open what is named, or return what is open already; ``name`` is for messages."""
    import zarr

    if isinstance(data, zarr.abc.store.Store):
        return zarr.open(data, mode="r")
    if not isinstance(data, str | os.PathLike):
        return data
    if "://" not in name and not os.path.exists(data):
        raise SourceError(f"{name}: there is no such file or directory")
    if name.endswith(".zip"):
        return zarr.open(zarr.storage.ZipStore(name, mode="r"), mode="r")
    return zarr.open(name, mode="r")


@contextmanager
def opening(data: Any) -> Iterator[None]:
    """Let arrays opened here be decoded by zarrs, where it is installed, one chunk at a time.

    It is for those that are not read directly, and of version 3: of version 2 it cannot read
    arrays in Fortran's order (zarrs 0.2.3). What else it cannot do it leaves to zarr itself.
    """
    import zarr

    settings: dict[str, Any] = {}
    stored = isinstance(data, str | os.PathLike) and Path(data, "zarr.json").exists()
    if stored and find_spec("zarrs") is not None:
        settings = {
            "codec_pipeline.path": "zarrs.ZarrsCodecPipeline",
            "codec_pipeline.chunk_concurrent_maximum": 1,
            "threading.max_workers": 1,
        }
    with zarr.config.set(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Array is unsupported by ZarrsCodecPipeline")
        # Folders that are no members are refused by name.
        warnings.filterwarnings("ignore", message="Object at .* is not recognized")
        yield
