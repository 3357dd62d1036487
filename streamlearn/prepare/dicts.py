"""DictVectorizer and FeatureHasher over a table's columns.

What becomes of a text is found once for each distinct one of a block, and rows are put together from
that: no dict is made where columns can be worked on whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import EstimatorKernel, Kernel, Rows
from streamlearn.prepare.frame import column_numbers, to_frame
from streamlearn.prepare.records import (
    distinct_texts,
    is_number,
    is_text,
    is_texts,
    records_of,
    refuse_column,
)

__all__ = ["DictKernel", "HashKernel", "RecordsKernel", "RowsKernel", "compile_records"]

_ABSENT = -1


def compile_records(estimator: Any) -> Kernel:
    """Return the kernel of a fitted DictVectorizer or FeatureHasher."""
    from sklearn.feature_extraction import DictVectorizer, FeatureHasher

    if getattr(estimator, "input_type", "dict") != "dict":
        return RowsKernel(estimator)
    config = getattr(estimator, "_sklearn_output_config", {})
    plain = config.get("transform", "default") in (None, "default")
    if plain and np.dtype(estimator.dtype) in (np.float64, np.float32):
        if type(estimator) is DictVectorizer:
            return DictKernel(estimator)
        if type(estimator) is FeatureHasher:
            return HashKernel(estimator)
    return RecordsKernel(estimator)


class RowsKernel(EstimatorKernel):
    """A FeatureHasher of texts or pairs: every row is a list."""

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self.width = estimator.n_features

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if isinstance(X, pa.RecordBatch):
            X = to_frame(X)
        if hasattr(X, "iloc") and X.ndim == 2:
            lists = X.shape[1] == 1 and not isinstance(next(iter(X.iloc[:, 0]), None), str)
            X = X.iloc[:, 0].tolist() if lists else X.to_numpy(dtype=object)
        return self._estimator.transform(X)


class RecordsKernel:
    """The estimator's own ``transform``, given rows as dicts.

    Parameters
    ----------
    estimator : fitted DictVectorizer or FeatureHasher
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._step = type(estimator).__name__
        self._takes_lists = hasattr(estimator, "separator")
        names = getattr(estimator, "feature_names_", None)
        width = len(names) if names is not None else getattr(estimator, "n_features", None)
        self.width: int | None = width

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        records = records_of(X, self._step)
        if not isinstance(records, pa.RecordBatch):
            return _with_short_indices(self._estimator.transform(records))
        for name, kind in zip(records.schema.names, records.schema.types, strict=True):
            takes = is_number(kind) or is_text(kind) or (self._takes_lists and is_texts(kind))
            if not takes:
                raise refuse_column(name, kind, self._step)
        return self._apply_columns(records)

    def _apply_columns(self, batch: pa.RecordBatch) -> Any:
        rows = to_frame(batch).to_dict("records")
        return _with_short_indices(self._estimator.transform(rows))


def _with_short_indices(X: Any) -> Any:
    """Return a CSR matrix with 32-bit indices: with others, as they come, no model would learn."""
    if hasattr(X, "indptr") and X.nnz < 2**31:
        X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


