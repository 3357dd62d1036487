"""Values of a row: which are missing, and which the role of a column does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Faulty", "faulty_target", "faulty_weight", "infinite", "missing", "missing_in_rows"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Faulty:
    """Rows whose value in one column is not allowed."""

    mask: Mask
    shown: str
    """What the value is, where it is the same for all; otherwise it is to be looked up."""
    reason: str
    remedy: str


def missing(column: pa.Array) -> Mask | None:
    """Return where a column is null or NaN; None where it is nowhere.

    Examples
    --------
    >>> missing(pa.array([1.0, None, float("nan")])).tolist()
    [False, True, True]
    >>> missing(pa.array(["a", "b"])) is None
    True
    """
    floating = pa.types.is_floating(column.type)
    if not floating and not column.null_count:
        return None
    found = np.asarray(pc.is_null(column, nan_is_null=floating))
    return found if found.any() else None


def missing_in_rows(X: Any) -> Mask | None:
    """Return which rows of a matrix (dense or CSR) hold a NaN; None where none does."""
    return _rows_where(X, np.isnan)


def infinite(values: Any) -> Mask | None:
    """Return where a column, or which rows of a matrix, hold an infinite number; None: nowhere."""
    if isinstance(values, pa.Array):
        if not pa.types.is_floating(values.type):
            return None
        found = np.asarray(pc.is_inf(values).fill_null(False))
        return found if found.any() else None
    return _rows_where(values, np.isinf)


def _rows_where(X: Any, test: Any) -> Mask | None:
    values = X.data if hasattr(X, "indptr") else np.asarray(X)
    if values.dtype.kind != "f":
        return None
    hit: Mask = test(values)
    if not hit.any():
        return None
    if not hasattr(X, "indptr"):
        return np.asarray(hit.reshape(len(hit), -1).any(axis=1))
    found = np.zeros(X.shape[0], bool)
    found[np.searchsorted(X.indptr, np.flatnonzero(hit), side="right") - 1] = True
    return found


def faulty_target(
    name: str, values: NDArray[Any] | pa.Array, *, classes: bool = False
) -> Iterator[Faulty]:
    """Yield the rows whose target is missing or no finite number, or no class."""
    if isinstance(values, pa.Array):
        if values.null_count:
            yield Faulty(
                np.asarray(values.is_null()),
                "missing (null)",
                "the target is missing",
                f"leave such rows out with where= (in SQL: {name} IS NOT NULL) or drop_missing",
            )
        if not pa.types.is_floating(values.type):
            return
        found = np.asarray(pc.is_finite(values).fill_null(True))
    else:
        if values.dtype.kind != "f":
            return
        found = np.isfinite(values)
    if not found.all():
        yield Faulty(
            ~found,
            "",
            "the target is no finite number",
            f"leave such rows out with where= (in SQL: isfinite({name})) or drop_missing",
        )

    if classes:
        numbers = values.fill_null(0).to_numpy() if isinstance(values, pa.Array) else values
        broken = np.isfinite(numbers) & (numbers != np.floor(numbers))
        if broken.any():
            yield Faulty(broken, "", "a class label has a fraction", "")


def faulty_weight(values: NDArray[np.float64]) -> Iterator[Faulty]:
    """Yield the rows whose weight is no number, or below zero."""
    good = np.isfinite(values) & (values >= 0)
    if not good.all():
        text = "a weight is a number, zero or more"
        yield Faulty(~good, "", text, text)
