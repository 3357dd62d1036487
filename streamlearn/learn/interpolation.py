"""Quantiles from two neighbouring order statistics, as NumPy computes them, to the bit.

References
----------
Hyndman, Fan: Sample quantiles in statistical packages. The American Statistician 50 (1996) 361-365.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "interpolate", "neighbours"]

_PLOTTING = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3.0, 1 / 3.0),
    "normal_unbiased": (3 / 8.0, 3 / 8.0),
}
"""The two constants of Hyndman and Fan's continuous definitions."""

METHODS = {
    "linear",
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "median",
    *_PLOTTING,
}
"""Names NumPy has for definitions of a quantile; ``median`` is the mean of the middle two."""

Floats = NDArray[np.float64]
Ranks = NDArray[np.int64]


def neighbours(count: int, shares: Floats, method: str) -> tuple[Ranks, Ranks, Floats | None]:
    """Return the ranks below and above quantiles, and how far each lies between them.

    Parameters
    ----------
    count : int
        Values there are, at least one.
    shares : array of shape (quantiles,)
        Between 0 and 1.
    method : str
        One of `METHODS`.

    Examples
    --------
    >>> neighbours(4, np.array([0.5]), "linear")
    (array([1]), array([2]), array([0.5]))
    """
    if method == "median":
        return (
            np.full(len(shares), (count - 1) // 2),
            np.full(len(shares), count // 2),
            None,
        )
    place = _place(count, shares, method)
    below = np.floor(place)
    if method in ("inverted_cdf", "closest_observation"):
        stays = place == below
        if method == "closest_observation":
            stays &= below % 2 == 1
        rank = np.clip(np.where(stays, below, below + 1), 0, count - 1).astype(np.int64)
        return rank, rank, None
    part = place - below
    if method == "averaged_inverted_cdf":
        part = np.where(part == 0, 0.5, 1.0)
    above = below + 1
    below, above = (np.clip(side, 0, count - 1).astype(np.int64) for side in (below, above))
    return below, above, part


def _place(count: int, shares: Floats, method: str) -> Floats:
    if method == "linear":
        return np.asarray((count - 1) * shares)
    if method == "closest_observation":
        return np.asarray(count * shares - 1 - 0.5)
    if method in ("inverted_cdf", "averaged_inverted_cdf"):
        return np.asarray(count * shares - 1)
    first, second = _PLOTTING[method]
    return np.asarray(count * shares + (first + shares * (1 - first - second)) - 1)


def interpolate(below: NDArray[Any], above: NDArray[Any], part: Floats | None) -> NDArray[Any]:
    """Return the values between two, rounded as NumPy rounds: from the nearer of both.

    Without ``part`` it is their mean, in their own type.

    Examples
    --------
    >>> interpolate(np.array([1.0]), np.array([3.0]), np.array([0.25]))
    array([1.5])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if part is None:
            return np.where(below == above, below, (below + above) / below.dtype.type(2))
        width = above - below
        near_above = above - width * (1 - part)
        return np.asarray(np.where(part >= 0.5, near_above, below + width * part))
