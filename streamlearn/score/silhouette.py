"""The silhouette of a sample of rows, chosen by a hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.mixing import mixed
from streamlearn.score.base import Answers

__all__ = ["SilhouetteSample"]

Floats = NDArray[np.float64]


class SilhouetteSample:
    """The mean silhouette of a sample of rows: ``silhouette_sample``.

    The silhouette compares every pair of rows, so it is that of at most ``rows`` rows, which a hash
    of their numbers chooses: the same rows however they are cut. It is an estimate, and has no
    bound. Memory: 8 rows (features + 2) bytes, and 8 rows² bytes at the end.

    Parameters
    ----------
    rows : int
    seed : int

    References
    ----------
    Rousseeuw: Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis. Journal of Computational and Applied Mathematics 20 (1987) 53-65.

    Examples
    --------
    >>> X, labels = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
    >>> score = SilhouetteSample(rows=10)
    >>> score.update(X, Answers(labels, numbers=np.arange(4)))
    >>> round(score.value()["silhouette_sample"], 4)
    0.798
    """

    names = ("silhouette_sample",)

    def __init__(self, rows: int = 2_000, seed: int = 0) -> None:
        self.rows = rows
        self.seed = seed
        self._hashes = np.zeros(0, dtype=np.uint64)
        self._labels = np.zeros(0, dtype=np.intp)
        self._X: Floats | None = None

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """See `streamlearn.score.base.Score.update`.

        Parameters
        ----------
        y : array or sparse matrix of shape (rows, features)
            The rows that were clustered.
        answers : Answers
            With the number of each row.
        weight
            Not used: silhouettes have none.

        Raises
        ------
        UsageError
            If the answers lack the numbers of rows.
        """
        del weight
        if answers.numbers is None:
            raise UsageError("a sample of rows is chosen by their numbers, which are not given")
        labels = np.asarray(answers.labels, dtype=np.intp)
        with np.errstate(over="ignore"):
            keys = np.asarray(answers.numbers).astype(np.uint64) + np.uint64(1)
            hashes = mixed(mixed(keys) ^ np.uint64(self.seed))
        chosen = np.flatnonzero(labels >= 0)
        if len(chosen) > self.rows:
            chosen = chosen[np.argpartition(hashes[chosen], self.rows)[: self.rows]]
        some = y[chosen]
        dense = np.asarray(some.toarray() if hasattr(some, "toarray") else some, dtype=np.float64)
        self._keep(hashes[chosen], labels[chosen], dense)

    def _keep(self, hashes: NDArray[np.uint64], labels: NDArray[np.intp], X: Floats) -> None:
        if self._X is not None:
            hashes = np.concatenate([self._hashes, hashes])
            labels = np.concatenate([self._labels, labels])
            X = np.vstack([self._X, X])
        # In the order of hashes, so that the mean is summed in one order.
        first = np.argsort(hashes, kind="stable")[: self.rows]
        self._hashes, self._labels, self._X = hashes[first], labels[first], X[first]

    def merge(self, other: SilhouetteSample) -> None:
        """See `streamlearn.score.base.Score.merge`."""
        if other._X is not None:
            self._keep(other._hashes, other._labels, other._X)

    def value(self) -> Mapping[str, float]:
        """See `streamlearn.score.base.Score.value`."""
        from sklearn.metrics import silhouette_score

        present = len(np.unique(self._labels))
        if self._X is None or not 2 <= present < len(self._labels):
            return {"silhouette_sample": np.nan}
        return {"silhouette_sample": float(silhouette_score(self._X, self._labels))}
