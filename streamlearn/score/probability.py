"""Losses of a classifier's probabilities and decision values; see `sklearn.metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.labels import truth_places
from streamlearn.score.sums import Additive, group_sums, weights_of

__all__ = ["ClassLosses", "class_loss"]

Floats = NDArray[np.float64]
Loss = Callable[[NDArray[np.intp], Answers], Floats | None]


class ClassLosses(Additive):
    """Means of losses of probabilities or decision values.

    A state is a sum and a weight for each metric: 16 metrics bytes a group. Rows whose answers
    lack what a metric needs have no share in it.

    Parameters
    ----------
    classes : array of shape (n_classes,)
        The model's classes, sorted.
    names : sequence of str
        See `class_loss`.

    Raises
    ------
    UsageError
        If a name is unknown.

    Examples
    --------
    >>> statistic = ClassLosses(np.array([0, 1]), ["log_loss"])
    >>> y = np.array([0, 1])
    >>> answers = Answers(y, np.array([[0.5, 0.5], [0.25, 0.75]]))
    >>> state = statistic.states(y, answers, None, np.zeros(2, dtype=np.intp), 1)
    >>> round(float(statistic.values(state)["log_loss"][0]), 4)
    0.4904
    """

    def __init__(self, classes: NDArray[Any], names: Sequence[str] = ("log_loss",)) -> None:
        self.classes = classes
        self.names = tuple(names)
        self.size = 2 * len(self.names)
        self._losses: list[Loss] = []
        for name in names:
            loss = class_loss(name, len(classes))
            if loss is None:
                raise UsageError(f"{name!r} is no loss of probabilities or decision values")
            self._losses.append(loss)

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            If a label is none of the model's classes, or a probability NaN.
        """
        out = np.zeros((count, self.size))
        if not len(y):
            return out
        truth = truth_places(y, answers, self.classes)
        ones = weights_of(weight, len(y))
        held = None if weight is None else ones
        total = group_sums(ones, groups, count)
        for at, loss in enumerate(self._losses):
            losses = loss(truth, answers)
            if losses is not None:
                _refuse_nan(losses, self.names[at])
                out[:, 2 * at] = group_sums(losses, groups, count, held)
                out[:, 2 * at + 1] = total
        return out

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        sums, totals = states[:, ::2], states[:, 1::2]
        means = np.divide(sums, totals, out=np.full(sums.shape, np.nan), where=totals > 0)
        return dict(zip(self.names, means.T, strict=True))


def _refuse_nan(losses: Floats, name: str) -> None:
    if np.isnan(losses.sum()):
        row = int(np.isnan(losses).argmax())
        if np.isnan(losses[row]):
            raise CellError(
                row, "target", f"{name} is NaN at row {row:,} of the block; mend the model"
            )


def class_loss(name: str, classes: int) -> Loss | None:
    """Return the losses of rows that have a name, or None.

    Parameters
    ----------
    name : str
        "log_loss"; "brier_score"; "hinge_loss", of decision values; "top_k_accuracy", which is
        of the first two, or with a number, as "top_5_accuracy".
    classes : int
    """
    plain: dict[str, Loss] = {
        "log_loss": _log_loss,
        "brier_score": _brier,
        "hinge_loss": _hinge,
        "top_k_accuracy": _top(2, classes),
    }
    if name in plain:
        return plain[name]
    parts = name.split("_")
    if len(parts) == 3 and parts[0] == "top" and parts[2] == "accuracy" and parts[1].isdigit():
        return _top(int(parts[1]), classes)
    return None


def _log_loss(truth: NDArray[np.intp], answers: Answers) -> Floats | None:
    chances = answers.probabilities
    if chances is None:
        return None
    tiny = np.finfo(chances.dtype).eps
    chosen = np.clip(chances[np.arange(len(truth)), truth], tiny, 1 - tiny)
    return np.asarray(-np.log(chosen), dtype=np.float64)


def _brier(truth: NDArray[np.intp], answers: Answers) -> Floats | None:
    """Squares of what is wrong with the probabilities; halved where there are two classes.

    Brier: Verification of forecasts expressed in terms of probability. Monthly Weather Review 78
    (1950) 1-3.
    """
    chances = answers.probabilities
    if chances is None:
        return None
    rows = np.arange(len(truth))
    if chances.shape[1] == 2:
        missed = 1.0 - chances[rows, truth].astype(np.float64)
        other = chances[rows, 1 - truth].astype(np.float64)
        return np.asarray(0.5 * (missed * missed + other * other))
    wrong = chances.astype(np.float64)
    wrong[rows, truth] -= 1.0
    return np.asarray(np.einsum("ij,ij->i", wrong, wrong))


def _hinge(truth: NDArray[np.intp], answers: Answers) -> Floats | None:
    """How far the true class is from a margin of 1 over the others.

    Crammer, Singer: On the algorithmic implementation of multiclass kernel-based vector machines.
    JMLR 2 (2001) 265-292.
    """
    decisions = answers.decisions
    if decisions is None:
        return None
    if decisions.ndim == 1:
        margin = np.where(truth == 1, decisions, -decisions)
    else:
        rows = np.arange(len(truth))
        others = decisions.astype(np.float64)
        own = others[rows, truth]
        others[rows, truth] = -np.inf
        margin = own - others.max(axis=1)
    return np.asarray(np.maximum(1.0 - margin, 0.0), dtype=np.float64)


def _top(k: int, classes: int) -> Loss:
    """Whether the true class is among the k likeliest; of equals the later class is ahead."""

    def losses(truth: NDArray[np.intp], answers: Answers) -> Floats | None:
        scores = answers.decisions if answers.decisions is not None else answers.probabilities
        if scores is None:
            return None
        if scores.ndim == 1 or scores.shape[1] == 2:
            if k > 1:
                return np.ones(len(truth))
            one = scores if scores.ndim == 1 else scores[:, 1]
            limit = 0.5 if answers.decisions is None else 0.0
            return np.asarray((one > limit) == truth, dtype=np.float64)
        own = scores[np.arange(len(truth)), truth][:, None]
        later = np.arange(classes) > truth[:, None]
        ahead = (scores > own) | ((scores == own) & later)
        return np.asarray(ahead.sum(axis=1) < k, dtype=np.float64)

    return losses
