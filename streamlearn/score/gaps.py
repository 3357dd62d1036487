"""Fairness gaps: how far apart a classifier treats groups of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.score.base import Answers
from streamlearn.score.bootstrap import Bootstrap, Interval

__all__ = ["FairnessGaps", "GroupRates", "Rates", "fairness_gaps", "positive_class"]


class Rates:
    """How often the positive class is answered: of all rows, of positive and of negative ones.

    Parameters
    ----------
    positive : object
        The positive class.

    Examples
    --------
    >>> rates = Rates(1)
    >>> y, said = np.array([1, 1, 0, 0]), Answers(np.array([1, 0, 1, 0]))
    >>> states = rates.states(y, said, None, np.zeros(4, np.intp), 1)
    >>> {name: value.tolist() for name, value in rates.values(states).items()}
    {'selection_rate': [0.5], 'true_positive_rate': [0.5], 'false_positive_rate': [0.5]}
    """

    size = 4
    names = ("selection_rate", "true_positive_rate", "false_positive_rate")

    def __init__(self, positive: Any) -> None:
        self.positive = positive

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> NDArray[np.float64]:
        """See `streamlearn.score.base.Statistic.states`."""
        # 0: negative, answered so; 1: negative, answered positive; 2 and 3: positive ones.
        truth, said = y == self.positive, answers.labels == self.positive
        cells = groups * 4 + 2 * truth.astype(np.intp) + said
        found = np.bincount(cells, weights=weight, minlength=4 * count)
        return found.astype(np.float64).reshape(count, 4)

    def merge(self, into: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        """See `streamlearn.score.base.Statistic.merge`."""
        into += other

    def combine(
        self, states: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See `streamlearn.score.base.Statistic.combine`."""
        return weights @ states

    def values(self, states: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """See `streamlearn.score.base.Statistic.values`; NaN where there is no such row."""
        right_no, wrong_yes, wrong_no, right_yes = states.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "selection_rate": (wrong_yes + right_yes) / states.sum(axis=1),
                "true_positive_rate": right_yes / (wrong_no + right_yes),
                "false_positive_rate": wrong_yes / (right_no + wrong_yes),
            }


@dataclass(frozen=True)
class GroupRates:
    """The rates of one group."""

    name: str
    rows: int
    rates: Mapping[str, float]
    counted: bool
    """Whether it has rows enough to count in the gaps."""


@dataclass(frozen=True)
class FairnessGaps:
    """Gaps between the groups of a column, by fairlearn's names."""

    column: str
    positive: str
    groups: tuple[GroupRates, ...]
    gaps: Mapping[str, float]
    """``demographic_parity_difference`` and ``_ratio`` (selection rates),
    ``equal_opportunity_difference`` (true positive rates), ``equalized_odds_difference`` (the
    larger of the gaps in true and false positive rates)."""
    intervals: Mapping[str, Interval]
    least_rows: int
    """Groups of fewer rows do not count."""


def fairness_gaps(
    column: str,
    positive: Any,
    groups: Sequence[tuple[str, int, Mapping[str, float], Mapping[str, NDArray[np.float64]]]],
    bootstrap: Bootstrap,
    least_rows: int,
) -> FairnessGaps:
    """Compare groups.

    The gap between the highest and the lowest of several estimated rates is never negative: with
    many small groups it is above zero by chance alone, and so is its interval.

    Parameters
    ----------
    groups : sequence of (name, rows, rates, drawn rates)
    least_rows : int
        Groups of fewer rows are shown, and do not count in the gaps.
    """
    told = tuple(
        GroupRates(name, rows, dict(rates), rows >= least_rows) for name, rows, rates, _ in groups
    )
    large = [item for item in groups if item[1] >= least_rows]
    found: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    if len(large) > 1:
        whole = [{name: np.array([value]) for name, value in item[2].items()} for item in large]
        found = {name: float(value[0]) for name, value in _gaps(whole).items()}
        if all(item[3] for item in large):
            for name, values in _gaps([item[3] for item in large]).items():
                interval = bootstrap.interval(values)
                if interval is not None:
                    intervals[name] = interval
    return FairnessGaps(column, str(positive), told, found, intervals, least_rows)


def _gaps(groups: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    selected, hit, alarmed = (
        np.array([group[name] for group in groups])
        for name in ("selection_rate", "true_positive_rate", "false_positive_rate")
    )
    highest = selected.max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = selected.min(axis=0) / highest
    missed = np.ptp(hit, axis=0)
    return {
        "demographic_parity_difference": np.ptp(selected, axis=0),
        "demographic_parity_ratio": ratio,
        "equal_opportunity_difference": missed,
        "equalized_odds_difference": np.maximum(missed, np.ptp(alarmed, axis=0)),
    }


def positive_class(classes: NDArray[Any], positive: Any) -> Any:
    """Return the positive class: the one asked for, or the second of two.

    Raises
    ------
    UsageError
        If it is none of the classes, or has to be named.

    Examples
    --------
    >>> positive_class(np.array(["no", "yes"]), None)
    'yes'
    """
    known = classes.tolist()
    if positive is None:
        if len(known) != 2:
            raise UsageError(
                f"of {len(known)} classes the positive one has to be named: positive= or "
                f"--positive, one of {', '.join(map(str, known[:20]))}"
            )
        return known[1]
    found = [item for item in known if item == positive or str(item) == str(positive)]
    if not found:
        raise UsageError(
            f"positive= is {positive!r}, which is none of the classes: "
            f"{', '.join(map(str, known[:20]))}"
        )
    return found[0]
