"""Scores of a regressor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers

__all__ = ["RegressionScores"]


class RegressionScores:
    """R², RMSE, MSE, MAE and the largest error.

    The target's variation is summed around its running mean (Chan's merge), the errors as they
    are; see `sklearn.metrics` for the definitions.

    Examples
    --------
    >>> scores = RegressionScores()
    >>> scores.update(np.array([1.0, 2.0, 4.0]), Answers(np.array([1.0, 2.0, 3.0])))
    >>> round(scores.value()["r2"], 4), scores.value()["mae"]
    (0.7857, 0.3333333333333333)
    """

    def __init__(self) -> None:
        self.rows = 0
        self._weight = 0.0
        self._mean = 0.0
        self._m2 = 0.0
        self._squares = 0.0
        self._absolutes = 0.0
        self._largest = 0.0

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """See `streamlearn.score.base.Score.update`."""
        if not len(y):
            return
        truth = np.asarray(y, dtype=np.float64)
        error = truth - np.asarray(answers.labels, dtype=np.float64)
        ones = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
        other = RegressionScores()
        other.rows = len(truth)
        other._weight = float(ones.sum())
        if other._weight > 0:
            other._mean = float((truth * ones).sum() / other._weight)
            other._m2 = float((ones * (truth - other._mean) ** 2).sum())
        other._squares = float((ones * error**2).sum())
        other._absolutes = float((ones * np.abs(error)).sum())
        other._largest = float(np.abs(error).max())
        self.merge(other)

    def merge(self, other: RegressionScores) -> None:
        """See `streamlearn.score.base.Score.merge`."""
        total = self._weight + other._weight
        if total > 0:
            delta = other._mean - self._mean
            self._m2 += other._m2 + delta * delta * (self._weight * other._weight / total)
            self._mean += delta * (other._weight / total)
        self._weight = total
        self.rows += other.rows
        self._squares += other._squares
        self._absolutes += other._absolutes
        self._largest = max(self._largest, other._largest)

    def value(self) -> Mapping[str, float]:
        """See `streamlearn.score.base.Score.value`."""
        if not self._weight:
            return {}
        mse = self._squares / self._weight
        # As r2_score: a constant target scores 1 when met exactly, else 0.
        spread = self._squares / self._m2 if self._m2 else float(self._squares > 0)
        return {
            "r2": 1.0 - spread,
            "rmse": float(np.sqrt(mse)),
            "mse": mse,
            "mae": self._absolutes / self._weight,
            "max_error": self._largest,
        }
