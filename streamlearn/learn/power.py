"""The most likely power transform of each column, found over a few passes.

The first pass learns the extremes, the second a histogram of logs, whose own best lambda is the
start of Newton's method; each further pass gives the slope and curvature of the likelihood at one
lambda of every column. scikit-learn minimises the same function over all rows at once.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import column_names
from streamlearn.learn.likelihood import BINS, Extremes, Histogram, Slopes
from streamlearn.learn.moments import refuse_infinite
from streamlearn.learn.powers import Anchors, Floats
from streamlearn.learn.replay import frame_like, matrix_of

__all__ = ["PowerLikelihood"]

_NEWTON = 6
"""Passes of Newton's method at most; two or three are usual."""


<<<<<<< HEAD
class _Extremes:
    """Pass 1: what values there are."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.moments = Moments(len(names))
        self.least = np.full(len(names), np.inf)
        self.most = np.full(len(names), -np.inf)

    def add(self, X: NDArray[Any]) -> None:
        self.moments.add(X)
        self.least = np.fmin(self.least, np.fmin.reduce(X, axis=0))
        self.most = np.fmax(self.most, np.fmax.reduce(X, axis=0))

    def merge(self, other: _Extremes) -> None:
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
            return same
        found = self.moments
        with np.errstate(all="ignore"):
            close = _is_constant_feature(found.variance, found.mean, found.count)
        return np.asarray(same | (close & (found.count == found.total)))


class _Histogram:
    """Pass 2: how many values lie where, in logs."""

    def __init__(self, anchors: Anchors, least: Floats, most: Floats) -> None:
        self._anchors = anchors
        self._low = anchors.logs(least[None])[0][0]
        self._width = np.maximum(anchors.logs(most[None])[0][0] - self._low, 1e-300) / _BINS
        self.count = np.zeros((_BINS, len(least)))
        self.total = np.zeros((_BINS, len(least)))

    def add(self, X: NDArray[Any]) -> None:
        t, _ = self._anchors.logs(X)
        for index in range(t.shape[1]):
            column = t[:, index][~np.isnan(t[:, index])]
            where = ((column - self._low[index]) / self._width[index]).astype(np.intp)
            where = np.clip(where, 0, _BINS - 1)
            self.count[:, index] += np.bincount(where, minlength=_BINS)
            self.total[:, index] += np.bincount(where, column, minlength=_BINS)

    def merge(self, other: _Histogram) -> None:
        self.count += other.count
        self.total += other.total

    def best(self) -> Floats:
        """Return the lambda of each column most likely for the middles of the bins."""
        rows = np.maximum(self.count.sum(axis=0), 1.0)
        t = self.total / np.maximum(self.count, 1.0)
        share, anchors = self.count / rows, self._anchors
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


class _Slopes:
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

    def merge(self, other: _Slopes) -> None:
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
        done = np.abs(aim - self.lambdas) <= 1e-9 * np.maximum(1.0, np.abs(self.lambdas))
        return np.where(done, self.lambdas, aim.astype(dtype).astype(np.float64))


=======
>>>>>>> b09485e126e5e359d1d5ebc8c72a9a3d4ff08216
class PowerLikelihood:
    """Fits `sklearn.preprocessing.PowerTransformer`.

    Parameters
    ----------
    estimator : PowerTransformer

    Notes
    -----
    Lambdas are those of scikit-learn to the precision of its search (1e-6), and found at least as
    likely. They differ where its search is led by rounding: a column far from zero relative to
    its spread (years, say), which a strongly negative lambda would turn into one number. There
    Yeo-Johnson ends where the transformed column still varies (`Anchors.yeo_johnson`).
    """

    def __init__(self, estimator: Any) -> None:
        self._method = estimator.method
        self._left = 2 + _NEWTON
        self._dtype: np.dtype[Any] = np.dtype(np.float64)
        self._extremes: Extremes | None = None
        self._constant: NDArray[np.bool_] | None = None
        self._state: Extremes | Histogram | Slopes | None = None

    @property
    def passes(self) -> int:
        """See `Refining.passes`."""
        return self._left

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized`: the histogram is the largest."""
        del rows
        return columns * 8 * (2 * BINS + 30)

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if hasattr(X, "indptr"):
            raise TypeError("PowerTransformer takes no sparse matrix; use MaxAbsScaler()")
        matrix = matrix_of(X)
        self._dtype = matrix.dtype
        if self._state is None:
            self._state = Extremes(column_names(X))
        if not len(matrix):
            return
        if isinstance(self._state, Extremes):
            refuse_infinite(matrix, X, "PowerTransformer")
            if self._method == "box-cox":
                self._refuse_negative(matrix, X)
        self._state.add(matrix)

    @staticmethod
    def _refuse_negative(matrix: NDArray[Any], X: Block) -> None:
        bad = matrix <= 0
        if bad.any():
            row, column = (int(part) for part in np.argwhere(bad)[0])
            raise CellError(
                row,
                column_names(X)[column],
                f"{matrix[row, column]}, and PowerTransformer(method='box-cox') takes only what is "
                "above zero; use method='yeo-johnson', or filter such rows with where=",
            )

    def merge(self, other: PowerLikelihood) -> None:
        """See `Accumulator.merge`."""
        if self._state is None:
            self.__dict__.update(other.__dict__)
        elif other._state is not None:
            self._dtype = other._dtype
            self._state.merge(other._state)  # type: ignore[arg-type]

    def refine(self) -> bool:
        """See `Refining.refine`."""
        self._left -= 1
        state = self._state
        if isinstance(state, Extremes):
            return self._begin(state)
        if isinstance(state, Histogram):
            start = state.best().astype(self._dtype).astype(np.float64)
            self._state = Slopes(state.anchors, start)
            return True
        assert isinstance(state, Slopes)
        assert self._constant is not None
        better = np.where(self._constant, state.lambdas, state.better(self._dtype))
        if self._left <= 0 or (better == state.lambdas).all():
            return False
        state.lambdas = better
        state.clear()
        return True

    def _begin(self, found: Extremes) -> bool:
        """Go from the extremes to the histogram, unless all columns are constant."""
        names = np.array(found.names, dtype=object)
        empty = found.moments.count == 0
        if empty.any():
            raise ValueError(f"column {names[empty][0]!r} has no value at all; leave it out")
        self._extremes, self._constant = found, found.constant(self._method)
        if self._method == "box-cox" and self._constant.any():
            raise ValueError(
                f"column {names[self._constant][0]!r} is constant, which method='box-cox' does not "
                "take; leave it out, or use method='yeo-johnson'"
            )
        if self._constant.all():
            return False
        least = np.where(self._constant, 1.0, found.least)
        most = np.where(self._constant, 2.0, found.most)
        if self._method == "box-cox":
            anchors = Anchors.box_cox(least, most, self._dtype)
        else:
            rows = int(found.moments.total)
            anchors = Anchors.yeo_johnson(least, most, self._dtype, rows)
        self._state = Histogram(anchors, least, most)
        return True

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        found, constant = self._extremes, self._constant
        assert found is not None
        assert constant is not None
        stand_in = copy.copy(estimator)
        stand_in.method = "yeo-johnson"  # which takes two rows of zeros
        stand_in.fit(frame_like(sample, np.zeros((2, sample.shape[1]), dtype=self._dtype)))
        given = estimator.method
        vars(estimator).update(vars(stand_in))
        estimator.method = given
        lambdas = np.ones(len(constant))
        mean, variance = found.moments.mean, found.moments.variance
        if isinstance(self._state, Slopes):
            lambdas = np.where(constant, lambdas, self._state.lambdas)
            moved, spread = self._state.moments()
            mean, variance = np.where(constant, mean, moved), np.where(constant, variance, spread)
        estimator.lambdas_ = lambdas.astype(self._dtype)
        if estimator.standardize:
            _standardise(estimator._scaler, mean, variance, found.moments.count)


def _standardise(scaler: Any, mean: Floats, variance: Floats, count: Floats) -> None:
    """Set what the StandardScaler behind the transform has learned."""
    from sklearn.preprocessing._data import _handle_zeros_in_scale, _is_constant_feature

    count = count.astype(np.asarray(scaler.n_samples_seen_).dtype)
    scaler.n_samples_seen_ = count[0] if count.min() == count.max() else count
    scaler.mean_, scaler.var_ = mean, variance
    with np.errstate(over="ignore"):
        constant = _is_constant_feature(variance, mean, count)
    scaler.scale_ = _handle_zeros_in_scale(np.sqrt(variance), copy=False, constant_mask=constant)
