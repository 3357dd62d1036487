"""Distinct values and how often each occurs, kept in Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import Accumulator, Growth, column_names
from streamlearn.learn.replay import table_like
from streamlearn.prepare.encode import CategoryIndex

__all__ = ["Categories", "ValueCounts", "arrow_columns"]

_PENDING_VALUES = 65_536
"""Values that wait at least before they are merged with those known."""
_PENDING_PARTS = 256
_PENDING_BYTES = 8 << 20
_HASHED_PARTS = 16
"""Into which many texts are divided, so that one hash table at a time is rebuilt."""
_LARGE_VALUES = 65_536
"""From here on, fitting in memory would cost a multiple of what the categories take."""


class ValueCounts:
    """Distinct values of one column with their counts; missing ones counted apart.

    Numbers are kept sorted in NumPy and merged in place, for they may be millions; anything
    else is kept in Arrow and found by hashing.

    Examples
    --------
    >>> counts = ValueCounts()
    >>> counts.add(pa.array(["b", "a", None, "b"]))
    >>> values, times = counts.result()
    >>> dict(zip(values.to_pylist(), times.tolist())), counts.missing
    ({'b': 2, 'a': 1}, 1)
    """

    def __init__(self) -> None:
        self.missing = 0
        """Nulls and NaN."""
        self._parts: list[_Part] = [_Part()]
        self._pending: list[tuple[pa.Array, NDArray[np.int64]]] = []
        self._waiting = 0
        self._waiting_bytes = 0
        self._kind: pa.DataType | None = None

    def __len__(self) -> int:
        """Return how many distinct values there are at least."""
        return sum(len(part.counts) for part in self._parts)

    def add(self, column: pa.Array) -> None:
        """Take in a column of values."""
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        self.missing += column.null_count
        if column.null_count:
            column = column.drop_null()
        counted = column.value_counts()
        self._push(counted.field(0), np.asarray(counted.field(1)))

    def merge(self, other: ValueCounts) -> None:
        """Take in the values of another."""
        self.missing += other.missing
        for part in other._parts:
            if part.values is not None:
                self._push(part.values, part.counts)
        for values, counts in other._pending:
            self._push(values, counts)

    def _push(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        self._kind = values.type
        self._pending.append((values, counts))
        self._waiting += len(values)
        self._waiting_bytes += values.nbytes + counts.nbytes
        if (
            self._waiting > max(_PENDING_VALUES, len(self) // 8)
            or self._waiting_bytes > max(_PENDING_BYTES, self._held // 4)
            or len(self._pending) > _PENDING_PARTS
        ):
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        values = pa.concat_arrays([values for values, _ in self._pending])
        counts = np.concatenate([counts for _, counts in self._pending])
        self._pending, self._waiting, self._waiting_bytes = [], 0, 0
        if self.is_number:
            self._parts[0].merge_numbers(values.to_numpy(), counts, values.type)
            return
        if len(self._parts) == 1 and len(self) > _PENDING_VALUES and _is_text(values.type):
            whole = self._parts[0]
            self._parts = [_Part() for _ in range(_HASHED_PARTS)]
            self._spread(whole.values, whole.counts)
        self._spread(values, counts)

    def _spread(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        """Give each part its values: rebuilding a hash table then takes one part's memory."""
        if len(self._parts) == 1:
            self._parts[0].merge_hashed(values, counts)
            return
        numbers = _part_numbers(values, len(self._parts))
        for number, part in enumerate(self._parts):
            mine = numbers == number
            if mine.any():
                part.merge_hashed(values.filter(pa.array(mine)), counts[mine])

    def result(self) -> tuple[pa.Array, NDArray[np.int64]]:
        """Return distinct values (none missing) and their counts, in no particular order."""
        self._compact()
        found = [part for part in self._parts if part.values is not None]
        if len(found) < 2:
            return (
                (found[0].values, found[0].counts)
                if found
                else (pa.nulls(0), self._parts[0].counts)
            )
        return (
            pa.concat_arrays([part.values for part in found]),
            np.concatenate([part.counts for part in found]),
        )

    @property
    def _held(self) -> int:
        return sum(part.nbytes for part in self._parts)

    @property
    def nbytes(self) -> int:
        """Bytes held, what merging needs for a moment included."""
        hashing = 0 if self.is_number else _HASH_BYTES * (len(self) + self._waiting)
        return 2 * (self._held + self._waiting_bytes) + hashing // len(self._parts)

    @property
    def is_number(self) -> bool:
        """Whether the values are integers or floats."""
        kind = self._kind
        return kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))

    @property
    def text_bytes(self) -> tuple[int, int]:
        """Bytes a text takes while an encoder is fitted with it, and in the encoder (measured)."""
        length = (self._held + self._waiting_bytes) // max(1, len(self) + self._waiting)
        return 270 + 2 * length, 150 + 2 * length


