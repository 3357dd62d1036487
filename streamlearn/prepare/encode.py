"""Categories to codes straight from Arrow columns: no Python object per cell.

What an encoder makes of each of its categories is a table from category to output; scikit-learn's
own bookkeeping of rare and dropped categories is read for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import Rows

__all__ = ["CategoryIndex", "OneHotKernel", "OrdinalKernel", "columns_of"]

_UNKNOWN = -1
_WHOLE = 1 << 51
_SHORT = ("u1", "u2", "u4")
"""Unsigned integers that int64 holds."""
_MANY_TEXTS = 50_000
_DENSE_RANGE = 1 << 20
"""Widest span of integer categories looked up by position in a table."""


class CategoryIndex:
    """Position of each value among a column's fitted categories, or -1.

    Parameters
    ----------
    categories : array of shape (n_categories,)
        Sorted, as scikit-learn keeps them; a missing value, if any, stands last.
    """

    def __init__(self, categories: NDArray[Any]) -> None:
        self._categories = categories
        missing = [is_missing(value) for value in categories[-1:]]
        self._missing = len(categories) - 1 if any(missing) else _UNKNOWN
        self._known = categories[: len(categories) - 1] if any(missing) else categories
        self._numeric = categories.dtype.kind in "biuf"
        self._value_sets: dict[str, pa.Array] = {}
        self._low = 0
        self._table: NDArray[np.int32] | None = None
        if self._numeric and len(self._known):
            known = np.asarray(self._known)
            low, high = known[0], known[-1]
            whole = known.dtype.kind in "biu" or bool((known == np.floor(known)).all())
            if whole and abs(float(low)) < 2**62 and float(high) - float(low) < _DENSE_RANGE:
                # One place more at either end, for all that lies beyond: lookups are clipped.
                self._low = int(low) - 1
                self._table = np.full(int(high) - int(low) + 3, _UNKNOWN, dtype=np.int32)
                self._table[known.astype(np.int64) - self._low] = np.arange(len(known))

    def look_up(self, outputs: NDArray[Any]) -> NDArray[Any] | None:
        """Return what `take_numbers` takes outputs from instead of positions, if it can.

        Parameters
        ----------
        outputs : array of shape (n_categories + 1,)
            Of each category, and of what is none of them.
        """
        return None if self._table is None else outputs[self._table]

    def take_numbers(
        self, column: Any, table: NDArray[Any], outputs: NDArray[Any] | None = None
    ) -> NDArray[Any] | None:
        """Return the outputs of a column of numbers by their place in a table, if that can be.

        Parameters
        ----------
        column : Arrow or NumPy array
        table : array
            Of `look_up`.
        outputs : array of shape (n_categories + 1,), optional
            What the table was made of; positions, if it is left out.
        """
        absent = None
        if isinstance(column, pa.Array):
            if column.type == pa.uint64():
                return None
            if pa.types.is_integer(column.type) and column.null_count:
                absent = column.is_null().to_numpy(zero_copy_only=False)
                column = column.fill_null(0)
            elif not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
                return None
            column = column.to_numpy(zero_copy_only=False)
        if column.dtype.kind not in "if" and column.dtype.kind + str(column.itemsize) not in _SHORT:
            return None
        if column.dtype.kind == "f":
            if abs(self._low) > _WHOLE:
                return None
            # In float64 the difference of what could be a category rounds nothing.
            shifted = column.astype(np.float64) - self._low
            with np.errstate(invalid="ignore"):
                places = shifted.astype(np.int64)
            # Fractions, infinities and what is missing have the place of what is unknown.
            places[places != shifted] = 0
            absent = np.isnan(column)
        else:
            places = column.astype(np.int64) - self._low
        found = np.asarray(table.take(places, mode="clip"))
        if absent is not None:
            found[absent] = self._missing if outputs is None else outputs[self._missing]
        return found

    def find(self, column: Any) -> NDArray[np.int32]:
        """Return the positions of a column's values, shape (rows,)."""
        if isinstance(column, pa.Array):
            number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
            if number and self._table is not None:
                found = self.take_numbers(column, self._table)
                if found is not None:
                    return found
            if self._numeric and number:
                return self._find_numbers(np.asarray(column.to_numpy(zero_copy_only=False)))
            return self._find_arrow(column)
        if self._numeric and column.dtype.kind in "biuf":
            return self._find_numbers(column)
        return self._find_arrow(pa.array(column.tolist(), from_pandas=True))

    def _find_numbers(self, values: NDArray[Any]) -> NDArray[np.int32]:
        if (
            self._table is not None
            and (found := self.take_numbers(values, self._table)) is not None
        ):
            return found
        known = np.asarray(self._known)
        if not len(known):
            found = np.full(len(values), _UNKNOWN, dtype=np.int32)
        else:
            place = np.searchsorted(known, values).clip(max=len(known) - 1)
            found = np.where(known[place] == values, place, _UNKNOWN).astype(np.int32)
        if values.dtype.kind == "f":
            found[np.isnan(values)] = self._missing
        return found

    def _find_arrow(self, column: pa.Array) -> NDArray[np.int32]:
        if len(self._known) > _MANY_TEXTS and pa.types.is_string(column.type):
            return self._find_among_many(column)
        known = self._value_sets.get(str(column.type))
        if known is None:
            known = pa.array(self._known.tolist(), from_pandas=True)
            try:
                known = known.cast(column.type)
            except pa.ArrowException:
                known = pa.array([], type=column.type)
            self._value_sets[str(column.type)] = known
        found = pc.index_in(column, value_set=known).fill_null(_UNKNOWN).to_numpy()
        if column.null_count and self._missing != _UNKNOWN:
            found = np.where(column.is_null().to_numpy(zero_copy_only=False), self._missing, found)
        return np.asarray(found, dtype=np.int32)

    def _find_among_many(self, column: pa.Array) -> NDArray[np.int32]:
        """Search in the sorted categories: Arrow would hash all of them anew for each block."""
        encoded = column.dictionary_encode()
        texts = encoded.dictionary.to_numpy(zero_copy_only=False)
        place = np.searchsorted(self._known, texts).clip(max=len(self._known) - 1)
        hit = np.asarray(self._known[place] == texts, dtype=bool)
        codes = np.where(hit, place, _UNKNOWN).astype(np.int32)
        indices = encoded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
        return np.asarray(np.append(codes, np.int32(self._missing))[indices])


