"""Where an output goes: made beside its place, and put there when it is complete."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamlearn.errors import UsageError
from streamlearn.write.base import naming_a_full_disk

__all__ = ["Place", "find_place"]

_FILES = (".parquet", ".parq", ".pq")
_PART = "part-[0-9][0-9][0-9][0-9][0-9]*.parquet"
_ARRAYS = {"zarr.json", "X", "y", "sample_weight"}


@dataclass(frozen=True)
class Place:
    """A path, and what is to stand there.

    Examples
    --------
    >>> find_place("trips.parquet").kind, find_place("trips").kind, find_place("trips.zarr").kind
    ('file', 'folder', 'zarr')
    """

    path: Path
    kind: Literal["file", "folder", "zarr"]
    """One parquet file, a folder of them, or a zarr store."""

    def refuse_occupied(self, *, overwrite: bool) -> None:
        """Refuse a path where something stands; with ``overwrite``, all but an earlier output.

        Raises
        ------
        UsageError
        """
        path = self.path
        if not os.path.lexists(path) or (self._is_empty_folder() and self.kind != "file"):
            return
        if path.is_symlink():
            raise UsageError(f"{path} is a symbolic link; name the place it points to")
        what = {"file": _why_no_file, "folder": _why_no_parts, "zarr": _why_no_store}[self.kind]
        other = what(path)
        if other:
            raise UsageError(
                f"{path} {other}, and is not replaced; choose another place, or remove it yourself"
            )
        if not overwrite:
            raise UsageError(
                f"{path} is there already; choose another place, or replace it with "
                "overwrite=True or --overwrite"
            )

    def refuse_inputs(self, paths: Iterable[str]) -> None:
        """Refuse a place that the data is read from.

        Raises
        ------
        UsageError
        """
        own = os.path.realpath(self.path)
        for path in paths:
            read = os.path.realpath(path)
            if own in (read, *map(str, Path(read).parents)):
                raise UsageError(
                    f"{self.path} is where the data is read from ({path}); an input is never "
                    "replaced: choose another place"
                )
            if self.kind != "file" and os.path.isdir(read) and own.startswith(read + os.sep):
                raise UsageError(
                    f"{self.path} is inside of {path}, which is read; choose another place"
                )

    def refuse_inside(self, given: Iterable[str]) -> None:
        """Refuse a place that whoever reads a folder or a pattern again would find in it.

        Parameters
        ----------
        given : iterable of str
            Paths, folders and patterns, as the user named them.

        Raises
        ------
        UsageError
        """
        own = os.path.realpath(self.path)
        for path in given:
            read = os.path.realpath(path)
            if os.path.isdir(read) and own.startswith(read + os.sep):
                where = f"inside of {path}"
            elif not os.path.exists(read) and fnmatch.fnmatchcase(own, read):
                where = f"among {path}"
            else:
                continue
            raise UsageError(
                f"{self.path} is {where}, which is read: it would be read as data the next time; "
                "choose another place"
            )

    def naming_a_full_disk(self) -> AbstractContextManager[None]:
        """Say that this is the disk which is full, where that is so."""
        remedy = "nothing was left there; make room, or choose another place"
        return naming_a_full_disk(self.path, remedy)

    def _is_empty_folder(self) -> bool:
        return self.path.is_dir() and not any(self.path.iterdir())

    @contextmanager
    def staged(self, *, overwrite: bool) -> Iterator[Path]:
        """Give a path beside the place to write to, and put it there when all went well.

        What stood there stays whole until then; of what failed, nothing is left. A process that
        is killed leaves a hidden folder beside the place, and nothing in it.

        Raises
        ------
        UsageError
            If something has come to be there meanwhile.
        """
        self.refuse_occupied(overwrite=overwrite)
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(
            tempfile.mkdtemp(dir=folder, prefix=f".{self.path.name}.", suffix=".converting")
        )
        try:
            made = stage / self.path.name
            if self.kind != "file":
                made.mkdir()
            yield made
            with self.naming_a_full_disk():
                _sync(made)
            self.refuse_occupied(overwrite=overwrite)
            _swap(made, self.path, stage / "before")
            _sync_folder(folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def find_place(path: str | os.PathLike[str], kind: str | None = None) -> Place:
    """Tell by its name what is to stand at a path.

    Parameters
    ----------
    kind : {"parquet", "zarr"}, optional
        The format, where the name does not tell.

    Raises
    ------
    UsageError
        If the name ends in something else.
    """
    text = os.fspath(path)
    if not text:
        raise UsageError("an output needs a path; the one given is empty")
    if "://" in text:
        raise UsageError(f"{text}: outputs are written to a local disk; name a local path")
    if kind not in (None, "parquet", "zarr"):
        raise UsageError(f"format={kind!r} is not known; it is 'parquet' or 'zarr'")
    place = Path(text)
    is_file = place.suffix in _FILES and not text.endswith("/") and not place.is_dir()
    if kind == "zarr" or (kind is None and place.suffix == ".zarr"):
        return Place(place, "zarr")
    if is_file:
        return Place(place, "file")
    if kind == "parquet" or not place.suffix or text.endswith("/") or place.is_dir():
        return Place(place, "folder")
    raise UsageError(
        f"{text}: what format is {place.suffix!r}? Outputs end in .parquet (a file), .zarr (a "
        "store) or nothing (a folder of parquet files); or say format= or --format"
    )


def _why_no_file(path: Path) -> str:
    if not path.is_file():
        return "is a folder"
    with path.open("rb") as file:
        return "" if file.read(4) == b"PAR1" else "is no parquet file"


def _why_no_parts(path: Path) -> str:
    if not path.is_dir():
        return "is a file"
    other = sorted(entry.name for entry in path.iterdir() if not entry.match(_PART))
    return f"holds {other[0]!r}, which is no part of an output" if other else ""


def _why_no_store(path: Path) -> str:
    if not path.is_dir():
        return "is a file"
    names = {entry.name for entry in path.iterdir()}
    if "zarr.json" not in names:
        return "holds files that are no zarr store"
    other = sorted(names - _ARRAYS - _arrays_of(path))
    return f"holds {other[0]!r}, which is no part of an output" if other else ""


def _arrays_of(store: Path) -> set[str]:
    """Return the arrays that an earlier output says it has."""
    try:
        attributes = json.loads((store / "zarr.json").read_text())["attributes"]
        return set(attributes["streamlearn"]["arrays"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _swap(made: Path, path: Path, before: Path) -> None:
    """Put what was made in its place; a folder that stands there goes only when that worked."""
    if not path.is_dir():
        made.replace(path)
        return
    path.rename(before)
    try:
        made.rename(path)
    except BaseException:
        before.rename(path)
        raise


def _sync(made: Path) -> None:
    """Make sure it is on the disk, before it is shown."""
    if not made.is_dir():
        _sync_one(made)
        return
    for folder, _, files in os.walk(made):
        for file in files:
            _sync_one(Path(folder, file))
        _sync_folder(Path(folder))


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        _sync_one(folder)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
