"""A zarr store (version 3): a group with ``X``, and ``y`` and ``sample_weight`` where there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SourceError, UsageError
from streamlearn.plan.memory import Term
from streamlearn.write.base import Written
from streamlearn.write.groups import GroupSize, fixed_bytes
from streamlearn.write.layout import Layout
from streamlearn.write.numbers import Numbers

__all__ = ["COMPRESSIONS", "Side", "ZarrWriter", "codecs", "verified"]

COMPRESSIONS = ("zstd", "gzip", "none")
_CHUNK_BYTES = 4 << 20
_SIDE_BYTES = 1 << 20


class ZarrWriter:
    """Writes chunks of whole rows, or shards of such chunks, one after the other.

    Parameters
    ----------
    layout : Layout
    compression : str
    shard_bytes : int, optional
        Decoded bytes of a shard; none by default.

    Raises
    ------
    UsageError
        If columns are not numbers.
    """

    def __init__(self, layout: Layout, *, compression: str, shard_bytes: int | None) -> None:
        if compression not in COMPRESSIONS:
            raise UsageError(
                f"compression={compression!r} is not one of zarr's: {', '.join(COMPRESSIONS)}"
            )
        # Loaded before the plan looks at what the process holds.
        import zarr

        del zarr
        self._layout = layout
        self._compression = compression
        self._numbers: dict[str, Numbers] = {}
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._take_types(layout)
        row = max(1, self._width * self._dtypes["X"].itemsize)
        chunk = max(1, min(_CHUNK_BYTES // row, max(1, layout.data.rows)))
        self._chunk_rows = chunk
        self._shard_rows = None
        if shard_bytes is not None:
            most = max(1, -(-layout.data.rows // chunk))
            self._shard_rows = chunk * max(1, min(shard_bytes // (chunk * row), most))
        self._group_rows = self._shard_rows or chunk
        self._group_bytes = self._group_rows * row
        self.size = GroupSize(most_rows=self._group_rows)
        self._resources = ExitStack()
        self._group: Any = None
        self._X: Any = None
        self._sides: list[Side] = []
        self._place = Path()
        self._rows = 0

    def _take_types(self, layout: Layout) -> None:
        if layout.is_matrix:
            kind = layout.schema.field("X").type
            self._width = kind.list_size
            self._dtypes["X"] = np.dtype(kind.value_type.to_pandas_dtype())
            names = {"y": "target", "sample_weight": "weight"}
            for array, name in names.items():
                if name in layout.schema.names:
                    field = Field(name, layout.schema.field(name).type)
                    self._numbers[array] = Numbers(Schema((field,)))
        else:
            schema = layout.data.features
            Numbers(schema)  # names all columns that are no numbers at once
            roles = {"y": layout.target, "sample_weight": layout.weight}
            taken = [name for name in roles.values() if name is not None]
            names_of_X = [name for name in layout.names if name not in taken]
            if not names_of_X:
                raise UsageError("there is no feature to write besides target and weight")
            self._numbers["X"] = Numbers(schema.select(names_of_X))
            self._width = len(names_of_X)
            for array, role in roles.items():
                if role is not None:
                    self._numbers[array] = Numbers(schema.select([role]))
        self._dtypes.update({name: found.dtype for name, found in self._numbers.items()})

    def terms(self) -> tuple[Term, ...]:
        """See `streamlearn.write.base.Writer.terms`."""
        what = "shard" if self._shard_rows else "chunk"
        stored = self._group_rows * sum(
            fixed_bytes(kind) or 0 for kind in self._layout.schema.types
        )
        return (
            Term(f"{what} being gathered", int(2 * stored)),
            Term(f"{what} being encoded", int(3 * self._group_bytes)),
            Term("target and weight", len(self._numbers) * 4 * _SIDE_BYTES),
        )

    def check(self, chunk: Chunk) -> None:
        """Refuse values that the arrays' types cannot hold."""
        if not self._layout.is_matrix:
            for numbers in self._numbers.values():
                numbers.check(chunk, self._layout.data)

    def begin(self, place: Path) -> None:
        """Say where to write, and make the arrays."""
        import zarr

        self._place = place
        # Zarr's own threads would hold as many chunks as there are.
        self._resources.enter_context(
            zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
        )
        self._group = zarr.open_group(zarr.storage.LocalStore(place), mode="w", zarr_format=3)
        self._group.attrs.update(self._attributes())
        rows = self._layout.data.rows
        shards = (self._shard_rows, self._width) if self._shard_rows else None
        self._X = self._array("X", (rows, self._width), (self._chunk_rows, self._width), shards)
        for name in ("y", "sample_weight"):
            if name in self._dtypes:
                each = self._chunk_rows * self._dtypes[name].itemsize
                chunk = self._chunk_rows * max(1, _SIDE_BYTES // each)
                chunk = min(chunk, max(1, rows))
                array = self._array(name, (rows,), (chunk,), None)
                self._sides.append(Side(name, array, chunk))

    def _attributes(self) -> dict[str, Any]:
        if self._layout.is_matrix:
            return {}
        roles = {"target": self._layout.target, "weight": self._layout.weight}
        return {
            "feature_names": self._numbers["X"].schema.names,
            **{role: name for role, name in roles.items() if name is not None},
        }

    def _array(
        self,
        name: str,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        shards: tuple[int, ...] | None,
    ) -> Any:
        return self._group.create_array(
            name,
            shape=shape,
            dtype=self._dtypes[name],
            chunks=chunks,
            shards=shards,
            compressors=codecs(self._compression),
            filters=None,
            fill_value=0,
            # A chunk that is missing is one that was lost.
            config={"write_empty_chunks": True},
        )

    def append(self, group: pa.RecordBatch) -> None:
        """See `streamlearn.write.base.Writer.append`."""
        stop = self._rows + group.num_rows
        for side in self._sides:
            side.append(self._values(side.name, group))
        self._X[self._rows : stop] = (
            self._layout.matrix(group) if self._layout.is_matrix else self._values("X", group)
        )
        self._rows = stop

    def _values(self, name: str, group: pa.RecordBatch) -> NDArray[Any]:
        values = self._numbers[name].fill(group)
        return values if name == "X" else values[:, 0]

    def finish(self) -> Written:
        """See `streamlearn.write.base.Writer.finish`."""
        for side in self._sides:
            side.flush()
        if self._rows < self._layout.data.rows:
            self._X.resize((self._rows, self._width))
            for side in self._sides:
                side.array.resize((self._rows,))
        self.abandon()
        return verified(self._place, self._rows)

    def abandon(self) -> None:
        """See `streamlearn.write.base.Writer.abandon`."""
        self._resources.close()


class Side:
    """Rows of one array, written in its own chunks.

    Parameters
    ----------
    name : str
    array : zarr.Array
    chunk : int
        Rows of a chunk.
    """

    def __init__(self, name: str, array: Any, chunk: int) -> None:
        self.name = name
        self.array = array
        self._chunk = chunk
        self._waiting: list[NDArray[Any]] = []
        self._held = self._done = 0

    def append(self, values: NDArray[Any]) -> None:
        """Take in rows, and write whole chunks."""
        self._waiting.append(values)
        self._held += len(values)
        if self._held >= self._chunk:
            self._write(self._held - self._held % self._chunk)

    def flush(self) -> None:
        """Write what is left."""
        if self._held:
            self._write(self._held)

    def _write(self, rows: int) -> None:
        values = np.concatenate(self._waiting)
        for start in range(0, rows, self._chunk):
            # One chunk at a time: of several, zarr would go on writing some after one has failed.
            stop = min(rows, start + self._chunk)
            self.array[self._done + start : self._done + stop] = values[start:stop]
        self._waiting, self._held = [values[rows:].copy()], self._held - rows
        self._done += rows


def verified(place: Path, rows: int) -> Written:
    """Look at what is there after writing.

    Raises
    ------
    SourceError
        If chunks or rows are not there.
    """
    import zarr

    found = zarr.open_group(zarr.storage.LocalStore(place, read_only=True), mode="r")
    for name, array in found.arrays():
        grid = zip(array.shape, array.shards or array.chunks, strict=True)
        due = prod(-(-size // part) for size, part in grid)
        there = len(_files(place / name)) - 1
        if there < due or array.shape[0] != rows:
            raise SourceError(
                f"{place}/{name}: {there} of {due} files of chunks and {array.shape[0]} of {rows} "
                "rows are there after writing; the disk may be failing"
            )
    files = _files(place)
    return Written(rows, sum(os.stat(file).st_size for file in files), len(files))


def _files(folder: Path) -> list[str]:
    return [os.path.join(place, file) for place, _, files in os.walk(folder) for file in files]


def codecs(compression: str) -> Sequence[Any] | None:
    """Return zarr's codecs of a compression, one of `COMPRESSIONS`."""
    from zarr.codecs import GzipCodec, ZstdCodec

    if compression == "none":
        return None
    return [ZstdCodec(level=3)] if compression == "zstd" else [GzipCodec(level=5)]
