"""Blocks whose every cell must be a number: what is missing or infinite is refused by place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import column_names
from streamlearn.learn.replay import matrix_of

__all__ = ["finite_matrix", "refuse_unusable_stored"]


def finite_matrix(X: Block, step: str) -> NDArray[Any]:
    """Return a block as dense floats; raise where a cell is missing or infinite."""
    matrix = matrix_of(X)
    with np.errstate(all="ignore"):
        total = np.sum(matrix, dtype=np.float64)
    # A sum of finite cells may overflow, so that only a cell itself is proof.
    if not np.isfinite(total) and not (fine := np.isfinite(matrix)).all():
        row, column = (int(part) for part in np.argwhere(~fine)[0])
        raise CellError(row, column_names(X)[column], _message(matrix[row, column], step))
    return matrix


def refuse_unusable_stored(X: Any, step: str) -> None:
    """Raise where a CSR block stores what is missing or infinite."""
    fine = np.isfinite(X.data)
    if not fine.all():
        at = int(fine.argmin())
        raise CellError(
            int(np.searchsorted(X.indptr, at, side="right")) - 1,
            str(X.indices[at]),
            _message(X.data[at], step),
        )


def _message(value: Any, step: str) -> str:
    if np.isnan(value):
        return (
            f"missing (NaN), and {step} takes no gaps; put a SimpleImputer before it, or filter "
            "such rows with where="
        )
    return f"{value}, and {step} takes no infinity; filter such rows with where="
