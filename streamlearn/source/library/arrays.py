"""NumPy arrays and ``.npy`` files, the files memory-mapped and released behind the reader."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost

__all__ = [
    "ArraySource",
    "Stamps",
    "copy_rows",
    "load_array",
    "refuse_changed",
    "sampled",
    "side_of",
    "stamps_of",
    "type_of_target",
]

_FRAGMENT_ROWS = 131_072
_FRAGMENT_BYTES = 64 << 20


def load_array(data: Any, what: str = "data") -> np.ndarray[Any, Any]:
    """Return an array as it is, or a ``.npy`` file as a read-only memory map.

    Raises
    ------
    SourceError
        If the file is missing, truncated, or holds Python objects.
    """
    if isinstance(data, np.ma.MaskedArray):
        if np.ma.is_masked(data):
            raise UsageError(
                f"{what}: a masked array hides values that scikit-learn would see; fill them, for "
                "example with data.astype(float).filled(np.nan)"
            )
        return np.asarray(data)
    if not isinstance(data, str | os.PathLike):
        return np.asanyarray(data)
    try:
        return np.asanyarray(np.load(data, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{os.fspath(data)}: cannot be read as .npy ({what}): {error}") from error


def side_of(values: Any, what: str, rows: int, name: str) -> np.ndarray[Any, Any] | None:
    """Return a target or weight of one value a row, from an array or a ``.npy`` file.

    Raises
    ------
    SchemaError
        If it is of another length.
    """
    if values is None:
        return None
    side = load_array(values, what)
    if side.ndim == 2 and side.shape[1] == 1:
        side = side[:, 0]
    if side.shape != (rows,):
        raise SchemaError(
            f"{name}: the {what} must have shape ({rows},), one value a row, not {side.shape}"
        )
    return side


def type_of_target(values: Any) -> pa.DataType | None:
    """Return the Arrow type of a target's values, or None where there is none."""
    if values is None:
        return None
    kind = values.dtype
    return pa.string() if kind.kind in "OUS" else pa.from_numpy_dtype(kind)


