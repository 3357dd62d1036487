"""Clusters of one column by Lloyd's iterations, of which each is one look at all values.

References
----------
Lloyd: Least squares quantization in PCM. IEEE Transactions on Information Theory 28 (1982)
129-137.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lloyd"]

Floats = NDArray[np.float64]

_MOST_ROUNDS = 300
_TOLERANCE = 1e-4
"""Both scikit-learn's own for `KMeans`; KBinsDiscretizer leaves them."""


class Lloyd:
    """The centres of one column, and what a round gathers to move them.

    It goes as `sklearn.cluster.KMeans` goes: values are taken from the mean, a value between two
    centres belongs to the first, an empty cluster moves to the value farthest from its centre, and
    it ends where no value changes its cluster or the centres move by less than a share of the
    variance.

    Parameters
    ----------
    centers : array of shape (clusters,)
    mean, variance : float
        Of the values, whatever their weights.

    Examples
    --------
    >>> values = np.array([0.0, 1.0, 9.0, 10.0])
    >>> found = Lloyd(np.array([2.5, 7.5]), values.mean(), values.var())
    >>> while found.runs:
    ...     found.add(values)
    ...     found.move()
    >>> found.centers
    array([0.5, 9.5])
    """

    def __init__(self, centers: Floats, mean: float, variance: float) -> None:
        self._mean = float(mean)
        self._centers = np.asarray(centers, dtype=np.float64) - self._mean
        self._tolerance = _TOLERANCE * float(variance)
        self.runs = True
        """Whether there is one more round."""
        self.rounds = 0
        self._before: tuple[list[int], list[int]] | None = None
        self._clear()

    @property
    def centers(self) -> Floats:
        """Centres as they are now."""
        return self._centers + self._mean

    def _clear(self) -> None:
        size = len(self._centers)
        self._rows = np.zeros(size, dtype=np.int64)
        self._weight = np.zeros(size)
        self._sums = np.zeros(size)
        self._far = np.empty((4, 0))
        """Distance, value, weight and cluster of the values farthest from their centres."""

    def add(
        self,
        values: NDArray[Any],
        weight: Floats | None = None,
        times: NDArray[np.int64] | None = None,
    ) -> None:
        """Take in values, each with its weight, or each so many times."""
        if not len(values):
            return
        values = values.astype(np.float64) - self._mean
        centers, index = np.unique(self._centers, return_index=True)
        label = index[np.searchsorted((centers[1:] + centers[:-1]) / 2, values)]
        size = len(self._centers)
        self._rows += np.bincount(label, times, minlength=size).astype(np.int64)
        share = weight if times is None else times.astype(np.float64)
        self._weight += np.bincount(label, share, minlength=size)
        self._sums += np.bincount(
            label, values if share is None else values * share, minlength=size
        )
        distance = (values - self._centers[label]) ** 2
        picked = np.arange(len(values))
        if len(values) > size:
            picked = np.argpartition(distance, -size)[-size:]
        if times is not None:
            picked = np.repeat(picked, np.minimum(times[picked], size))
        one = np.ones(len(picked)) if weight is None else weight[picked]
        self._keep_far(np.vstack([distance[picked], values[picked], one, label[picked]]))

    def merge(self, other: Lloyd) -> None:
        """Take in what another has gathered in the same round."""
        self._rows += other._rows
        self._weight += other._weight
        self._sums += other._sums
        self._keep_far(other._far)

    def _keep_far(self, found: Floats) -> None:
        both = np.hstack([self._far, found])
        order = np.argsort(-both[0], kind="stable")[: len(self._centers)]
        self._far = both[:, order]

    def move(self) -> None:
        """End a round: move the centres, and see whether that was the last."""
        self._fill_empty()
        total = np.where(self._weight > 0, self._weight, 1.0)
        moved = self._sums * (1.0 / total)
        moved[self._weight <= 0] = moved[np.argmax(self._weight)]
        # Cuts of one sorted list that leave as many values between them are the same cuts.
        now = (np.argsort(self._centers, kind="stable").tolist(), self._rows.tolist())
        shift = float(((moved - self._centers) ** 2).sum())
        self.rounds += 1
        stays = now == self._before or shift <= self._tolerance
        self.runs = not stays and self.rounds < _MOST_ROUNDS
        self._before, self._centers = now, moved
        self._clear()

    def _fill_empty(self) -> None:
        empty = np.flatnonzero(self._weight == 0)
        if not len(empty) or not self._far[0].max(initial=0.0):
            return
        for cluster, (_, value, weight, label) in zip(empty, self._far.T, strict=False):
            self._sums[int(label)] -= value * weight
            self._weight[int(label)] -= weight
            self._sums[cluster] = value * weight
            self._weight[cluster] = weight
