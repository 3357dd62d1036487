"""What every kernel offers, and the kernel that always works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.frame import copy_columns, matrix_dtype, require_numbers, to_frame

__all__ = [
    "ChainKernel",
    "EstimatorKernel",
    "Kernel",
    "PassthroughKernel",
    "Rows",
    "Writes",
    "works_in_place",
]

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


@runtime_checkable
class Writes(Protocol):
    """A kernel that knows its matrix before it makes it, and writes it where it is told.

    Such kernels stand side by side in one matrix, and no cell is written twice.
    """

    width: int | None

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """Return the dtype ``apply`` gives for a table, or an array of two dimensions."""
        ...

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """Fill a matrix with what ``apply`` gives.

        Parameters
        ----------
        X : RecordBatch, or array of shape (rows, columns)
        out : array of shape (rows, width)
            Of `output_dtype`, or a wider dtype; all cells are written.
        """
        ...


def works_in_place(estimator: Any) -> bool:
    """Whether an estimator, or one inside it, was told ``copy=False``."""
    parameters = estimator.get_params() if hasattr(estimator, "get_params") else {}
    return any(
        name.rpartition("__")[2] == "copy" and value is False for name, value in parameters.items()
    )


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
        self._works_in_place = works_in_place(estimator)

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

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `Writes.output_dtype`."""
        if not isinstance(X, pa.RecordBatch):
            kind: np.dtype[Any] = X.dtype
            return kind
        require_numbers(X)
        return matrix_dtype(X)

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `Writes.write`."""
        copy_columns(X, out)


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