class ArraySource:
    """Rows of a two-dimensional array, with an optional target and weight of one dimension.

    Parameters
    ----------
    X : array of shape (rows, columns) or path of a .npy file
        Numbers or booleans. A one-dimensional array is refused.
    y, weight : array of shape (rows,) or path of a .npy file, optional
    name : str
        What messages call an array that has no path.

    Raises
    ------
    SchemaError
        If lengths or dimensions do not fit.
    """

    def __init__(self, X: Any, y: Any = None, weight: Any = None, name: str = "array") -> None:
        self._name = os.fspath(X) if isinstance(X, str | os.PathLike) else name
        self._X = load_array(X)
        if self._X.ndim != 2:
            raise SchemaError(
                f"{self._name}: an array of shape (rows, columns) is needed, not one of shape "
                f"{self._X.shape}; reshape it with .reshape(-1, 1) if it is a single column"
            )
        if self._X.dtype.kind not in "biuf":
            raise SchemaError(
                f"{self._name}: an array of numbers is needed, not {self._X.dtype}; "
                "give mixed columns as a table (parquet, pyarrow, pandas)"
            )
        self._y = side_of(y, "target", len(self._X), self._name)
        self._weight = side_of(weight, "weight", len(self._X), self._name)
        rows, columns = self._X.shape
        kind = pa.from_numpy_dtype(self._X.dtype)
        self.schema = Schema(tuple(Field(str(i), kind) for i in range(columns)), named=False)
        row_bytes = max(1, columns * self._X.dtype.itemsize)
        step = max(1, min(_FRAGMENT_ROWS, _FRAGMENT_BYTES // row_bytes))
        self.fragments = [
            Fragment(index, self._name, index, first, min(step, rows - first))
            for index, first in enumerate(range(0, rows, step))
        ]
        self._row_bytes = row_bytes
        self._stamps = stamps_of(self._X, self._y, self._weight)
        self.fingerprint = self._digest()

    @property
    def target_type(self) -> pa.DataType | None:
        """Type of the target, or None where there is none."""
        return type_of_target(self._y)

    @property
    def has_weight(self) -> bool:
        """Whether a weight was given."""
        return self._weight is not None

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def _digest(self) -> str:
        """Shape, type and 64 rows spread over the array: reading all of it would be a pass."""
        digest = hashlib.sha256(f"{self._X.shape}|{self._X.dtype.str}".encode())
        for side in (self._X, self._y, self._weight):
            if side is not None:
                digest.update(repr(sampled(side).tolist()).encode())
        return digest.hexdigest()

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        del columns
        in_memory = _map_of(self._X) is None
        row = 16.0 + (0 if in_memory else self._row_bytes)
        return ReaderCost(1 << 20, row if in_memory else 2 * row, row)

    def lean(self, scratch_dir: str | None) -> ArraySource:
        """See `streamlearn.source.base.Source.lean`: it is lean as it is."""
        del scratch_dir
        return self

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`; chunks of mapped files are copies."""
        if list(columns) != self.schema.names:
            raise UsageError("a matrix is read with all its columns")
        stop = fragment.first + fragment.rows
        for start in range(fragment.first, stop, rows):
            end = min(start + rows, stop)
            refuse_changed(self._stamps)
            yield Chunk(
                copy_rows(self._X, start, end),
                np.arange(start, end, dtype=np.int64),
                None if self._y is None else copy_rows(self._y, start, end),
                None if self._weight is None else copy_rows(self._weight, start, end).astype(float),
            )


def _map_of(array: Any) -> mmap.mmap | None:
    """Return the map an array looks into, where its pages may be dropped without loss."""
    if isinstance(array, np.memmap) and array.mode != "c":
        found = getattr(array, "_mmap", None)
        return found if isinstance(found, mmap.mmap) else None
    return None


Stamps = tuple[tuple[str, int, int], ...]


def stamps_of(*arrays: Any) -> Stamps:
    """Return path, size and time of the files that arrays are mapped from."""
    paths = {getattr(array, "filename", None) for array in arrays if _map_of(array) is not None}
    named = sorted(os.fspath(path) for path in paths if isinstance(path, str | os.PathLike))
    found = [(path, os.stat(path)) for path in named if os.path.isfile(path)]
    return tuple((path, status.st_size, status.st_mtime_ns) for path, status in found)


def refuse_changed(stamps: Stamps) -> None:
    """Refuse files that were changed after they were mapped: touching them could end the process.

    Raises
    ------
    SourceError
    """
    for path, size, time in stamps:
        try:
            status = os.stat(path)
        except OSError as error:
            raise SourceError(f"{path}: has gone since it was opened: {error.strerror}") from error
        if (status.st_size, status.st_mtime_ns) != (size, time):
            raise SourceError(
                f"{path}: has changed since it was opened; let nothing write to it meanwhile"
            )


def copy_rows(array: Any, start: int, end: int) -> np.ndarray[Any, Any]:
    """Return rows of an array: a view, or a copy of a mapped file, whose pages are given back."""
    mapped = _map_of(array)
    if mapped is None:
        return np.asarray(array[start:end])
    rows = np.array(array[start:end], order="C")
    if array.flags.c_contiguous and hasattr(mapped, "madvise"):
        # Pages of the map count in RSS until they are given back.
        offset = array.__array_interface__["data"][0] - _address(mapped)
        row_bytes = array.strides[0]
        page = mmap.PAGESIZE
        begin = (offset + start * row_bytes) // page * page
        length = min(offset + end * row_bytes, len(mapped)) - begin
        if length > 0:
            mapped.madvise(mmap.MADV_DONTNEED, begin, length)
    elif hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
    return rows


def sampled(array: Any) -> np.ndarray[Any, Any]:
    """Return 64 rows spread over an array; of a mapped file nothing stays in memory."""
    picks = np.unique(np.linspace(0, max(0, len(array) - 1), 64).astype(np.int64))
    rows = np.array(array[picks]) if len(array) else np.array([])
    mapped = _map_of(array)
    if mapped is not None and hasattr(mapped, "madvise"):
        # The kernel maps what it has cached around a page that is touched: megabytes of it.
        mapped.madvise(mmap.MADV_DONTNEED)
    return rows


def _address(mapped: mmap.mmap) -> int:
    return int(np.frombuffer(mapped, dtype=np.uint8).__array_interface__["data"][0])
