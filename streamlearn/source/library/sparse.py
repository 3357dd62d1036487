"""Sparse matrices: SciPy's CSR, in memory or mapped from a file, as slices of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.library.arrays import (
    copy_rows,
    refuse_changed,
    sampled,
    side_of,
    stamps_of,
    type_of_target,
)

__all__ = ["SparseSource", "is_sparse"]

_FRAGMENT_ROWS = 131_072
_FRAGMENT_BYTES = 64 << 20
_WINDOW_ROWS = 1_024
_MAPPED_BYTES = 8 << 20
_MOST_INT32 = np.iinfo(np.int32).max


def is_sparse(data: Any) -> bool:
    """Whether something is a sparse matrix or array of SciPy, of any format."""
    package = type(data).__module__.split(".")
    return package[:2] == ["scipy", "sparse"] and hasattr(data, "tocsr")


class SparseSource:
    """Rows of a CSR matrix, with an optional target and weight of one dimension.

    A chunk is a CSR matrix of its own: a copy, so that no step can change the one given. Order
    and duplicates of the stored values stay as they are. Indices become 32 bits wide, as
    scikit-learn wants them, whatever the size of the whole.

    Parameters
    ----------
    X : csr_matrix or csr_array of shape (rows, columns)
        Its ``data``, ``indices`` and ``indptr`` may be memory maps.
    y, weight : array of shape (rows,) or path of a .npy file, optional
    name : str
        What messages call it.

    Raises
    ------
    UsageError
        If the matrix is of another format.
    SchemaError
        If lengths do not fit, or the values are no numbers.
    SourceError
        If the row ends are not in order, as in a damaged file.

    Examples
    --------
    >>> from scipy import sparse
    >>> source = SparseSource(sparse.csr_matrix(np.eye(3)), np.arange(3))
    >>> [chunk.X.nnz for chunk in source.read(source.fragments[0], source.schema.names, 2)]
    [2, 1]
    """

    def __init__(self, X: Any, y: Any = None, weight: Any = None, name: str = "matrix") -> None:
        if getattr(X, "format", "") != "csr":
            kind = type(X).__name__
            raise UsageError(
                f"{name}: {kind} cannot be read row by row; convert it with .tocsr() first"
            )
        if X.ndim != 2:
            raise SchemaError(f"{name}: a matrix of two dimensions is needed, not shape {X.shape}")
        if X.dtype.kind not in "biuf":
            raise SchemaError(f"{name}: a matrix of numbers is needed, not {X.dtype}")
        if X.shape[1] > _MOST_INT32:
            raise SchemaError(
                f"{name}: has {X.shape[1]:,} columns, and scikit-learn takes {_MOST_INT32:,}; "
                "hash them into fewer"
            )
        self._is_array = type(X).__name__ == "csr_array"
        self._name = name
        self._data, self._indices, self._ends = X.data, X.indices, X.indptr
        self._shape = X.shape
        self._y = side_of(y, "target", X.shape[0], name)
        self._weight = side_of(weight, "weight", X.shape[0], name)
        kind = pa.from_numpy_dtype(X.dtype)
        self.schema = Schema(tuple(Field(str(i), kind) for i in range(X.shape[1])), named=False)
        self._value_bytes = X.dtype.itemsize + 4
        self._window = 0
        self._stamps = stamps_of(X.data, X.indices, X.indptr, self._y, self._weight)
        self.fragments = list(self._cut())
        self.fingerprint = self._digest()

    def _cut(self) -> Iterator[Fragment]:
        """Cut where rows or bytes make a fragment; find where values are densest on the way."""
        rows = self._shape[0]
        allowed = _FRAGMENT_BYTES // self._value_bytes
        first = index = 0
        if int(self._ends[0]) or int(self._ends[-1]) > len(self._data):
            raise SourceError(f"{self._name}: the row ends (indptr) do not fit the values stored")
        while first < rows:
            ends = self._row_ends(first, min(first + _FRAGMENT_ROWS, rows))
            step = int(np.searchsorted(ends, ends[0] + allowed, side="right")) - 1
            step = max(1, min(step, len(ends) - 1))
            marks = ends[np.append(np.arange(0, step, _WINDOW_ROWS), step)]
            self._window = max(self._window, int(np.diff(marks).max()))
            yield Fragment(index, self._name, index, first, step)
            first, index = first + step, index + 1

    def _row_ends(self, start: int, stop: int) -> NDArray[np.int64]:
        ends: NDArray[np.int64] = copy_rows(self._ends, start, stop + 1).astype(np.int64)
        if (np.diff(ends) < 0).any():
            bad = start + int(np.argmax(np.diff(ends) < 0))
            raise SourceError(f"{self._name}: row {bad} ends before it begins (indptr is damaged)")
        return ends

    @property
    def target_type(self) -> pa.DataType | None:
        """Type of the target, or None where there is none."""
        return type_of_target(self._y)

    @property
    def has_weight(self) -> bool:
        """Whether a weight was given."""
        return self._weight is not None

    def _digest(self) -> str:
        """Shape, type, and 64 places of each array: reading all of it would be a pass."""
        digest = hashlib.sha256(f"csr|{self._shape}|{self._data.dtype.str}".encode())
        for part in (self._data, self._indices, self._ends, self._y, self._weight):
            if part is not None and len(part):
                digest.update(repr(sampled(part).tolist()).encode())
        return digest.hexdigest()

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        del columns
        return ()

    def lean(self, scratch_dir: str | None) -> SparseSource:
        """See `streamlearn.source.base.Source.lean`: it is lean as it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`: rows are taken to be as dense as the densest."""
        del columns
        rows = max(1, min(_WINDOW_ROWS, self._shape[0]))
        window = self._window * self._value_bytes
        row = 32.0 + window / rows
        # Around pages of a map that are touched the kernel maps others, until their turn comes.
        around = _MAPPED_BYTES if isinstance(self._data, np.memmap) else 0
        return ReaderCost((1 << 20) + around + window, 2 * row, row)

    @property
    def stored_values(self) -> float:
        """Values stored of a row, where they are densest."""
        return float(self._window / max(1, min(_WINDOW_ROWS, self._shape[0])))

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`; chunks are copies."""
        if len(columns) != len(self.schema) or list(columns) != self.schema.names:
            raise UsageError("a matrix is read with all its columns")
        stop = fragment.first + fragment.rows
        for start in range(fragment.first, stop, rows):
            end = min(start + rows, stop)
            refuse_changed(self._stamps)
            yield Chunk(
                self._block(start, end),
                np.arange(start, end, dtype=np.int64),
                None if self._y is None else copy_rows(self._y, start, end),
                None
                if self._weight is None
                else copy_rows(self._weight, start, end).astype(np.float64),
            )

    def _block(self, start: int, stop: int) -> Any:
        ends = self._row_ends(start, stop)
        first, last = int(ends[0]), int(ends[-1])
        indices = np.array(copy_rows(self._indices, first, last), dtype=np.int32)
        if len(indices) and not 0 <= indices.min() <= indices.max() < self._shape[1]:
            bad = int(np.argmax((indices < 0) | (indices >= self._shape[1])))
            row = start + int(np.searchsorted(ends - first, bad, side="right")) - 1
            raise SourceError(
                f"{self._name}: row {row} has a value in column {indices[bad]}, and there are "
                f"{self._shape[1]:,} columns (indices are damaged)"
            )
        values = np.array(copy_rows(self._data, first, last))
        width = np.int32 if last - first <= _MOST_INT32 else np.int64
        parts = (values, indices, (ends - first).astype(width))
        from scipy import sparse

        make = sparse.csr_array if self._is_array else sparse.csr_matrix
        return make(parts, shape=(stop - start, self._shape[1]))
