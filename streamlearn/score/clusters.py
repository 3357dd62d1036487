"""Metrics of a clusterer, whose "truth" is the rows themselves; see `sklearn.metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.score.base import Answers
from streamlearn.score.spread import (
    SPREAD,
    combine_spreads,
    merge_spreads,
    spreads,
    variation,
)
from streamlearn.score.sums import Additive, group_sums, weights_of

__all__ = ["ClusterDistances", "ClusterSpreads"]

Floats = NDArray[np.float64]


class ClusterSpreads:
    """Inertia, and how far clusters are apart for how wide they are: Calinski and Harabasz.

    A state is a spread for each cluster and feature: 32 clusters features bytes a group. With
    weights, a row counts as often as its weight.

    Parameters
    ----------
    clusters, features : int
    centers : array of shape (clusters, features), optional
        Of the model: what inertia is measured from. Without them there is no inertia.

    References
    ----------
    Calinski, Harabasz: A dendrite method for cluster analysis. Communications in Statistics 3
    (1974) 1-27.

    Examples
    --------
    >>> X, labels = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
    >>> statistic = ClusterSpreads(2, 1, np.array([[1.0], [11.0]]))
    >>> state = statistic.states(X, Answers(labels), None, np.zeros(4, dtype=np.intp), 1)
    >>> {name: float(value[0]) for name, value in statistic.values(state).items()}
    {'inertia': 4.0, 'calinski_harabasz_score': 50.0}
    """

    def __init__(self, clusters: int, features: int, centers: Floats | None = None) -> None:
        self.clusters = clusters
        self.features = features
        self.centers = None if centers is None else np.asarray(centers, dtype=np.float64)
        self.names: Sequence[str] = (
            ("calinski_harabasz_score",)
            if centers is None
            else ("inertia", "calinski_harabasz_score")
        )
        self.size = features * clusters * SPREAD

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Parameters
        ----------
        y : array or sparse matrix of shape (rows, features)
            The rows that were clustered.
        answers : Answers
            With the cluster of each row, from 0 on; -1 is no cluster, and such rows are left out.

        Raises
        ------
        UsageError
            If a cluster is none of those told.
        """
        out = np.zeros((count, self.features, self.clusters, SPREAD))
        X, labels, ones, groups = _assigned(y, answers, weight, groups, self.clusters)
        if len(labels):
            cells = groups * self.clusters + labels
            for feature, column in enumerate(X.T):
                # One more group, so that a single one is not taken for all rows.
                found = spreads(column, ones, cells, count * self.clusters + 1)[:-1]
                out[:, feature] = found.reshape(count, self.clusters, SPREAD)
        return out.reshape(count, self.size)

    def merge(self, into: Floats, other: Floats) -> None:
        """See `streamlearn.score.base.Statistic.merge`."""
        merge_spreads(into.reshape(-1, SPREAD), other.reshape(-1, SPREAD))

    def combine(self, states: Floats, weights: Floats) -> Floats:
        """See `streamlearn.score.base.Statistic.combine`."""
        columns = states.reshape(len(states), -1, SPREAD)
        added = [combine_spreads(columns[:, at], weights) for at in range(columns.shape[1])]
        return np.stack(added, axis=1).reshape(len(weights), self.size)

    def means(self, state: Floats) -> Floats:
        """Return the mean of each cluster, shape (clusters, features); NaN where it has no rows.

        Parameters
        ----------
        state : array of float, shape (1, size)
        """
        return self._means(self._shaped(state)[0]).T

    def _shaped(self, states: Floats) -> Floats:
        return states.reshape(-1, self.features, self.clusters, SPREAD)

    @staticmethod
    def _means(spread: Floats) -> Floats:
        weight, origin, sums, _ = np.moveaxis(spread, -1, 0)
        away = np.divide(sums, weight, out=np.full(weight.shape, np.nan), where=weight > 0)
        return np.asarray(origin + away)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        found = {name: np.full(len(states), np.nan) for name in self.names}
        for draw, spread in enumerate(self._shaped(states)):
            weight = spread[0, :, 0]
            if not weight.any():
                continue
            if self.centers is not None:
                _, origin, sums, squares = np.moveaxis(spread, -1, 0)
                by = np.where(weight > 0, origin - self.centers.T, 0.0)
                found["inertia"][draw] = (squares + by * (2 * sums + weight * by)).sum()
            found["calinski_harabasz_score"][draw] = _apart(spread, self._means(spread))
        return found


