"""Fits encoders: the distinct values of each column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import Growth, column_names
from streamlearn.learn.counts import ValueCounts
from streamlearn.learn.replay import table_like
from streamlearn.prepare.encode import CategoryIndex

__all__ = ["Categories", "arrow_columns"]

_LARGE_VALUES = 65_536
"""From here on, fitting in memory would cost a multiple of what the categories take."""


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
            finish, kept = (44, 48) if column.is_number else column.text_bytes
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

    def finish(self, estimator: Any, sample: Any) -> None:
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
        before = sample if self._imputer is None else input_of(self._imputer, sample)
        large = {} if self._imputer is not None else self._large(estimator, values)
        short = [
            found.slice(0, 2) if index in large else found for index, found in enumerate(values)
        ]
        distinct = table_like(before, short)
        if self._imputer is not None:
            distinct = self._imputer.transform(distinct)
            kept = kept_columns(self._imputer, len(counts))
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


def kept_columns(imputer: Any, columns: int) -> list[int]:
    if imputer.keep_empty_features:
        return list(range(columns))
    return [
        index
        for index, value in enumerate(imputer.statistics_)
        if not (isinstance(value, float) and np.isnan(value))
    ]


def input_of(imputer: Any, sample: Any) -> Any:
    """Return an empty example of what the imputer was fitted on."""
    names = getattr(imputer, "feature_names_in_", None)
    if names is None:
        return np.zeros((1, imputer.n_features_in_), dtype=imputer._fit_dtype)
    import pandas as pd

    del sample
    return pd.DataFrame(columns=names)
