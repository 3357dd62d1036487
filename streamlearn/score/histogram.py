"""Weights of positive and negative rows by score, and what they say of any order of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARTS", "Ranked", "merge_bins", "put_in_bins"]

Floats = NDArray[np.float64]

PARTS = 4
"""Numbers a bin holds: weight of positives, of negatives, lowest score, highest score."""


def put_in_bins(
    bins: Floats, cells: NDArray[np.intp], scores: Floats, positive: NDArray[np.bool_], ones: Floats
) -> None:
    """Add rows to bins, in place.

    Parameters
    ----------
    bins : array of float, shape (4, bins)
        Of one histogram, or of many end to end.
    cells : array of int, shape (rows,)
        The bin of each row.
    scores, positive, ones : arrays of shape (rows,)
        ``ones`` are weights; rows without weight are left out.
    """
    if not ones.all():
        kept = ones > 0
        cells, scores, positive, ones = cells[kept], scores[kept], positive[kept], ones[kept]
    new = (bins[0][cells] + bins[1][cells]) == 0
    bins[2][cells[new]] = scores[new]
    bins[3][cells[new]] = scores[new]
    np.minimum.at(bins[2], cells, scores)
    np.maximum.at(bins[3], cells, scores)
    np.add.at(bins[0], cells, ones * positive)
    np.add.at(bins[1], cells, ones * ~positive)


def merge_bins(into: Floats, other: Floats) -> None:
    """Add bins of other rows to bins, in place; both of shape (4, bins)."""
    theirs = (other[0] + other[1]) > 0
    both = theirs & ((into[0] + into[1]) > 0)
    low = np.where(both, np.minimum(into[2], other[2]), other[2])
    high = np.where(both, np.maximum(into[3], other[3]), other[3])
    np.copyto(into[2], low, where=theirs)
    np.copyto(into[3], high, where=theirs)
    into[0] += other[0]
    into[1] += other[1]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Rows from the highest score down, a step for each bin that has any.

    Pairs of a positive and a negative row in one bin may be in either order, unless all its
    scores are the same.
    """

    positive: Floats
    """Weight of positives, shape (steps,)."""
    negative: Floats
    mixed: NDArray[np.bool_]
    """Whether the scores of the step differ."""
    score: Floats
    """The lowest score of the step."""

    @classmethod
    def of(cls, bins: Floats) -> Ranked:
        """Return the steps of bins, shape (4, bins), in the order of scores."""
        used = np.flatnonzero((bins[0] + bins[1]) > 0)[::-1]
        positive, negative, low, high = bins[:, used]
        return cls(positive, negative, low != high, low)

    @property
    def totals(self) -> tuple[float, float]:
        """Weights of all positives and of all negatives."""
        return float(self.positive.sum()), float(self.negative.sum())

    def roc_auc(self) -> tuple[float, float]:
        """Return the area under the ROC curve, and how far it may be off.

        The share of pairs of a positive and a negative that are in order, equals half counted
        (Hanley, McNeil: The meaning and use of the area under a receiver operating characteristic
        curve. Radiology 143 (1982) 29-36). Pairs that share a bin are at most all wrong or all
        right, which is half of them off.
        """
        positives, negatives = self.totals
        if not positives or not negatives:
            return np.nan, np.nan
        below = negatives - np.cumsum(self.negative)
        pairs = positives * negatives
        area = (self.positive * (below + 0.5 * self.negative)).sum() / pairs
        unsure = (self.positive * self.negative)[self.mixed].sum()
        return float(area), float(0.5 * unsure / pairs)

    def average_precision(self) -> tuple[float, float]:
        """Return the average precision, and how far it may be off.

        Within a bin the most is all positives as one step ahead of the negatives. The least is
        all negatives ahead of positives that come one by one; the integral over ever smaller
        ones is below any such sum. The value is the middle of the two.
        """
        positives, _ = self.totals
        if not positives:
            return np.nan, np.nan
        right = np.cumsum(self.positive)
        wrong = np.cumsum(self.negative)
        before, missed = right - self.positive, wrong - self.negative
        there = self.positive > 0
        most = self.positive * _ratio(right, right + np.where(self.mixed, missed, wrong))
        least = most.copy()
        unsure = there & self.mixed
        start, added = (before + wrong)[unsure], self.positive[unsure]
        # Integral of (before + t) / (before + wrong + t) over the positives of the bin.
        least[unsure] = added - wrong[unsure] * np.log1p(
            np.divide(added, start, out=np.zeros(len(start)), where=start > 0)
        )
        high, low = most.sum() / positives, least.sum() / positives
        return float(0.5 * (high + low)), float(0.5 * (high - low))

    def kolmogorov_smirnov(self) -> tuple[float, float]:
        """Return the largest distance of both classes' shares, and how far it may be off."""
        positives, negatives = self.totals
        if not positives or not negatives:
            return np.nan, np.nan
        hits, alarms = np.cumsum(self.positive) / positives, np.cumsum(self.negative) / negatives
        found = float(np.abs(hits - alarms).max())
        up = np.where(self.mixed, self.positive, 0.0) / positives
        down = np.where(self.mixed, self.negative, 0.0) / negatives
        # Inside a bin one class may come first: from the step before, or up to its end.
        most = np.maximum(np.abs(hits - alarms + down), np.abs(hits - alarms - up))
        return found, float(max(0.0, most.max() - found))


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.zeros(len(over)), where=under > 0)
