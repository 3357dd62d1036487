"""dask dataframes and arrays, a partition at a time; and datasets as dask dataframes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SchemaError, SourceError, StreamlearnError, UsageError
from streamlearn.sizes import format_bytes
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.library.arrays import side_of, type_of_target
from streamlearn.source.library.tables import decoded, plain_schema
from streamlearn.source.reconcile import promote

if TYPE_CHECKING:
    from streamlearn.source.dataset import Dataset

__all__ = ["DaskArraySource", "DaskFrameSource", "is_dask_array", "is_dask_frame", "to_dask"]

_FRAME_FACTOR = 3
"""A partition while it is computed, in units of what it is afterwards."""
_FIXED_BYTES = 48 << 20
"""What reading and parsing hold besides, such as the text of a block of CSV (measured)."""
_ARRAY_FIXED_BYTES = 16 << 20


def is_dask_frame(data: Any) -> bool:
    """Whether something is a dask dataframe."""
    return _is_dask(data) and type(data).__name__ == "DataFrame"


def is_dask_array(data: Any) -> bool:
    """Whether something is a dask array."""
    return _is_dask(data) and type(data).__name__ == "Array"


def _is_dask(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] in ("dask", "dask_expr")


def _compute(collection: Any, place: str) -> Any:
    """Compute in the calling thread: what else runs, and what is held, is ours to plan."""
    try:
        return collection.compute(scheduler="synchronous")
    except (MemoryError, StreamlearnError):
        raise
    except Exception as error:
        raise SourceError(f"{place} cannot be computed: {type(error).__name__}: {error}") from error


class DaskFrameSource:
    """Rows of a dask dataframe; a partition is a fragment, computed as it is read.

    Opening computes every partition once, one after the other: nothing else tells how many rows
    and bytes they have. Reading computes a partition again, of the columns wanted only.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
        Its index is no column. Categories are read as their values.

    Raises
    ------
    SourceError
        If a partition cannot be computed.
    SchemaError
        If names repeat, or a column of Python objects mixes types.
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._labels = {str(label): label for label in frame.columns}
        names = [str(label) for label in frame.columns]
        if len(self._labels) != len(names):
            Schema.from_arrow(pa.schema([(name, pa.null()) for name in names]))
        self._lock = Lock()
        self._largest = dict.fromkeys(names, 0)
        self._longest = dict.fromkeys(names, 0.0)
        meta = plain_schema(pa.Schema.from_pandas(frame._meta, preserve_index=False))
        # What objects and categories hold is known when they are computed.
        types = {
            name: None if str(frame.dtypes[label]) in ("object", "category") else kind
            for (name, label), kind in zip(self._labels.items(), meta.types, strict=True)
        }
        found = {name: (pa.null(), 0) for name, kind in types.items() if kind is None}
        self.fragments: list[Fragment] = []
        first = 0
        for part in range(frame.npartitions):
            values = self._partition(part, names)
            self._measure(values)
            self._learn_types(values, part, found)
            if len(values):
                index = len(self.fragments)
                self.fragments.append(Fragment(index, "dask", part, first, len(values)))
            first += len(values)
        self.schema = Schema(
            tuple(Field(name, kind or found[name][0]) for name, kind in types.items())
        )
        self.fingerprint = hashlib.sha256(f"{frame._name}|{first}".encode()).hexdigest()

    def _partition(self, part: int, names: Sequence[str]) -> Any:
        # The optimizer shares its expressions among threads.
        with self._lock:
            labels = [self._labels[name] for name in names]
            lazy = self._frame[labels].get_partition(part).optimize()
        return _compute(lazy, f"partition {part} of the dask dataframe")

    def _measure(self, values: Any) -> None:
        used = values.memory_usage(index=False, deep=True).to_numpy()
        for name, size in zip(self._largest, used, strict=True):
            self._largest[name] = max(self._largest[name], int(size))
            self._longest[name] = max(self._longest[name], int(size) / max(1, len(values)))

    def _learn_types(
        self, values: Any, part: int, found: dict[str, tuple[pa.DataType, int]]
    ) -> None:
        for name, (before, where) in found.items():
            kind = self._array(values, name, f"partition {part}").type
            both = before if pa.types.is_null(kind) else kind
            if not pa.types.is_null(kind) and not pa.types.is_null(before):
                met = promote(before, kind)
                if met is None:
                    raise SchemaError(
                        f"column {name!r} of the dask dataframe is {before} in partition {where} "
                        f"and {kind} in partition {part}; give it one type with .astype()"
                    )
                both = met
            found[name] = (both, part if both != before else where)

    def _array(
        self, values: Any, name: str, place: str, kind: pa.DataType | None = None
    ) -> pa.Array:
        """Return a column as Arrow, of a type if one is wanted."""
        column = values[self._labels[name]]
        try:
            array = pa.array(column, from_pandas=True)
            if isinstance(array, pa.ChunkedArray):
                array = array.combine_chunks()
            if pa.types.is_dictionary(array.type):
                array = array.dictionary_decode()
            return array if kind is None or array.type.equals(kind) else array.cast(kind)
        except pa.ArrowException as error:
            if isinstance(error, MemoryError):
                raise
            wanted = f", which is not {kind}" if kind is not None else ""
            raise SchemaError(
                f"{place} of the dask dataframe: column {name!r} is {column.dtype}{wanted}: "
                f"{error}; give it one type in every partition with .astype()"
            ) from error

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def lean(self, scratch_dir: str | None) -> DaskFrameSource:
        """See `streamlearn.source.base.Source.lean`: a partition is what it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`: the largest partition is held."""
        held = sum(self._largest[name] for name in columns)
        row = 8.0 + sum(self.schema[name].width_bytes or self._longest[name] for name in columns)
        note = f"largest partition: {format_bytes(held)}; .repartition() makes smaller ones"
        return ReaderCost(_FIXED_BYTES + _FRAME_FACTOR * held, 2 * row, row, note)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        place = f"partition {fragment.part}"
        values = self._partition(fragment.part, columns) if columns else None
        if values is not None and len(values) != fragment.rows:
            raise _changed(f"{place} of the dask dataframe", len(values), fragment.rows)
        for start in range(0, fragment.rows, rows):
            size = min(rows, fragment.rows - start)
            piece = values.iloc[start : start + size] if values is not None else None
            arrays = [self._array(piece, name, place, self.schema[name].type) for name in columns]
            table = pa.RecordBatch.from_arrays(arrays, names=list(columns))
            begin = fragment.first + start
            numbers = np.arange(begin, begin + size, dtype=np.int64)
            yield Chunk(decoded(table, size), numbers)


