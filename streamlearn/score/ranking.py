"""Metrics of the order that scores put rows in, from histograms that know their error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.binned import Binned
from streamlearn.score.histogram import Ranked, put_in_bins
from streamlearn.score.labels import truth_places
from streamlearn.score.ladder import probabilities, values
from streamlearn.score.sums import weights_of

__all__ = [
    "RANKINGS",
    "Ranking",
    "average",
    "one_against_rest",
    "prefers_decisions",
    "score_columns",
]

Floats = NDArray[np.float64]
Rated = tuple[float, float]

RANKINGS: Mapping[str, tuple[Callable[[Ranked], Rated], str]] = {
    "roc_auc": (Ranked.roc_auc, "macro"),
    "roc_auc_ovr": (Ranked.roc_auc, "macro"),
    "roc_auc_ovr_weighted": (Ranked.roc_auc, "weighted"),
    "average_precision": (Ranked.average_precision, "macro"),
    "ks": (Ranked.kolmogorov_smirnov, "macro"),
}
"""How each metric rates ranked rows, and averages over classes."""


def prefers_decisions(names: Sequence[str]) -> bool:
    """Return whether decision values are ranked before probabilities, as scikit-learn's scorers.

    They are but for ``roc_auc_ovr`` and its weighted kin.
    """
    return not any(name.startswith("roc_auc_ovr") for name in names)


def score_columns(answers: Answers, classes: int, decided: bool) -> list[Floats]:
    """Return the scores of what is to be ranked: of the second of two classes, or of each class.

    Empty if the answers have neither decision values nor probabilities.
    """
    decisions, chances = answers.decisions, answers.probabilities
    first, second = (decisions, chances) if decided else (chances, decisions)
    found = first if first is not None else second
    if found is None:
        return []
    if classes == 2:
        return [np.asarray(found if found.ndim == 1 else found[:, 1], dtype=np.float64)]
    return list(np.asarray(found, dtype=np.float64).T)


def one_against_rest(truth: NDArray[np.intp], classes: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows are positive, for each column of `score_columns`."""
    if classes == 2:
        yield truth == 1
        return
    for at in range(classes):
        yield truth == at


class Ranking(Binned):
    """ROC AUC, average precision and the Kolmogorov-Smirnov distance, each with its error.

    Scores are counted in bins, see `streamlearn.score.ladder`. Within a bin the order of rows is
    unknown, unless they have one score; what that may change is the bound. A state is 4 numbers a
    bin, and a histogram for each class of more than two: 5.6 MB a group at full fineness, which
    each step of ``coarser`` halves.

    Parameters
    ----------
    classes : array of shape (n_classes,)
        The model's classes, sorted. Of two, the second is positive. Of more, each is ranked
        against the rest, and the values are averaged.
    names : sequence of str
        Of `RANKINGS`. All rank the same scores: see `prefers_decisions`.
    coarser : int
        Bits fewer for each bin, for states that there are many of.

    Raises
    ------
    UsageError
        If a name is unknown, or is for two classes and there are more.

    Examples
    --------
    >>> statistic = Ranking(np.array([0, 1]), ["roc_auc"])
    >>> y, chances = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> answers = Answers(y, np.stack([1 - chances, chances], axis=1))
    >>> state = statistic.states(y, answers, None, np.zeros(4, dtype=np.intp), 1)
    >>> float(statistic.values(state)["roc_auc"][0]), float(statistic.bounds(state)["roc_auc"][0])
    (0.75, 0.0)
    """

    def __init__(
        self, classes: NDArray[Any], names: Sequence[str] = ("roc_auc",), coarser: int = 0
    ) -> None:
        for name in names:
            if name not in RANKINGS:
                raise UsageError(f"{name!r} is no metric of ranked rows")
            if name in {"roc_auc", "ks"} and len(classes) > 2:
                raise UsageError(
                    f"{name!r} is a metric of two classes, and there are {len(classes)}"
                    + ("; choose roc_auc_ovr or roc_auc_ovr_weighted" if name != "ks" else "")
                )
        self.classes = classes
        self.names = tuple(names)
        self._decided = prefers_decisions(names)
        # Of many classes each has its own histogram: let them share the room of four.
        targets = 1 if len(classes) == 2 else len(classes)
        coarser += max(0, int(np.ceil(np.log2(targets / 4))))
        self._values, self._chances = values(coarser), probabilities(coarser)
        super().__init__(targets, max(self._values.size, self._chances.size))

    def put(
        self,
        bins: Floats,
        y: NDArray[Any],
        answers: Answers,
        weight: Any,
        offsets: NDArray[np.intp] | int,
    ) -> None:
        """See `streamlearn.score.binned.Binned.put`.

        Raises
        ------
        DataError
            If a label is none of the model's classes, or a score NaN.
        """
        columns = score_columns(answers, len(self.classes), self._decided)
        if not columns:
            return
        ones = weights_of(weight, len(y))
        truth = truth_places(y, answers, self.classes)
        decided = answers.decisions is not None and (self._decided or answers.probabilities is None)
        find = (self._values if decided else self._chances).places
        positives = one_against_rest(truth, len(self.classes))
        for at, (scores, positive) in enumerate(zip(columns, positives, strict=True)):
            if np.isnan(scores).any():
                row = int(np.isnan(scores).argmax())
                raise CellError(row, "target", "the model's score is NaN; mend the model")
            put_in_bins(bins[at], find(scores) + offsets, scores, positive, ones)

    def ranked(self, state: Floats) -> list[Ranked]:
        """Return the ranked rows of one state: of two classes one, of more one for each class.

        Parameters
        ----------
        state : array of float, shape (1, size)
        """
        return [Ranked.of(bins) for bins in self.histograms(state)]

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        return self._rated(states, 0)

    def bounds(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.scores.Bounded.bounds`."""
        return self._rated(states, 1)

    def _rated(self, states: Floats, which: int) -> Mapping[str, Floats]:
        found = {name: np.full(len(states), np.nan) for name in self.names}
        for draw in range(len(states)):
            steps = self.ranked(states[draw : draw + 1])
            totals = [step.totals[0] for step in steps]
            for name in self.names:
                rate, how = RANKINGS[name]
                rated = [rate(step)[which] for step in steps]
                found[name][draw] = average(rated, totals if how == "weighted" else None)
        return found


def average(values: Sequence[float], weights: Sequence[float] | None) -> float:
    """Return the mean; NaN where one has no value."""
    if weights is None:
        return float(np.mean(values))
    return float(np.dot(values, weights) / sum(weights)) if sum(weights) else np.nan
