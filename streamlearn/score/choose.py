"""Which statistics yield the metrics that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from streamlearn.score.confusion import Confusion
from streamlearn.score.losses import MeanLosses
from streamlearn.score.probability import ClassLosses
from streamlearn.score.regression import LOSSES, Explained, LargestError
from streamlearn.score.scores import Scores

__all__ = ["held_out_scores"]

HELD_OUT = ("accuracy", "balanced_accuracy", "f1_macro", "matthews_corrcoef")


def held_out_scores(classes: NDArray[Any] | None, outputs: int = 1) -> Scores:
    """Return empty scores for held-out rows of a fit: cheap metrics, all exact.

    Parameters
    ----------
    classes : array of shape (n_classes,) or None
        None for a regressor.
    outputs : int
        Targets of a row, for a regressor.
    """
    if classes is not None:
        return Scores([Confusion(classes, HELD_OUT), ClassLosses(classes, ["log_loss"])], classes)
    parts: Sequence[Any] = [
        Explained(outputs, ["r2"]),
        MeanLosses([LOSSES[name] for name in ("rmse", "mse", "mae")], outputs),
        *([LargestError()] if outputs == 1 else []),
    ]
    return Scores(parts)
