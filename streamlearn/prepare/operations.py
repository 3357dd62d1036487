"""What is done to one column, or to the columns of a matrix, in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError

__all__ = [
    "Columns",
    "Operation",
    "clip",
    "column_by_column",
    "divide",
    "fill",
    "input_names",
    "multiply_add",
    "refuse_infinite",
    "refuse_unusable",
    "subtract",
    "unusable",
]

Columns = int | NDArray[np.intp]
Operation = Callable[[NDArray[Any], Columns], None]
"""Changes a column, or a matrix of these columns, in place.

Columns are counted as the operation knows them: from 0, before any are picked.
"""


def subtract(values: NDArray[Any], *, widely: bool = False) -> Operation:
    """Subtract in the matrix's dtype, or ``widely`` in that of the values, as some scalers do."""

    def run(out: NDArray[Any], at: Columns) -> None:
        out -= values[at] if widely else values[at].astype(out.dtype)

    return run


def divide(values: NDArray[Any], *, widely: bool = False) -> Operation:
    """Divide, as `subtract` subtracts."""

    def run(out: NDArray[Any], at: Columns) -> None:
        out /= values[at] if widely else values[at].astype(out.dtype)

    return run


def multiply_add(scale: NDArray[Any], offset: NDArray[Any]) -> Operation:
    """Multiply, then add."""

    def run(out: NDArray[Any], at: Columns) -> None:
        out *= scale[at]
        out += offset[at]

    return run


def clip(low: float, high: float) -> Operation:
    """Clip to a range."""

    def run(out: NDArray[Any], at: Columns) -> None:
        del at
        np.clip(out, out.dtype.type(low), out.dtype.type(high), out=out)

    return run


def fill(values: NDArray[Any], marker: float) -> Operation:
    """Put a value of its column in the place of each marker, say NaN."""

    def run(out: NDArray[Any], at: Columns) -> None:
        missing = np.isnan(out) if np.isnan(marker) else out == marker
        if not missing.any():
            return
        if isinstance(at, int):
            out[missing] = values[at]
        else:
            rows, columns = np.nonzero(missing)
            out[rows, columns] = values[at][columns]

    return run


def refuse_infinite(names: Sequence[str], step: str) -> Operation:
    """scikit-learn's scalers take NaN, and refuse infinity."""

    def run(out: NDArray[Any], at: Columns) -> None:
        bad = np.isinf(out)
        if bad.any():
            row, column = _first(bad, at)
            raise CellError(
                row, names[column], f"infinite, which {step} does not take; filter it with where="
            )

    return run


def refuse_unusable(names: Sequence[str], step: str) -> Operation:
    """Refuse NaN and infinity alike."""

    def run(out: NDArray[Any], at: Columns) -> None:
        fine = np.isfinite(out)
        if not fine.all():
            row, column = _first(~fine, at)
            value = out[row] if isinstance(at, int) else out[row, at.tolist().index(column)]
            raise CellError(row, names[column], unusable(value, step))

    return run


def unusable(value: Any, step: str) -> str:
    """Return what to say of a cell that is missing or infinite."""
    if np.isnan(value):
        return (
            f"missing (NaN), and {step} takes no gaps; put a SimpleImputer before it, or filter "
            "such rows with where="
        )
    return f"infinite, which {step} does not take; filter it with where="


def _first(bad: NDArray[np.bool_], at: Columns) -> tuple[int, int]:
    if isinstance(at, int):
        return int(bad.argmax()), at
    row, place = (int(part) for part in np.argwhere(bad)[0])
    return row, int(at[place])


def column_by_column(change: Callable[[NDArray[Any], int], NDArray[Any]]) -> Operation:
    """Make an operation of what takes one column at a time and returns it changed."""

    def run(out: NDArray[Any], at: Columns) -> None:
        if isinstance(at, int):
            out[:] = change(out, at)
            return
        for place, column in enumerate(at.tolist()):
            out[:, place] = change(np.ascontiguousarray(out[:, place]), column)

    return run


def input_names(estimator: Any) -> list[str]:
    """Return what a fitted estimator calls its input columns: by position where it has no names."""
    columns = range(int(estimator.n_features_in_))
    return [str(name) for name in getattr(estimator, "feature_names_in_", columns)]
