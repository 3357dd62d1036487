"""Smallest and largest values of rows that have a weight, and cells that cannot be used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import column_names

__all__ = ["Ranges", "asks_for_weight", "refuse_missing"]


class Ranges:
    """Smallest and largest value of each column, NaN and rows of weight 0 left out.

    Parameters
    ----------
    columns : int
    dtype : dtype

    Examples
    --------
    >>> found = Ranges(1, np.float64)
    >>> found.add(np.array([[3.0], [np.nan], [9.0]]), np.array([1.0, 1.0, 0.0]))
    >>> found.low, found.high, found.rows
    (array([3.]), array([3.]), 3)
    """

    def __init__(self, columns: int, dtype: DTypeLike) -> None:
        self.low = np.full(columns, np.nan, dtype)
        self.high = np.full(columns, np.nan, dtype)
        self.rows = 0

    def add(self, matrix: NDArray[Any], weight: Any = None) -> None:
        """Take in a block of shape (rows, columns)."""
        self.rows += len(matrix)
        if weight is not None:
            matrix = matrix[np.asarray(weight) != 0]
        if len(matrix):
            self.low = np.fmin(self.low, np.fmin.reduce(matrix, axis=0))
            self.high = np.fmax(self.high, np.fmax.reduce(matrix, axis=0))

    def merge(self, other: Ranges) -> None:
        """Take in the rows of another."""
        self.rows += other.rows
        self.low = np.fmin(self.low, other.low)
        self.high = np.fmax(self.high, other.high)


def refuse_missing(matrix: NDArray[Any], X: Block, step: str, hint: str) -> None:
    """Raise where a block has a gap, which a step does not take."""
    gaps = np.isnan(matrix)
    if gaps.any():
        row, column = (int(part) for part in np.argwhere(gaps)[0])
        raise CellError(
            row, column_names(X)[column], f"missing (NaN), and {step} takes no gaps; {hint}"
        )


def asks_for_weight(estimator: Any) -> bool:
    """Whether scikit-learn's metadata routing is told to bring sample weights to ``fit``."""
    try:
        return estimator.get_metadata_routing().fit.requests.get("sample_weight") is True
    except (AttributeError, RuntimeError):
        return False
