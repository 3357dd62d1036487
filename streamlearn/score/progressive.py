"""Progressive loss: each batch is scored before it is learned, a learning curve for free."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCORED_ROWS", "ProgressiveLoss"]

SCORED_ROWS = 1_024
_ALL_OF = 64
_ONE_IN = 4
"""Of the batches after the first 64, one in four is scored."""


class ProgressiveLoss:
    """Mean loss of a model on rows it has not learned yet in this epoch.

    At most the first 1,024 rows of a batch are scored, and of many batches one in four, so that it
    costs next to nothing.
    Classifiers with probabilities: log loss; without: error rate; regressors: squared error;
    clusterers and others: none.

    Parameters
    ----------
    model : estimator
        Fitted on at least one batch before `before` is called.
    classes : array of shape (n_classes,) or None
        Sorted classes, for a classifier.
    """

    def __init__(self, model: Any, classes: NDArray[Any] | None) -> None:
        self._model = model
        self._classes = classes
        self._sum = 0.0
        self._rows = 0
        self._batches = 0
        if classes is not None:
            self.name = "log loss" if hasattr(model, "predict_proba") else "error rate"
        else:
            self.name = "squared error"

    def before(self, X: Any, y: NDArray[Any] | None) -> float | None:
        """Score a batch that is about to be learned; return its mean loss."""
        if y is None or not hasattr(self._model, "predict"):
            return None
        self._batches += 1
        if self._batches > _ALL_OF and self._batches % _ONE_IN:
            return None
        X, y = _first_rows(X), y[:SCORED_ROWS]
        losses = self._losses(X, y)
        self._sum += float(losses.sum())
        self._rows += len(losses)
        return float(losses.mean())

    def _losses(self, X: Any, y: NDArray[Any]) -> NDArray[np.float64]:
        if self._classes is None:
            error = np.asarray(self._model.predict(X), dtype=np.float64) - y.astype(np.float64)
            return np.asarray(np.square(error))
        if self.name == "error rate":
            return np.asarray(self._model.predict(X) != y, dtype=np.float64)
        chances = self._model.predict_proba(X)
        chosen = chances[np.arange(len(y)), np.searchsorted(self._classes, y)]
        return np.asarray(-np.log(np.clip(chosen, np.finfo(chances.dtype).eps, 1.0)))

    def value(self) -> float | None:
        """Return the mean loss over all batches scored."""
        return self._sum / self._rows if self._rows else None


def _first_rows(X: Any) -> Any:
    """Return a view of a matrix's first rows; SciPy would copy those of a sparse one."""
    if not hasattr(X, "indptr") or X.shape[0] <= SCORED_ROWS:
        return X[:SCORED_ROWS]
    from scipy import sparse

    ends = X.indptr[: SCORED_ROWS + 1]
    parts = (X.data[: ends[-1]], X.indices[: ends[-1]], ends)
    return sparse.csr_matrix(parts, shape=(SCORED_ROWS, X.shape[1]))
