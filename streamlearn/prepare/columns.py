"""A fitted ColumnTransformer: branches side by side, one matrix out, dense or CSR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.base import ChainKernel, Kernel, PassthroughKernel, Rows
from streamlearn.prepare.elementwise import ElementwiseKernel
from streamlearn.prepare.encode import OneHotKernel
from streamlearn.prepare.frame import numbers, select, to_frame

__all__ = ["Branch", "ColumnsKernel"]


@dataclass(frozen=True)
class Branch:
    """One transformer of a ColumnTransformer."""

    kernel: Kernel
    columns: Sequence[Any]
    """Names of a table's columns, or positions of a matrix's."""
    scalar: bool = False
    """The transformer takes one column as one dimension (text vectorizers)."""

    def take(self, X: Block) -> Block:
        """Return the columns the branch works on."""
        picked = select(X, self.columns)
        if not self.scalar:
            return picked
        if isinstance(picked, pa.RecordBatch):
            return to_frame(picked).iloc[:, 0]
        return picked.iloc[:, 0] if hasattr(picked, "iloc") else picked[:, 0]


class ColumnsKernel:
    """Branches applied and put side by side, as `ColumnTransformer.transform` does.

    Parameters
    ----------
    branches : sequence of Branch
        In output order.
    sparse : bool
        Whether the output is CSR (``ColumnTransformer.sparse_output_``).
    """

    def __init__(self, branches: Sequence[Branch], *, sparse: bool) -> None:
        self.branches = tuple(branches)
        self.sparse = sparse
        widths = [branch.kernel.width for branch in self.branches]
        self.width: int | None = None if None in widths else sum(w for w in widths if w)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if not self.branches:
            return np.zeros((_length(X), 0))
        if self.sparse:
            return self._stack_sparse(X, rows)
        if len(self.branches) > 1 and all(
            isinstance(branch.kernel, ElementwiseKernel) for branch in self.branches
        ):
            return self._write_dense(X)
        parts = [_dense(self._part(branch, X, rows)) for branch in self.branches]
        return np.hstack(parts)

    def _part(self, branch: Branch, X: Block, rows: Rows) -> Block:
        part = branch.kernel.apply(branch.take(X), rows)
        return numbers(part, order="C") if isinstance(part, pa.RecordBatch) else part

    def _write_dense(self, X: Block) -> Block:
        taken = [branch.take(X) for branch in self.branches]
        kernels: list[Any] = [branch.kernel for branch in self.branches]
        kinds = {kernel.output_dtype(part) for kernel, part in zip(kernels, taken, strict=True)}
        if len(kinds) > 1:
            return np.hstack(
                [kernel.apply(part) for kernel, part in zip(kernels, taken, strict=True)]
            )
        out = np.empty((_length(X), self.width or 0), kinds.pop())
        start = 0
        for kernel, part in zip(kernels, taken, strict=True):
            kernel.write(part, out[:, start : start + kernel.width])
            start += kernel.width
        return out

    def _stack_sparse(self, X: Block, numbers_of: Rows) -> Block:
        """Build the CSR matrix from one table of slots: (row, slot) -> column, value.

        A dense branch fills a slot per column, a one-hot branch a slot per encoded column, so
        that rows come out sorted without sorting; zeros are left out, as scipy leaves them out.
        """
        from scipy import sparse

        parts: list[tuple[NDArray[np.int32], NDArray[Any] | None, int]] = []
        for branch in self.branches:
            encoder, before = _final_one_hot(branch.kernel)
            if encoder is not None:
                taken = branch.take(X)
                positions = encoder.positions(before.apply(taken, numbers_of) if before else taken)
                parts.append((positions, None, encoder.width or 0))
                continue
            part = self._part(branch, X, numbers_of)
            if hasattr(part, "indptr"):
                return self._stack_any(X, numbers_of)
            width = part.shape[1]
            parts.append((np.arange(width, dtype=np.int32), np.asarray(part), width))
        rows = _length(X)
        slots = sum(positions.shape[-1] for positions, _, _ in parts)
        kinds = [values.dtype for _, values, _ in parts if values is not None]
        dtype = np.result_type(np.float64, *kinds)
        columns = np.empty((rows, slots), dtype=np.int32)
        data = np.empty((rows, slots), dtype=dtype)
        present = np.ones((rows, slots), dtype=bool)
        slot = offset = 0
        for positions, values, width in parts:
            here = slice(slot, slot + positions.shape[-1])
            if values is None:
                data[:, here] = 1
                np.greater_equal(positions, 0, out=present[:, here])
            else:
                data[:, here] = values
                np.not_equal(values, 0, out=present[:, here])
            np.add(positions, offset, out=columns[:, here])
            slot, offset = here.stop, offset + width
        if present.all():
            indptr = np.arange(0, rows * slots + 1, max(1, slots), dtype=np.int32)
            parts_out = (data.ravel(), columns.ravel(), indptr)
        else:
            indptr = np.zeros(rows + 1, dtype=np.int32)
            np.cumsum(present.sum(axis=1), out=indptr[1:])
            parts_out = (data[present], columns[present], indptr)
        return sparse.csr_matrix(parts_out, shape=(rows, offset))

    def _stack_any(self, X: Block, rows: Rows) -> Block:
        from scipy import sparse

        return sparse.hstack([self._part(branch, X, rows) for branch in self.branches]).tocsr()


def _final_one_hot(kernel: Kernel) -> tuple[OneHotKernel | None, Kernel | None]:
    if isinstance(kernel, OneHotKernel) and kernel.sparse:
        return kernel, None
    if isinstance(kernel, ChainKernel):
        last = kernel.kernels[-1]
        if isinstance(last, OneHotKernel) and last.sparse:
            return last, ChainKernel(kernel.kernels[:-1])
    return None, None


def _dense(part: Block) -> NDArray[Any]:
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part)


def _length(X: Block) -> int:
    return int(X.num_rows if isinstance(X, pa.RecordBatch) else X.shape[0])


def passthrough(columns: Sequence[Any]) -> Branch:
    """Return the branch of a passthrough."""
    return Branch(PassthroughKernel(len(columns)), columns)
