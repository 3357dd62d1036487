"""How likely a power transform makes columns normal: what each pass over the rows has to gather.

With v(lambda) the variance of the values transformed about their anchor, and t their distances
from it in logs, the log-likelihood of a column is ``rows * (lambda * mean(t) - log(v) / 2)``, up
to a constant (`streamlearn.learn.powers`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.learn.moments import Moments
from streamlearn.learn.powers import Anchors, Floats, power

__all__ = ["BINS", "Extremes", "Histogram", "Slopes"]

BINS = 512


class Extremes:
    """Pass 1: what values there are."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.moments = Moments(len(names))
        self.least = np.full(len(names), np.inf)
        self.most = np.full(len(names), -np.inf)

    def add(self, X: NDArray[Any]) -> None:
        """Take in a block."""
        self.moments.add(X)
        self.least = np.fmin(self.least, np.fmin.reduce(X, axis=0))
        self.most = np.fmax(self.most, np.fmax.reduce(X, axis=0))

    def merge(self, other: Extremes) -> None:
        """Take in the rows of another."""
        self.moments.merge(other.moments)
        self.least = np.fmin(self.least, other.least)
        self.most = np.fmax(self.most, other.most)

    def constant(self, method: str) -> NDArray[np.bool_]:
        """Return which columns scikit-learn takes for constant.

        For Yeo-Johnson that is a bound on the variance, for columns without gaps. In a constant
        column with gaps it finds any lambda at all; here that is 1, as in the others.
        """
        from sklearn.preprocessing._data import _is_constant_feature

        same = self.least == self.most
        if method == "box-cox":
            return np.asarray(same)
        found = self.moments
        with np.errstate(all="ignore"):
            close = _is_constant_feature(found.variance, found.mean, found.count)
        return np.asarray(same | (close & (found.count == found.total)))


