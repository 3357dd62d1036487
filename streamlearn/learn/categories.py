"""Distinct values and how often each occurs, kept in Arrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import Accumulator, column_names
from streamlearn.learn.replay import table_like
from streamlearn.prepare.encode import CategoryIndex

__all__ = ["Categories", "ValueCounts", "arrow_columns"]

_COMPACT_VALUES = 65_536


class ValueCounts:
    """Distinct values of one column with their counts; missing ones counted apart.

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
        self._pending: list[tuple[pa.Array, NDArray[np.int64]]] = []
        self._held = 0
        self._distinct = 0

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
        for values, counts in other._pending:
            self._push(values, counts)

    def _push(self, values: pa.Array, counts: NDArray[np.int64]) -> None:
        self._pending.append((values, counts))
        self._held += len(values)
        if self._held > max(_COMPACT_VALUES, 2 * self._distinct) or len(self._pending) > 256:
            self._compact()

    def _compact(self) -> None:
        if len(self._pending) < 2:
            return
        encoded = pa.concat_arrays([values for values, _ in self._pending]).dictionary_encode()
        counts = np.concatenate([counts for _, counts in self._pending])
        # Sums of counts are exact in float64 up to 2**53 rows.
        summed = np.bincount(
            np.asarray(encoded.indices), weights=counts, minlength=len(encoded.dictionary)
        )
        self._pending = [(encoded.dictionary, summed.astype(np.int64))]
        self._held = self._distinct = len(encoded.dictionary)

    def result(self) -> tuple[pa.Array, NDArray[np.int64]]:
        """Return distinct values (none missing) and their counts, in no particular order."""
        self._compact()
        if not self._pending:
            return pa.nulls(0), np.zeros(0, dtype=np.int64)
        return self._pending[0]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(values.nbytes + counts.nbytes for values, counts in self._pending)


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
        del estimator
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
        for counts, column in zip(self._columns, columns, strict=True):
            counts.add(column)
        self._rows += len(columns[0]) if columns else 0

    def merge(self, other: Categories) -> None:
        """See `Accumulator.merge`."""
        self._rows += other._rows
        if not self._columns:
            self._columns = other._columns
        elif other._columns:
            for mine, theirs in zip(self._columns, other._columns, strict=True):
                mine.merge(theirs)

    def fill(self, imputer: Any) -> None:
        """See `Fillable.fill`."""
        self._imputer = imputer

    def finish(self, estimator: Any, sample: Any) -> Accumulator | None:
        """See `Accumulator.finish`: the encoder fits a frame of the distinct values.

        Rare categories are grouped by the true counts, not by the frame's: scikit-learn asks
        ``_identify_infrequent`` for each column, which is answered here for the length of the fit.
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
        distinct = table_like(before, values)
        if self._imputer is not None:
            distinct = self._imputer.transform(distinct)
            kept = _kept_columns(self._imputer, len(counts))
            counts = [counts[index] for index in kept]
        columns = arrow_columns(distinct)

        def align(index: int) -> NDArray[np.int64]:
            categories = estimator.categories_[index]
            place = CategoryIndex(categories).find(columns[index].slice(0, len(counts[index])))
            known = place >= 0
            out = np.zeros(len(categories), dtype=np.int64)
            np.add.at(out, place[known], counts[index][known])
            return out

        def identify(category_count: Any, n_samples: int, col_idx: int) -> Any:
            del n_samples
            true = align(col_idx)[: len(category_count)]
            return type(estimator)._identify_infrequent(estimator, true, self._rows, col_idx)

        estimator._identify_infrequent = identify
        try:
            estimator.fit(distinct)
        finally:
            del estimator._identify_infrequent
        self.counts = [align(index) for index in range(len(columns))]
        return None


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
