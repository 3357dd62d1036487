"""Power transforms of columns, about a point of each column's own, with their derivatives.

A value is transformed relative to an anchor within its column: with ``t`` the difference of the
logs, found without rounding where both lie close together, the transform is
``anchor + scale * expm1(lambda * t) / lambda``. The scale drops out of the likelihood, and with
it the overflow; the anchor drops out of the variance, and with it the cancellation that far
offsets bring.

References
----------
Yeo, Johnson: A new family of power transformations to improve normality or symmetry.
Biometrika 87 (2000) 954-959. Box, Cox: An analysis of transformations. Journal of the Royal
Statistical Society B 26 (1964) 211-252.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Anchors", "power"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Anchors:
    """The point of each column that its transform is taken about, and the bounds of lambda."""

    kind: NDArray[np.int8]
    """1: the branch for values above zero, -1: below, 0: by the sign of each value."""
    log: Floats
    """Signed log of the anchor."""
    point: Floats
    """The anchor."""
    low: Floats
    """Smallest lambda that is looked at."""
    high: Floats
    """Largest lambda that is looked at."""
    one: float
    """What is added to a value before its log is taken: 1 for Yeo-Johnson, 0 for Box-Cox."""

    @classmethod
    def yeo_johnson(
        cls, least: Floats, most: Floats, dtype: np.dtype[Any], rows: int = 1
    ) -> Anchors:
        """Anchor columns of these extremes.

        The bounds are scipy's: transformed values 20 times as large as any here, and their
        squares, are numbers of ``dtype``. Where a column lies far from zero, a negative exponent
        makes all its values one number but for rounding; the bounds end before, with three digits
        to spare. (scikit-learn goes on, to where its own rounding happens to lead it, and the
        column is lost.)
        """
        kind = np.where(least >= 0, 1, np.where(most <= 0, -1, 0)).astype(np.int8)
        logs = (_signed_log(least) + _signed_log(most)) / 2
        log = np.where(kind == 0, 0.0, logs)
        span = np.log1p(20.0 * np.maximum(np.abs(least), np.abs(most)))
        limits = np.finfo(dtype)
        low = (np.log(limits.tiny) - np.log(limits.eps)) / 2 / span
        high = (np.log(limits.max) + np.log(limits.eps)) / 2 / span
        below, above = most < 0, least >= 0
        fades = _fades(least, most, max(1024 * limits.eps, 32 * rows * np.finfo(np.float64).eps))
        lowest, highest = np.maximum(low, -fades), np.minimum(high, 2 + fades)
        return cls(
            kind,
            log,
            np.sign(log) * np.expm1(np.abs(log)),
            np.where(below, 2 - high, np.where(above, lowest, np.maximum(2 - high, low))),
            np.where(
                below,
                np.minimum(2 - low, highest),
                np.where(above, high, np.minimum(2 - low, high)),
            ),
            1.0,
        )

    @classmethod
    def box_cox(cls, least: Floats, most: Floats, dtype: np.dtype[Any]) -> Anchors:
        """Anchor columns of these extremes, all above zero.

        Beyond the bounds the extremes alone would decide, or transformed values overflow.
        """
        below, above = np.log(least), np.log(most)
        log = (below + above) / 2
        reach = 300.0 / np.maximum(above - log, 1e-300)
        ceiling = float(np.log(np.finfo(dtype).max / 10_000))
        with np.errstate(divide="ignore"):
            high = np.where(above > 0, _overflows(above, ceiling), np.inf)
            low = np.where(below < 0, -_overflows(-below, ceiling), -np.inf)
        kind = np.ones(len(log), dtype=np.int8)
        low, high = np.maximum(-reach, low), np.minimum(reach, high)
        return cls(kind, log, np.exp(log), low, high, 0.0)

    def logs(self, X: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return distances ``t`` of values from their anchors in logs, and which are below zero.

        NaN stays NaN.
        """
        values = X.astype(np.float64)
        negative = np.where(self.kind == 0, values < 0, self.kind < 0)
        base = self.one + np.abs(self.point)
        side = np.where(self.kind < 0, -1.0, 1.0)
        with np.errstate(all="ignore"):
            # Of values near the anchor the difference is exact, and its share of the anchor small.
            share = (values - self.point) * side / base
            near = np.log1p(share)
            far = np.log1p(np.abs(values)) if self.one else np.log(values)
            far = np.where(negative, -far, far) - self.log
        return np.where((self.kind != 0) & (np.abs(share) < 0.5), near * side, far), negative

    def undo(self, lambdas: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of transformed values from those about the anchor."""
        negative = self.kind < 0
        start = power(lambdas, self.log, negative)[0]
        exponent = np.where(negative, lambdas - 2, lambdas) * self.log
        with np.errstate(over="ignore"):
            return start + np.exp(exponent) * mean, np.exp(2 * exponent) * variance


def power(
    lambdas: Floats, t: Floats, negative: NDArray[np.bool_], derivatives: int = 0
) -> list[Floats]:
    """Return the transform of distances in logs, and its derivatives by lambda.

    Parameters
    ----------
    lambdas : array of shape (columns,)
    t : array of shape (rows, columns) or (columns,)
    negative : array of bool
        Where the branch for values below zero is meant.
    derivatives : {0, 2}

    Examples
    --------
    >>> power(np.array([2.0]), np.log1p(np.array([[3.0]])), np.array([[False]]))
    [array([[7.5]])]
    """
    exponent, size = lambdas, t
    if negative.any():
        exponent, size = np.where(negative, 2 - lambdas, lambdas), np.where(negative, -t, t)
    z = exponent * size
    small = np.abs(z) < 0.02
    safe = np.where(z == 0, 1.0, z)
    with np.errstate(over="ignore", invalid="ignore"):
        rise = np.expm1(z)
        level = np.where(z == 0, 1.0, rise / safe)
        found = [size * level]
        if derivatives:
            safe[small] = 1.0
            rise += 1.0
            slope = (rise - level) / safe
            slope[small] = _series(z[small], 1)
            bend = (rise - 2 * slope) / safe
            bend[small] = _series(z[small], 2)
            slope *= size
            slope *= size
            bend *= size
            bend *= size
            bend *= size
            found += [slope, bend]
    if negative.any():
        for part in found[::2]:
            np.negative(part, out=part, where=negative)
    return found


def _series(z: Floats, order: int) -> Floats:
    """Return the derivative of ``expm1(z) / z`` near zero: the sum of z**k / (k + 1)!, derived."""
    factors = np.array([1.0 / _factorial(k + 1) for k in range(9)])
    poly = np.polynomial.Polynomial(factors).deriv(order)
    return np.asarray(poly(z))


def _factorial(k: int) -> float:
    return float(np.prod(np.arange(1.0, k + 1)))


def _signed_log(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


@np.errstate(all="ignore")
def _overflows(log: Floats, ceiling: float) -> Floats:
    """Return the lambda at which x**lambda / lambda has ``ceiling`` for its log."""
    lam = ceiling / log
    for _ in range(50):
        lam = np.maximum((ceiling + np.log(lam)) / log, 1e-300)
    return lam


def _fades(least: Floats, most: Floats, share: float) -> Floats:
    """Return the exponent, its sign left out, beyond which a column fades into one number.

    What the transform leaves is ``1 - (1 + x)**-exponent``, of which the second part must vary
    by this share of the first, or StandardScaler takes the column for constant.
    """
    near = np.log1p(np.minimum(np.abs(least), np.abs(most)))
    span = np.log1p(np.maximum(np.abs(least), np.abs(most))) - near
    digits = -np.log(share)
    found = np.ones(len(near))
    with np.errstate(divide="ignore", over="ignore"):
        for _ in range(20):
            left = digits + np.log(np.clip(found * span, 1e-300, 1.0))
            found = np.where(near > 0, np.maximum(left, 0.0) / near, np.inf)
    return found
