"""A stream of sorted values in bounded room, and how far its ranks may be off.

Few distinct values are counted. Of more, all are kept while they fit; from then on a level of the
hierarchy is sorted and every other value of it goes up one level, with twice the weight.

References
----------
Munro, Paterson: Selection and sorting with limited storage. Theoretical Computer Science 12 (1980)
315-323.
Manku, Rajagopalan, Lindsay: Approximate medians and other quantiles in one pass and with limited
memory. SIGMOD 1998, 426-435.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Compactor"]

_DISTINCT = 4096
"""Distinct values up to which they are counted."""
_RUNS = 32
"""Arrays that a level is made of."""

Values = NDArray[np.floating[Any]]
Ranks = NDArray[np.int64]


class Compactor:
    """Values of one stream, NaN left out.

    Compacting a level of weight ``w`` moves the rank of any value by at most ``w``, and which way
    depends on which half is kept. Both sums are known, so every rank lies in a known interval.

    Parameters
    ----------
    room : int
        Values held at most.

    Examples
    --------
    >>> stream = Compactor(room=64)
    >>> for start in range(0, 10_000, 100):
    ...     stream.add(np.arange(start, start + 100.0))
    >>> low, high = stream.bounds(np.array([5000]))
    >>> bool(low[0] <= 5000 <= high[0])
    True
    """

    def __init__(self, room: int) -> None:
        self.room = max(room, 64)
        self.count = 0
        """Values taken in."""
        self.over = 0
        """What is held may count this many values too many below any value."""
        self.under = 0
        """And this many too few."""
        self.low = np.inf
        self.high = -np.inf
        self._known: Values | None = None
        self._times: Ranks | None = None
        self._counts_values = True
        self._levels: list[list[Values]] = []
        self._flips: list[int] = []

    @property
    def is_exact(self) -> bool:
        """Whether nothing was given up."""
        return self.over == 0 and self.under == 0

    @property
    def is_counting(self) -> bool:
        """Whether the distinct values are few, and counted."""
        return self._counts_values

    def give_up(self) -> None:
        """Hold nothing, and count no more."""
        self._counts_values, self._known, self._times, self._levels = False, None, None, []

    def add(self, values: Values) -> None:
        """Take in sorted values; the array is kept as it is."""
        if not len(values):
            return
        self._note(len(values), values[0], values[-1])
        if self._counts_values:
            starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
            if len(starts) <= self._most_distinct:
                self._count(values[starts], np.diff(np.r_[starts, len(values)]))
                return
            self._stop_counting()
        self._hold(0, values)

    def merge(self, other: Compactor) -> None:
        """Take in the values of another."""
        if not other.count:
            return
        self._note(other.count, other.low, other.high)
        self.over += other.over
        self.under += other.under
        if other._counts_values:
            assert other._known is not None
            assert other._times is not None
            if self._counts_values:
                self._count(other._known, other._times)
            else:
                self._spread(other._known, other._times)
            return
        self._stop_counting()
        for level, runs in enumerate(other._levels):
            for run in runs:
                self._hold(level, run)

    def items(self) -> tuple[Values, Ranks]:
        """Return the values held, sorted, and the weight of each."""
        if self._counts_values:
            if self._known is None or self._times is None:
                return np.empty(0), np.empty(0, dtype=np.int64)
            return self._known, self._times
        runs = [(level, run) for level, held in enumerate(self._levels) for run in held]
        values = np.concatenate([run for _, run in runs])
        weights = np.concatenate([np.full(len(run), 1 << level) for level, run in runs])
        order = np.argsort(values, kind="stable")
        return values[order], weights[order].astype(np.int64)

    def bounds(self, ranks: Ranks) -> tuple[Values, Values]:
        """Return two values for each rank, counted from 0, between which its value lies."""
        values, weights = self.items()
        upto = np.cumsum(weights)
        top = np.searchsorted(upto, ranks + 1 + self.over)
        bottom = np.searchsorted(upto - weights, ranks - self.under, side="right") - 1
        last = len(values) - 1
        high = np.where(top <= last, values[np.minimum(top, last)], values.dtype.type(self.high))
        low = np.where(bottom >= 0, values[np.maximum(bottom, 0)], values.dtype.type(self.low))
        return low, high

    def middle(self, ranks: Ranks) -> tuple[Values, Ranks]:
        """Return one value for each rank, and how many ranks it may be off at most."""
        values, weights = self.items()
        upto = np.cumsum(weights)
        below = upto - weights
        place = np.searchsorted(upto, ranks + 1 + (self.over - self.under) / 2)
        place = np.minimum(place, len(values) - 1)
        first = np.searchsorted(values, values[place])
        last = np.searchsorted(values, values[place], side="right") - 1
        late = below[first] + self.under - ranks
        early = ranks - (upto[last] - self.over - 1)
        return values[place], np.maximum(np.maximum(late, early), 0)

    @property
    def _most_distinct(self) -> int:
        return min(_DISTINCT, self.room // 4)

    def _note(self, count: int, low: Any, high: Any) -> None:
        self.count += count
        self.low, self.high = min(self.low, low), max(self.high, high)

    def _count(self, values: Values, times: Ranks) -> None:
        if self._known is None or self._times is None:
            self._known, self._times = values, times
        else:
            both = np.concatenate([self._known, values])
            order = np.argsort(both, kind="stable")
            both = both[order]
            starts = np.flatnonzero(np.r_[True, both[1:] != both[:-1]])
            counts = np.concatenate([self._times, times])[order]
            self._known, self._times = both[starts], np.add.reduceat(counts, starts)
        if len(self._known) > self._most_distinct:
            self._stop_counting()

    def _stop_counting(self) -> None:
        if not self._counts_values:
            return
        known, times = self._known, self._times
        self._counts_values, self._known, self._times = False, None, None
        if known is not None and times is not None:
            self._spread(known, times)

    def _spread(self, values: Values, times: Ranks) -> None:
        """Put each value on the levels of the binary digits of its count, which loses nothing."""
        for level in range(int(times.max()).bit_length()):
            run = values[(times >> level) & 1 == 1]
            if len(run):
                self._hold(level, run)

    def _hold(self, level: int, run: Values) -> None:
        while len(self._levels) <= level:
            self._levels.append([])
            self._flips.append(0)
        runs = self._levels[level]
        runs.append(run)
        if len(runs) > _RUNS:
            # An array costs more than a hundred bytes besides its values.
            runs[:] = [np.concatenate(runs)]
        sizes = [sum(map(len, runs)) for runs in self._levels]
        while sum(sizes) > self.room:
            # One level has an even share at least; low ones cost least.
            full = next(index for index, size in enumerate(sizes) if size * len(sizes) >= self.room)
            self._compact(full)
            sizes = [sum(map(len, runs)) for runs in self._levels]

    def _compact(self, level: int) -> None:
        values = np.concatenate(self._levels[level])
        values.sort()
        paired = len(values) // 2 * 2
        self._levels[level] = [values[paired:].copy()] if paired < len(values) else []
        offset = self._flips[level]
        self._flips[level] = 1 - offset
        if offset:
            self.under += 1 << level
        else:
            self.over += 1 << level
        if level + 1 == len(self._levels):
            self._levels.append([])
            self._flips.append(0)
        self._levels[level + 1].append(values[offset:paired:2].copy())
