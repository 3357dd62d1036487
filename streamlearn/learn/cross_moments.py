"""How each column goes with a numeric target: means, squared deviations, cross products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.learn.class_moments import by_cell

__all__ = ["CrossMoments"]

Floats = NDArray[np.float64]


class CrossMoments:
    """Moments of every column, and its centred cross product with the target.

    Each column is measured from its first value, so that what is constant is so to the bit. Of a
    CSR block only what is stored is looked at.

    Parameters
    ----------
    columns : int

    References
    ----------
    Pébay: Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
    statistical moments. Sandia report SAND2008-6212 (2008).

    Examples
    --------
    >>> moments = CrossMoments(1)
    >>> moments.add(np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 4.0, 6.0]))
    >>> cross, squares, target = moments.centred()
    >>> cross, squares, target
    (array([4.]), array([2.]), 8.0)
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        # The target is one more column, the last: it is then constant to the bit as well.
        self._shift = np.full(columns + 1, np.nan)
        self._count = np.zeros(columns + 1)
        self._mean = np.zeros(columns + 1)
        self._mean_y = np.zeros(columns + 1)
        self._m2 = np.zeros(columns + 1)
        self._cross = np.zeros(columns + 1)

    @property
    def rows(self) -> int:
        """Rows taken in."""
        return int(self._count[-1])

    def add(self, X: NDArray[Any], y: Floats) -> None:
        """Take in a dense block of finite numbers and its target."""
        if not len(X):
            return
        rows = float(len(X))
        every = np.arange(self._columns)
        first = X[0].astype(np.float64)
        self._anchor(every, first)
        self._add_target(y)
        deviation = X.astype(np.float64)
        deviation -= first
        off = deviation.mean(axis=0)
        deviation -= off
        rest = deviation.sum(axis=0)
        answer = y - self._shift[-1]
        mean_y = answer.mean()
        answer = answer - mean_y
        rest_y = answer.sum()
        cross = answer @ deviation - rest * rest_y / rows
        np.multiply(deviation, deviation, out=deviation)
        m2 = np.maximum(deviation.sum(axis=0) - rest * rest / rows, 0.0)
        self._combine(
            every,
            np.full(self._columns, rows),
            first - self._shift[:-1] + off,
            np.full(self._columns, mean_y),
            m2,
            cross,
        )

    def add_sparse(self, X: Any, y: Floats) -> None:
        """Take in a CSR block of finite numbers and its target."""
        if not X.shape[0]:
            return
        self._add_target(y)
        values = X.data.astype(np.float64)
        cell, first, place = by_cell(X.indices.astype(np.int64), self._columns)
        self._anchor(cell, values[first])
        if not len(cell):
            return
        count = np.bincount(place).astype(np.float64)
        deviation = values - values[first][place]
        off = np.bincount(place, deviation) / count
        deviation -= off[place]
        rest = np.bincount(place, deviation)
        m2 = np.maximum(np.bincount(place, deviation * deviation) - rest * rest / count, 0.0)
        answer = np.repeat(y - self._shift[-1], np.diff(X.indptr))
        mean_y = np.bincount(place, answer) / count
        answer -= mean_y[place]
        cross = np.bincount(place, deviation * answer) - rest * np.bincount(place, answer) / count
        self._combine(cell, count, values[first] - self._shift[cell] + off, mean_y, m2, cross)

    def merge(self, other: CrossMoments) -> None:
        """Take in those of other rows."""
        if not other.rows:
            return
        known = np.flatnonzero(other._count)
        self._anchor(known, other._shift[known])
        self._combine(
            known,
            other._count[known],
            other._mean[known] + (other._shift[known] - self._shift[known]),
            other._mean_y[known] + (other._shift[-1] - self._shift[-1]),
            other._m2[known],
            other._cross[known],
        )

    def centred(self) -> tuple[Floats, Floats, float]:
        """Return centred cross products, squares of the columns, and squares of the target."""
        _, cross, m2 = self._whole()
        return cross, m2, float(self._m2[-1])

    def raw(self) -> tuple[Floats, Floats, float]:
        """Return the same of values as they are, not centred."""
        mean, cross, m2 = self._whole()
        rows, shift = float(self.rows), np.nan_to_num(self._shift)
        mean, mean_y = mean + shift[:-1], float(self._mean[-1] + shift[-1])
        squares = float(self._m2[-1] + rows * mean_y * mean_y)
        return cross + rows * mean * mean_y, m2 + rows * mean * mean, squares

    def _whole(self) -> tuple[Floats, Floats, Floats]:
        """Return means, cross products and squares of the columns, with what is not stored."""
        rows = float(self.rows)
        count, mean = self._count[:-1], self._mean[:-1]
        zeros = rows - count
        if not zeros.any():
            return mean, self._cross[:-1], self._m2[:-1]
        # Rows that do not store the column: x is zero, and y what the stored ones leave.
        safe = np.where(zeros > 0, zeros, 1.0)
        away = (self._mean[-1] - self._mean_y[:-1]) * np.where(zeros > 0, rows / safe, 0.0)
        delta = np.where(zeros > 0, -np.nan_to_num(self._shift[:-1]) - mean, 0.0)
        both = count * zeros / rows
        return (
            mean + delta * (zeros / rows),
            self._cross[:-1] + delta * away * both,
            self._m2[:-1] + delta * delta * both,
        )

    def _add_target(self, y: Floats) -> None:
        self._anchor(np.array([self._columns]), y[:1])
        deviation = y - y[0]
        off = deviation.mean()
        deviation = deviation - off
        rest = deviation.sum()
        m2 = np.atleast_1d(max(deviation @ deviation - rest * rest / len(y), 0.0))
        mean = np.atleast_1d(y[0] - self._shift[-1] + off)
        rows = np.array([float(len(y))])
        self._combine(np.array([self._columns]), rows, mean, mean, m2, m2)

    def _anchor(self, columns: NDArray[Any], values: Floats) -> None:
        fresh = np.isnan(self._shift[columns])
        if fresh.any():
            self._shift[columns[fresh]] = values[fresh]

    def _combine(
        self,
        where: NDArray[Any],
        count: Floats,
        mean: Floats,
        mean_y: Floats,
        m2: Floats,
        cross: Floats,
    ) -> None:
        known = self._count[where]
        total = known + count
        delta = np.where(known > 0, mean - self._mean[where], 0.0)
        delta_y = np.where(known > 0, mean_y - self._mean_y[where], 0.0)
        share, both = count / total, known * count / total
        self._mean[where] = np.where(known > 0, self._mean[where] + delta * share, mean)
        self._mean_y[where] = np.where(known > 0, self._mean_y[where] + delta_y * share, mean_y)
        self._m2[where] += m2 + delta * delta * both
        self._cross[where] += cross + delta * delta_y * both
        self._count[where] = total
