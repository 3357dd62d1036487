"""What every kernel offers, and the kernel that always works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.frame import to_frame

__all__ = ["ChainKernel", "EstimatorKernel", "Kernel", "PassthroughKernel", "Rows"]

Rows = NDArray[np.int64] | None
"""Numbers of rows in the source, where they are learned from."""


class Kernel(Protocol):
    """A fitted transformer as array operations on blocks of rows.

    ``apply`` never changes its input, and equals the ``transform`` of the estimator it was
    compiled from.
    """

    width: int | None
    """Output columns, or None where only applying it tells."""

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """Transform a block of rows.

        Parameters
        ----------
        X : block of shape (rows, columns)
        rows : array of int, shape (rows,), optional
            Their numbers in the source, where they are rows that were learned from. It matters
            to those that encode such rows as ``fit_transform`` would, and not as ``transform``.
        """
        ...


class EstimatorKernel:
    """The estimator's own ``transform``, on a frame: slower than a kernel, never wrong.

    Parameters
    ----------
    estimator : fitted transformer
    """

    width: int | None = None

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self.columns_out = int(getattr(estimator, "_n_features_out", 0))
        """Where the estimator says so; a sparse matrix may have as many."""
        self._named = hasattr(estimator, "feature_names_in_")
        parameters = estimator.get_params() if hasattr(estimator, "get_params") else {}
        self._works_in_place = any(
            name.rpartition("__")[2] == "copy" and value is False
            for name, value in parameters.items()
        )

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `Kernel.apply`."""
        if isinstance(X, pa.RecordBatch):
            frame = to_frame(X)
            X = frame if self._named else frame.to_numpy()
        if self._works_in_place:
            X = X.copy()
        return self._estimator.transform(X)


class PassthroughKernel:
    """Columns as they are."""

    def __init__(self, width: int) -> None:
        self.width: int | None = width

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `Kernel.apply`."""
        return X


class ChainKernel:
    """Kernels one after the other.

    Parameters
    ----------
    kernels : sequence of Kernel
        At least one.
    """

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels = tuple(kernels)
        self.width: int | None = self.kernels[-1].width

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `Kernel.apply`."""
        for kernel in self.kernels:
            X = kernel.apply(X, rows)
        return X
