"""A metric along the stream: segment by segment, and where it leaves what chance allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift", "Segment", "drift_of", "segments_of"]


@dataclass(frozen=True)
class Segment:
    """Consecutive rows of the source."""

    first: int
    """Number of its first row in the source."""
    last: int
    """Number of its last row."""
    rows: int
    """Rows that were scored."""
    value: float
    low: float
    """Of the band in which as many rows of the usual kind would score."""
    high: float
    marked: bool
    """Whether the value is outside the band."""


@dataclass(frozen=True)
class Drift:
    """A metric for equal segments of the row numbers, in order."""

    metric: str
    whole: float
    segments: tuple[Segment, ...]
    confidence: float
    """With which data that does not drift shows no mark at all."""

    @property
    def marked(self) -> tuple[Segment, ...]:
        """The segments outside their bands."""
        return tuple(segment for segment in self.segments if segment.marked)


def segments_of(rows: NDArray[np.int64], total: int, segments: int) -> NDArray[np.intp]:
    """Return the segment of each row: equal shares of the row numbers.

    Examples
    --------
    >>> segments_of(np.array([0, 49, 50, 99]), total=100, segments=2).tolist()
    [0, 0, 1, 1]
    """
    return np.asarray(rows * segments // max(1, total), dtype=np.intp)


def drift_of(
    metric: str,
    whole: float,
    drawn: NDArray[np.float64],
    values: Sequence[float],
    rows: Sequence[int],
    total: int,
    confidence: float,
) -> Drift:
    """Mark the segments that differ from the others by more than chance.

    The band of a segment is ``m ± z s sqrt(n / k)``: ``m`` is the median of all segments, which a
    few that have drifted do not move; ``s`` the deviation of the bootstrap's draws of all ``n``
    rows and ``k`` the rows of the segment, so that the band is as wide as that of ``k`` rows taken
    at random; ``z`` the normal quantile for all segments together (Bonferroni). It takes rows as
    independent: in a stream where neighbours are alike, marks say that the stretches differ, not
    yet that the model aged.

    Parameters
    ----------
    drawn : array of shape (draws,)
        The metric of the whole in the bootstrap's draws.
    values, rows : sequence of n_segments
    total : int
        Row numbers in the source.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(1.0, 0.01, 400)
    >>> found = drift_of("rmse", 1.1, draws, [1.0, 1.01, 1.3], [500] * 3, 1500, 0.95)
    >>> [segment.marked for segment in found.segments]
    [False, False, True]
    """
    known = drawn[np.isfinite(drawn)]
    spread = float(known.std()) if len(known) > 1 else float("nan")
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2 / max(1, len(values)))
    scored = sum(rows)
    scores = [value for value, count in zip(values, rows, strict=True) if count]
    middle = float(np.nanmedian(scores)) if np.isfinite(scores).any() else float("nan")
    found = []
    for at, (value, count) in enumerate(zip(values, rows, strict=True)):
        if not count:
            continue
        half = z * spread * (scored / count) ** 0.5
        low, high = middle - half, middle + half
        first = -(-at * total // len(values))
        last = -(-(at + 1) * total // len(values)) - 1
        # Written so that a band or value that is not known marks nothing.
        marked = value < low or value > high
        found.append(Segment(first, last, int(count), float(value), low, high, bool(marked)))
    return Drift(metric, whole, tuple(found), confidence)
