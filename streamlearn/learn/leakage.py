"""Whether a feature gives the target away, and whether the target drifts; on sampled rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.learn.profile import Finding

__all__ = ["leaks", "target_drift"]

_LEAST_ROWS = 100
_SAME = 0.999
_CORRELATION = 0.9999
_RANKS = 0.999
_LEAST_ERRORS = 20
"""Rows that guessing the commonest target would get wrong, for a feature without an error to say
anything."""
_ROWS_A_VALUE = 10
_STRETCHES = 64
_LEAST_DRIFT_ROWS = 1_000
_DRIFT_SHARE = 0.1


def leaks(name: str, feature: pa.Array, target_name: str, target: pa.Array) -> list[Finding]:
    """Return a finding if the feature is the target under another name."""
    if pa.types.is_nested(feature.type) or pa.types.is_null(feature.type):
        return []
    both = pc.and_(feature.is_valid(), target.is_valid())
    if not pc.all(both).as_py():
        feature, target = feature.filter(both), target.filter(both)
    if len(feature) < _LEAST_ROWS:
        return []
    rows = f"{len(feature):,} sampled rows"
    left, right = _as_numbers(feature), _as_numbers(target)
    text = ""
    if left is not None and right is not None:
        finite = np.isfinite(left) & np.isfinite(right)
        left, right = left[finite], right[finite]
        if len(left) >= _LEAST_ROWS and left.min() < left.max() and right.min() < right.max():
            same = float((left == right).mean())
            correlation = _correlation(left, right)
            if same >= _SAME:
                text = f"equals the target {target_name!r} in {same:.1%} of {rows}"
            elif abs(correlation) > _CORRELATION and _ranks_agree(left, right):
                text = (
                    f"is a straight line of the target {target_name!r}: their correlation is "
                    f"{correlation:.6f} in {rows}"
                )
    elif feature.type == target.type:
        same = float(pc.mean(pc.equal(feature, target)).as_py() or 0.0)
        if same >= _SAME:
            text = f"equals the target {target_name!r} in {same:.1%} of {rows}"
    if not text and (values := _determines(feature, target)):
        text = (
            f"determines the target {target_name!r}: each of its {values:,} values has one target "
            f"in {rows}"
        )
    if not text:
        return []
    text = (
        f"{name!r} {text}; it is likely the target itself: leave it out (features= or --features)"
    )
    return [Finding("warning", "leakage", name, text)]


def _as_numbers(column: pa.Array) -> NDArray[np.float64] | None:
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    left, right = left - left.mean(), right - right.mean()
    with np.errstate(all="ignore"):
        # No matrix product: its order of summation differs from machine to machine.
        found = float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))
    return found if np.isfinite(found) else 0.0


def _ranks_agree(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    """Whether it is not a few far values that make the correlation."""
    from scipy.stats import rankdata

    return abs(_correlation(rankdata(left), rankdata(right))) > _RANKS


def _determines(feature: pa.Array, target: pa.Array) -> int:
    """Return how many values a category has, if each goes with one target; else 0."""
    if pa.types.is_floating(feature.type) or pa.types.is_temporal(feature.type):
        return 0
    codes, values = _codes(feature)
    labels, found = _codes(target)
    if not 2 <= values <= len(codes) // _ROWS_A_VALUE or found < 2:
        return 0
    if np.bincount(labels).max() > len(labels) - _LEAST_ERRORS:
        return 0
    pairs = len(np.unique(codes * found + labels))
    return values if pairs == values else 0


def _codes(column: pa.Array) -> tuple[NDArray[np.int64], int]:
    encoded = column.dictionary_encode()
    return np.asarray(encoded.indices).astype(np.int64), len(encoded.dictionary)


def target_drift(sample: pa.Array, *, is_class: bool) -> float | None:
    """Return the share of the target's variation that lies between stretches, if it is large.

    Parameters
    ----------
    sample : array
        The target of the sampled rows, in the order of the source.

    Returns
    -------
    float or None
        The correlation ratio less what chance gives (Kelley's epsilon squared), for classes the
        same over class indicators; None below 10 %, or where the rows are too few.
    """
    sample = sample.drop_null()
    if len(sample) < _LEAST_DRIFT_ROWS:
        return None
    stretches = np.arange(len(sample)) * _STRETCHES // len(sample)
    sizes = np.bincount(stretches, minlength=_STRETCHES)
    if is_class:
        codes, found = _codes(sample)
        if found > len(sample) // 4:
            return None
        table = np.zeros((_STRETCHES, found))
        np.add.at(table, (stretches, codes), 1)
        shares = table.sum(axis=0) / len(sample)
        total = len(sample) * (1 - (shares**2).sum())
        between = (sizes[:, None] * (table / sizes[:, None] - shares) ** 2).sum()
    else:
        values: Any = _as_numbers(sample)
        if values is None or not np.isfinite(values).all():
            return None
        centred = values - values.mean()
        total = (centred**2).sum()
        sums = np.bincount(stretches, weights=centred, minlength=_STRETCHES)
        between = (sums**2 / sizes).sum()
    if total <= 0:
        return None
    chance = (_STRETCHES - 1) / (len(sample) - 1)
    share = float((between / total - chance) / (1 - chance))
    return share if share > _DRIFT_SHARE else None