def _apart(spread: Floats, means: Floats) -> float:
    weight = spread[0, :, 0]
    used = weight > 0
    total, count = weight.sum(), int(used.sum())
    if count < 2 or total <= count:
        return np.nan
    within = variation(spread.reshape(-1, SPREAD)).sum()
    center = (means[:, used] @ weight[used]) / total
    between = ((means[:, used] - center[:, None]) ** 2 @ weight[used]).sum()
    return float(between * (total - count) / (within * (count - 1))) if within else 1.0


class ClusterDistances(Additive):
    """How alike clusters are for how far they are apart: Davies and Bouldin.

    Distances from a mean need the mean, so this is for a second pass, after `ClusterSpreads`. A
    state is two sums a cluster: 16 clusters bytes a group.

    Parameters
    ----------
    means : array of shape (clusters, features)
        Of `ClusterSpreads.means`, on the same rows.

    References
    ----------
    Davies, Bouldin: A cluster separation measure. IEEE Transactions on Pattern Analysis and
    Machine Intelligence 1 (1979) 224-227.

    Examples
    --------
    >>> X, labels = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
    >>> statistic = ClusterDistances(np.array([[1.0], [11.0]]))
    >>> state = statistic.states(X, Answers(labels), None, np.zeros(4, dtype=np.intp), 1)
    >>> float(statistic.values(state)["davies_bouldin_score"][0])
    0.2
    """

    names = ("davies_bouldin_score",)

    def __init__(self, means: Floats) -> None:
        self.centers = np.asarray(means, dtype=np.float64)
        self.size = 2 * len(self.centers)

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `ClusterSpreads.states`."""
        clusters = len(self.centers)
        out = np.zeros((count, 2, clusters))
        X, labels, ones, groups = _assigned(y, answers, weight, groups, clusters)
        if len(labels):
            far = np.sqrt(np.square(X - self.centers[labels]).sum(axis=1))
            cells = groups * clusters + labels
            for at, sums in enumerate((ones, ones * far)):
                found = group_sums(sums, cells, count * clusters + 1)[:-1]
                out[:, at] = found.reshape(count, clusters)
        return out.reshape(count, self.size)

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        found = np.full(len(states), np.nan)
        for draw, (weight, far) in enumerate(states.reshape(len(states), 2, -1)):
            used = weight > 0
            if used.sum() >= 2:
                found[draw] = _alike(far[used] / weight[used], self.centers[used])
        return {"davies_bouldin_score": found}


def _alike(width: Floats, centers: Floats) -> float:
    # Row by row: the differences of all pairs at once would be clusters² features numbers.
    apart = np.array([np.sqrt(np.square(centers - one).sum(axis=1)) for one in centers])
    if np.allclose(width, 0.0) or np.allclose(apart, 0.0):
        return 0.0
    apart[apart == 0] = np.inf
    return float(((width[:, None] + width) / apart).max(axis=1).mean())


def _assigned(
    X: Any, answers: Answers, weight: Any, groups: NDArray[np.intp], clusters: int
) -> tuple[Floats, NDArray[np.intp], Floats, NDArray[np.intp]]:
    """Return dense rows that are in a cluster, their clusters, weights and groups."""
    labels = np.asarray(answers.labels, dtype=np.intp)
    if len(labels) and labels.max() >= clusters:
        raise UsageError(f"there is a row in cluster {labels.max()}, and there are {clusters}")
    dense = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
    ones = weights_of(weight, len(labels))
    kept = labels >= 0
    if kept.all():
        return dense, labels, ones, groups
    return dense[kept], labels[kept], ones[kept], groups[kept]
