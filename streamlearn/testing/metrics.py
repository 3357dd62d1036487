"""The laws of metrics, as a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.score.base import Answers, Statistic
from streamlearn.score.scores import Bounded, InPlace

__all__ = ["check_metric"]

Floats = NDArray[np.float64]


def check_metric(
    make: Callable[[], Statistic],
    y: NDArray[Any],
    answers: Answers,
    expected: Mapping[str, float],
    *,
    weight: Floats | None = None,
    cuts: Sequence[Sequence[int]] = ((), (0, 1), (3, 3, 10)),
    groups: int = 3,
    rtol: float = 1e-12,
    atol: float = 1e-12,
) -> None:
    """Law 2, metrics: equal to their value on the whole, by every way to add rows up.

    Blocks merged in order and in reverse; groups side by side, each equal to its rows alone, and
    added up; rows counted twice by a weight of 2 in a draw; rows added in place; no rows.

    Parameters
    ----------
    make : callable
        Makes the statistic.
    y : array of shape (rows,) or (rows, outputs)
    answers : Answers
    expected : mapping of str to float
        Values of scikit-learn on all rows; NaN where it has none.
    weight : array of shape (rows,), optional
    cuts : sequence of sequences of int
        Where to cut the rows.
    groups : int
        Rows are dealt to as many groups.
    rtol, atol : float
        How near; a metric with a bound has that as well.

    Raises
    ------
    AssertionError
    """
    _Metric(make(), y, answers, weight, expected, rtol, atol).check(cuts, groups)


class _Metric:
    def __init__(
        self,
        statistic: Statistic,
        y: NDArray[Any],
        answers: Answers,
        weight: Floats | None,
        expected: Mapping[str, float],
        rtol: float,
        atol: float,
    ) -> None:
        self.statistic = statistic
        self.y = y
        self.answers = answers
        self.weight = weight
        self.expected = expected
        self.rtol = rtol
        self.atol = atol

    def check(self, cuts: Sequence[Sequence[int]], count: int) -> None:
        statistic, rows = self.statistic, len(self.y)
        nothing = self.state(np.zeros(0, dtype=np.intp))
        assert nothing.shape == (1, statistic.size), "a state has the size that is told"
        assert not nothing.any(), "the state of no rows is not zero"
        for name, value in statistic.values(nothing).items():
            assert np.isnan(value).all(), f"{name} has a value without a row"
        for cut in cuts:
            blocks = [
                np.arange(start, stop)
                for start, stop in pairwise([0, *sorted(min(at, rows) for at in cut), rows])
            ]
            for order in (blocks, blocks[::-1]):
                self.near(self.merged(order), f"merged at {list(cut)}")
        self.check_groups(np.arange(rows) % count, count)
        self.check_groups((np.arange(rows) * count) // max(rows, 1), count)
        if isinstance(statistic, InPlace):
            state = np.zeros((1, statistic.size))
            for block in np.array_split(np.arange(rows), 3):
                statistic.add(state, *self.rows(block))
            self.near(state, "added in place")

    def check_groups(self, group: NDArray[np.intp], count: int) -> None:
        statistic = self.statistic
        side = statistic.states(self.y, self.answers, self.weight, group, count)
        assert side.shape == (count, statistic.size), "a state for each group"
        alone = np.vstack([self.state(np.flatnonzero(group == at)) for at in range(count)])
        self.same(statistic.values(side), statistic.values(alone), "groups side by side")
        self.near(statistic.combine(side, np.ones((1, count))), "groups added up")
        picked = statistic.combine(side, np.eye(count))
        self.same(statistic.values(picked), statistic.values(alone), "groups picked one by one")
        if count > 1:
            draw = np.zeros((1, count))
            draw[0, :2] = 2.0, 1.0
            rows = np.flatnonzero(group == 0)
            twice = self.merged([rows, rows, np.flatnonzero(group == 1)])
            found = statistic.values(statistic.combine(side, draw))
            self.same(found, statistic.values(twice), "a group counted twice")

    def rows(self, at: NDArray[np.intp]) -> tuple[NDArray[Any], Answers, Floats | None]:
        return (
            self.y[at],
            self.answers.take(at),
            None if self.weight is None else self.weight[at],
        )

    def state(self, at: NDArray[np.intp]) -> Floats:
        return self.statistic.states(*self.rows(at), np.zeros(len(at), dtype=np.intp), 1)

    def merged(self, blocks: Sequence[NDArray[np.intp]]) -> Floats:
        total = np.zeros((1, self.statistic.size))
        for block in blocks:
            self.statistic.merge(total, self.state(block))
        return total

    def near(self, state: Floats, what: str) -> None:
        """Assert that a state of all rows has the expected values, within the bounds it tells."""
        found = self.statistic.values(state)
        bounds = self.statistic.bounds(state) if isinstance(self.statistic, Bounded) else {}
        for name, value in self.expected.items():
            room = self.atol + self.rtol * abs(value) + float(bounds.get(name, np.zeros(1))[0])
            got = float(found[name][0])
            same = (np.isnan(value) and np.isnan(got)) or abs(got - value) <= room
            assert same, f"{what}: {name} is {got!r}, not {value!r}, and may be {room:.3g} off"

    def same(self, one: Mapping[str, Floats], other: Mapping[str, Floats], what: str) -> None:
        for name, values in one.items():
            np.testing.assert_allclose(
                values, other[name], rtol=self.rtol, atol=self.atol, err_msg=f"{what}: {name}"
            )
