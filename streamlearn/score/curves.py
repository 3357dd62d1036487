"""Curves of a classifier: ROC, precision and recall, gain, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.calibration import Calibration
from streamlearn.score.histogram import Ranked

__all__ = [
    "Curve",
    "calibration_curve",
    "gain_curve",
    "lift_curve",
    "precision_recall_curve",
    "roc_curve",
]

Floats = NDArray[np.float64]

POINTS = 500
"""Points that a curve has at most: more than a picture shows."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a curve, thinned so that a report may hold them."""

    name: str
    x: Floats
    y: Floats
    x_label: str
    y_label: str
    bound: float = 0.0
    """How far a point may be off in y, where it comes from bins."""
    note: str = ""
    weights: Floats | None = None
    """Of the rows behind each point, where points stand for different numbers of them."""


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Keep ends, and points that are evenly far apart along the curve."""
    if len(x) <= POINTS:
        return x, y
    along = np.cumsum(np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0])))
    kept = np.searchsorted(along, np.linspace(0.0, along[-1], POINTS - 1))
    kept = np.unique(np.r_[0, kept, len(x) - 1])
    return x[kept], y[kept]


def _shares(ranked: Ranked) -> tuple[Floats, Floats, Floats]:
    """Return weights above each score, from none to all: positives, negatives, all."""
    right = np.r_[0.0, np.cumsum(ranked.positive)]
    wrong = np.r_[0.0, np.cumsum(ranked.negative)]
    return right, wrong, right + wrong


def _most_mixed(weights: Floats, ranked: Ranked, total: float) -> float:
    mixed = weights[ranked.mixed]
    return float(mixed.max() / total) if len(mixed) and total else 0.0


_BINS = "steps of scores that differ are drawn as straight lines"


def roc_curve(ranked: Ranked) -> Curve | None:
    """Return true positive rate against false positive rate; None if a class is missing.

    Parameters
    ----------
    ranked : Ranked
        Of `streamlearn.score.ranking.Ranking.ranked`.

    Examples
    --------
    >>> one, zero = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    >>> curve = roc_curve(Ranked(one, zero, np.zeros(2, dtype=bool), np.array([0.9, 0.1])))
    >>> curve.x.tolist(), curve.y.tolist()
    ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])
    """
    positives, negatives = ranked.totals
    if not positives or not negatives:
        return None
    right, wrong, _ = _shares(ranked)
    x, y = _thinned(wrong / negatives, right / positives)
    bound = _most_mixed(ranked.positive, ranked, positives)
    return Curve("ROC", x, y, "false positive rate", "true positive rate", bound, _BINS)


def precision_recall_curve(ranked: Ranked) -> Curve | None:
    """Return precision against recall; None without positives.

    Begins at a precision of 1 for no rows, as scikit-learn's.
    """
    positives, _ = ranked.totals
    if not positives:
        return None
    right, _, rows = _shares(ranked)
    precision = np.ones(len(rows))
    np.divide(right, rows, out=precision, where=rows > 0)
    x, y = _thinned(right / positives, precision)
    start, end = rows[:-1], rows[1:]
    # Within a step the precision goes at most up with all positives first, down with all last.
    up = right[1:] / np.maximum(start + ranked.positive, np.finfo(np.float64).tiny)
    down = right[:-1] / np.maximum(end - ranked.positive, np.finfo(np.float64).tiny)
    apart = np.maximum(up - precision[1:], precision[1:] - down)[ranked.mixed]
    # The first step has no precision before it to be off from.
    bound = float(min(1.0, apart.max())) if len(apart) else 0.0
    return Curve("precision and recall", x, y, "recall", "precision", bound, _BINS)


def gain_curve(ranked: Ranked) -> Curve | None:
    """Return the share of positives among the share of rows with the highest scores."""
    positives, negatives = ranked.totals
    if not positives:
        return None
    right, _, rows = _shares(ranked)
    x, y = _thinned(rows / (positives + negatives), right / positives)
    bound = _most_mixed(ranked.positive, ranked, positives)
    return Curve("gain", x, y, "share of rows", "share of positives", bound, _BINS)


def lift_curve(ranked: Ranked) -> Curve | None:
    """Return how many times more positives there are among the highest scores than among all."""
    gain = gain_curve(ranked)
    if gain is None:
        return None
    some = gain.x > 0
    x, y = gain.x[some], gain.y[some] / gain.x[some]
    bound = float(gain.bound / x[0]) if gain.bound else 0.0
    return Curve("lift", x, y, "share of rows", "lift", bound, gain.note)


def calibration_curve(calibration: Calibration, state: Floats) -> Curve | None:
    """Return the share that came true against the mean probability of each bin."""
    likely, came, weight = calibration.reliability(state)
    if not len(weight):
        return None
    note = f"{len(weight)} of {calibration.bins} bins of equal width have rows"
    labels = ("mean probability", "share that came true")
    return Curve("calibration", likely, came, *labels, 0.0, note, weight)
