"""What every metric offers, and how a model's answers reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "Score", "answers_of"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of a block of rows."""

    labels: NDArray[Any]
    """Predictions, shape (rows,)."""
    probabilities: NDArray[np.float64] | None = None
    """Shape (rows, classes), where the model gives them."""


class Score(Protocol):
    """Mergeable scores of a model.

    ``value`` of all rows does not depend on how they were cut, but for rounding.
    """

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """Take in the truth and the answers for a block."""
        ...

    def merge(self, other: Self) -> None:
        """Take in other rows."""
        ...

    def value(self) -> Mapping[str, float]:
        """Return each metric by name."""
        ...


def answers_of(model: Any, X: Any) -> Answers:
    """Ask a fitted predictor, once, for all that the scores need."""
    if hasattr(model, "classes_") and hasattr(model, "predict_proba"):
        chances = np.asarray(model.predict_proba(X))
        # The same rule as predict's wherever scikit-learn has predict_proba on partial_fit
        # models would be argmax; ask predict all the same, so that no rule is assumed.
        return Answers(np.asarray(model.predict(X)), chances)
    return Answers(np.asarray(model.predict(X)))
