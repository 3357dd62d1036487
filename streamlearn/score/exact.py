"""Metrics of sorted rows without error, by a sort on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError
from streamlearn.score.base import Answers
from streamlearn.score.labels import truth_places
from streamlearn.score.ranking import (
    RANKINGS,
    average,
    one_against_rest,
    prefers_decisions,
    score_columns,
)
from streamlearn.score.runs import BUFFER_ROWS, SortedRuns, starts_of
from streamlearn.score.sums import as_columns, finite, weights_of

__all__ = ["ExactMedianError", "ExactRanking"]

Floats = NDArray[np.float64]


class ExactRanking:
    """ROC AUC, average precision and the Kolmogorov-Smirnov distance of all rows, exactly.

    Scores go to disk, 16 bytes a row (and class, of more than two); memory is at most 24 MiB for
    each.

    Parameters
    ----------
    classes : array of shape (n_classes,)
    names : sequence of str
        Of `streamlearn.score.ranking.RANKINGS`.
    scratch_dir : path, optional
    buffer_rows : int
        See `streamlearn.score.runs.SortedRuns`.

    Examples
    --------
    >>> score = ExactRanking(np.array([0, 1]), ["roc_auc"])
    >>> y, chances = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> score.update(y, Answers(y, np.stack([1 - chances, chances], axis=1)))
    >>> score.value()
    {'roc_auc': 0.75}
    """

    def __init__(
        self,
        classes: NDArray[Any],
        names: Sequence[str] = ("roc_auc",),
        scratch_dir: str | os.PathLike[str] | None = None,
        buffer_rows: int = BUFFER_ROWS,
    ) -> None:
        self.classes = classes
        self.names = tuple(names)
        self._decided = prefers_decisions(names)
        count = 1 if len(classes) == 2 else len(classes)
        self._runs = [SortedRuns(scratch_dir, buffer_rows) for _ in range(count)]
        self._totals = np.zeros((count, 2))
        """Weight of the positives and of the negatives."""

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """See `streamlearn.score.base.Score.update`.

        Raises
        ------
        DataError
            If a label is none of the model's classes, or a score NaN.
        """
        if not len(y):
            return
        columns = score_columns(answers, len(self.classes), self._decided)
        if not columns:
            return
        ones = weights_of(weight, len(y))
        truth = truth_places(y, answers, self.classes)
        positives = one_against_rest(truth, len(self.classes))
        for at, (scores, positive) in enumerate(zip(columns, positives, strict=True)):
            if np.isnan(scores).any():
                row = int(np.isnan(scores).argmax())
                raise CellError(row, "target", "the model's score is NaN; mend the model")
            kept = ones > 0
            # The highest score first; the sign of the weight says which class.
            self._runs[at].add(-scores[kept], np.where(positive, ones, -ones)[kept])
            self._totals[at] += ones[positive].sum(), ones[~positive].sum()

    def merge(self, other: ExactRanking) -> None:
        """See `streamlearn.score.base.Score.merge`."""
        for runs, theirs in zip(self._runs, other._runs, strict=True):
            runs.merge(theirs)
        self._totals += other._totals

    def value(self) -> Mapping[str, float]:
        """See `streamlearn.score.base.Score.value`."""
        totals = self._totals[:, 0].tolist()
        walked = [
            _walk(runs, *both) for runs, both in zip(self._runs, self._totals.tolist(), strict=True)
        ]
        found = {}
        for name in self.names:
            kind = "roc_auc" if name.startswith("roc_auc") else name
            weights = totals if RANKINGS[name][1] == "weighted" else None
            found[name] = average([steps[kind] for steps in walked], weights)
        return found


def _walk(runs: SortedRuns, positives: float, negatives: float) -> dict[str, float]:
    """Go through rows from the highest score down, a step for each score."""
    right = wrong = area = precision = apart = 0.0
    for block in runs.blocks():
        steps = starts_of(block[:, 0])
        plus = np.add.reduceat(np.maximum(block[:, 1], 0.0), steps)
        minus = np.add.reduceat(np.maximum(-block[:, 1], 0.0), steps)
        hits, alarms = right + np.cumsum(plus), wrong + np.cumsum(minus)
        area += float((minus * (hits - 0.5 * plus)).sum())
        precision += float((plus * hits / (hits + alarms)).sum())
        if positives and negatives:
            apart = max(apart, float(np.abs(hits / positives - alarms / negatives).max()))
        right, wrong = float(hits[-1]), float(alarms[-1])
    both = positives > 0 and negatives > 0
    return {
        "roc_auc": area / (positives * negatives) if both else np.nan,
        "average_precision": precision / positives if positives else np.nan,
        "ks": apart if both else np.nan,
    }


class ExactMedianError:
    """The median of absolute errors of all rows, exactly.

    Errors go to disk, 16 bytes a row and output; memory is at most 24 MiB for each output.

    Parameters
    ----------
    outputs : int
    scratch_dir : path, optional
    buffer_rows : int
        See `streamlearn.score.runs.SortedRuns`.

    Examples
    --------
    >>> score = ExactMedianError()
    >>> score.update(np.array([3.0, -0.5, 2.0, 7.0]), Answers(np.array([2.5, 0.0, 2.0, 8.0])))
    >>> score.value()
    {'median_absolute_error': 0.5}
    """

    names = ("median_absolute_error",)

    def __init__(
        self,
        outputs: int = 1,
        scratch_dir: str | os.PathLike[str] | None = None,
        buffer_rows: int = BUFFER_ROWS,
    ) -> None:
        self.outputs = outputs
        self._runs = [SortedRuns(scratch_dir, buffer_rows) for _ in range(outputs)]

    def update(self, y: NDArray[Any], answers: Answers, weight: Any = None) -> None:
        """See `streamlearn.score.base.Score.update`.

        Raises
        ------
        DataError
            If the truth or a prediction is NaN or infinite.
        """
        if not len(y):
            return
        truth, said = as_columns(y, self.outputs), as_columns(answers.labels, self.outputs)
        finite(truth, said)
        ones = weights_of(weight, len(truth))
        kept = ones > 0
        for runs, error in zip(self._runs, np.abs(truth - said).T, strict=True):
            runs.add(error[kept], ones[kept])

    def merge(self, other: ExactMedianError) -> None:
        """See `streamlearn.score.base.Score.merge`."""
        for runs, theirs in zip(self._runs, other._runs, strict=True):
            runs.merge(theirs)

    def value(self) -> Mapping[str, float]:
        """See `streamlearn.score.base.Score.value`."""
        return {"median_absolute_error": float(np.mean([_median(runs) for runs in self._runs]))}


def _median(runs: SortedRuns) -> float:
    """Return the value with half of the weight on either side, or the middle of the two."""
    half = 0.5 * sum(float(block[:, 1].sum()) for block in runs.blocks())
    below, lower = 0.0, np.nan
    for block in runs.blocks():
        if not np.isnan(lower):
            return float(0.5 * (lower + block[0, 0]))
        up_to = below + np.cumsum(block[:, 1])
        at = int(np.searchsorted(up_to, half))
        if at < len(block):
            if up_to[at] - half > np.finfo(np.float64).eps * max(half, 1.0):
                return float(block[at, 0])
            if at + 1 < len(block):
                return float(0.5 * (block[at, 0] + block[at + 1, 0]))
            lower = float(block[at, 0])
        below = float(up_to[-1])
    return float(lower)
