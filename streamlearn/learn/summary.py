"""From what was counted of a column, and a sample of it, to its profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Field
from streamlearn.learn.distinct import Distinct, plain_values
from streamlearn.learn.profile import ColumnProfile
from streamlearn.learn.row_sample import cut_texts

__all__ = ["Exact", "summarize"]

_QUANTILES = {"5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95}
_MOST_TOP = 5
_LEAST_SAMPLED = 5
"""Times that a value is in the sample at least, to be called frequent."""


@dataclass(frozen=True)
class Exact:
    """What was counted over all rows of one column."""

    rows: int
    nulls: int
    nans: int
    infinite: int
    extent: tuple[Any, Any] | None
    """Smallest and largest finite value; points in time as whole numbers."""
    moments: tuple[float, float | None] | None
    distinct: Distinct | None
    extent_is_exact: bool = True


def summarize(item: Field, exact: Exact, sample: pa.Array) -> ColumnProfile:
    """Return the profile of a column.

    Parameters
    ----------
    sample : array
        The sampled rows of the column.
    """
    kind = item.type
    whole = len(sample) == exact.rows
    values = plain_values(cut_texts(sample)) if _is_plain(kind) else sample.slice(0, 0)
    counted = _counted(values)
    found: dict[str, Any] = {
        "name": item.name,
        "type": str(kind),
        "nulls": exact.nulls,
        "nans": exact.nans,
        "infinite": exact.infinite,
    }
    found |= _distinct(exact, len(counted.times), whole)
    found |= _top(exact, kind, counted, len(sample), whole)
    if exact.extent is not None:
        found["minimum"], found["maximum"] = (_plain(value, kind) for value in exact.extent)
    numbers = _numbers(values, kind, counted.ordered)
    if numbers is not None:
        found |= _moments(exact.moments, numbers, whole)
        if len(numbers) and not pa.types.is_boolean(kind):
            found["quantiles"] = {
                name: _short(_quantile(numbers, share)) for name, share in _QUANTILES.items()
            }
    elif pa.types.is_temporal(kind) and len(values):
        ordered = counted.ordered
        assert ordered is not None
        found["quantiles"] = {
            name: _plain(ordered[max(0, math.ceil(share * len(ordered)) - 1)].item(), kind)
            for name, share in _QUANTILES.items()
        }
    return ColumnProfile(**found)


def _is_plain(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_interval(kind))


def _distinct(exact: Exact, sampled: int, whole: bool) -> dict[str, Any]:
    sketch, most = exact.distinct, exact.rows - exact.nulls - exact.nans
    if exact.extent is not None and not exact.infinite:
        low, high = exact.extent
        if low == high and exact.extent_is_exact:
            return {"distinct": 1}
        if isinstance(low, int):
            most = min(most, high - low + 1)
    if whole:
        return {"distinct": sampled}
    if sketch is None:
        return {"distinct": sampled, "distinct_is": "at least"}
    if sketch.exact:
        return {"distinct": sketch.count}
    error = round(3 * sketch.error, 4)
    return {
        "distinct": min(sketch.count, most),
        "distinct_is": "about",
        "distinct_error": error,
    }


def _top(
    exact: Exact, kind: pa.DataType, counted: _Counted, sampled: int, whole: bool
) -> dict[str, Any]:
    pairs = exact.distinct.top(_MOST_TOP) if exact.distinct is not None else None
    of, is_exact = exact.rows, True
    if pairs is None:
        pairs, of, is_exact = _most_frequent(counted, _MOST_TOP), sampled, whole
    least = 2 if is_exact else _LEAST_SAMPLED
    top = tuple(
        (_plain(value, kind), _short(times / of)) for value, times in pairs if times >= least
    )
    return {"top": top, "top_is": "exact" if is_exact or not top else "sampled"}


@dataclass(frozen=True)
class _Counted:
    """Distinct values of a sample, and how often each occurs."""

    values: pa.Array
    times: NDArray[np.int64]
    ordered: NDArray[Any] | None = None
    """All values in order, where they are numbers."""


def _counted(values: pa.Array) -> _Counted:
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        found = values.value_counts()
        return _Counted(found.field(0), np.asarray(found.field(1)))
    # Sorted once, numbers give their quantiles too.
    ordered = np.sort(values.to_numpy())
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    return _Counted(pa.array(ordered[first]), np.diff(np.append(first, len(ordered))), ordered)


def _most_frequent(counted: _Counted, most: int) -> list[tuple[Any, int]]:
    """Return the most frequent of counted values, equally frequent ones by their value."""
    times = counted.times
    if not len(times):
        return []
    least = max(2, int(np.sort(times)[-most:][0]))
    chosen = np.flatnonzero(times >= least)
    pairs = zip(
        counted.values.take(pa.array(chosen)).to_pylist(), times[chosen].tolist(), strict=True
    )
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:most]


def _quantile(ordered: NDArray[np.float64], share: float) -> float:
    """Return a quantile of ordered values, between two of them in proportion, as NumPy does."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] * (1 - (place - low)) + ordered[high] * (place - low))


def _numbers(
    values: pa.Array, kind: pa.DataType, ordered: NDArray[Any] | None
) -> NDArray[np.float64] | None:
    """Return the finite values of a column of numbers or truth values, numbers in order."""
    if pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    if ordered is not None:
        numbers = ordered.astype(np.float64)
    else:
        numbers = np.sort(values.to_numpy(zero_copy_only=False).astype(np.float64))
    finite = np.isfinite(numbers)
    return numbers if finite.all() else numbers[finite]


def _moments(
    moments: tuple[float, float | None] | None, numbers: NDArray[np.float64], whole: bool
) -> dict[str, Any]:
    if moments is not None:
        return {"mean": moments[0], "std": moments[1]}
    if not len(numbers):
        return {}
    # Of numbers near the largest there are, the squares are beyond it: then there is no number.
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else np.nan
        mean = float(numbers.mean())
    return {
        "mean": _short(mean) if np.isfinite(mean) else None,
        "std": _short(spread) if np.isfinite(spread) else None,
        "mean_is": "exact" if whole else "sampled",
    }


def _short(value: float) -> float:
    """Round what is from a sample: more digits would mean nothing."""
    return float(f"{value:.9g}")


def _plain(value: Any, kind: pa.DataType) -> Any:
    """Return a value as JSON has it."""
    if pa.types.is_temporal(kind) and isinstance(value, int):
        stored = pa.int64() if kind.bit_width == 64 else pa.int32()
        text = str(pa.array([value], stored).view(kind).cast(pa.string())[0].as_py())
        return text.replace(" ", "T", 1) if pa.types.is_timestamp(kind) else text
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str | None) else str(value)
