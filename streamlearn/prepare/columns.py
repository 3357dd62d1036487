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
from streamlearn.prepare.stack import Slots, stack_csr, stack_slots

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

    def _stack_sparse(self, X: Block, rows: Rows) -> Block:
        length = _length(X)
        parts: list[Any] = []
        slots: list[Slots] = []
        for branch in self.branches:
            encoder, before = _final_one_hot(branch.kernel)
            if encoder is not None:
                taken = branch.take(X)
                positions = encoder.positions(before.apply(taken, rows) if before else taken)
                slots.append((positions, None, encoder.width or 0, encoder.dtype))
                continue
            part = self._part(branch, X, rows)
            if not hasattr(part, "tocsr"):
                values = np.asarray(part)
                width = values.shape[1]
                slots.append((np.arange(width, dtype=np.int32), values, width, values.dtype))
                continue
            if slots:
                parts.append(stack_slots(slots, length))
                slots = []
            parts.append(part.tocsr())
        if slots:
            parts.append(stack_slots(slots, length))
        return stack_csr(parts)


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
