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

from streamlearn.learn.compactor import Compactor, Ranks, Values

__all__ = ["OrderStatistics", "Sizes"]


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

    summary_bytes = 10 << 20
    collected_bytes = 24 << 20
    waiting_bytes = 4 << 20

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
        self._columns = [_Column(self._sizes.summary) for _ in range(columns)]
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
        unsure = [index for index in self._open if not self._columns[index].resolve()]
        if sketch:
            for index in unsure:
                self.rank_error = max(self.rank_error, self._columns[index].guess())
            unsure = []
        self._open = np.array(unsure, dtype=np.intp)
        left = max((self._columns[index].unknown for index in unsure), default=0)
        self._sizes = self._make_sizes(len(unsure), self.dtype.itemsize, left)
        for index in range(len(self._columns)):
            if index not in set(unsure):
                self._columns[index].close()
        for index in unsure:
            self._columns[index].narrow(self._sizes)
        return bool(unsure)

    def values(self, column: int, ranks: Ranks) -> Values:
        """Return the values of ranks of a column that were asked for."""
        found = self._columns[column]
        assert found.found is not None
        return found.found[np.searchsorted(found.wanted, ranks)]

    @staticmethod
    def planned_bytes(
        columns: int, itemsize: int = 8, wanted: int = 0, sizes: type[Sizes] = Sizes
    ) -> int:
        """Return what a state holds at most, if so many ranks of a column are wanted."""
        size = sizes(columns, itemsize, wanted)
        held = max(size.summary * itemsize, size.collected * itemsize, size.splitters * 24)
        # Two more of one column while a level of it is sorted.
        return columns * (held + size.waiting * itemsize + 400) + 2 * size.collected * itemsize

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


