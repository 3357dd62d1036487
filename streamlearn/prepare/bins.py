"""Numbers to the bins they fall in, and to which side of a threshold they are on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.base import EstimatorKernel, Kernel, Rows
from streamlearn.prepare.elementwise import ElementwiseKernel
from streamlearn.prepare.frame import column_numbers, matrix_dtype, require_numbers
from streamlearn.prepare.operations import (
    Columns,
    Operation,
    column_by_column,
    input_names,
    refuse_unusable,
)

__all__ = ["BinsKernel", "compile_binarizer", "compile_bins"]

_COMPARED = 64
"""Edges up to which comparing with each is faster than searching (measured: up to 100)."""


class BinEdges:
    """Inner edges of each column's bins, and which bin a number is in."""

    def __init__(self, estimator: Any) -> None:
        self._edges = [np.asarray(edges, np.float64)[1:-1] for edges in estimator.bin_edges_]
        self._single = [_rounded_up(edges) for edges in self._edges]

    def __len__(self) -> int:
        return len(self._edges)

    def find(self, values: NDArray[Any], column: int) -> NDArray[Any]:
        """Return the bin of each number, shape (rows,): the edges that are not above it."""
        edges = (self._single if values.dtype == np.float32 else self._edges)[column]
        if len(edges) > _COMPARED:
            return np.searchsorted(edges, values, side="right")
        bins = np.zeros(len(values), np.uint8)
        for edge in edges:
            bins += values >= edge
        return bins


def _rounded_up(edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 edges that the same float32 numbers reach."""
    with np.errstate(over="ignore"):
        single = edges.astype(np.float32)
    below = single.astype(np.float64) < edges
    single[below] = np.nextafter(single[below], np.float32(np.inf))
    return single


class BinsKernel:
    """A fitted KBinsDiscretizer that encodes: one column for each bin.

    Parameters
    ----------
    estimator : fitted sklearn.preprocessing.KBinsDiscretizer
        With ``encode`` "onehot" or "onehot-dense".
    """

    def __init__(self, estimator: Any) -> None:
        self.sparse = estimator.encode == "onehot"
        bins = np.asarray(estimator.n_bins_, np.int64)
        self.width: int | None = int(bins.sum())
        self._starts = np.cumsum(bins) - bins
        self._edges = BinEdges(estimator)
        self._dtype = None if estimator.dtype is None else np.dtype(estimator.dtype)
        self._check = refuse_unusable(input_names(estimator), type(estimator).__name__)
        self._whole = EstimatorKernel(estimator)

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        if isinstance(X, pa.RecordBatch):
            require_numbers(X)
        return self._dtype or matrix_dtype(X)

    def positions(self, X: Block) -> NDArray[np.int32]:
        """Return output columns, shape (rows, input columns)."""
        out = np.empty((X.shape[0], len(self._edges)), np.int32)
        for column in range(len(self._edges)):
            np.add(self._bins(X, column), self._starts[column], out=out[:, column])
        return out

    def _bins(self, X: Block, column: int) -> NDArray[Any]:
        found = column_numbers(X.column(column)) if isinstance(X, pa.RecordBatch) else X[:, column]
        values = np.ascontiguousarray(found, self.output_dtype(X))
        self._check(values, column)
        return self._edges.find(values, column)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if hasattr(X, "indptr"):
            return self._whole.apply(X)
        if hasattr(X, "iloc"):
            X = X.to_numpy()
        if not self.sparse:
            length = X.shape[0]
            out = np.empty((length, self.width or 0), self.output_dtype(X))
            self.write(X, out)
            return out
        from scipy import sparse

        positions = self.positions(X)
        indptr = np.arange(0, positions.size + 1, positions.shape[1], dtype=np.int32)
        data = np.ones(positions.size, self.output_dtype(X))
        shape = (len(positions), self.width)
        return sparse.csr_matrix((data, positions.ravel(), indptr), shape=shape)

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        out[:] = 0
        row = np.arange(len(out))
        for column, start in enumerate(self._starts):
            out[row, start + self._bins(X, column)] = 1


def compile_bins(estimator: Any) -> Kernel:
    """Return the kernel of a fitted KBinsDiscretizer."""
    if estimator.encode != "ordinal":
        return BinsKernel(estimator)
    edges = BinEdges(estimator)
    check = refuse_unusable(input_names(estimator), type(estimator).__name__)
    dtype = None if estimator.dtype is None else np.dtype(estimator.dtype)
    return ElementwiseKernel(
        [check, column_by_column(edges.find)], len(edges), dtype=dtype, estimators=[estimator]
    )


def compile_binarizer(estimator: Any) -> Kernel:
    """Return the kernel of a fitted Binarizer; whole numbers come out as floats."""
    check = refuse_unusable(input_names(estimator), type(estimator).__name__)
    columns = int(estimator.n_features_in_)
    return ElementwiseKernel([check, _above(estimator.threshold)], columns, estimators=[estimator])


def _above(threshold: float) -> Operation:
    def run(out: NDArray[Any], at: Columns) -> None:
        del at
        np.greater(out, threshold, out=out)

    return run