def is_missing(value: Any) -> bool:
    """Whether a category stands for missing values."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ == "NAType"


def columns_of(X: Block) -> list[Any]:
    """Return a block's columns: Arrow arrays of a table, arrays of a matrix."""
    if isinstance(X, pa.RecordBatch):
        return list(X.columns)
    if hasattr(X, "iloc"):
        return list(pa.RecordBatch.from_pandas(X, preserve_index=False).columns)
    return [X[:, index] for index in range(X.shape[1])]


def _names(estimator: Any) -> list[str]:
    return [
        str(name)
        for name in getattr(estimator, "feature_names_in_", range(estimator.n_features_in_))
    ]


def _grouped(estimator: Any, column: int) -> NDArray[np.int64]:
    """Return the code of each category of a column, rare ones sharing the last."""
    mappings = getattr(estimator, "_default_to_infrequent_mappings", None)
    mapping = mappings[column] if mappings is not None else None
    codes = np.arange(len(estimator.categories_[column]))
    if mapping is not None:
        codes[: len(mapping)] = mapping  # a missing value of an OrdinalEncoder is not in it
    return codes


def _refuse_unknown(X: Block, column: int, row: int, name: str, step: str) -> CellError:
    cell = columns_of(X)[column][row]
    shown = cell.as_py() if isinstance(cell, pa.Scalar) else cell
    return CellError(
        row,
        name,
        f"{shown!r} is a category that was not there when {step} was fitted; "
        "fit with handle_unknown='ignore' (one-hot) or 'use_encoded_value' (ordinal)",
    )


