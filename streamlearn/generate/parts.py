"""Rows drawn in fixed blocks, written to parquet parts in flat memory.

Rows are drawn in fixed blocks, each from its own random stream, so row ``i`` depends only on
the seed: neither on how many rows follow it, nor on how they are cut into files and row groups.
Only whole row groups are ever in memory.

The values are those of one version of numpy: numpy keeps its bit streams for good, but may
change how a distribution is drawn from them.
"""

from __future__ import annotations

import operator
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from streamlearn.errors import UsageError

__all__ = [
    "DENSE",
    "FACES",
    "ROWS",
    "TAXI",
    "WORLD",
    "Dice",
    "Doubles",
    "Flags",
    "Floats",
    "Kind",
    "Longs",
    "PartsWriter",
    "Progress",
    "at_least",
    "make_column",
    "seeded_stream",
]

Progress: TypeAlias = Callable[[int], None]
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Longs: TypeAlias = npt.NDArray[np.int64]
Dice: TypeAlias = npt.NDArray[np.uint16]
Flags: TypeAlias = npt.NDArray[np.bool_]

TAXI, DENSE = 1, 2
"""First key of a random stream: the data set."""
WORLD, ROWS = 0, 1
"""Second key: what holds for all rows, or the rows of a block."""
FACES = 1 << 16
"""Faces of the dice that rows are drawn with."""


class Kind(Protocol):
    """What there is to write: a schema, and the rows of one block after another."""

    schema: pa.Schema
    plain: frozenset[str]
    block_rows: int

    def block(self, index: int) -> pa.Table:
        """Rows ``index * block_rows`` up to the next block."""


class PartsWriter:
    """One call: checked arguments, and the loop over files and row groups."""

    def __init__(
        self,
        out: str | os.PathLike[str],
        rows: int,
        seed: int,
        rows_per_file: int,
        rows_per_group: int,
        progress: Progress | None,
    ) -> None:
        self.out = Path(out)
        self.rows = at_least("rows", rows, 1)
        self.seed = at_least("seed", seed, 0)
        self.rows_per_file = at_least("rows_per_file", rows_per_file, 1)
        self.rows_per_group = at_least("rows_per_group", rows_per_group, 1)
        self.progress = progress

    def write(self, kind: Kind) -> list[Path]:
        """Write all files, and show them when all are complete; return their paths."""
        _claim(self.out)
        reader = _Rows(kind)
        names: list[str] = []
        # The leading dot keeps it out of every pattern that looks for data.
        stage = self.out / f".generating.{os.getpid()}"
        stage.mkdir(exist_ok=True)
        try:
            for start in range(0, self.rows, self.rows_per_file):
                stop = min(start + self.rows_per_file, self.rows)
                names.append(f"part-{len(names):05d}.parquet")
                self._write_file(stage / names[-1], kind, reader, start, stop)
            for name in names:
                (stage / name).rename(self.out / name)
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.out)) from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return [self.out / name for name in names]

    def _write_file(self, path: Path, kind: Kind, reader: _Rows, start: int, stop: int) -> None:
        with path.open("xb") as sink:
            with pq.ParquetWriter(
                sink,
                kind.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in kind.schema.names if name not in kind.plain],
            ) as writer:
                for first in range(start, stop, self.rows_per_group):
                    last = min(first + self.rows_per_group, stop)
                    writer.write_table(reader.take(first, last), row_group_size=last - first)
                    if self.progress is not None:
                        self.progress(last)
            sink.flush()
            os.fsync(sink.fileno())


class _Rows:
    """Any range of rows out of fixed blocks, drawing each block once when read in order."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._index = -1
        self._table: pa.Table = None

    def take(self, start: int, stop: int) -> pa.Table:
        size = self._kind.block_rows
        pieces = []
        for index in range(start // size, (stop - 1) // size + 1):
            first = max(start - index * size, 0)
            last = min(stop - index * size, size)
            pieces.append(self._block(index).slice(first, last - first))
        return pa.concat_tables(pieces)

    def _block(self, index: int) -> pa.Table:
        if index != self._index:
            # Let go of the old block first: two at once would double the memory.
            self._table = None
            self._table = self._kind.block(index)
            self._index = index
        return self._table


def at_least(name: str, value: int, least: int) -> int:
    """Return a whole number, or refuse it by name."""
    try:
        number = operator.index(value)
    except TypeError:
        message = f"{name} must be a whole number, got {value!r}"
        raise UsageError(message) from None
    if number < least:
        message = f"{name} must be at least {least}, got {number}"
        raise UsageError(message)
    return number


def _claim(out: Path) -> None:
    if out.exists() and not out.is_dir():
        message = f"{out} is not a directory; choose another place for the files"
        raise UsageError(message)
    out.mkdir(parents=True, exist_ok=True)
    # Old parts among new ones would be read as one data set.
    found = sum(1 for _ in out.glob("part-*.parquet"))
    if found:
        message = (
            f"{out} already holds {found} part-*.parquet; choose another directory or empty it"
        )
        raise UsageError(message)


def seeded_stream(seed: int, *key: int) -> np.random.Generator:
    """Return the random stream of a key, the same for the same seed."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def make_column(
    kind: pa.DataType, values: npt.NDArray[Any], *, valid: pa.Buffer | None = None
) -> pa.Array:
    """Return an Arrow column over the array itself, without a copy."""
    # Not pa.array: it imports pandas wherever that is installed, 50 MB for nothing.
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(values)])
