"""Stores of zarr: arrays, and groups of them.

An array is a matrix; a group ``X``, ``y`` a matrix with its target; any other group a table whose
columns are its variables, flattened over their named axes.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import DataError, SchemaError, SourceError
from streamlearn.sizes import format_bytes
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.zarr.grid import Grid, GridReader
from streamlearn.source.zarr.opening import open_store, opening

__all__ = ["ZarrSource"]

_FRAGMENT_ROWS = 131_072
_FRAGMENT_BYTES = 64 << 20
_BOX_BYTES = 8 << 20
"""Of one variable that a table's fragment holds decoded, where its chunks allow it."""
_WEIGHTS = ("sample_weight", "weight")


@dataclass(frozen=True)
class _Piece:
    """A fragment of a table: one index of each axis before ``axis``, a range of that one."""

    before: tuple[int, ...]
    axis: int
    start: int
    stop: int


class ZarrSource:
    """Rows of a zarr store.

    Parameters
    ----------
    data : path, zarr.Array or zarr.Group
    target, weight : str, optional
        Of a group with a matrix ``X``: names of its arrays of shape (rows,); by default ``y``,
        and ``sample_weight`` where there is one.
    fill_absent : bool
        Whether chunks that are not stored are all fill value. By default that is so only where
        the fill value is NaN.

    Raises
    ------
    SourceError
        If there is no zarr store.
    SchemaError
        If shapes do not fit.
    """

    def __init__(
        self,
        data: Any,
        target: str | None = None,
        weight: str | None = None,
        *,
        fill_absent: bool = False,
    ) -> None:
        self._fill_absent = fill_absent

        self._name = os.fspath(data) if isinstance(data, str | os.PathLike) else str(data)
        self._notes: tuple[str, ...] = ()
        self._target: Grid | None = None
        self._weight: Grid | None = None
        self._pieces: list[_Piece] = []
        self._axes: dict[str, tuple[int, ...]] = {}
        self._row_bytes: dict[str, float] = {}
        self._columns: dict[str, Grid] = {}
        try:
            with opening(data):
                self._take(open_store(data, self._name), target, weight)
        except (DataError, MemoryError):
            raise
        except Exception as error:
            raise SourceError(
                f"{self._name}: cannot be read as zarr: {type(error).__name__}: {error}"
            ) from error
        self.fingerprint = self._digest()

    def _take(self, opened: Any, target: str | None, weight: str | None) -> None:
        """Find out what the store holds: a matrix, one with sides, or a table."""
        import zarr

        if isinstance(opened, zarr.Array):
            self._columns = {"": self._grid(opened, "")}
            self._as_matrix(self._columns[""])
        elif "X" in opened and isinstance(opened["X"], zarr.Array) and opened["X"].ndim == 2:
            self._columns = {"": self._grid(opened["X"], "X")}
            self._as_matrix(self._columns[""])
            names = sorted(name for name, _ in opened.arrays())
            self._target = self._side(opened, target, ["y"], names, "target")
            self._weight = self._side(opened, weight, _WEIGHTS, names, "weight")
        else:
            self._refuse_lost_members(opened)
            self._as_table(opened)

    def _refuse_lost_members(self, group: Any) -> None:
        """Refuse a folder that is no member: its metadata was lost, and its values with it."""
        root = Path(self._name)
        if not root.is_dir():
            return
        known = {name for name, _ in group.members()}
        for item in sorted(root.iterdir()):
            if item.is_dir() and not item.name.startswith(".") and item.name not in known:
                raise SourceError(
                    f"{item}: this folder of the group has no metadata of its own (zarr.json or "
                    ".zarray); bring it back, or move the folder away if it is none of the group's"
                )

    def _grid(self, array: Any, name: str) -> Grid:
        place = f"{self._name}/{name}" if name else self._name
        if array.dtype.kind not in "biuf":
            raise SchemaError(f"{place}: an array of numbers is needed, not {array.dtype}")
        return Grid(array, place, self._fill_absent)

    def _as_matrix(self, grid: Grid) -> None:
        if len(grid.shape) != 2:
            raise SchemaError(
                f"{grid.name}: an array of shape (rows, columns) is needed, not one of shape "
                f"{grid.shape}"
            )
        rows, width = grid.shape
        kind = pa.from_numpy_dtype(grid.dtype.newbyteorder("="))
        self.schema = Schema(tuple(Field(str(at), kind) for at in range(width)), named=False)
        row_bytes = max(1, width * grid.dtype.itemsize)
        step = (grid.shard or grid.chunk)[0]
        most = min(_FRAGMENT_ROWS, _FRAGMENT_BYTES // row_bytes)
        self._cut_rows(rows, step * max(1, most // step))

    def _cut_rows(self, rows: int, step: int) -> None:
        self.fragments = [
            Fragment(index, self._name, index, first, min(step, rows - first))
            for index, first in enumerate(range(0, rows, step))
        ]

    def _side(
        self,
        group: Any,
        asked: str | None,
        usual: Sequence[str],
        names: Sequence[str],
        what: str,
    ) -> Grid | None:
        name = asked or next((name for name in usual if name in names), None)
        if name is None:
            return None
        if name not in names:
            raise SchemaError(
                f"{self._name}: the {what} {name!r} is not an array of this group; its arrays "
                f"are: {', '.join(names)}"
            )
        found = self._grid(group[name], name)
        rows = self._columns[""].shape[0]
        if found.shape != (rows,):
            raise SchemaError(
                f"{found.name}: the {what} must have shape ({rows},), one value a row, not "
                f"{found.shape}"
            )
        return found

    def _as_table(self, group: Any) -> None:
        arrays = dict(sorted(group.arrays()))
        numeric = {n: a for n, a in arrays.items() if a.dtype.kind in "biuf" and a.ndim > 0}
        if not numeric:
            raise SchemaError(f"{self._name}: this group has no array of numbers")
        dims = {name: _dimensions(array) for name, array in numeric.items()}
        main = max(numeric, key=lambda name: (prod(numeric[name].shape), numeric[name].ndim))
        names = dims[main] or tuple(f"axis {at}" for at in range(numeric[main].ndim))
        sizes = dict(zip(names, numeric[main].shape, strict=True))
        left_out = sorted(set(arrays) - set(numeric))
        for name, array in numeric.items():
            own = dims[name] or (names if array.shape == numeric[main].shape else ())
            fits = own and all(
                sizes.get(dim) == size for dim, size in zip(own, array.shape, strict=True)
            )
            places = tuple(names.index(dim) for dim in own) if fits else ()
            if not fits or list(places) != sorted(places):
                left_out.append(name)
                continue
            self._columns[name] = self._grid(array, name)
            self._axes[name] = places
        if left_out:
            self._notes = (
                f"{', '.join(map(repr, left_out))}: left out, for their axes are not among those "
                f"of {main!r} ({', '.join(names)}), or they hold no numbers",
            )
        self.schema = Schema(
            tuple(
                Field(name, pa.from_numpy_dtype(grid.dtype.newbyteorder("=")))
                for name, grid in self._columns.items()
            )
        )
        self._shape = numeric[main].shape
        self._main = self._columns[main]
        self._cut(self._main, _FRAGMENT_ROWS)

    def _cut(self, grid: Grid, rows_wanted: int) -> None:
        """Cut the axes into fragments of whole chunks, as few as are not too large to hold."""
        shape, chunk = grid.shape, grid.shard or grid.chunk
        axis = 0
        while axis < len(shape) - 1:
            if chunk[axis] * prod(shape[axis + 1 :]) * grid.dtype.itemsize <= _BOX_BYTES:
                break
            axis += 1
        row = prod(shape[axis + 1 :])
        step = chunk[axis] * max(1, rows_wanted // max(1, chunk[axis] * row))
        first = 0
        self.fragments, self._pieces = [], []
        for before in np.ndindex(*shape[:axis]):
            for start in range(0, shape[axis], step):
                stop = min(start + step, shape[axis])
                self._pieces.append(_Piece(tuple(before), axis, start, stop))
                rows = (stop - start) * row
                self.fragments.append(
                    Fragment(len(self.fragments), self._name, len(self.fragments), first, rows)
                )
                first += rows

    def fine(self) -> ZarrSource:
        """Return the same source with a fragment for each row of chunks, however small."""
        found = copy.copy(self)
        if self.schema.named:
            found._cut(self._main, 1)
        else:
            grid = self._columns[""]
            found._cut_rows(grid.shape[0], grid.chunk[0])
        return found

    @property
    def target_type(self) -> pa.DataType | None:
        """Type of the target that comes with a matrix, or None."""
        if self._target is None:
            return None
        return pa.from_numpy_dtype(self._target.dtype.newbyteorder("="))

    @property
    def has_weight(self) -> bool:
        """Whether a weight comes with a matrix."""
        return self._weight is not None

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        named = self.schema.named
        grids = [self._columns[name] for name in columns] if named else [self._columns[""]]
        found = [
            f"{grid.name}: {grid.absent:,} of its chunk files are not stored, and are read as the "
            f"fill value {grid.fill}"
            for grid in grids
            if grid.absent
        ]
        packed = [
            grid.name for grid in grids if {"scale_factor", "add_offset"} & {*grid.array.attrs}
        ]
        if packed:
            found.append(f"{', '.join(packed)}: scale_factor and add_offset are not applied")
        return (*self._notes, *found)

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name, grid in self._columns.items():
            digest.update(f"{name}|{grid.shape}|{grid.dtype.str}|{grid.stamp()};".encode())
        for side in (self._target, self._weight):
            if side is not None:
                digest.update(f"{side.shape}|{side.dtype.str}|{side.stamp()};".encode())
        return digest.hexdigest()

    def lean(self, scratch_dir: str | None) -> ZarrSource:
        """See `streamlearn.source.base.Source.lean`: chunks are what they are."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        if not self.schema.named:
            grid = self._columns[""]
            row = len(columns) * grid.dtype.itemsize + 24.0
            return self._cost_of([grid], row, row, self._across(columns))
        grids = [self._columns[name] for name in columns]
        row = float(sum(grid.dtype.itemsize for grid in grids)) + 8.0
        held = max((fragment.rows for fragment in self.fragments), default=0) * row
        found = self._cost_of(grids, 2 * row, row)
        return ReaderCost(found.fixed_bytes + int(held), 2 * row, row, found.note)

    def _cost_of(
        self, grids: Sequence[Grid], row_bytes: float, chunk_row: float, across: int = 1
    ) -> ReaderCost:
        """``across`` is how many chunks next to each other are held of a matrix."""
        fixed, note = 2 << 20, ""
        largest = max(grids, key=lambda grid: grid.chunk_bytes, default=None)
        for grid in grids:
            if not grid.direct:
                fixed += 4 * grid.chunk_bytes * max(1, -(-grid.shape[-1] // grid.chunk[-1]))
            elif not grid.raw:
                # Decoded chunks that are given out bit by bit, and one as stored.
                fixed += grid.chunk_bytes * across + grid.held_bytes
        if largest is not None and largest.chunk_bytes > 32 << 20 and not largest.raw:
            note = f"chunks of {format_bytes(largest.chunk_bytes)} in {largest.name}"
        return ReaderCost(fixed, row_bytes, chunk_row, note)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        if self.schema.named:
            yield from self._read_table(fragment, columns, rows)
            return
        grid = self._columns[""]
        sides = (self._target, self._weight)
        parts = [(GridReader(grid), *part) for part in self._parts(columns)]
        y_values, weights = (None if side is None else GridReader(side) for side in sides)
        end = fragment.first + fragment.rows
        at = fragment.first
        while at < end:
            stop = min(at + rows, end)
            # Whole chunks decode straight into place.
            if stop < end and stop - at > grid.chunk[0] and stop % grid.chunk[0]:
                stop -= stop % grid.chunk[0]
            weight = None if weights is None else weights.read([(at, stop)]).astype(np.float64)
            yield Chunk(
                _side_by_side(
                    [
                        values.read([(at, stop), (first, last)])[:, picks]
                        for values, first, last, picks in parts
                    ]
                ),
                np.arange(at, stop, dtype=np.int64),
                None if y_values is None else y_values.read([(at, stop)]),
                weight,
            )
            at = stop

    @property
    def picks_columns(self) -> bool:
        """Whether columns of the matrix can be read without the others."""
        return True

    def _across(self, columns: Sequence[str]) -> int:
        """Return how many chunks, one next to the other, hold these columns."""
        width = self._columns[""].chunk[1]
        return len({int(name) // width for name in columns})

    def _parts(self, columns: Sequence[str]) -> Iterator[tuple[int, int, slice | NDArray[np.intp]]]:
        """Yield ranges of columns that lie in chunks next to each other, and what is picked of them."""
        positions = np.array([int(name) for name in columns], np.intp)
        if len(positions) == len(self.schema):
            yield 0, len(positions), slice(None)
            return
        chunks = positions // self._columns[""].chunk[1]
        for run in np.split(positions, np.flatnonzero(np.diff(chunks) > 1) + 1):
            first, last = int(run[0]), int(run[-1]) + 1
            yield first, last, run - first

    def _read_table(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        piece = self._pieces[fragment.part]
        box = [
            *((at, at + 1) for at in piece.before),
            (piece.start, piece.stop),
            *((0, size) for size in self._shape[piece.axis + 1 :]),
        ]
        arrays = [self._flat(name, box) for name in columns]
        for start in range(0, fragment.rows, rows):
            stop = min(start + rows, fragment.rows)
            first = fragment.first + start
            values = [pa.array(array[start:stop]) for array in arrays]
            table = pa.RecordBatch.from_arrays(values, names=list(columns))
            yield Chunk(table, np.arange(first, first + stop - start, dtype=np.int64))

    def _flat(self, name: str, box: Sequence[tuple[int, int]]) -> NDArray[Any]:
        """Return a variable over the box, its missing axes repeated, one value a row."""
        places = self._axes[name]
        values = GridReader(self._columns[name]).read([box[place] for place in places])
        shape = [stop - start for start, stop in box]
        if len(places) < len(shape):
            open_shape = [shape[at] if at in places else 1 for at in range(len(shape))]
            values = np.broadcast_to(values.reshape(open_shape), shape)
        return np.ascontiguousarray(values).reshape(-1)


def _side_by_side(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _dimensions(array: Any) -> tuple[str, ...]:
    """Return the names of an array's axes, of either format; none where there are none."""
    named = getattr(array.metadata, "dimension_names", None)
    if named is None:
        named = array.attrs.get("_ARRAY_DIMENSIONS")
    if not named or any(name is None for name in named):
        return ()
    return tuple(str(name) for name in named)
