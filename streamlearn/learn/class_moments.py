"""Mean and squared deviations of each column within each class of the target.

Everything is measured from the first value of a column, and inside a block from the first row of
each class: two passes, and what is constant is so to the bit. Of a CSR block only what is stored
is looked at; the zeros are added when the moments are asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.learn.classes import ClassCodes

__all__ = ["ClassMoments", "by_cell", "by_class"]

Floats = NDArray[np.float64]


def by_class(label: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Any]:
    """Return the order that sorts rows by class, where each class starts, and its number."""
    order = np.argsort(label, kind="stable")
    found = label[order]
    starts = np.flatnonzero(np.concatenate([[True], found[1:] != found[:-1]]))
    return order, starts, found[starts]


def by_cell(
    key: NDArray[np.int64], cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return which cells there are, where each first stands, and the place of each key in them."""
    if cells > 4 * len(key):
        return np.unique(key, return_index=True, return_inverse=True)
    found = np.flatnonzero(np.bincount(key, minlength=cells))
    place_of = np.zeros(cells, dtype=np.int64)
    place_of[found] = np.arange(len(found))
    place = place_of[key]
    first = np.empty(len(found), dtype=np.int64)
    first[place[::-1]] = np.arange(len(key))[::-1]
    return found, first, place


class ClassMoments:
    """Moments of every column within every class.

    Parameters
    ----------
    columns : int

    Examples
    --------
    >>> moments = ClassMoments(1)
    >>> moments.add(np.array([[1.0], [3.0], [5.0]]), np.array(["a", "a", "b"]))
    >>> rows, mean, m2 = moments.result()
    >>> rows, (mean + moments.shift).ravel(), m2.ravel()
    (array([2., 1.]), array([2., 5.]), array([2., 0.]))
    """

    def __init__(self, columns: int) -> None:
        self.codes = ClassCodes()
        self.rows = np.zeros(0)
        """Rows of each class, in order of appearance."""
        self._columns = columns
        self._shift = np.full(columns, np.nan)
        self._count = np.zeros((0, columns))
        self._mean = np.zeros((0, columns))
        self._m2 = np.zeros((0, columns))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(3 * self._mean.nbytes + self._shift.nbytes)

    def add(self, X: NDArray[Any], y: NDArray[Any]) -> None:
        """Take in a dense block of finite numbers and its classes."""
        if not len(X):
            return
        label = self._encode(y)
        self._anchor(np.arange(self._columns), X[0].astype(np.float64))
        order, starts, present = by_class(label)
        count = np.diff([*starts, len(order)]).astype(np.float64)[:, None]
        lengths = count[:, 0].astype(np.int64)
        deviation = X[order].astype(np.float64)
        first = deviation[starts]
        deviation -= np.repeat(first, lengths, axis=0)
        off = np.add.reduceat(deviation, starts, axis=0) / count
        deviation -= np.repeat(off, lengths, axis=0)
        self._within(deviation, present, lengths)
        rest = np.add.reduceat(deviation, starts, axis=0)
        np.multiply(deviation, deviation, out=deviation)
        m2 = np.add.reduceat(deviation, starts, axis=0)
        m2 = np.maximum(m2 - rest * rest / count, 0.0)
        self.rows[present] += lengths
        self._combine(present, np.broadcast_to(count, m2.shape), first - self._shift + off, m2)

    def add_sparse(self, X: Any, y: NDArray[Any]) -> None:
        """Take in a CSR block of finite numbers and its classes."""
        label = self._encode(y)
        self.rows += np.bincount(label, minlength=len(self.rows))
        if not X.nnz:
            return
        column = X.indices.astype(np.int64)
        values = X.data.astype(np.float64)
        seen, first, _ = by_cell(column, self._columns)
        self._anchor(seen, values[first])
        key = np.repeat(label, np.diff(X.indptr)) * self._columns + column
        cell, first, place = by_cell(key, self._columns * len(self.rows))
        count = np.bincount(place).astype(np.float64)
        deviation = values - values[first][place]
        off = np.bincount(place, deviation) / count
        deviation -= off[place]
        rest = np.bincount(place, deviation)
        m2 = np.maximum(np.bincount(place, deviation * deviation) - rest * rest / count, 0.0)
        mean = values[first] - self._shift[cell % self._columns] + off
        self._combine((cell // self._columns, cell % self._columns), count, mean, m2)

    def merge(self, other: ClassMoments) -> None:
        """Take in those of other rows."""
        place = self.codes.merge(other.codes)
        self._grow()
        self.rows[place] += other.rows
        known = np.flatnonzero(~np.isnan(other._shift))
        self._anchor(known, other._shift[known])
        with np.errstate(invalid="ignore"):
            moved = np.where(np.isnan(other._shift), 0.0, other._shift - self._shift)
        self._combine(place, other._count, other._mean + moved, other._m2)

    def result(self) -> tuple[Floats, Floats, Floats]:
        """Return rows, means and sums of squared deviations of the sorted classes.

        Means are those of the columns less `shift`. What no block stored counts as zero.
        """
        zeros = self.rows[:, None] - self._count
        count, mean, m2 = self._count, self._mean, self._m2
        if zeros.any():
            total = np.maximum(self.rows[:, None], 1.0)
            delta = np.where(zeros > 0, -self.shift - mean, 0.0)
            m2 = m2 + delta * delta * (count * zeros / total)
            mean = mean + delta * (zeros / total)
        order = self.codes.order()
        return self.rows[order], mean[order], m2[order]

    @property
    def shift(self) -> Floats:
        """What means are measured from."""
        return np.asarray(np.nan_to_num(self._shift))

    def _encode(self, y: NDArray[Any]) -> NDArray[np.int64]:
        label = self.codes.encode(y)
        self._grow()
        return label

    def _grow(self) -> None:
        new = len(self.codes) - len(self.rows)
        if new:
            self.rows = np.append(self.rows, np.zeros(new))
            empty = np.zeros((new, self._columns))
            self._count = np.vstack([self._count, empty])
            self._mean = np.vstack([self._mean, empty])
            self._m2 = np.vstack([self._m2, empty])

    def _within(self, deviation: Floats, present: NDArray[Any], lengths: NDArray[Any]) -> None:
        """Take note of a block's deviations from its own means, sorted by class."""

    def _between(self, where: Any, delta: Floats, weight: Floats) -> None:
        """Take note of how far the means lie apart of what is merged."""

    def _anchor(self, columns: NDArray[Any], values: Floats) -> None:
        fresh = np.isnan(self._shift[columns])
        if fresh.any():
            self._shift[columns[fresh]] = values[fresh]

    def _combine(self, where: Any, count: Floats, mean: Floats, m2: Floats) -> None:
        """Merge moments into the classes, or cells, they belong to (Chan and others, 1983)."""
        known = self._count[where]
        total = known + count
        safe = np.maximum(total, 1.0)
        before = self._mean[where]
        delta = np.where((known > 0) & (count > 0), mean - before, 0.0)
        start = np.where(known > 0, before, np.where(count > 0, mean, 0.0))
        self._mean[where] = start + delta * (count / safe)
        weight = known * count / safe
        self._m2[where] += m2 + delta * delta * weight
        self._between(where, delta, weight)
        self._count[where] = total
