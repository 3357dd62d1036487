"""Numbers sorted on disk, in bounded memory: for metrics that are asked for exactly."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError

__all__ = ["BUFFER_ROWS", "SortedRuns", "starts_of"]

Floats = NDArray[np.float64]

_ROW = 2
"""Numbers a row: what is sorted by, and what goes with it."""
BUFFER_ROWS = 262_144


class SortedRuns:
    """Pairs of numbers in the order of the first, whatever their count.

    Rows are kept until ``buffer_rows`` are there, and then sorted and written as a run, to a file
    that is unlinked from the start: 16 bytes a row on disk. Rows of one key whose numbers have
    the same sign become one, with the sum. Reading merges all runs, a block of each at a time.
    Memory is at most 96 ``buffer_rows`` bytes: 24 MiB by default.

    Parameters
    ----------
    folder : path, optional
        Where to keep the file; the system's temporary folder by default.
    buffer_rows : int

    Examples
    --------
    >>> runs = SortedRuns(buffer_rows=2)
    >>> runs.add(np.array([3.0, 1.0, 2.0]), np.array([30.0, 10.0, 20.0]))
    >>> np.vstack(list(runs.blocks())).tolist()
    [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, buffer_rows: int = BUFFER_ROWS
    ) -> None:
        self._folder = folder
        self._buffer_rows = buffer_rows
        self._file: IO[bytes] | None = None
        self._buffer = np.empty((0, _ROW))
        self._held = 0
        self._ends: list[int] = []
        self.rows = 0

    def add(self, keys: Floats, values: Floats) -> None:
        """Take in rows.

        Parameters
        ----------
        keys, values : array of float, shape (rows,)
            Keys must not be NaN, nor values 0.

        Raises
        ------
        UsageError
            If the disk is full.
        """
        self.rows += len(keys)
        at = 0
        while at < len(keys):
            if not len(self._buffer):
                self._buffer = np.empty((self._buffer_rows, _ROW))
            take = min(len(keys) - at, self._buffer_rows - self._held)
            place = slice(self._held, self._held + take)
            self._buffer[place, 0] = keys[at : at + take]
            self._buffer[place, 1] = values[at : at + take]
            self._held += take
            at += take
            if self._held == self._buffer_rows:
                self._write()

    def _write(self) -> None:
        if not self._held:
            return
        try:
            self._append(_sorted(self._buffer[: self._held]))
        except OSError as error:
            raise UsageError(
                f"sorting {self.rows:,} rows on disk in {self._folder or tempfile.gettempdir()}: "
                f"{error.strerror or error}; name another folder with scratch_dir= or "
                "--scratch-dir, or do without exact metrics"
            ) from error
        self._held = 0

    def _append(self, run: Floats) -> None:
        if self._file is None:
            if self._folder is not None:
                os.makedirs(self._folder, exist_ok=True)  # noqa: PTH103 - of any path-like
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed below
            weakref.finalize(self, self._file.close)
        self._file.seek(0, os.SEEK_END)
        self._file.write(run.data)
        self._file.flush()
        self._ends.append((self._ends[-1] if self._ends else 0) + len(run))

    def merge(self, other: SortedRuns) -> None:
        """Take in the rows of another."""
        for block in other.blocks():
            self.add(block[:, 0], block[:, 1])

    def blocks(self) -> Iterator[Floats]:
        """Yield all rows in order, shape (some, 2); those of one key are never in two blocks."""
        if not self._ends:
            if self._held:
                yield _sorted(self._buffer[: self._held])
            return
        self._write()
        self._buffer = np.empty((0, _ROW))
        begins = [0, *self._ends[:-1]]
        room = max(16, self._buffer_rows // len(self._ends))
        runs = [_Run(self, begin, end, room) for begin, end in zip(begins, self._ends, strict=True)]
        while runs:
            # Everything up to the least last key on hand is on hand.
            limit = min(run.last for run in runs)
            yield _sorted(np.vstack([part for run in runs for part in run.up_to(limit)]))
            runs = [run for run in runs if not run.is_done]

    def read(self, start: int, stop: int) -> Floats:
        """Read rows of the file."""
        assert self._file is not None
        out = np.empty((stop - start, _ROW))
        self._file.seek(start * out.itemsize * _ROW)
        data = out.reshape(-1).view(np.uint8).data
        got = self._file.readinto(data)  # type: ignore[attr-defined]
        if got != len(data):
            raise OSError("the file of sorted rows is shorter than what was written to it")
        return out


def starts_of(keys: Floats) -> NDArray[np.intp]:
    """Return where each new key of sorted keys begins."""
    return np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])


def _sorted(rows: Floats) -> Floats:
    """Sort rows, and add up those of one key and sign: ties take no room, however many."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    starts = starts_of(rows[:, 0])
    if len(starts) == len(rows):
        return rows
    out = np.empty((2 * len(starts), _ROW))
    out[:, 0] = np.repeat(rows[starts, 0], 2)
    out[::2, 1] = np.add.reduceat(np.maximum(rows[:, 1], 0.0), starts)
    out[1::2, 1] = np.add.reduceat(np.minimum(rows[:, 1], 0.0), starts)
    return np.ascontiguousarray(out[out[:, 1] != 0])


class _Run:
    """One sorted run, read block by block."""

    def __init__(self, runs: SortedRuns, begin: int, end: int, room: int) -> None:
        self._runs = runs
        self._at = begin
        self._end = end
        self._room = room
        self._block = np.empty((0, _ROW))
        self._fill()

    def _fill(self) -> None:
        stop = min(self._end, self._at + self._room - len(self._block))
        self._block = np.vstack([self._block, self._runs.read(self._at, stop)])
        self._at = stop

    @property
    def last(self) -> float:
        return float(self._block[-1, 0])

    @property
    def is_done(self) -> bool:
        return not len(self._block)

    def up_to(self, limit: float) -> Iterator[Floats]:
        """Yield the rows up to a key, and have some of the others on hand."""
        while True:
            cut = int(np.searchsorted(self._block[:, 0], limit, side="right"))
            if cut:
                yield self._block[:cut]
            self._block = self._block[cut:]
            if 2 * len(self._block) < self._room and self._at < self._end:
                self._fill()
            if not len(self._block) or self._block[0, 0] > limit:
                return
