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
