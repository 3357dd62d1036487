"""Variation around a mean that nobody knows beforehand, mergeable to full precision.

A spread is four numbers: the weight, an origin near the mean, and the weighted sums of deviations
from the origin and of their squares. The origin is exact by definition, so that a value less an
origin loses nothing, and moving the origin adds terms that are no larger than the result: a target
of 1e9 ± 1 keeps all its digits. Four zeros are no rows.

References
----------
Chan, Golub, LeVeque: Algorithms for computing the sample variance. The American Statistician 37
(1983) 242-247.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.sums import group_sums

__all__ = ["SPREAD", "combine_spreads", "merge_spreads", "spreads", "squares_about", "variation"]

Floats = NDArray[np.float64]

SPREAD = 4
"""Numbers in a spread."""


def spreads(values: Floats, weight: Floats, groups: NDArray[np.intp], count: int) -> Floats:
    """Return the spread of each group, shape (count, 4).

    Parameters
    ----------
    values, weight : array of float, shape (rows,)
    groups : array of int, shape (rows,)
    count : int

    Examples
    --------
    >>> found = spreads(np.array([1.0, 3.0]), np.ones(2), np.zeros(2, dtype=np.intp), 1)
    >>> found.tolist(), variation(found).tolist()
    ([[2.0, 2.0, 0.0, 2.0]], [2.0])
    """
    out = np.zeros((count, SPREAD))
    total = group_sums(weight, groups, count)
    if count == 1:
        # One origin for all, without a look-up for each row.
        groups = groups[:1]
    # Measured from a value of the group first: one value alone is its own mean, exactly.
    some = np.zeros(count)
    some[groups] = values[: len(groups)]
    known = np.divide(1.0, total, out=np.zeros(count), where=total > 0)
    origin = some + group_sums(values - some[groups], groups, count, weight) * known
    out[:, 0] = total
    out[:, 1] = np.where(total > 0, origin, 0.0)
    away = values - origin[groups]
    out[:, 2] = group_sums(away, groups, count, weight)
    out[:, 3] = group_sums(away * away, groups, count, weight)
    return out


def merge_spreads(into: Floats, other: Floats) -> None:
    """Add spreads of other rows to spreads, in place; both of shape (groups, 4)."""
    total = into[:, 0] + other[:, 0]
    share = np.divide(other[:, 0], total, out=np.zeros(len(total)), where=total > 0)
    base = np.where(into[:, 0] > 0, into[:, 1], other[:, 1])
    origin = base + (np.where(other[:, 0] > 0, other[:, 1], base) - base) * share
    first, second = _moved(into, origin), _moved(other, origin)
    into[:, 0] = total
    into[:, 1] = origin
    into[:, 2] = first[0] + second[0]
    into[:, 3] = first[1] + second[1]


def _moved(spread: Floats, origin: Floats) -> tuple[Floats, Floats]:
    """Return both sums of deviations from other origins."""
    weight, own, sums, squares = spread.T
    by = np.where(weight > 0, own - origin, 0.0)
    return sums + weight * by, squares + by * (2 * sums + weight * by)


def combine_spreads(states: Floats, weights: Floats) -> Floats:
    """Add groups up, each with its weight in each draw, shape (draws, 4).

    Parameters
    ----------
    states : array of float, shape (groups, 4)
    weights : array of float, shape (draws, groups)
    """
    weight, own, sums, squares = states.T
    out = np.zeros((len(weights), SPREAD))
    if not len(states):
        return out
    held = weights * weight
    there = held > 0
    total = held.sum(axis=1)
    known = np.divide(1.0, total, out=np.zeros(len(total)), where=total > 0)
    # From the origin of a group that is in the draw: groups of one value keep it, exactly.
    base = own[held.argmax(axis=1)]
    apart = np.where(there, own - base[:, None], 0.0)
    origin = base + (held * apart).sum(axis=1) * known
    by = np.where(there, own - origin[:, None], 0.0)
    out[:, 0] = total
    out[:, 1] = np.where(total > 0, origin, 0.0)
    out[:, 2] = weights @ sums + (held * by).sum(axis=1)
    out[:, 3] = weights @ squares + (weights * by * (2 * sums + weight * by)).sum(axis=1)
    return out


def variation(spread: Floats) -> Floats:
    """Return the sums of squares around the mean, shape (groups,)."""
    weight, _, sums, squares = spread.T
    known = np.divide(1.0, weight, out=np.zeros(len(weight)), where=weight > 0)
    return np.asarray(np.maximum(squares - sums * sums * known, 0.0))


def squares_about(spread: Floats) -> Floats:
    """Return the sums of squares of the values themselves, shape (groups,)."""
    weight, own, sums, squares = spread.T
    return np.asarray(np.maximum(squares + own * (2 * sums + weight * own), 0.0))