class _SlotsKernel(RecordsKernel):
    """Each column fills a slot of a row: where it goes, and with what value."""

    def _apply_columns(self, batch: pa.RecordBatch) -> Any:
        if any(is_texts(kind) for kind in batch.schema.types):
            return super()._apply_columns(batch)
        return self._finished(self._stack(batch))

    def _finished(self, X: Any) -> Any:
        """Do what the estimator does last."""
        raise NotImplementedError

    def _slot(
        self, name: str, column: pa.Array
    ) -> tuple[NDArray[np.int32] | int, NDArray[np.float64] | float]:
        """Return positions (-1 where there is nothing to store) and values of a column."""
        raise NotImplementedError

    def _stack(self, batch: pa.RecordBatch) -> Any:
        from scipy import sparse

        slots = [
            self._slot(name, column)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        slots = [slot for slot in slots if not (isinstance(slot[0], int) and slot[0] == _ABSENT)]
        shape = (batch.num_rows, len(slots))
        positions = np.empty(shape, dtype=np.int32)
        values = np.empty(shape, dtype=self._estimator.dtype)
        for index, (place, value) in enumerate(slots):
            positions[:, index] = place
            values[:, index] = value
        present = positions >= 0
        if present.all():
            indptr = np.arange(shape[0] + 1, dtype=np.int32) * np.int32(shape[1])
            parts = (values.ravel(), positions.ravel(), indptr)
        else:
            indptr = np.zeros(shape[0] + 1, dtype=np.int32)
            np.cumsum(present.sum(axis=1), out=indptr[1:])
            parts = (values[present], positions[present], indptr)
        return sparse.csr_matrix(parts, shape=(shape[0], self.width))


class DictKernel(_SlotsKernel):
    """A DictVectorizer over columns: numbers where they are, texts by their distinct values."""

    def _finished(self, X: Any) -> Any:
        if not self._estimator.sparse:
            return X.toarray()
        X.sort_indices()
        return X

    def _slot(
        self, name: str, column: pa.Array
    ) -> tuple[NDArray[np.int32] | int, NDArray[np.float64] | float]:
        find = self._estimator.vocabulary_.get
        if is_number(column.type):
            position = find(name, _ABSENT)
            return position, 0.0 if position == _ABSENT else _floats(column)
        start = f"{name}{self._estimator.separator}"
        distinct, codes = distinct_texts(column)
        # A missing text is a feature of the column's own name, and its value is missing.
        places = [find(start + text, _ABSENT) for text in distinct] + [find(name, _ABSENT)]
        missing = codes == len(distinct)
        return np.array(places, dtype=np.int32)[codes], np.where(missing, np.nan, 1.0)


class HashKernel(_SlotsKernel):
    """A FeatureHasher over columns: each distinct text of a block is hashed once."""

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if isinstance(X, pa.RecordBatch):
            self._refuse_none(X)
        return super().apply(X, rows)

    def _refuse_none(self, batch: pa.RecordBatch) -> None:
        """Raise where a row's dict would hold None, which FeatureHasher does not take.

        A missing number or text of a table is NaN, and is hashed as the number that it is.
        """
        fields = records_of(batch, self._step)
        is_struct = fields is not batch
        if not isinstance(fields, pa.RecordBatch):
            return
        for name, column in zip(fields.schema.names, fields.columns, strict=True):
            kind = column.type
            is_none = (
                is_struct
                or pa.types.is_boolean(kind)
                or pa.types.is_decimal(kind)
                or pa.types.is_null(kind)
            )
            if column.null_count and is_none:
                raise CellError(
                    int(column.is_null().to_numpy(zero_copy_only=False).argmax()),
                    name,
                    "a missing value, and FeatureHasher takes none; fill it with derive=, or leave "
                    "such rows out with drop_missing=True",
                )

    def _finished(self, X: Any) -> Any:
        X.sum_duplicates()
        return X

    def _slot(
        self, name: str, column: pa.Array
    ) -> tuple[NDArray[np.int32] | int, NDArray[np.float64] | float]:
        if is_number(column.type):
            place, sign = self._hash([name])
            values = _floats(column)
            return np.where(values == 0, _ABSENT, place[0]).astype(np.int32), values * sign[0]
        distinct, codes = distinct_texts(column)
        place, sign = self._hash([*(f"{name}={text}" for text in distinct), name])
        signs = np.append(sign[:-1], np.nan)
        return place[codes], signs[codes]

    def _hash(self, names: list[str]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the position and the sign of each feature."""
        from sklearn.feature_extraction import FeatureHasher

        hasher = FeatureHasher(
            self._estimator.n_features,
            input_type="pair",
            alternate_sign=self._estimator.alternate_sign,
        )
        one_each = hasher.transform([[(name, 1.0)] for name in names])
        return one_each.indices, one_each.data


def _floats(column: pa.Array) -> NDArray[np.float64]:
    """Return numbers as Python's own would become floats."""
    if pa.types.is_decimal(column.type):
        return np.array([np.nan if v is None else float(v) for v in column.to_pylist()])
    return column_numbers(column).astype(np.float64)
