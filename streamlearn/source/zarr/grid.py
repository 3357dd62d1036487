"""One zarr array, read box by box: from its files straight where its format is a plain one.

zarr-python reads whole chunk files into new bytes, decodes them into new arrays and copies those.
For arrays on a local disk whose chunks are raw little-endian values, or such values compressed by
zstd, blosc, gzip or lz4, and for shards of them, the bytes wanted are read into place, or decoded
into place. Everything else goes through zarr.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import SourceError
from streamlearn.source.zarr.stored_chunk import (
    STREAMED_BYTES,
    as_bytes,
    check_crc,
    decode,
    plain_codecs,
    read_into,
)

__all__ = ["Box", "Grid", "GridReader"]

Box = Sequence[tuple[int, int]]
"""Start and stop along each axis."""
_ABSENT = 2**64 - 1
_CHECKSUM_BYTES = 4


class Grid:
    """What there is to know of a zarr array before any chunk is read.

    Parameters
    ----------
    array : zarr.Array
        Of numbers or booleans.
    name : str
        For messages.
    fill_absent : bool
        Whether chunks that are not stored are known to be all fill value. Where that is NaN they
        are missing values in any case, and nothing is made up.
    """

    def __init__(self, array: Any, name: str, fill_absent: bool = False) -> None:
        self.array = array
        self.name = name
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.chunk: tuple[int, ...] = tuple(array.chunks)
        self.shard: tuple[int, ...] | None = tuple(array.shards) if array.shards else None
        self.fill: Any = array.metadata.fill_value
        self.fills = fill_absent or _is_nan(self.fill)
        """Whether a chunk that is not stored may be read as the fill value."""
        self.codecs: list[Any] | None = None
        """Decoders of a chunk's bytes, last first; None: only zarr can read it."""
        self._folder = _local_folder(array)
        if self._folder is not None:
            self.codecs = plain_codecs(array)
        self._latest_ns = 0
        self.largest_file = 0
        """Bytes of the largest file of a chunk or shard, where files are local."""
        self._stored: NDArray[np.bool_] | None = None
        self._stamp = "" if self._folder is None else self._look(self._folder)
        if self.codecs is None and not self.fills:
            absent = array.nchunks - array.nchunks_initialized
            if absent:
                raise self.lost(f"{absent:,} of its {array.nchunks:,} chunks are")

    @property
    def direct(self) -> bool:
        """Whether chunks are read without zarr."""
        return self.codecs is not None

    @property
    def raw(self) -> bool:
        """Whether chunks are stored as they are in memory."""
        return self.codecs == []

    @property
    def streamed(self) -> str | None:
        """Codec of large chunks that are decoded as they are read; None where that cannot be."""
        if self.codecs is None or len(self.codecs) != 1:
            return None
        return {"zstd": "zstd", "gzip": "gzip"}.get(getattr(self.codecs[0], "codec_id", ""))

    @property
    def held_bytes(self) -> int:
        """Bytes of a chunk as stored that are held while it is decoded, at most."""
        stored = min(self.largest_file, 256 << 20, int(1.1 * self.chunk_bytes))
        return min(stored, STREAMED_BYTES) if self.streamed else stored

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of a chunk."""
        return prod(self.chunk) * self.dtype.itemsize

    def file(self, index: Sequence[int]) -> Path:
        """Return the file of a chunk (or shard)."""
        assert self._folder is not None
        return Path(self._folder, self.array.metadata.encode_chunk_key(tuple(index)))

    @property
    def absent(self) -> int:
        """Chunk files that are not stored, as far as is known."""
        return 0 if self._stored is None else int(self._stored.size - self._stored.sum())

    def stat(self, index: Sequence[int]) -> os.stat_result | None:
        """Look at the file of a chunk (or shard); None where it has never been stored.

        Raises
        ------
        SourceError
            If it has gone, come or changed since the array was opened.
        """
        file = self.file(index)
        was = self._stored is None or bool(self._stored[tuple(index)])
        try:
            found = os.stat(file)
        except FileNotFoundError:
            if self._stored is not None and was:
                raise SourceError(
                    f"{file}: the chunk has gone since the store was opened; let nothing write to "
                    "it meanwhile"
                ) from None
            return None
        except OSError as error:
            raise SourceError(f"{file}: the chunk cannot be read: {error.strerror}") from error
        if not was or found.st_mtime_ns > self._latest_ns:
            raise SourceError(
                f"{file}: the chunk was written after the store was opened; let nothing write to "
                "it meanwhile"
            )
        return found

    def lost(self, what: str) -> SourceError:
        """Return the error for chunks that should be there."""
        fill = "a value that is not defined" if self.fill is None else f"all {self.fill}"
        return SourceError(
            f"{self.name}: {what} not stored; if they are {fill}, say so with fill_absent=True or "
            "--fill-absent, otherwise the store has lost them"
        )

    def stamp(self) -> str:
        """Return what changes whenever the stored chunks do, as far as can be told cheaply."""
        return self._stamp

    def _look(self, root: Path) -> str:
        """Note which chunk files there are; return what changes when they do."""
        whole = zip(self.shape, self.shard or self.chunk, strict=True)
        self._stored = np.zeros([-(-size // part) for size, part in whole], bool)
        count = size = 0
        for folder, _, files in os.walk(root):
            for file in files:
                path = os.path.join(folder, file)
                status = os.stat(path)
                count, size = count + 1, size + status.st_size
                self._latest_ns = max(self._latest_ns, status.st_mtime_ns)
                if file != "zarr.json" and not file.startswith(".z"):
                    self._note(path, os.path.relpath(path, root))
                    self.largest_file = max(self.largest_file, status.st_size)
        return f"{count}|{size}|{self._latest_ns}"

    def _note(self, path: str, key: str) -> None:
        assert self._stored is not None
        index = tuple(int(part) for part in re.findall(r"\d+", key))
        if len(index) != self._stored.ndim and self._stored.size:
            return  # no chunk of this array: a file of the system, or of an editor
        if any(at >= size for at, size in zip(index, self._stored.shape, strict=False)):
            raise SourceError(
                f"{path}: a chunk is stored where the shape {self.shape} in chunks of "
                f"{self.shard or self.chunk} has none: shape or chunks are not those the array "
                "was written with"
            )
        self._stored[index] = True


def _is_nan(value: Any) -> bool:
    return value is not None and bool(np.asarray(value != value).all())  # noqa: PLR0124 - NaN


def _local_folder(array: Any) -> Path | None:
    from zarr.storage import LocalStore

    if not isinstance(array.store, LocalStore):
        return None
    return Path(array.store.root, array.path)


class GridReader:
    """Reads boxes of one array, one after the other; remembers the last decoded chunk rows.

    Not for several threads at once; make one for each.

    Parameters
    ----------
    grid : Grid
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._kept: dict[tuple[int, ...], NDArray[Any]] = {}
        self._indexes: dict[tuple[int, ...], NDArray[np.uint64] | None] = {}

    def read(self, box: Box, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the values of a box.

        Parameters
        ----------
        box : sequence of (start, stop)
            One for each axis.
        out : array of the box's shape, optional
            C-contiguous, of the array's dtype.

        Raises
        ------
        SourceError
            If a chunk cannot be read, with its file.
        """
        grid = self._grid
        shape = tuple(stop - start for start, stop in box)
        if out is None:
            out = np.empty(shape, grid.dtype)
        if not grid.direct:
            out[...] = self._by_zarr(box)
            return out
        spans = [
            range(start // size, -(-stop // size))
            for (start, stop), size in zip(box, grid.chunk, strict=True)
        ]
        needed = set(itertools.product(*spans))
        for index in [key for key in self._kept if key not in needed]:
            del self._kept[index]
        for index in itertools.product(*spans):
            self._place(index, box, out)
        return out

    def _by_zarr(self, box: Box) -> NDArray[Any]:
        import zarr

        selection = tuple(slice(start, stop) for start, stop in box)
        try:
            with zarr.config.set({"async.concurrency": 1}):
                return np.asarray(self._grid.array[selection])
        except Exception as error:
            raise SourceError(
                f"{self._grid.name}: the values at {_shown(box)} cannot be read: {error}"
            ) from error

    def _place(self, index: tuple[int, ...], box: Box, out: NDArray[Any]) -> None:
        """Bring the part of a chunk that lies in the box to its place."""
        grid = self._grid
        begins = [at * size for at, size in zip(index, grid.chunk, strict=True)]
        inside = [
            (max(start, begin), min(stop, begin + size))
            for (start, stop), begin, size in zip(box, begins, grid.chunk, strict=True)
        ]
        target = tuple(
            slice(start - first, stop - first)
            for (start, stop), (first, _) in zip(inside, box, strict=True)
        )
        source = tuple(
            slice(start - begin, stop - begin)
            for (start, stop), begin in zip(inside, begins, strict=True)
        )
        known = self._kept.get(index)
        if known is not None:
            out[target] = known[source]
            return
        place = self._locate(index)
        if place is None:
            if not grid.fills:
                file = grid.file(index) if grid.shard is None else f"inner chunk {index}"
                raise grid.lost(f"chunk {file} is")
            out[target] = grid.fill
            return
        part = out[target]
        whole = all(
            stop - start == size for (start, stop), size in zip(inside, grid.chunk, strict=True)
        )
        if grid.raw:
            self._read_raw(place, source, part)
        elif whole and part.flags.c_contiguous:
            decode(place, grid.codecs or (), grid.streamed, part)
        else:
            chunk = np.empty(grid.chunk, grid.dtype)
            decode(place, grid.codecs or (), grid.streamed, chunk)
            part[...] = chunk[source]
            # What is left of the chunk along the first axis is asked for next.
            if inside[0][1] < min(begins[0] + grid.chunk[0], grid.shape[0]):
                self._kept[index] = chunk

    def _locate(self, index: tuple[int, ...]) -> tuple[Path, int, int] | None:
        """Return file, offset and length of a chunk's bytes; None where it is not stored."""
        grid = self._grid
        if grid.shard is None:
            status = grid.stat(index)
            return None if status is None else (grid.file(index), 0, status.st_size)
        ratio = [whole // part for whole, part in zip(grid.shard, grid.chunk, strict=True)]
        outer = tuple(at // times for at, times in zip(index, ratio, strict=True))
        table = self._shard_index(outer, prod(ratio))
        if table is None:
            return None
        inner = tuple(at % times for at, times in zip(index, ratio, strict=True))
        offset, length = table[int(np.ravel_multi_index(inner, ratio))]
        if int(offset) == _ABSENT:
            return None
        return grid.file(outer), int(offset), int(length)

    def _shard_index(self, outer: tuple[int, ...], chunks: int) -> NDArray[np.uint64] | None:
        if outer not in self._indexes:
            self._indexes.clear()
            self._indexes[outer] = None
            file = self._grid.file(outer)
            size = 16 * chunks + _CHECKSUM_BYTES
            status = self._grid.stat(outer)
            if status is None:
                return None
            length = status.st_size
            if length < size:
                raise SourceError(f"{file}: a shard of {length} bytes has no room for its index")
            data = bytearray(size)
            read_into(file, length - size, memoryview(data))
            check_crc(file, memoryview(data))
            table = np.frombuffer(data, "<u8", 2 * chunks).reshape(chunks, 2)
            self._indexes[outer] = table
        return self._indexes[outer]

    def _read_raw(
        self, place: tuple[Path, int, int], source: tuple[slice, ...], part: NDArray[Any]
    ) -> None:
        grid = self._grid
        file, offset, length = place
        if length != grid.chunk_bytes:
            raise SourceError(
                f"{file}: a chunk of {grid.chunk_bytes} bytes was expected, and it has {length}"
            )
        first, stop = source[0].start, source[0].stop
        row_bytes = grid.chunk_bytes // grid.chunk[0]
        full = all(
            piece.start == 0 and piece.stop == size
            for piece, size in zip(source[1:], grid.chunk[1:], strict=True)
        )
        if full and part.flags.c_contiguous:
            read_into(file, offset + first * row_bytes, as_bytes(part))
            return
        rows = np.empty((stop - first, *grid.chunk[1:]), grid.dtype)
        read_into(file, offset + first * row_bytes, as_bytes(rows))
        part[...] = rows[(slice(None), *source[1:])]


def _shown(box: Box) -> str:
    return "[" + ", ".join(f"{start}:{stop}" for start, stop in box) + "]"
