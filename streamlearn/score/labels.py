"""Labels as places among a model's classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError
from streamlearn.score.base import Answers

__all__ = ["placed", "places", "truth_places"]


def places(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return where each label stands among the sorted classes.

    Raises
    ------
    DataError
        If a label is none of the classes.

    Examples
    --------
    >>> places(np.array(["b", "a", "b"]), np.array(["a", "b"])).tolist()
    [1, 0, 1]
    """
    if not len(labels):
        return np.zeros(0, dtype=np.intp)
    if len(classes) == 2:
        # Comparing is several times faster than searching.
        found = np.asarray(labels == classes[1]).astype(np.intp)
        right = found.astype(bool) | (labels == classes[0])
    else:
        found = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        right = np.asarray(classes[found] == labels)
    if not right.all():
        row = int((~right).argmax())
        label = labels[row].item() if hasattr(labels[row], "item") else labels[row]
        raise CellError(
            row,
            "target",
            f"label {label!r} is none of the classes the model was fitted with: "
            f"{', '.join(map(repr, classes[:20].tolist()))}; filter such rows with where=",
        )
    return np.asarray(found)


def placed(y: NDArray[Any], answers: Answers, classes: NDArray[Any]) -> Answers:
    """Return answers that hold the places of truth and predictions, so that each is sought once.

    Raises
    ------
    DataError
        If a label is none of the classes.
    """
    said = answers.said
    if said is None:
        said = places(answers.labels, classes)
    return replace(answers, truth=places(y, classes), said=said)


def truth_places(y: NDArray[Any], answers: Answers, classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the place of each true label, sought unless the answers hold it."""
    return answers.truth if answers.truth is not None else places(y, classes)
