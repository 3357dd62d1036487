"""Rows as dicts, from column to value: DictVectorizer and FeatureHasher over a table's columns.

Over a table, a row is the dict that ``frame.to_dict("records")`` would give of it. None is made where
columns can be worked on whole: what becomes of a text is found once for each distinct one of a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import EstimatorKernel, Kernel, Rows
from streamlearn.prepare.frame import column_numbers, to_frame

__all__ = [
    "RecordsKernel",
    "RowsKernel",
    "compile_records",
    "distinct_texts",
    "is_number",
    "is_text",
    "is_texts",
    "records_of",
    "refuse_column",
]

_ABSENT = -1


def records_of(X: Block, step: str) -> pa.RecordBatch | list[Any]:
    """Return rows as a table, a struct's fields for columns; or as a list of dicts.

    Parameters
    ----------
    X : RecordBatch, frame, or Series, list or array (one dimension) of dicts
    step : str
        Who asks, for errors.

    Raises
    ------
    CellError
        If a row is missing, or is no dict.
    ValueError
        If there are no names of columns.
    """
    if hasattr(X, "iloc") and X.ndim == 2:
        X = pa.RecordBatch.from_pandas(X, preserve_index=False)
    if isinstance(X, pa.RecordBatch):
        kind = X.schema.types[0] if X.num_columns == 1 else None
        if kind is not None and pa.types.is_struct(kind):
            _refuse_missing(X.column(0), X.schema.names[0], step)
            return pa.RecordBatch.from_arrays(X.column(0).flatten(), names=kind.names)
        if kind is not None and pa.types.is_map(kind):
            _refuse_missing(X.column(0), X.schema.names[0], step)
            return [dict(row) for row in X.column(0).to_pylist()]
        return X
    if getattr(X, "ndim", 1) != 1:
        raise ValueError(
            f"{step} takes rows as dicts, and a matrix has no names; put it where the columns "
            "still have theirs"
        )
    for row, record in enumerate(X):
        if not isinstance(record, Mapping):
            raise CellError(
                row,
                str(getattr(X, "name", None) or "features"),
                f"a {type(record).__name__} where {step} takes a dict; leave such rows out with "
                "drop_missing=True, or use it as the only step over the columns of a table",
            )
    return list(X)


def _refuse_missing(column: pa.Array, name: str, step: str) -> None:
    if column.null_count:
        raise CellError(
            int(column.is_null().to_numpy(zero_copy_only=False).argmax()),
            name,
            f"a missing row, and {step} takes dicts; leave such rows out with drop_missing=True",
        )


def is_number(kind: pa.DataType) -> bool:
    """Whether values are numbers, or nothing but missing, which counts as one."""
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
        pa.types.is_null,
    )
    return any(is_kind(kind) for is_kind in kinds)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_texts(kind: pa.DataType) -> bool:
    """Whether values are lists of texts."""
    return bool(
        (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and is_text(kind.value_type)
    )


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
            lists = X.shape[1] == 1 and not isinstance(X.iloc[0, 0], str)
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
        names = getattr(estimator, "feature_names_", None)
        width = len(names) if names is not None else getattr(estimator, "n_features", None)
        self.width: int | None = width

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        records = records_of(X, self._step)
        if isinstance(records, pa.RecordBatch):
            if self._takes(records):
                return self._apply_columns(records)
            records = to_frame(records).to_dict("records")
        return _with_short_indices(self._estimator.transform(records))

    def _takes(self, batch: pa.RecordBatch) -> bool:
        """Whether the columns can be worked on whole."""
        for name, kind in zip(batch.schema.names, batch.schema.types, strict=True):
            if not (is_number(kind) or is_text(kind) or is_texts(kind)):
                raise refuse_column(name, kind, self._step)
        return False

    def _apply_columns(self, batch: pa.RecordBatch) -> Any:
        raise NotImplementedError


def _with_short_indices(X: Any) -> Any:
    """Return a CSR matrix with 32-bit indices: with others, as they come, no model would learn."""
    if hasattr(X, "indptr") and X.nnz < 2**31:
        X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


def refuse_column(name: str, kind: pa.DataType, step: str) -> CellError:
    """Make the error for a column whose values mean nothing to a dict's taker."""
    return CellError(
        None,
        name,
        f"{kind}, and {step} takes numbers and texts; leave the column out, or compute one of "
        "these with derive=",
    )


class _SlotsKernel(RecordsKernel):
    """Each column fills a slot of a row: where it goes, and with what value."""

    def _takes(self, batch: pa.RecordBatch) -> bool:
        super()._takes(batch)
        return not any(is_texts(kind) for kind in batch.schema.types)

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

    def _apply_columns(self, batch: pa.RecordBatch) -> Any:
        out = self._stack(batch)
        if not self._estimator.sparse:
            return out.toarray()
        out.sort_indices()
        return out

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

    def _apply_columns(self, batch: pa.RecordBatch) -> Any:
        out = self._stack(batch)
        out.sum_duplicates()
        return out

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


def distinct_texts(column: pa.Array) -> tuple[list[str], NDArray[np.int32]]:
    """Return the distinct texts, and which of them each row is; one past the last is missing."""
    encoded = column.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(distinct)) if column.null_count else encoded.indices
    return distinct, np.asarray(codes)


def _floats(column: pa.Array) -> NDArray[np.float64]:
    """Return numbers as Python's own would become floats."""
    if pa.types.is_decimal(column.type):
        return np.array([np.nan if v is None else float(v) for v in column.to_pylist()])
    return column_numbers(column).astype(np.float64)
