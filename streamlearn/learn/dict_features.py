"""Fits DictVectorizer: the names of all features."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import Growth
from streamlearn.prepare.records import (
    distinct_texts,
    is_number,
    is_text,
    is_texts,
    records_of,
    refuse_column,
)

__all__ = ["DictFeatures"]

_STEP = "DictVectorizer"
_STATE_BYTES = 95
"""Of a feature in the table of names, beside its text, while the table grows (measured)."""
_FINISH_BYTES = 130
"""Of a feature while names are sorted and numbered (measured)."""
_KEPT_BYTES = 125
"""Of a feature in the fitted vectorizer, beside its text (measured)."""
_Place = tuple[int, int, int]
"""Row, column, and which of a list: by it features are put into the order in which they come."""


class DictFeatures:
    """Fits `sklearn.feature_extraction.DictVectorizer`.

    It learns from dicts (a Series or a struct column of them), or from the columns of a table, each
    row of which is the dict that ``frame.to_dict("records")`` would give.

    Parameters
    ----------
    estimator : DictVectorizer

    Examples
    --------
    >>> from sklearn.feature_extraction import DictVectorizer
    >>> vectorizer = DictVectorizer()
    >>> features = DictFeatures(vectorizer)
    >>> features.update(pa.RecordBatch.from_pydict({"city": ["Oslo", "Rome"], "size": [1, 2]}), None, None)
    >>> features.finish(vectorizer, None)
    >>> vectorizer.feature_names_
    ['city=Oslo', 'city=Rome', 'size']
    """

    def __init__(self, estimator: Any) -> None:
        self._separator: str = estimator.separator
        self._sorts = bool(estimator.sort)
        self._names: dict[Any, str] = {}
        """Column of each feature, in the order in which features come."""
        self._counts: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        records = records_of(X, _STEP)
        if isinstance(records, pa.RecordBatch):
            self._update_columns(records)
        else:
            self._update_dicts(records, str(getattr(X, "name", None) or "features"))

    def _update_columns(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        found: list[tuple[_Place, str, str]] = []
        names = batch.schema.names
        for index, (name, column) in enumerate(zip(names, batch.columns, strict=True)):
            for feature, row, item in self._features(name, column):
                if feature not in self._names:
                    found.append(((row, index, item), feature, name))
        if not self._sorts:
            found.sort()
        for _, feature, name in found:
            self._include(feature, name)

    def _features(self, name: str, column: pa.Array) -> Iterator[tuple[str, int, int]]:
        """Yield the distinct features of a column, the first row of each, and its place there."""
        kind = column.type
        if is_number(kind):
            yield name, 0, 0
            return
        start = f"{name}{self._separator}"
        if is_text(kind):
            distinct, codes = distinct_texts(column)
            rows = self._first(codes, len(distinct) + 1)
            for text, row in zip(distinct, rows, strict=False):
                yield start + text, row, 0
        elif is_texts(kind):
            texts, parents = column.flatten(), np.asarray(pc.list_parent_indices(column))
            distinct, codes = distinct_texts(texts)
            if texts.null_count:
                row = int(parents[(codes == len(distinct)).argmax()])
                raise CellError(
                    row, name, f"a missing text in a list, and {_STEP} takes lists of texts"
                )
            for text, item in zip(distinct, self._first(codes, len(distinct)), strict=True):
                yield start + text, int(parents[item]), item
        else:
            raise refuse_column(name, kind, _STEP)
        if column.null_count:
            # A missing value is a feature of the column's own name.
            yield name, int(column.is_null().to_numpy(zero_copy_only=False).argmax()), 0

    def _first(self, codes: NDArray[np.int32], count: int) -> list[int]:
        """Return where each code comes first; of no interest where names are sorted."""
        first = np.zeros(count, dtype=np.int64)
        if not self._sorts:
            first[codes[::-1]] = np.arange(len(codes))[::-1]
        return first.tolist()

    def _update_dicts(self, records: Sequence[Mapping[Any, Any]], column: str) -> None:
        known, separator = self._names, self._separator
        for row, record in enumerate(records):
            for name, value in record.items():
                if isinstance(value, str):
                    feature = f"{name}{separator}{value}"
                elif isinstance(value, Number) or value is None:
                    feature = name
                else:
                    for feature in self._several(name, value, row, column):
                        if feature not in known:
                            self._include(feature, column)
                    continue
                if feature not in known:
                    self._include(feature, column)

    def _several(self, name: Any, value: Any, row: int, column: str) -> list[str]:
        """Return the features of a value that is a collection of texts."""
        wrong: Any = value
        if isinstance(value, Iterable) and not isinstance(value, Mapping):
            texts = list(value)
            wrong = next((text for text in texts if not isinstance(text, str)), None)
            if wrong is None and all(isinstance(text, str) for text in texts):
                return [f"{name}{self._separator}{text}" for text in texts]
        raise CellError(
            row,
            column,
            f"feature {name!r} holds a {type(wrong).__name__}, and {_STEP} takes numbers, texts "
            "and lists of texts",
        )

    def _include(self, feature: Any, column: str) -> None:
        if feature not in self._names:
            self._names[feature] = column
            self._counts[column] = self._counts.get(column, 0) + 1
            self._bytes[column] = self._bytes.get(column, 0) + sys.getsizeof(feature)

    def merge(self, other: DictFeatures) -> None:
        """See `Accumulator.merge`."""
        for feature, column in other._names.items():
            self._include(feature, column)

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """See `Growing.growth`."""
        return [
            Growth(
                column,
                count,
                count,
                self._bytes[column] + _STATE_BYTES * count,
                _FINISH_BYTES * count,
                self._bytes[column] + _KEPT_BYTES * count,
            )
            for column, count in self._counts.copy().items()
        ]

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        del sample
        estimator.fit([{}])
        names = list(self._names)
        if estimator.sort:
            try:
                names.sort()
            except TypeError as error:
                raise ValueError(
                    f"names of features cannot be put in order ({error}); use names that are "
                    "texts, or DictVectorizer(sort=False)"
                ) from error
        estimator.feature_names_ = names
        estimator.vocabulary_ = {name: place for place, name in enumerate(names)}
