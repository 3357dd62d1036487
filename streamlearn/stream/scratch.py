"""Prepared rows on disk: written once, read back in any order.

Raw C-order values, or the three arrays of a CSR matrix; the files are unlinked from the start
where the system allows it, so that nothing is left behind whatever happens.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Chunk
from streamlearn.errors import UsageError
from streamlearn.sizes import format_bytes

__all__ = ["Scratch", "check_free_disk"]


def check_free_disk(folder: str | os.PathLike[str] | None, size_bytes: int) -> None:
    """Refuse scratch that the disk has no room for.

    Raises
    ------
    UsageError
    """
    place = os.fspath(folder) if folder is not None else tempfile.gettempdir()
    Path(place).mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if size_bytes > free:
        raise UsageError(
            f"shuffling keeps {format_bytes(size_bytes)} of rows on disk, but "
            f"{place} has {format_bytes(free)} free; name another folder with scratch_dir= or "
            "--scratch-dir, or do without shuffling"
        )


class _Column:
    """One array that grows at its end, in an unlinked file."""

    def __init__(self, folder: Path, dtype: np.dtype[Any], width: int = 1) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by Scratch
        self.dtype = dtype
        self._width = width
        self.length = 0

    def append(self, values: NDArray[Any]) -> None:
        data = _bytes(np.ascontiguousarray(values, dtype=self.dtype))
        while len(data):
            data = data[self._file.write(data) :]
        self.length += len(values)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        shape = (stop - start,) if self._width == 1 else (stop - start, self._width)
        out = np.empty(shape, self.dtype)
        offset = start * self._width * self.dtype.itemsize
        data = _bytes(out)
        while len(data):
            got = os.preadv(self._file.fileno(), [data], offset)
            if not got:
                raise OSError("scratch file is shorter than what was written to it")
            offset, data = offset + got, data[got:]
        return out

    def close(self) -> None:
        self._file.close()


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


class Scratch:
    """Prepared rows (matrix, target, weight) on disk.

    Parameters
    ----------
    folder : path, optional
        Where to keep the files; the system's temporary folder by default.

    Examples
    --------
    >>> with Scratch() as scratch:
    ...     scratch.append(Chunk(np.eye(3), np.arange(3), np.array([5, 6, 7])))
    ...     scratch.read(1, 3).y
    array([6, 7])
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(folder) if folder is not None else Path(tempfile.gettempdir())
        self._folder.mkdir(parents=True, exist_ok=True)
        self._columns: dict[str, _Column] = {}
        self._labels: dict[Any, int] = {}
        self._label_values: list[Any] = []
        self._shape: tuple[int, ...] = ()
        self._stored = 0
        self.rows = 0

    def append(self, chunk: Chunk) -> None:
        """Write rows after those already there."""
        X = chunk.X
        if hasattr(X, "indptr"):
            self._append_sparse(X)
        else:
            matrix = np.asarray(X)
            self._shape = matrix.shape[1:]
            self._column("X", matrix.dtype, matrix.shape[1]).append(matrix)
        if chunk.y is not None:
            self._append_target(chunk.y)
        if chunk.weight is not None:
            self._column("weight", np.dtype(np.float64)).append(chunk.weight)
        self._column("rows", np.dtype(np.int64)).append(chunk.rows)
        self.rows += len(chunk)

    def _append_sparse(self, X: Any) -> None:
        self._shape = X.shape[1:]
        ends = self._column("indptr", np.dtype(np.int64))
        if not ends.length:
            ends.append(np.zeros(1, dtype=np.int64))
        self._column("data", X.data.dtype).append(X.data)
        self._column("indices", np.dtype(np.int32)).append(X.indices)
        ends.append(self._stored + X.indptr[1:].astype(np.int64))
        self._stored += int(X.indptr[-1])

    def _append_target(self, y: NDArray[Any]) -> None:
        if y.dtype != object:
            self._column("y", y.dtype).append(y)
            return
        for value in set(y.tolist()) - self._labels.keys():
            self._labels[value] = len(self._label_values)
            self._label_values.append(value)
        codes = np.fromiter((self._labels[value] for value in y), np.int32, len(y))
        self._column("codes", np.dtype(np.int32)).append(codes)

    def _column(self, name: str, dtype: np.dtype[Any], width: int = 1) -> _Column:
        if name not in self._columns:
            self._columns[name] = _Column(self._folder, dtype, width)
        return self._columns[name]

    def read(self, start: int, stop: int) -> Chunk:
        """Read rows ``start`` to ``stop``."""
        columns = self._columns
        y = columns["y"].read(start, stop) if "y" in columns else None
        if "codes" in columns:
            y = np.array(self._label_values, dtype=object)[columns["codes"].read(start, stop)]
        weight = columns["weight"].read(start, stop) if "weight" in columns else None
        rows = columns["rows"].read(start, stop)
        if "X" in columns:
            matrix = columns["X"].read(start, stop).reshape(stop - start, *self._shape)
            return Chunk(matrix, rows, y, weight)
        from scipy import sparse

        ends = columns["indptr"].read(start, stop + 1)
        first, last = int(ends[0]), int(ends[-1])
        parts = (
            columns["data"].read(first, last),
            columns["indices"].read(first, last),
            (ends - first).astype(np.int32),
        )
        X = sparse.csr_matrix(parts, shape=(stop - start, self._shape[0]))
        return Chunk(X, rows, y, weight)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        for column in self._columns.values():
            column.close()
        self._columns.clear()