class _Part:
    """Distinct values and their counts, sorted where they are numbers."""

    def __init__(self) -> None:
        self.values: pa.Array | None = None
        self.counts = np.zeros(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        return 0 if self.values is None else int(self.values.nbytes + self.counts.nbytes)

    def merge_numbers(self, values: NDArray[Any], counts: NDArray[np.int64], kind: Any) -> None:
        order = np.argsort(values, kind="stable")
        values, counts = values[order], counts[order]
        del order
        if len(values):
            first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
            values, counts = values[first], np.add.reduceat(counts, first)
        if self.values is None or not len(self.values):
            self.values, self.counts = pa.array(values, kind), counts
            return
        known = self.values.to_numpy()
        place = np.searchsorted(known, values)
        hit = known[np.minimum(place, len(known) - 1)] == values
        self.counts[place[hit]] += counts[hit]
        if not hit.all():
            new = ~hit
            self.values = pa.array(np.insert(known, place[new], values[new]), kind)
            del known
            self.counts = np.insert(self.counts, place[new], counts[new])

    def merge_hashed(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        if self.values is not None:
            values = pa.concat_arrays([self.values, values])
            counts = np.concatenate([self.counts, counts])
        encoded = values.dictionary_encode()
        # Sums of counts are exact in float64 up to 2**53 rows.
        summed = np.bincount(
            np.asarray(encoded.indices), weights=counts, minlength=len(encoded.dictionary)
        )
        self.values, self.counts = encoded.dictionary, summed.astype(np.int64)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _part_numbers(texts: pa.Array, parts: int) -> NDArray[np.int64]:
    """Spread texts over parts by their length and some of their bytes."""
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(ends)
    mixed = lengths.astype(np.int64) * 31
    if data is not None and data.size:
        letters = np.frombuffer(data, np.uint8)
        for share, factor in ((0, 7), (1, 13), (2, 17), (3, 29), (4, 37)):
            # From the last byte to the first, in quarters.
            at = ends[1:] - 1 - (np.maximum(lengths, 1) - 1) * share // 4
            letter = letters[np.clip(at, 0, len(letters) - 1)].astype(np.int64)
            mixed += np.where(lengths > 0, letter * factor, 0)
        at = ends[1:] - 2
        mixed += np.where(
            lengths > 1, letters[np.clip(at, 0, len(letters) - 1)].astype(np.int64) * 41, 0
        )
    return mixed % parts


_HASH_BYTES = 230
"""Of Arrow's hash tables for each distinct text, while they are rebuilt (measured)."""


def arrow_columns(X: Block) -> list[pa.Array]:
    """Return a block's columns as Arrow arrays.

    Raises
    ------
    CellError
        If a column of Python objects mixes types.
    """
    if isinstance(X, pa.RecordBatch):
        return list(X.columns)
    if hasattr(X, "iloc"):
        return list(pa.RecordBatch.from_pandas(X, preserve_index=False).columns)
    if hasattr(X, "toarray"):
        X = X.toarray()
    if X.dtype == object:
        return [_from_objects(X, index) for index in range(X.shape[1])]
    return [pa.array(np.ascontiguousarray(X[:, index])) for index in range(X.shape[1])]


def _from_objects(X: Block, index: int) -> pa.Array:
    try:
        return pa.array(X[:, index].tolist(), from_pandas=True)
    except pa.ArrowException as error:
        raise CellError(
            None,
            column_names(X)[index],
            f"values of more than one type ({error}); split the columns by type with a "
            "ColumnTransformer",
        ) from error


class Categories:
    """Fits `sklearn.preprocessing.OneHotEncoder` and `OrdinalEncoder`.

    Parameters
    ----------
    estimator : OneHotEncoder or OrdinalEncoder
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._names: list[str] = []
        self._columns: list[ValueCounts] = []
        self._rows = 0
        self._imputer: Any = None
        self.counts: list[NDArray[np.int64]] = []
        """Rows of each category of each column, once finished."""

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        columns = arrow_columns(X)
        if not self._columns:
            self._columns = [ValueCounts() for _ in columns]
            self._names = column_names(X)
        for counts, column in zip(self._columns, columns, strict=True):
            counts.add(column)
        self._rows += len(columns[0]) if columns else 0

    def merge(self, other: Categories) -> None:
        """See `Accumulator.merge`."""
        self._rows += other._rows
        if not self._columns:
            self._columns, self._names = other._columns, other._names
        elif other._columns:
            for mine, theirs in zip(self._columns, other._columns, strict=True):
                mine.merge(theirs)

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        self._imputer = imputer

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """See `Growing.growth`; bytes a category were measured."""
        found = []
        for name, column in zip(self._names, self._columns, strict=True):
            if exact:
                column.result()
            count = len(column)
            finish, kept = (64, 48) if column.is_number else column.text_bytes
            found.append(
                Growth(
                    name,
                    count,
                    self._outputs(column),
                    column.nbytes,
                    finish * count,
                    kept * count,
                )
            )
        return found

    def _outputs(self, column: ValueCounts) -> int:
        if not hasattr(self._estimator, "sparse_output"):
            return 1
        count, rarest = len(column), self._estimator.min_frequency
        if rarest is not None and count > _LARGE_VALUES:
            least = rarest if isinstance(rarest, int) else rarest * self._rows
            count = int((column.result()[1] >= least).sum()) + 1
        most = self._estimator.max_categories
        return count if most is None else min(count, most)

    def finish(self, estimator: Any, sample: Any) -> Accumulator | None:
        """See `Accumulator.finish`: the encoder fits a frame of the distinct values.

        Rare categories are grouped by the true counts, not by the frame's: scikit-learn asks
        ``_identify_infrequent`` for each column, which is answered here for the length of the fit.
        Of very many numbers the frame has a few, and the rest is put in their place in ``_fit``.
        """
        values, counts = [], []
        for column in self._columns:
            found, times = column.result()
            if column.missing:
                found = pa.concat_arrays([found, pa.nulls(1, found.type)])
                times = np.append(times, column.missing)
            values.append(found)
            counts.append(times)
        before = sample if self._imputer is None else _input_of(self._imputer, sample)
        large = {} if self._imputer is not None else self._large(estimator, values)
        short = [
            found.slice(0, 2) if index in large else found for index, found in enumerate(values)
        ]
        distinct = table_like(before, short)
        if self._imputer is not None:
            distinct = self._imputer.transform(distinct)
            kept = _kept_columns(self._imputer, len(counts))
            counts = [counts[index] for index in kept]
        columns = arrow_columns(distinct)

        def align(index: int) -> NDArray[np.int64]:
            categories = estimator.categories_[index]
            if index in large:
                return counts[index]  # both are sorted, and nothing is missing
            place = CategoryIndex(categories).find(columns[index].slice(0, len(counts[index])))
            known = place >= 0
            out = np.zeros(len(categories), dtype=np.int64)
            np.add.at(out, place[known], counts[index][known])
            return out

        def identify(category_count: Any, n_samples: int, col_idx: int) -> Any:
            del n_samples
            if index_is_short(col_idx, category_count):
                return None
            true = align(col_idx)[: len(category_count)]
            return type(estimator)._identify_infrequent(estimator, true, self._rows, col_idx)

        def index_is_short(index: int, category_count: Any) -> bool:
            return index in large and len(category_count) < len(counts[index])

        def fit_large(*args: Any, **options: Any) -> Any:
            found = type(estimator)._fit(estimator, *args, **options)
            for index, whole in large.items():
                kind = estimator.categories_[index].dtype
                estimator.categories_[index] = whole.to_numpy().astype(kind, copy=False)
                if estimator._infrequent_enabled:
                    rare = estimator._identify_infrequent(counts[index], self._rows, index)
                    estimator._infrequent_indices[index] = rare
                    estimator._default_to_infrequent_mappings[index] = _grouping(
                        len(counts[index]), rare
                    )
            return found

        estimator._identify_infrequent = identify
        estimator._fit = fit_large
        try:
            estimator.fit(distinct)
        finally:
            del estimator._identify_infrequent, estimator._fit
        self.counts = [align(index) for index in range(len(columns))]
        return None

    def _large(self, estimator: Any, values: Sequence[pa.Array]) -> dict[int, pa.Array]:
        """Return columns of so many numbers that scikit-learn is not to sort them once more."""
        if not isinstance(estimator.categories, str):
            return {}
        return {
            index: found
            for index, found in enumerate(values)
            if len(found) > _LARGE_VALUES
            and not self._columns[index].missing
            and (pa.types.is_integer(found.type) or pa.types.is_floating(found.type))
        }


def _grouping(categories: int, rare: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Return the code of each category, rare ones sharing the last, as the encoder keeps it."""
    if rare is None:
        return None
    frequent = np.ones(categories, dtype=bool)
    frequent[rare] = False
    codes = np.cumsum(frequent)
    codes -= 1
    codes[rare] = categories - len(rare)
    return codes


def _kept_columns(imputer: Any, columns: int) -> list[int]:
    if imputer.keep_empty_features:
        return list(range(columns))
    return [
        index
        for index, value in enumerate(imputer.statistics_)
        if not (isinstance(value, float) and np.isnan(value))
    ]


def _input_of(imputer: Any, sample: Any) -> Any:
    """Return an empty example of what the imputer was fitted on."""
    names = getattr(imputer, "feature_names_in_", None)
    if names is None:
        return np.zeros((1, imputer.n_features_in_), dtype=imputer._fit_dtype)
    import pandas as pd

    del sample
    return pd.DataFrame(columns=names)