class _Column:
    """What is known of one column: counts at and between edges, and values of some stretches."""

    def __init__(self, room: int) -> None:
        self.summary = Compactor(room)
        self.low: Any = np.inf
        self.high: Any = -np.inf
        self.wanted: Ranks = np.empty(0, dtype=np.int64)
        self.found: Values | None = None
        self._known: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._edges: Values = np.empty(0)
        self._counts: Ranks = np.zeros(1, dtype=np.int64)
        """Values before the first edge, at it, between it and the second, and so on."""
        self._keeps: NDArray[np.bool_] = np.ones(1, dtype=bool)
        """Of each stretch between edges, whether its values go into the summary."""
        self._bounds: tuple[Values, Values] | None = None

    @property
    def unknown(self) -> int:
        """Ranks that are still to be found."""
        return int((~self._known).sum())

    def want(self, ranks: Ranks, dtype: np.dtype[Any]) -> None:
        self.wanted = ranks
        self.found = np.zeros(len(ranks), dtype)
        self._known = np.zeros(len(ranks), dtype=bool)

    def add(self, values: Values) -> None:
        """Take in sorted values."""
        if not len(self._edges):
            self._counts[0] += len(values)
            self.summary.add(values)
            return
        first, after = _places(self._edges, values)
        starts, stops = np.r_[0, after], np.r_[first, len(values)]
        self._counts[::2] += stops - starts
        self._counts[1::2] += after - first
        if self._keeps.any():
            self.summary.add(values[_covered(starts[self._keeps], stops[self._keeps], len(values))])

    def merge(self, other: _Column) -> None:
        self._counts = self._counts + other._counts
        self.summary.merge(other.summary)

    def resolve(self) -> bool:
        """Find what can be found; return whether that is all."""
        if not len(self._edges) and self.summary.count:
            self.low, self.high = self.summary.low, self.summary.high
        left = np.flatnonzero(~self._known)
        if not len(left):
            return True
        assert self.found is not None
        ranks = self.wanted[left]
        upto = np.cumsum(self._counts)
        place = np.searchsorted(upto, ranks, side="right")
        low, high = self._stretch(place)
        kept = np.zeros(len(self._counts), dtype=bool)
        kept[::2] = self._keeps
        inside = kept[place]
        if inside.any():
            elsewhere = np.cumsum(np.where(kept, 0, self._counts))
            bottom, top = self.summary.bounds(ranks[inside] - elsewhere[place[inside]])
            low[inside] = np.fmax(bottom, low[inside])
            high[inside] = np.fmin(top, high[inside])
        sure = low == high
        self.found[left[sure]] = low[sure]
        self._known[left[sure]] = True
        self._bounds = low[~sure], high[~sure]
        return bool(sure.all())

    def _stretch(self, place: NDArray[np.intp]) -> tuple[Values, Values]:
        """Return the edges around counts; equal ones at an edge."""
        assert self.found is not None
        kind = self.found.dtype.type
        ends = np.r_[kind(self.low), self._edges, kind(self.high)].astype(kind)
        before = (place + 1) // 2
        return ends[before], ends[before + (place % 2 == 0)]

    def guess(self) -> float:
        """Take the likeliest values of the first pass; return how far off, as a share."""
        assert self.found is not None
        left = ~self._known
        self.found[left], off = self.summary.middle(self.wanted[left])
        self._known[:] = True
        return float(off.max()) / self.summary.count

    def narrow(self, sizes: Sizes) -> None:
        """Say what the next pass counts and collects."""
        assert self._bounds is not None
        low, high = self._bounds
        ends = np.unique(np.concatenate([low, high]))
        covers = _covered(np.searchsorted(ends, low), np.searchsorted(ends, high), len(ends))
        if self._keeps.any() and self._inside(ends, covers) > sizes.collected:
            items, weights = self.summary.items()
            at = np.searchsorted(ends, items, side="right") - 1
            inside = (at >= 0) & covers[np.maximum(at, 0)]
            picked = _spaced(items[inside], weights[inside], sizes.splitters)
            self._edges = np.unique(np.concatenate([ends, picked]))
            self._keeps = np.zeros(len(self._edges) + 1, dtype=bool)
        else:
            self._edges = ends
            self._keeps = np.r_[False, covers]
        self._counts = np.zeros(2 * len(self._edges) + 1, dtype=np.int64)
        self.summary = Compactor(sizes.collected)

    def close(self) -> None:
        """Need no more."""
        self._edges, self._keeps = np.empty(0), np.zeros(1, dtype=bool)
        self._counts, self._bounds = np.zeros(1, dtype=np.int64), None
        self.summary = Compactor(0)

    def _inside(self, ends: Values, covers: NDArray[np.bool_]) -> int:
        """Return how many values lie between ends at most."""
        items, weights = self.summary.items()
        upto = np.r_[0, np.cumsum(weights)]
        turns = np.diff(np.r_[False, covers].astype(np.int8))
        first = upto[np.searchsorted(items, ends[turns == 1], side="right")]
        last = upto[np.searchsorted(items, ends[turns == -1])]
        off = self.summary.over + self.summary.under
        return min(int((last - first + off).sum()), self.summary.count)


def _places(edges: Values, values: Values) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how many of the sorted values lie before each edge, and how many up to it."""
    if len(edges) * 2 < len(values):
        return np.searchsorted(values, edges), np.searchsorted(values, edges, side="right")
    place = np.searchsorted(edges, values)
    after = np.cumsum(np.bincount(place, minlength=len(edges) + 1))[:-1]
    hits = edges[np.minimum(place, len(edges) - 1)] == values
    return after - np.bincount(place[hits], minlength=len(edges)), after


def _covered(starts: NDArray[np.intp], stops: NDArray[np.intp], length: int) -> NDArray[np.bool_]:
    """Return which of so many places lie in one of the stretches."""
    steps = np.bincount(starts, minlength=length + 1) - np.bincount(stops, minlength=length + 1)
    return np.cumsum(steps)[:length] > 0


def _spaced(values: Values, weights: Ranks, most: int) -> Values:
    """Return at most so many of the values, between which lies about the same weight."""
    if len(values) <= most:
        return values
    upto = np.cumsum(weights)
    return values[np.searchsorted(upto, np.linspace(0, upto[-1], most + 2)[1:-1])]
