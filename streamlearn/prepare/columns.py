"""A fitted ColumnTransformer: branches side by side, one matrix out, dense or CSR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.base import ChainKernel, Kernel, PassthroughKernel, Rows, Writes
from streamlearn.prepare.bins import BinsKernel
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


@dataclass(frozen=True)
class _Plan:
    """What will be written into some columns of a matrix."""

    width: int
    dtype: np.dtype[Any]
    given: Block
    """What the kernel takes, or the columns themselves where there is none."""
    kernel: Writes | None


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
        return self._write_dense(X, rows)

    def _part(self, branch: Branch, X: Block, rows: Rows) -> Block:
        part = branch.kernel.apply(branch.take(X), rows)
        return numbers(part, order="C") if isinstance(part, pa.RecordBatch) else part

    def _write_dense(self, X: Block, rows: Rows) -> Block:
        """Write each cell once: what a kernel cannot write into the matrix is copied there."""
        plans: list[_Plan] = []
        for branch in self.branches:
            kernel, taken = _last_step(branch.kernel, branch.take(X), rows)
            if isinstance(kernel, Writes) and isinstance(taken, pa.RecordBatch | np.ndarray):
                plans.append(_Plan(kernel.width or 0, kernel.output_dtype(taken), taken, kernel))
                continue
            part = kernel.apply(taken, rows)
            if isinstance(part, pa.RecordBatch):
                plain = PassthroughKernel(part.num_columns)
                plans.append(_Plan(part.num_columns, plain.output_dtype(part), part, plain))
                continue
            part = _dense(part)
            if len(self.branches) == 1:
                return part
            plans.append(_Plan(part.shape[1], part.dtype, part, None))
        kind = np.result_type(*(plan.dtype for plan in plans))
        out = np.empty((_length(X), sum(plan.width for plan in plans)), kind)
        start = 0
        while plans:
            # Dropped as soon as it is written.
            plan = plans.pop(0)
            here = out[:, start : start + plan.width]
            if plan.kernel is not None:
                plan.kernel.write(plan.given, here)
            else:
                here[:] = plan.given
            start += plan.width
        return out

    def _stack_sparse(self, X: Block, rows: Rows) -> Block:
        length = _length(X)
        parts: list[Any] = []
        slots: list[Slots] = []
        for branch in self.branches:
            encoder, before = _final_one_hot(branch.kernel)
            if encoder is not None:
                taken = branch.take(X)
                taken = before.apply(taken, rows) if before else taken
                positions = encoder.positions(taken)
                kind = (
                    encoder.output_dtype(taken)
                    if isinstance(encoder, BinsKernel)
                    else encoder.dtype
                )
                slots.append((positions, None, encoder.width or 0, kind))
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


def _final_one_hot(kernel: Kernel) -> tuple[OneHotKernel | BinsKernel | None, Kernel | None]:
    if isinstance(kernel, OneHotKernel | BinsKernel) and kernel.sparse:
        return kernel, None
    if isinstance(kernel, ChainKernel):
        last = kernel.kernels[-1]
        if isinstance(last, OneHotKernel | BinsKernel) and last.sparse:
            return last, ChainKernel(kernel.kernels[:-1])
    return None, None


def _last_step(kernel: Kernel, X: Block, rows: Rows) -> tuple[Kernel, Block]:
    """Return the last kernel of a chain, and what those before it give."""
    if not isinstance(kernel, ChainKernel):
        return kernel, X
    for before in kernel.kernels[:-1]:
        X = before.apply(X, rows)
    return kernel.kernels[-1], X


def _dense(part: Block) -> NDArray[Any]:
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part)


def _length(X: Block) -> int:
    return int(X.num_rows if isinstance(X, pa.RecordBatch) else X.shape[0])


def passthrough(columns: Sequence[Any]) -> Branch:
    """Return the branch of a passthrough."""
    return Branch(PassthroughKernel(len(columns)), columns)
