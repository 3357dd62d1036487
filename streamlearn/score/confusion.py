"""Metrics of a classifier that a confusion matrix holds; see `sklearn.metrics` for definitions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.score.base import Answers
from streamlearn.score.labels import places, truth_places
from streamlearn.score.sums import Additive, weights_of

__all__ = ["AVERAGES", "Confusion", "confusion_metric"]

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]

AVERAGES = ("binary", "macro", "micro", "weighted")
"""How the values of the classes become one; "binary" is that of the second of two classes."""


class Confusion(Additive):
    """The weight of rows by true class and predicted class, and the metrics of it.

    A state is the matrix, row by row: 8 classes² bytes a group.

    Parameters
    ----------
    classes : array of shape (n_classes,)
        The model's classes, sorted.
    names : sequence of str
        See `confusion_metric`.

    Raises
    ------
    UsageError
        If a name is unknown, or means two classes and there are more.

    Examples
    --------
    >>> statistic = Confusion(np.array([0, 1]), ["accuracy", "f0.5"])
    >>> y, answers = np.array([0, 1, 1, 1]), Answers(np.array([0, 1, 1, 0]))
    >>> state = statistic.states(y, answers, None, np.zeros(4, dtype=np.intp), 1)
    >>> {name: round(float(value[0]), 4) for name, value in statistic.values(state).items()}
    {'accuracy': 0.75, 'f0.5': 0.9091}
    >>> statistic.matrix(state)[0].tolist()
    [[1.0, 0.0], [1.0, 2.0]]
    """

    def __init__(self, classes: NDArray[Any], names: Sequence[str] = ("accuracy",)) -> None:
        self.classes = classes
        self.names = tuple(names)
        self.size = len(classes) ** 2
        self._metrics: dict[str, Metric] = {}
        for name in names:
            metric = confusion_metric(name, len(classes))
            if metric is None:
                raise UsageError(f"{name!r} is no metric of a confusion matrix")
            self._metrics[name] = metric

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            If a label is none of the model's classes.
        """
        if not len(y):
            return np.zeros((count, self.size))
        truth = truth_places(y, answers, self.classes)
        said = answers.said if answers.said is not None else places(answers.labels, self.classes)
        cells = truth * len(self.classes) + said
        if count > 1:
            cells = cells + groups * self.size
        ones = None if weight is None else weights_of(weight, len(y))
        found = np.bincount(cells, weights=ones, minlength=count * self.size)
        return found.astype(np.float64, copy=False).reshape(count, self.size)

    def matrix(self, states: Floats) -> Floats:
        """Return confusion matrices, shape (draws, classes, classes): truth by prediction."""
        return states.reshape(-1, len(self.classes), len(self.classes))

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        matrix = self.matrix(states)
        empty = states.sum(axis=1) == 0
        return {
            name: np.where(empty, np.nan, metric(matrix)) for name, metric in self._metrics.items()
        }


def confusion_metric(name: str, classes: int) -> Metric | None:
    """Return the metric of confusion matrices that has a name, or None.

    Parameters
    ----------
    name : str
        "accuracy", "balanced_accuracy", "matthews_corrcoef", "cohen_kappa"; or "precision",
        "recall", "jaccard", "f1", or "f" and any beta, as "f0.5" or "f2". These alone mean the
        second of two classes; with "_macro", "_micro" or "_weighted" an average over classes.
    classes : int

    Raises
    ------
    UsageError
        If the metric is of two classes, and there are more.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    found = re.fullmatch(
        r"(precision|recall|jaccard|f(?:\d+\.?\d*|\.\d+))(?:_(macro|micro|weighted))?", name
    )
    if found is None:
        return None
    kind, average = found[1], found[2] or "binary"
    if average == "binary" and classes != 2:
        raise UsageError(
            f"{name!r} is a metric of two classes, and there are {classes}; "
            f"choose {name}_macro, {name}_micro or {name}_weighted"
        )
    beta = float(kind[1:]) if kind[0] == "f" else 0.0
    return partial(_averaged, kind="f" if kind[0] == "f" else kind, average=average, beta=beta)


def _averaged(matrix: Floats, *, kind: str, average: str, beta: float) -> Floats:
    right = np.diagonal(matrix, axis1=1, axis2=2)
    truth, said = matrix.sum(axis=2), matrix.sum(axis=1)
    if average == "micro":
        over, under = _parts(kind, right.sum(axis=1), truth.sum(axis=1), said.sum(axis=1), beta)
        return _ratio(over, under)
    ratios = _ratio(*_parts(kind, right, truth, said, beta))
    if average == "binary":
        return np.asarray(ratios[:, 1])
    # As scikit-learn: a class that is neither true nor predicted anywhere does not count.
    shares = truth if average == "weighted" else ((truth + said) > 0).astype(np.float64)
    return _ratio((ratios * shares).sum(axis=1), shares.sum(axis=1))


def _parts(
    kind: str, right: Floats, truth: Floats, said: Floats, beta: float
) -> tuple[Floats, Floats]:
    """Return numerator and denominator."""
    if kind == "precision":
        return right, said
    if kind == "recall":
        return right, truth
    if kind == "jaccard":
        return right, truth + said - right
    return (1 + beta**2) * right, beta**2 * truth + said


def _ratio(over: Floats, under: Floats) -> Floats:
    """Divide; what has nothing below is 0, as scikit-learn has it."""
    return np.divide(over, under, out=np.zeros(np.shape(over)), where=under > 0)


def _accuracy(matrix: Floats) -> Floats:
    return _ratio(np.trace(matrix, axis1=1, axis2=2), matrix.sum(axis=(1, 2)))


def _balanced_accuracy(matrix: Floats) -> Floats:
    truth = matrix.sum(axis=2)
    recalls = _ratio(np.diagonal(matrix, axis1=1, axis2=2), truth)
    return _ratio(recalls.sum(axis=1), (truth > 0).sum(axis=1))


def _matthews(matrix: Floats) -> Floats:
    total = matrix.sum(axis=(1, 2))
    truth, said = matrix.sum(axis=2), matrix.sum(axis=1)
    right = np.trace(matrix, axis1=1, axis2=2)
    both = right * total - (truth * said).sum(axis=1)
    # Sums of products, not differences of squares: rare classes keep their digits.
    rest_truth, rest_said = total[:, None] - truth, total[:, None] - said
    own = (truth * rest_truth).sum(axis=1) * (said * rest_said).sum(axis=1)
    return _ratio(both, np.sqrt(np.maximum(own, 0.0)))


def _kappa(matrix: Floats) -> Floats:
    total = matrix.sum(axis=(1, 2))
    truth, said = matrix.sum(axis=2), matrix.sum(axis=1)
    # Sums of what is off the diagonal: all terms positive, so that nothing cancels.
    apart = 1.0 - np.eye(matrix.shape[1])
    found = (matrix * apart).sum(axis=(1, 2)) * total
    chance = np.einsum("di,ij,dj->d", truth, apart, said)
    share = np.divide(found, chance, out=np.full(len(total), np.nan), where=chance > 0)
    return np.asarray(1.0 - share)


_PLAIN: Mapping[str, Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "matthews_corrcoef": _matthews,
    "cohen_kappa": _kappa,
}
