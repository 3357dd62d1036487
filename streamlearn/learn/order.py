"""Order statistics of many columns, exact, in as few passes as their number of rows asks for.

The first pass keeps a summary of each column. From it follows, for every rank that is wanted, an
interval that is sure to hold its value. A further pass counts what lies below and between the
intervals, and collects what lies in them where that fits; else it counts how many values lie
between many splitters, which makes the intervals as narrow as their distance.

References
----------
Munro, Paterson: Selection and sorting with limited storage. Theoretical Computer Science 12 (1980)
315-323.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from streamlearn.learn.column_ranks import ColumnRanks
from streamlearn.learn.compactor import Ranks, Values

__all__ = ["OrderStatistics", "Sizes"]


_COLUMN_BYTES = 4000
"""Objects and headers of the arrays of a column; measured."""


class Sizes:
    """How much a state holds: of how many columns, so much of each.

    Parameters
    ----------
    columns : int
        Columns that are looked at.
    itemsize : int
        Bytes of a value.
    wanted : int
        Ranks of a column at most, of which each is to have some room.
    """

    summary_bytes = 6 << 20
    collected_bytes = 12 << 20
    waiting_bytes = 2 << 20

    def __init__(self, columns: int, itemsize: int, wanted: int = 0) -> None:
        value = max(1, columns) * itemsize
        self.summary = min(max(self.summary_bytes // value, 256), 1 << 17)
        """Values of a column that a summary holds."""
        self.collected = min(max(self.collected_bytes // value, 256, 32 * wanted), 1 << 20)
        """Values of a column that are collected."""
        self.waiting = min(max(self.waiting_bytes // value, 64), 1 << 15)
        """Rows that wait to be sorted together."""

    @property
    def splitters(self) -> int:
        """Values between which is counted: two counts for each."""
        return max(self.collected // 3, 64)


class OrderStatistics:
    """Order statistics of columns, NaN left out.

    Parameters
    ----------
    columns : int
    dtype : dtype
        Float type of the values.
    sizes : type of Sizes, optional
        How much is held.

    Examples
    --------
    >>> order = OrderStatistics(1, np.float64)
    >>> order.add(np.array([[3.0], [np.nan], [1.0], [2.0]]))
    >>> order.settle(), order.count
    (None, array([3]))
    >>> order.want([np.array([0, 1])])
    >>> order.refine()
    False
    >>> order.values(0, np.array([1, 0]))
    array([2., 1.])
    """

    def __init__(self, columns: int, dtype: DTypeLike, sizes: type[Sizes] = Sizes) -> None:
        self.dtype = np.dtype(dtype)
        self.rows = 0
        """Rows seen in a pass."""
        self.missing = np.zeros(columns, dtype=np.int64)
        """NaN of each column, once settled."""
        self.rank_error = 0.0
        """How far a rank may be off, as a share of the values; 0 where values are exact."""
        self._make_sizes = sizes
        self._sizes = sizes(columns, self.dtype.itemsize)
        self._columns = [ColumnRanks(self._sizes.summary) for _ in range(columns)]
        self._open = np.arange(columns)
        self._waiting: NDArray[Any] | None = None
        self._filled = 0
        self._is_first = True

    @property
    def count(self) -> Ranks:
        """Values of each column that are no NaN, once settled."""
        return self.rows - self.missing

    def extremes(self, column: int) -> tuple[Any, Any]:
        """Return the smallest and the largest value of a column that has any, once settled."""
        found = self._columns[column]
        return self.dtype.type(found.low), self.dtype.type(found.high)

    def distinct(self, column: int) -> tuple[Values, Ranks] | None:
        """Return values and counts of a column after the first pass; None where they are too many."""
        summary = self._columns[column].summary
        return summary.items() if summary.is_exact else None

    def add(self, matrix: NDArray[Any]) -> None:
        """Take in a block of shape (rows, columns)."""
        if self._is_first:
            self.rows += len(matrix)
        if len(self._open) == len(self._columns):
            self._wait(matrix.T)
        elif len(self._open):
            self._wait(matrix[:, self._open].T)

    def merge(self, other: OrderStatistics) -> None:
        """Take in the rows of another, which come after these."""
        if self._is_first:
            self.rows += other.rows
            self.missing += other.missing
        for mine, theirs in zip(self._columns, other._columns, strict=True):
            mine.merge(theirs)
        if other._waiting is not None:
            self._wait(other._waiting[:, : other._filled])

    def settle(self) -> None:
        """Count the rows that wait; a pass is over."""
        if self._waiting is None:
            return
        for place, index in enumerate(self._open):
            values = np.sort(self._waiting[place, : self._filled])
            if len(values) and np.isnan(values[-1]):
                seen = int(np.searchsorted(values, np.nan))
                if self._is_first:
                    self.missing[index] += len(values) - seen
                values = values[:seen]
            self._columns[index].add(values)
        self._filled = 0

    def want(self, ranks: Sequence[Ranks]) -> None:
        """Ask for ranks of each column, counted from 0; after the first pass."""
        for column, wanted in zip(self._columns, ranks, strict=True):
            column.want(np.unique(wanted).astype(np.int64), self.dtype)

    def refine(self, *, sketch: bool = False) -> bool:
        """Take stock after a pass; return whether one more is needed.

        Parameters
        ----------
        sketch : bool
            No more pass: take the likeliest values, and note in ``rank_error`` how far off
            they may be.
        """
        self.settle()
        self._is_first = False
        self._waiting = None
        unsure = [int(index) for index in self._open if not self._columns[index].resolve()]
        if sketch:
            for index in unsure:
                self.rank_error = max(self.rank_error, self._columns[index].guess())
            unsure = []
        self._open = np.array(unsure, dtype=np.intp)
        left = max((self._columns[index].unknown for index in unsure), default=0)
        self._sizes = self._make_sizes(len(unsure), self.dtype.itemsize, left)
        known = set(range(len(self._columns))) - set(unsure)
        for index in known:
            self._columns[index].close()
        for index in unsure:
            self._columns[index].narrow(self._sizes.collected, self._sizes.splitters)
        return bool(unsure)

    def values(self, column: int, ranks: Ranks) -> Values:
        """Return the values of ranks of a column that were asked for."""
        found = self._columns[column]
        assert found.found is not None
        return found.found[np.searchsorted(found.wanted, ranks)]

    @staticmethod
    def planned_bytes(
        columns: int,
        itemsize: int = 8,
        wanted: int = 0,
        sizes: type[Sizes] = Sizes,
        rows: int | None = None,
    ) -> int:
        """Return what a state holds at most, if so many ranks of a column are wanted."""
        size = sizes(columns, itemsize, wanted)
        held = max(size.summary * itemsize, size.collected * itemsize, size.splitters * 24)
        column = held + size.waiting * itemsize + 32 * wanted + _COLUMN_BYTES
        # Two more of one column while a level of it is sorted.
        most = columns * column + 2 * size.collected * itemsize
        if rows is not None:
            most = min(most, columns * (3 * rows * itemsize + 32 * wanted + _COLUMN_BYTES))
        return most

    def _wait(self, rows: NDArray[Any]) -> None:
        """Put rows, given as (columns, rows), with those that wait."""
        if self._waiting is None:
            self._waiting = np.empty((len(self._open), self._sizes.waiting), self.dtype)
        start = 0
        while start < rows.shape[1]:
            if self._filled == self._waiting.shape[1]:
                self.settle()
            part = rows[:, start : start + self._waiting.shape[1] - self._filled]
            self._waiting[:, self._filled : self._filled + part.shape[1]] = part
            self._filled += part.shape[1]
            start += part.shape[1]
