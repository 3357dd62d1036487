"""Sums over the rows of each group: what most states are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError, DataError

__all__ = ["Additive", "as_columns", "finite", "group_sums", "weights_of"]

Floats = NDArray[np.float64]


class Additive:
    """The part of a `streamlearn.score.base.Statistic` whose states are plain sums."""

    def merge(self, into: Floats, other: Floats) -> None:
        """Add states of other rows to states, in place."""
        into += other

    def combine(self, states: Floats, weights: Floats) -> Floats:
        """Add groups up, as often as each draw counts them."""
        return np.asarray(weights @ states)


def weights_of(weight: Any, rows: int) -> Floats:
    """Return the weight of each row: 1 where none is given.

    Raises
    ------
    DataError
        If a weight is negative, infinite or NaN.
    """
    if weight is None:
        return np.ones(rows)
    found = np.asarray(weight, dtype=np.float64)
    wrong = ~((found >= 0) & (found < np.inf))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"row {row:,} of the block has the weight {found[row]}; a weight is a number from 0 on"
        )
    return found


def group_sums(
    values: Floats, groups: NDArray[np.intp], count: int, weight: Floats | None = None
) -> Floats:
    """Sum values by group, shape (count,)."""
    if count == 1:
        total = values.sum() if weight is None else (values * weight).sum()
        return np.array([total], dtype=np.float64)
    terms = values if weight is None else values * weight
    return np.bincount(groups, weights=terms, minlength=count).astype(np.float64, copy=False)


def as_columns(values: NDArray[Any], outputs: int) -> Floats:
    """Return numbers of shape (rows, outputs).

    Raises
    ------
    DataError
        If there are more or fewer outputs.
    """
    found = np.asarray(values, dtype=np.float64)
    found = found.reshape(len(found), -1) if found.size else found.reshape(len(found), outputs)
    if found.shape[1] != outputs:
        raise DataError(f"expected {outputs} outputs a row, and there are {found.shape[1]}")
    return found


def finite(y: Floats, predictions: Floats) -> None:
    """Refuse truth or predictions that are NaN or infinite.

    Raises
    ------
    CellError
        Naming the first such row of the block.
    """
    for values, what in ((y, "the true value"), (predictions, "the prediction")):
        # A sum is cheaper to look at than its terms; one that overflows is looked at closer.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(values.sum()):
                continue
        wrong = ~np.isfinite(values)
        if wrong.any():
            row, output = (int(at) for at in np.argwhere(wrong)[0])
            raise CellError(
                row,
                "target",
                f"{what} is {values[row, output]}, which has no error; filter such rows with "
                "where=, or mend the model",
            )
