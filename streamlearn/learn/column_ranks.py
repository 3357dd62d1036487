"""What is known of one column while the values of some of its ranks are looked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.learn.compactor import Compactor, Ranks, Values

__all__ = ["ColumnRanks"]


class ColumnRanks:
    """Counts at edges and between them, and a summary of the values of some stretches.

    Parameters
    ----------
    room : int
        Values that the summary of the first pass holds.

    Examples
    --------
    >>> ranks = ColumnRanks(room=64)
    >>> ranks.add(np.arange(10_000.0))
    >>> ranks.want(np.array([5000]), np.dtype(float))
    >>> ranks.resolve()
    False
    >>> while not ranks.resolve():
    ...     ranks.narrow(collected=64, splitters=64)
    ...     ranks.add(np.arange(10_000.0))
    >>> ranks.found
    array([5000.])
    """

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
        """Ask for sorted ranks, after the first pass."""
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

    def merge(self, other: ColumnRanks) -> None:
        """Take in what another has seen in the same pass."""
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

    def narrow(self, collected: int, splitters: int) -> None:
        """Say what the next pass does: collect so many values, or else count between splitters."""
        assert self._bounds is not None
        low, high = self._bounds
        ends = np.unique(np.concatenate([low, high]))
        covers = _covered(np.searchsorted(ends, low), np.searchsorted(ends, high), len(ends))
        if self._keeps.any() and self._inside(ends, covers) > collected:
            items, weights = self.summary.items()
            at = np.searchsorted(ends, items, side="right") - 1
            inside = (at >= 0) & covers[np.maximum(at, 0)]
            picked = _spaced(items[inside], weights[inside], splitters)
            edges = np.unique(np.concatenate([ends, picked]))
            matters = covers[np.searchsorted(ends, edges, side="right") - 1]
            self._edges = np.unique(np.concatenate([edges, _between(edges, matters, splitters)]))
            self._keeps = np.zeros(len(self._edges) + 1, dtype=bool)
        else:
            self._edges = ends
            self._keeps = np.r_[False, covers]
        self._counts = np.zeros(2 * len(self._edges) + 1, dtype=np.int64)
        self.summary = Compactor(collected)

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


def _between(edges: Values, matters: NDArray[np.bool_], most: int) -> Values:
    """Return values at even distances in the stretches that matter, some so many in all."""
    stretches = matters[:-1]
    parts = most // max(1, int(stretches.sum()))
    share = (np.arange(1, parts) / max(1, parts)).astype(edges.dtype)[:, None]
    return (edges[:-1][stretches] * (1 - share) + edges[1:][stretches] * share).ravel()