def _changed(place: str, found: int, before: int) -> SourceError:
    return SourceError(
        f"{place} has {found} rows, and had {before} when it was opened; what computes it must "
        "give the same rows each time"
    )


class DaskArraySource:
    """Rows of a dask array of two dimensions, with an optional target and weight.

    A fragment is a block along the first axis, all columns of it. Where dask does not know how
    many rows the blocks have, opening computes each of them once.

    Parameters
    ----------
    X : dask.array.Array of shape (rows, columns)
    y, weight : dask or NumPy array of shape (rows,), dask series, or path of a .npy file, optional

    Raises
    ------
    SchemaError
        If lengths, dimensions or types do not fit.
    SourceError
        If a block cannot be computed.
    """

    def __init__(self, X: Any, y: Any = None, weight: Any = None) -> None:
        if X.ndim != 2:
            raise SchemaError(
                f"a dask array of shape (rows, columns) is needed, not one of shape {X.shape}; "
                "reshape it with .reshape(-1, 1) if it is a single column"
            )
        if math.isnan(X.shape[1]):
            raise SchemaError(
                "dask does not know how many columns this array has; call "
                ".compute_chunk_sizes() on it first"
            )
        if X.dtype.kind not in "biuf":
            raise SchemaError(
                f"a dask array of numbers is needed, not {X.dtype}; give mixed columns as a "
                "dask dataframe"
            )
        self._X = X
        self._lengths = _lengths(X, "the dask array")
        rows = sum(self._lengths)
        self._y = self._side(y, "target", rows)
        self._weight = self._side(weight, "weight", rows)
        kind = pa.from_numpy_dtype(X.dtype)
        self.schema = Schema(tuple(Field(str(i), kind) for i in range(X.shape[1])), named=False)
        self._row_bytes = X.shape[1] * X.dtype.itemsize
        self.fragments: list[Fragment] = []
        first = 0
        for part, length in enumerate(self._lengths):
            if length:
                index = len(self.fragments)
                self.fragments.append(Fragment(index, "dask", part, first, length))
            first += length
        self.fingerprint = self._digest()

    def _side(self, values: Any, what: str, rows: int) -> Any:
        if hasattr(values, "to_dask_array"):
            values = values.to_dask_array()
        if not is_dask_array(values):
            return side_of(values, what, rows, "the dask array")
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        unknown = any(math.isnan(size) for size in values.shape)
        lengths = _lengths(values, f"the {what}") if values.ndim == 1 else []
        if values.ndim != 1 or sum(lengths) != rows:
            shape = (sum(lengths),) if values.ndim == 1 else values.shape
            raise SchemaError(f"the {what} must have shape ({rows},), one value a row, not {shape}")
        if unknown and lengths != self._lengths:
            raise SchemaError(
                f"the blocks of the {what} have {_few(lengths)} rows and those of the array "
                f"{_few(self._lengths)}; call .compute_chunk_sizes() on the {what}, so that it "
                "can be cut to fit"
            )
        return values

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self._X.name}|{self._lengths}".encode())
        for side in (self._y, self._weight):
            if is_dask_array(side):
                digest.update(side.name.encode())
            elif side is not None and len(side):
                picks = np.unique(np.linspace(0, len(side) - 1, 64).astype(np.int64))
                digest.update(repr(np.asarray(side[picks]).tolist()).encode())
        return digest.hexdigest()

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

    def lean(self, scratch_dir: str | None) -> DaskArraySource:
        """See `streamlearn.source.base.Source.lean`: a block is what it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`: the largest block is held."""
        del columns
        held = max(self._lengths, default=0) * (self._row_bytes + 16)
        # Blocks beside each other are put together to rows.
        copies = 2 if self._X.numblocks[1] == 1 else 3
        note = f"largest block: {format_bytes(held)}; .rechunk((rows, -1)) makes smaller ones"
        row = 16.0 + self._row_bytes
        return ReaderCost(_ARRAY_FIXED_BYTES + copies * held, row, row, note)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        if list(columns) != self.schema.names:
            raise UsageError("a matrix is read with all its columns")
        place = f"block {fragment.part} of the dask array"
        block = np.asarray(_compute(self._X.blocks[fragment.part], place))
        if block.shape != (fragment.rows, len(columns)):
            raise _changed(place, len(block), fragment.rows)
        y, weight = self._values(self._y, fragment), self._values(self._weight, fragment)
        for start in range(0, fragment.rows, rows):
            part = slice(start, min(start + rows, fragment.rows))
            yield Chunk(
                block[part],
                np.arange(fragment.first + start, fragment.first + part.stop, dtype=np.int64),
                None if y is None else y[part],
                None if weight is None else weight[part].astype(np.float64),
            )

    def _values(self, side: Any, fragment: Fragment) -> Any:
        """Return the values of a fragment's rows of target or weight."""
        stop = fragment.first + fragment.rows
        if side is None or not is_dask_array(side):
            return None if side is None else np.asarray(side[fragment.first : stop])
        whole = math.isnan(side.shape[0])
        lazy = side.blocks[fragment.part] if whole else side[fragment.first : stop]
        place = f"the target or weight of block {fragment.part} of the dask array"
        values = np.asarray(_compute(lazy, place))
        if len(values) != fragment.rows:
            raise _changed(place, len(values), fragment.rows)
        return values


