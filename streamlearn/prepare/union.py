"""Kernels side by side on the same columns, and kernels whose output has names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Block
from streamlearn.prepare.base import Kernel, Rows
from streamlearn.prepare.frame import numbers, to_frame
from streamlearn.prepare.stack import stack_csr

__all__ = ["FrameKernel", "UnionKernel"]


class UnionKernel:
    """A fitted FeatureUnion: every kernel on all columns, outputs side by side.

    Parameters
    ----------
    kernels : sequence of Kernel
    weights : sequence of float or None
        ``FeatureUnion.transformer_weights``, in the same order.
    """

    def __init__(self, kernels: Sequence[Kernel], weights: Sequence[float | None]) -> None:
        self.kernels = tuple(kernels)
        self._weights = tuple(weights)
        widths = [kernel.width for kernel in self.kernels]
        self.width: int | None = None if None in widths else sum(w for w in widths if w)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if not self.kernels:
            return np.zeros((X.num_rows if isinstance(X, pa.RecordBatch) else X.shape[0], 0))
        parts = []
        for kernel, weight in zip(self.kernels, self._weights, strict=True):
            part = kernel.apply(X, rows)
            if isinstance(part, pa.RecordBatch):
                part = numbers(part, order="C")
            parts.append(part if weight is None else part * weight)
        if any(hasattr(part, "tocsr") for part in parts):
            from scipy import sparse

            return stack_csr([sparse.csr_matrix(part) for part in parts])
        return np.concatenate(parts, axis=1)


class FrameKernel:
    """Parts put side by side as a pandas frame, as ``set_output(transform="pandas")`` asks.

    Parameters
    ----------
    inner : sequence of (kernel, take)
        Kernels, and what gives each its columns of a block.
    names : sequence of str
        Of the output's columns.
    """

    def __init__(self, inner: Sequence[tuple[Kernel, Any]], names: Sequence[str]) -> None:
        self._inner = tuple(inner)
        self._names = list(names)
        self.width: int | None = len(self._names)

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        import pandas as pd

        parts = []
        for kernel, take in self._inner:
            part = kernel.apply(take(X), rows)
            if isinstance(part, pa.RecordBatch):
                part = to_frame(part)
            elif not hasattr(part, "iloc"):
                part = pd.DataFrame(part)
            parts.append(part.reset_index(drop=True))
        out = pd.concat(parts, axis=1)
        out.columns = self._names
        return out