class Histogram:
    """Pass 2: how many values lie where, in logs."""

    def __init__(self, anchors: Anchors, least: Floats, most: Floats) -> None:
        self.anchors = anchors
        self._low = anchors.logs(least[None])[0][0]
        self._width = np.maximum(anchors.logs(most[None])[0][0] - self._low, 1e-300) / BINS
        self.count = np.zeros((BINS, len(least)))
        self.total = np.zeros((BINS, len(least)))

    def add(self, X: NDArray[Any]) -> None:
        """Take in a block."""
        t, _ = self.anchors.logs(X)
        for index in range(t.shape[1]):
            column = t[:, index][~np.isnan(t[:, index])]
            where = ((column - self._low[index]) / self._width[index]).astype(np.intp)
            where = np.clip(where, 0, BINS - 1)
            self.count[:, index] += np.bincount(where, minlength=BINS)
            self.total[:, index] += np.bincount(where, column, minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Take in the rows of another."""
        self.count += other.count
        self.total += other.total

    def best(self) -> Floats:
        """Return the lambda of each column most likely for the middles of the bins."""
        rows = np.maximum(self.count.sum(axis=0), 1.0)
        t = self.total / np.maximum(self.count, 1.0)
        share, anchors = self.count / rows, self.anchors
        # Of signs of its own a column has no anchor but zero, and log 0.
        negative = np.where(anchors.kind == 0, t < 0, anchors.kind < 0)
        low, high = anchors.low, anchors.high
        mean_t = (share * t).sum(axis=0)
        best = low
        for _ in range(6):
            steps = [low + (high - low) * (k / 40) for k in range(41)]
            gains = np.stack([_likelihood(step, t, negative, share, mean_t) for step in steps])
            at = gains.argmax(axis=0)
            best = np.stack(steps)[at, np.arange(len(at))]
            width = (high - low) / 40
            low, high = np.maximum(best - width, low), np.minimum(best + width, high)
        return best


def _likelihood(
    lambdas: Floats, t: Floats, negative: NDArray[np.bool_], share: Floats, mean_t: Floats
) -> Floats:
    y = power(lambdas, t, negative)[0]
    with np.errstate(all="ignore"):
        mean = (share * y).sum(axis=0)
        found = lambdas * mean_t - np.log((share * (y - mean) ** 2).sum(axis=0)) / 2
    return np.where(np.isfinite(found), found, -np.inf)


class Slopes:
    """Passes from 3 on: how the likelihood changes about one lambda of each column."""

    def __init__(self, anchors: Anchors, lambdas: Floats) -> None:
        columns = len(lambdas)
        self.anchors = anchors
        self.lambdas = lambdas
        self.low, self.high = anchors.low, anchors.high
        self.is_met = np.zeros((2, columns), dtype=bool)
        """Whether either end was looked at."""
        self.clear()

    def clear(self) -> None:
        """Forget the rows, not the lambdas."""
        columns = len(self.lambdas)
        self.count = np.zeros(columns)
        self._mean = np.zeros((4, columns))
        # Co-moments: y y, y y', y' y', y y''.
        self._product = np.zeros((4, columns))

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, X: NDArray[Any]) -> None:
        """Take in a block."""
        t, negative = self.anchors.logs(X)
        missing = np.isnan(t)
        has_gaps = missing.any()
        if has_gaps:
            t[missing] = 0.0
        parts = [*power(self.lambdas, t, negative, derivatives=2), t]
        count = len(t) - missing.sum(axis=0, dtype=np.float64)
        mean = np.zeros((4, len(count)))
        for index, part in enumerate(parts):
            if has_gaps:
                part[missing] = 0.0
            mean[index] = part.sum(axis=0) / np.maximum(count, 1.0)
            part -= mean[index]
            if has_gaps:
                part[missing] = 0.0
        y, first, second, _ = parts
        pairs = ((y, y), (y, first), (first, first), (y, second))
        self._join(count, mean, np.stack([(a * b).sum(axis=0) for a, b in pairs]))

    def merge(self, other: Slopes) -> None:
        """Take in the rows of another."""
        self._join(other.count, other._mean, other._product)

    def _join(self, count: Floats, mean: Floats, product: Floats) -> None:
        total = np.maximum(self.count + count, 1.0)
        delta = mean - self._mean
        y, first, second, _ = delta
        between = np.stack([y * y, y * first, first * first, y * second])
        self._product = self._product + product + between * (self.count * (count / total))
        self._mean = self._mean + delta * (count / total)
        self.count = self.count + count

    def moments(self) -> tuple[Floats, Floats]:
        """Return mean and variance of the transformed values."""
        variance = self._product[0] / np.maximum(self.count, 1.0)
        return self.anchors.undo(self.lambdas, self._mean[0], variance)

    @np.errstate(all="ignore")
    def better(self, dtype: np.dtype[Any]) -> Floats:
        """Return where Newton's method goes from here, inside what the slopes leave open."""
        yy, y1, first, y2 = self._product
        rise = 2 * y1 / yy
        slope = self._mean[3] - rise / 2
        bend = -((first + y2) / yy - rise * rise / 2)
        up = slope > 0
        self.low, self.high = (
            np.where(up, self.lambdas, self.low),
            np.where(up, self.high, self.lambdas),
        )
        self.is_met = np.stack([self.is_met[0] | up, self.is_met[1] | ~up])
        aim = np.clip(self.lambdas - slope / bend, self.low, self.high)
        # An end that was looked at already is not the best: the slopes lead away from it.
        back = ((aim == self.low) & self.is_met[0] & ~up) | (
            (aim == self.high) & self.is_met[1] & up
        )
        middle = (self.low + self.high) / 2
        aim = np.where((bend < 0) & np.isfinite(aim) & ~back, aim, middle)
        aim = np.where(np.isfinite(slope), aim, self.lambdas)
        # Log is the transform for 0 (and for 2 below zero), where scikit-learn's way back from a
        # lambda next to it loses its digits.
        for pole in (0.0, 2.0):
            aim = np.where(np.abs(aim - pole) < 1e-9, pole, aim)
        near = max(1e-9, float(np.finfo(dtype).eps))
        done = np.abs(aim - self.lambdas) <= near * np.maximum(1.0, np.abs(self.lambdas))
        return np.where(done, self.lambdas, aim.astype(dtype).astype(np.float64))
