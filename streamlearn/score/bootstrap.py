"""Intervals from the one reading: a Poisson bootstrap over buckets of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamlearn.mixing import mixed
from streamlearn.score.base import Statistic

__all__ = ["NO_INTERVAL", "PIECE_BYTES", "Bootstrap", "Interval", "buckets_of"]

PIECE_BYTES = 1 << 20
"""Of the states of the draws that are made at once."""
_MOST_UNDEFINED = 0.05
NO_INTERVAL = ("max_error",)
"""The bootstrap says nothing of extremes: no draw goes beyond the largest value seen."""


@dataclass(frozen=True)
class Interval:
    """Where a metric lies, with the confidence that was asked for."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def buckets_of(rows: NDArray[np.int64], seed: int, count: int) -> NDArray[np.intp]:
    """Return the bucket of each row, from 0 to ``count`` - 1, by a hash of its number.

    Parameters
    ----------
    rows : array of int64
        Row numbers in the source.
    seed : int
    count : int
        A power of two: the buckets of half as many are pairs of these (``bucket % (count // 2)``).

    Examples
    --------
    >>> counts = np.bincount(buckets_of(np.arange(100_000), seed=0, count=4))
    >>> bool((abs(counts - 25_000) < 500).all())
    True
    """
    with np.errstate(over="ignore"):
        # Other constants than held-out rows and folds have: the choices must not go together.
        z = rows.astype(np.uint64) * np.uint64(0xBEA225F9EB34556D)
        z = mixed(
            z + np.uint64(seed % 2**64) * np.uint64(0x9FB21C651E98DF25) + np.uint64(0x5BD1E995)
        )
    return np.asarray(z & np.uint64(count - 1)).astype(np.intp)


@dataclass(frozen=True)
class Bootstrap:
    """Seeded draws, applied to states of buckets when all rows are in.

    A Poisson bootstrap gives each row a weight from a Poisson distribution of mean 1 in each draw
    (Chamandy, Muralidharan, Najmi, Naidu: Estimating uncertainty for massive data streams, 2012).
    Here rows are first put into buckets by a hash of their number, and a *bucket* gets the weight.
    So nothing is drawn while reading, states merge, and every chunking gives the same bits.

    Of rows that are independent of each other the spread is right on average; that only so many
    buckets are drawn makes the width of an interval itself vary, by about ``1 / sqrt(2 * buckets)``
    (3 % for 512). With far fewer rows than buckets it is the ordinary Poisson bootstrap. Rows that
    depend on each other (the same user, the same hour) are told more apart than they are: the
    intervals are then too narrow, as those of any bootstrap of rows.

    Parameters
    ----------
    draws : int
    confidence : float
        Share of draws inside an interval, from 0 to 1 (both excluded); its ends are percentiles.
    seed : int

    Examples
    --------
    >>> bootstrap = Bootstrap(draws=400, confidence=0.95, seed=0)
    >>> bootstrap.weights(512).shape, round(float(bootstrap.weights(512).mean()), 1)
    ((400, 512), 1.0)
    """

    draws: int = 400
    confidence: float = 0.95
    seed: int = 0

    def weights(self, buckets: int) -> NDArray[np.float64]:
        """Return how often each bucket counts in each draw, shape (draws, buckets)."""
        return _weights(self.draws, buckets, self.seed)

    def drawn(
        self, statistic: Statistic, states: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return each metric of every draw, shape (draws,).

        Parameters
        ----------
        statistic : Statistic
        states : array of shape (buckets, size)
        """
        weights = self.weights(len(states))
        piece = max(1, PIECE_BYTES // (8 * statistic.size))
        found: list[Mapping[str, NDArray[np.float64]]] = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for start in range(0, self.draws, piece):
                combined = statistic.combine(states, weights[start : start + piece])
                found.append(statistic.values(combined))
        return {
            name: np.concatenate([item[name] for item in found])
            for name in found[0]
            if name not in NO_INTERVAL
        }

    def interval(self, values: NDArray[np.float64]) -> Interval | None:
        """Return the interval of the draws; None where too many of them are undefined.

        Examples
        --------
        >>> Bootstrap(confidence=0.5).interval(np.arange(101.0))
        Interval(low=25.0, high=75.0)
        """
        known = values[np.isfinite(values)]
        if len(known) < (1 - _MOST_UNDEFINED) * len(values) or not len(known):
            return None
        beside = (1 - self.confidence) / 2
        low, high = np.quantile(known, [beside, 1 - beside])
        return Interval(float(low), float(high))


@lru_cache(maxsize=4)
def _weights(draws: int, buckets: int, seed: int) -> NDArray[np.float64]:
    stream = np.random.Generator(np.random.PCG64([seed, buckets]))
    found = stream.poisson(1.0, (draws, buckets)).astype(np.float64)
    found.flags.writeable = False
    return found