class OneHotKernel:
    """A fitted OneHotEncoder: for each column, the output position of each category.

    Parameters
    ----------
    estimator : fitted sklearn.preprocessing.OneHotEncoder
    """

    def __init__(self, estimator: Any) -> None:
        self.sparse: bool = estimator.sparse_output
        self.dtype: np.dtype[Any] = np.dtype(estimator.dtype)
        self._names = _names(estimator)
        self._indexes = [CategoryIndex(found) for found in estimator.categories_]
        widths = np.asarray(estimator._n_features_outs)
        self.width: int | None = int(widths.sum())
        starts = np.concatenate([[0], np.cumsum(widths)])
        self._refuses = estimator.handle_unknown == "error"
        groups_unknown = estimator.handle_unknown in ("infrequent_if_exist", "warn")
        infrequent = (
            estimator._infrequent_indices
            if getattr(estimator, "_infrequent_enabled", False)
            else [None] * len(widths)
        )
        dropped = estimator._drop_idx_after_grouping
        self._tables: list[NDArray[np.int32]] = []
        for index, found in enumerate(estimator.categories_):
            table = np.full(len(found) + 1, _UNKNOWN, dtype=np.int32)
            table[:-1] = _grouped(estimator, index)
            drop = dropped[index] if dropped is not None else None
            if drop is not None:
                gone = table == drop
                table[table > drop] -= 1
                table[gone] = _UNKNOWN
            table[table >= 0] += np.int32(starts[index])
            rare = infrequent[index]
            if groups_unknown and rare is not None:
                table[-1] = table[rare[0]]
            self._tables.append(table)
        self._direct = [
            index.look_up(table) for index, table in zip(self._indexes, self._tables, strict=True)
        ]

    def positions(self, X: Block) -> NDArray[np.int32]:
        """Return output columns, shape (rows, input columns); -1 where the row has none."""
        columns = columns_of(X)
        out = np.empty((len(columns[0]), len(columns)), dtype=np.int32)
        for index, column in enumerate(columns):
            direct = self._direct[index]
            if direct is not None and not self._refuses:
                taken = self._indexes[index].take_numbers(column, direct, self._tables[index])
                if taken is not None:
                    out[:, index] = taken
                    continue
            found = self._indexes[index].find(column)
            if self._refuses and (unknown := found == _UNKNOWN).any():
                raise _refuse_unknown(
                    X, index, int(unknown.argmax()), self._names[index], "OneHotEncoder"
                )
            # Unknown is -1, and so the last entry of the table.
            out[:, index] = self._tables[index][found]
        return out

    def nonzeros(self, counts: list[NDArray[np.int64]]) -> int:
        """Ones written for this many rows of each category of each column."""
        return sum(
            int(count[self._tables[index][: len(count)] >= 0].sum())
            for index, count in enumerate(counts)
        )

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if not self.sparse:
            out = np.empty((X.shape[0], self.width or 0), self.dtype)
            self.write(X, out)
            return out
        from scipy import sparse

        positions = self.positions(X)
        present = positions >= 0
        indptr = np.zeros(len(positions) + 1, dtype=np.int32)
        np.cumsum(present.sum(axis=1), out=indptr[1:])
        data = np.ones(indptr[-1], dtype=self.dtype)
        shape = (len(positions), self.width)
        return sparse.csr_matrix((data, positions[present], indptr), shape=shape)

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        return self.dtype

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        out[:] = 0
        positions = self.positions(X)
        row = np.arange(len(out))
        for column in positions.T:
            if column.size and column.min() < 0:
                present = np.flatnonzero(column >= 0)
                out[present, column[present]] = 1
            else:
                out[row, column] = 1


class OrdinalKernel:
    """A fitted OrdinalEncoder: for each column, the code of each category.

    Parameters
    ----------
    estimator : fitted sklearn.preprocessing.OrdinalEncoder
    """

    def __init__(self, estimator: Any) -> None:
        self.width: int | None = int(estimator.n_features_in_)
        self.dtype: np.dtype[Any] = np.dtype(estimator.dtype)
        self._names = _names(estimator)
        self._indexes = [CategoryIndex(found) for found in estimator.categories_]
        self._refuses = estimator.handle_unknown == "error"
        unknown = 0 if self._refuses else estimator.unknown_value
        missing = getattr(estimator, "_missing_indices", {})
        self._tables = []
        for index in range(len(estimator.categories_)):
            codes = np.append(_grouped(estimator, index).astype(self.dtype), unknown)
            if index in missing:
                codes[missing[index]] = estimator.encoded_missing_value
            self._tables.append(codes.astype(self.dtype))

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        out = np.empty(X.shape, self.dtype)
        self.write(X, out)
        return out

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        return self.dtype

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        columns = columns_of(X)
        for index, column in enumerate(columns):
            found = self._indexes[index].find(column)
            if self._refuses and (unknown := found == _UNKNOWN).any():
                raise _refuse_unknown(
                    X, index, int(unknown.argmax()), self._names[index], "OrdinalEncoder"
                )
            out[:, index] = self._tables[index][found]