def _lengths(array: Any, what: str) -> list[int]:
    """Return the rows of each block; those dask does not know are computed, one by one."""
    return [
        len(_compute(array.blocks[part], f"block {part} of {what}"))
        if math.isnan(length)
        else int(length)
        for part, length in enumerate(array.chunks[0])
    ]


def _few(lengths: Sequence[int]) -> str:
    shown = ", ".join(map(str, lengths[:4]))
    return f"{shown}, ..." if len(lengths) > 4 else shown


def to_dask(dataset: Dataset) -> Any:
    """Return a dataset as a dask dataframe; see `streamlearn.source.dataset.Dataset.to_dask`."""
    import dask.dataframe as dd

    make = _Partition(dataset)
    parts = dataset.fragments
    if not parts:
        return dd.from_pandas(make.empty, npartitions=1)
    return dd.from_map(
        make,
        range(len(parts)),
        meta=make.empty,
        divisions=(*(part.first for part in parts), parts[-1].first + parts[-1].rows - 1),
        label="streamlearn",
    )


class _Partition:
    """Makes the rows of a fragment a pandas frame: what `dask.dataframe.from_map` calls."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        types = {field.name: field.type for field in dataset.features}
        if hasattr(dataset.source, "stored_values"):
            raise UsageError(
                "a sparse matrix is no dask dataframe: its columns would be stored in full; "
                "learn from it as it is"
            )
        if dataset.source.schema.named:
            names = [name for name in (dataset.target, dataset.weight) if name is not None]
            types |= {name: dataset.schema[name].type for name in names}
        else:
            if dataset.target_field is not None:
                types["target"] = dataset.target_field.type
            if dataset.has_weight:
                types["weight"] = pa.float64()
        self._names = list(types)
        self.empty = pa.schema(list(types.items())).empty_table().to_pandas()
        self.empty.index = self.empty.index.astype(np.int64)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        data = self._dataset
        roles = (data.target, data.weight, str(data.where), str(data.derive), data.drop_missing)
        return ("streamlearn", data.source.fingerprint, *roles, *self._names)

    def __call__(self, part: int, columns: Sequence[str] | None = None) -> Any:
        import pandas as pd

        names = self._names if columns is None else list(columns)
        data = self._dataset
        features = names if data.source.schema.named else data.features.names
        chunks = data.read(data.fragments[part], features, 65_536, roles=not data.schema.named)
        pieces = [self._frame(chunk, names) for chunk in chunks]
        return pd.concat(pieces) if pieces else self.empty[names]

    def _frame(self, chunk: Chunk, names: Sequence[str]) -> Any:
        import pandas as pd

        if isinstance(chunk.X, pa.RecordBatch):
            frame = chunk.X.to_pandas()
            frame.index = pd.Index(chunk.rows)
            return frame
        frame = pd.DataFrame(chunk.X, index=chunk.rows, columns=self._dataset.features.names)
        for name, values in (("target", chunk.y), ("weight", chunk.weight)):
            if values is not None:
                frame[name] = pd.Series(values, chunk.rows, dtype=self.empty[name].dtype)
        return frame[list(names)]
