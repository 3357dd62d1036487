"""States of groups of rows, by slice and by bucket: what all that is said of slices comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers, Statistic
from streamlearn.score.bootstrap import Bootstrap, Interval
from streamlearn.score.scores import Bounded

__all__ = ["Tally", "share_of", "tally_bytes"]

_LEAST_BUCKETS = 16
_FIRST_SLICES = 8


def share_of(size: int, slices: int, most: int, allowance_bytes: int) -> int:
    """Return the buckets of each slice: a power of two, or 1 where too few fit for an interval.

    Parameters
    ----------
    size : int
        Numbers in a state.
    slices : int
        As many as there may be.
    most : int
        Buckets, a power of two.
    allowance_bytes : int
        For all states.

    Examples
    --------
    >>> share_of(10, 1, 512, 16 << 20), share_of(8_192, 1, 512, 16 << 20)
    (512, 256)
    >>> share_of(8_192, 1_000, 512, 16 << 20)
    1
    """
    fitting = allowance_bytes // (8 * size * max(1, slices))
    share = most
    while share > fitting and share > 1:
        share //= 2
    return share if share >= _LEAST_BUCKETS else 1


class Tally:
    """States of several statistics for every slice, each slice in buckets.

    As slices come up, buckets are put together in pairs, so that all states stay within the
    allowance. How many there are in the end depends on the number of slices alone.

    Parameters
    ----------
    statistics : sequence of Statistic
    shares : sequence of int
        Buckets of a slice to begin with, for each statistic; powers of two.
    most : int
        Slices there may be.
    allowance_bytes : int
        For all states of a statistic in more than one bucket.
    """

    def __init__(
        self,
        statistics: Sequence[Statistic],
        shares: Sequence[int],
        most: int = 1,
        allowance_bytes: int = 16 << 20,
    ) -> None:
        self._most = most
        self._allowance_bytes = allowance_bytes
        self.statistics = tuple(statistics)
        self.shares = list(shares)
        """Buckets of a slice, for each statistic."""
        self.rows = np.zeros(0, np.int64)
        """Rows of each slice."""
        self.weight = np.zeros(0)
        """Weight of each slice."""
        self._states = [np.zeros((0, item.size)) for item in self.statistics]

    def __len__(self) -> int:
        """Return the slices seen so far."""
        return len(self.rows)

    def add(
        self,
        y: NDArray[Any],
        answers: Answers,
        weight: NDArray[np.float64] | None,
        buckets: NDArray[np.intp],
        codes: NDArray[np.intp] | None = None,
        slices: int = 1,
    ) -> None:
        """Take in a block of rows.

        Parameters
        ----------
        y, answers, weight
            As for `Statistic.states`.
        buckets : array of int, shape (rows,)
        codes : array of int, shape (rows,), optional
            The slice of each row; rows with -1 are in none. Without, all are in slice 0.
        slices : int
            Slices known by now.
        """
        self._grow(slices)
        if codes is not None and (codes < 0).any():
            kept = codes >= 0
            y, answers, buckets, codes = y[kept], _kept(answers, kept), buckets[kept], codes[kept]
            weight = None if weight is None else weight[kept]
        if not len(buckets):
            return
        self._count(weight, codes, len(buckets))
        groups: dict[int, NDArray[np.intp]] = {}
        for at, (statistic, share) in enumerate(zip(self.statistics, self.shares, strict=True)):
            if share not in groups:
                groups[share] = _groups(buckets, codes, share)
            self._take(at, statistic, y, answers, weight, groups[share])

    def _count(
        self, weight: NDArray[np.float64] | None, codes: NDArray[np.intp] | None, rows: int
    ) -> None:
        if codes is None:
            self.rows[0] += rows
            self.weight[0] += rows if weight is None else weight.sum()
            return
        counts = np.bincount(codes, minlength=len(self))
        self.rows += counts
        self.weight += (
            counts if weight is None else np.bincount(codes, weights=weight, minlength=len(self))
        )

    def _take(
        self,
        at: int,
        statistic: Statistic,
        y: NDArray[Any],
        answers: Answers,
        weight: NDArray[np.float64] | None,
        groups: NDArray[np.intp],
    ) -> None:
        states = self._states[at]
        if len(states) <= len(groups) // 4:
            statistic.merge(states, statistic.states(y, answers, weight, groups, len(states)))
            return
        # Of many groups only those that have rows here are touched.
        present, places = np.unique(groups, return_inverse=True)
        part = states[present]
        statistic.merge(part, statistic.states(y, answers, weight, places, len(present)))
        states[present] = part

    def _grow(self, slices: int) -> None:
        if slices <= len(self):
            return
        # Whole powers of two, so that it is seldom done; slices without rows are no slices.
        wanted = max(_FIRST_SLICES, 1 << (slices - 1).bit_length())
        more = max(slices, min(wanted, self._most)) - len(self)
        self.rows = np.concatenate([self.rows, np.zeros(more, np.int64)])
        self.weight = np.concatenate([self.weight, np.zeros(more)])
        for at, statistic in enumerate(self.statistics):
            before = self.shares[at]
            wanted = share_of(statistic.size, len(self), before, self._allowance_bytes)
            while self.shares[at] > wanted:
                self._halve(at)
            empty = np.zeros((more * self.shares[at], statistic.size))
            self._states[at] = np.concatenate([self._states[at], empty])

    def _halve(self, at: int) -> None:
        """Put the buckets of every slice together in pairs."""
        share, statistic = self.shares[at], self.statistics[at]
        slices = self._states[at].reshape(-1, share, statistic.size)
        half = share // 2
        kept = np.ascontiguousarray(slices[:, :half]).reshape(-1, statistic.size)
        statistic.merge(kept, np.ascontiguousarray(slices[:, half:]).reshape(-1, statistic.size))
        self._states[at], self.shares[at] = kept, half

    def states(self, at: int, slice_: int = 0) -> NDArray[np.float64]:
        """Return the states of a statistic's buckets in a slice, shape (buckets, size)."""
        share = self.shares[at]
        return self._states[at][slice_ * share : (slice_ + 1) * share]

    def values(self, slice_: int = 0) -> dict[str, float]:
        """Return the metrics of a slice; none where it has no row."""
        return self._totals(slice_, lambda statistic, total: statistic.values(total))

    def bounds(self, slice_: int = 0) -> dict[str, float]:
        """Return the largest error of a slice's metrics that are not exact."""
        found = self._totals(
            slice_,
            lambda statistic, total: (
                statistic.bounds(total) if isinstance(statistic, Bounded) else {}
            ),
        )
        return {name: bound for name, bound in found.items() if not np.isnan(bound)}

    def _totals(
        self,
        slice_: int,
        ask: Callable[[Statistic, NDArray[np.float64]], Mapping[str, NDArray[np.float64]]],
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        if slice_ >= len(self) or not self.rows[slice_]:
            return found
        for at, statistic in enumerate(self.statistics):
            total = statistic.combine(self.states(at, slice_), np.ones((1, self.shares[at])))
            with np.errstate(divide="ignore", invalid="ignore"):
                values = ask(statistic, total)
            found |= {name: float(value[0]) for name, value in values.items()}
        return found

    def drawn(self, bootstrap: Bootstrap, slice_: int = 0) -> dict[str, NDArray[np.float64]]:
        """Return the metrics of a slice in every draw, where its buckets allow it."""
        found: dict[str, NDArray[np.float64]] = {}
        if slice_ >= len(self) or not self.rows[slice_]:
            return found
        for at, statistic in enumerate(self.statistics):
            if self.shares[at] > 1:
                found |= bootstrap.drawn(statistic, self.states(at, slice_))
        return found

    def intervals(self, bootstrap: Bootstrap, slice_: int = 0) -> dict[str, Interval]:
        """Return the intervals of a slice's metrics, where there are any."""
        found = {
            name: bootstrap.interval(values)
            for name, values in self.drawn(bootstrap, slice_).items()
        }
        return {name: item for name, item in found.items() if item is not None}


def _groups(
    buckets: NDArray[np.intp], codes: NDArray[np.intp] | None, share: int
) -> NDArray[np.intp]:
    """Return the group of each row: its bucket in its slice."""
    if codes is None:
        return buckets & (share - 1)
    return codes if share == 1 else codes * share + (buckets & (share - 1))


def _kept(answers: Answers, mask: NDArray[np.bool_]) -> Answers:
    parts: dict[str, Any] = {
        item.name: None if (part := getattr(answers, item.name)) is None else part[mask]
        for item in fields(answers)
    }
    return Answers(**parts)


def tally_bytes(
    statistics: Sequence[Statistic], shares: Sequence[int], slices: int, allowance_bytes: int
) -> int:
    """Return what the states of as many slices hold at most, with what a block adds."""
    held = 16 * slices
    for item, share in zip(statistics, shares, strict=True):
        least = 8 * slices * item.size
        held += max(least, min(allowance_bytes, share * least))
    # Beside them stand, for a moment, those of a block and those that it is added to.
    return int((3 if slices > 1 else 1) * held)
