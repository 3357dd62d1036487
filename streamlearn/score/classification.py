"""Scores of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import DataError
from streamlearn.score.base import Answers

__all__ = ["ClassificationScores"]


class ClassificationScores:
    """Accuracy, balanced accuracy, macro F1, Matthews' correlation, and log loss.

    All but the last come from the confusion matrix; see `sklearn.metrics` for the definitions.

    Parameters
    ----------
    classes : array of shape (n_classes,)
        The model's classes, sorted.

    Examples
    --------
    >>> scores = ClassificationScores(np.array([0, 1]))
    >>> scores.update(np.array([0, 1, 1, 1]), Answers(np.array([0, 1, 1, 0])))
    >>> scores.value()["accuracy"], round(scores.value()["balanced_accuracy"], 4)
    (0.75, 0.8333)
    """

    def __init__(self, classes: NDArray[Any]) -> None:
        self.classes = classes
        self.rows = 0
        self.confusion = np.zeros((len(classes), len(classes)))
        """Weight of rows by (truth, answer)."""
        self._log_loss = 0.0
        self._rated = 0.0

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """See `streamlearn.score.base.Score.update`.

        Raises
        ------
        DataError
            If a label is none of the model's classes.
        """
        if not len(y):
            return
        truth, said = self._codes(y), self._codes(answers.labels)
        ones = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
        size = len(self.classes)
        cells = np.bincount(truth * size + said, weights=ones, minlength=size * size)
        self.confusion += cells.reshape(size, size)
        self.rows += len(truth)
        if answers.probabilities is not None:
            chances = answers.probabilities
            tiny = np.finfo(chances.dtype).eps
            chosen = np.clip(chances[np.arange(len(truth)), truth], tiny, 1 - tiny)
            self._log_loss -= float((ones * np.log(chosen)).sum())
            self._rated += float(ones.sum())

    def _codes(self, labels: NDArray[Any]) -> NDArray[np.intp]:
        place = np.searchsorted(self.classes, labels).clip(max=len(self.classes) - 1)
        wrong = self.classes[place] != labels
        if wrong.any():
            at = int(wrong.argmax())
            raise DataError(
                f"label {labels[at].item() if hasattr(labels[at], 'item') else labels[at]!r} is none of the classes the model was fitted with: "
                f"{', '.join(map(repr, self.classes[:20].tolist()))}; filter such rows with where="
            )
        return np.asarray(place)

    def merge(self, other: ClassificationScores) -> None:
        """See `streamlearn.score.base.Score.merge`."""
        self.confusion += other.confusion
        self.rows += other.rows
        self._log_loss += other._log_loss
        self._rated += other._rated

    def value(self) -> Mapping[str, float]:
        """See `streamlearn.score.base.Score.value`."""
        total = self.confusion.sum()
        if not total:
            return {}
        right = np.diag(self.confusion)
        truth, said = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        present = truth > 0
        spread = np.sqrt((total**2 - (truth**2).sum()) * (total**2 - (said**2).sum()))
        shown = (truth + said) > 0
        values = {
            "accuracy": float(right.sum() / total),
            "balanced_accuracy": float((right[present] / truth[present]).mean()),
            "f1_macro": float((2 * right[shown] / (truth + said)[shown]).mean()),
            "matthews_corrcoef": float((right.sum() * total - (truth * said).sum()) / spread)
            if spread
            else 0.0,
        }
        if self._rated:
            values["log_loss"] = self._log_loss / self._rated
        return values
