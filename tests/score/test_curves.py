"""Curves go through scikit-learn's points, and are short enough for a report."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from streamlearn.score.base import Answers
from streamlearn.score.calibration import Calibration
from streamlearn.score.curves import (
    calibration_curve,
    gain_curve,
    lift_curve,
    precision_recall_curve,
    roc_curve,
)
from streamlearn.score.ranking import Ranking

TWO = np.array([0, 1])


def ranked_of(y, p):
    answers = Answers(y, np.stack([1 - p, p], axis=1))
    statistic = Ranking(TWO, ["roc_auc"])
    state = statistic.states(y, answers, None, np.zeros(len(y), np.intp), 1)
    return statistic.ranked(state)[0]


@pytest.fixture(scope="module")
def few():
    rng = np.random.default_rng(0)
    p = np.round(rng.random(400), 2)
    return (rng.random(400) < p).astype(int), p


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(1)
    p = rng.random(50_000)
    return (rng.random(50_000) < p).astype(int), p


def test_roc(few):
    y, p = few
    curve = roc_curve(ranked_of(y, p))
    x, expected, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(curve.x, x, atol=1e-12)
    np.testing.assert_allclose(curve.y, expected, atol=1e-12)
    assert curve.bound == 0.0


def test_precision_recall(few):
    y, p = few
    curve = precision_recall_curve(ranked_of(y, p))
    precision, recall, _ = metrics.precision_recall_curve(y, p)
    np.testing.assert_allclose(curve.x, recall[::-1], atol=1e-12)
    np.testing.assert_allclose(curve.y, precision[::-1], atol=1e-12)
    assert curve.bound == 0.0


def test_gain_and_lift(few):
    y, p = few
    gain, lift = gain_curve(ranked_of(y, p)), lift_curve(ranked_of(y, p))
    order = p >= 0.5
    at = np.argmin(np.abs(gain.x - order.mean()))
    assert gain.x[at] == pytest.approx(order.mean())
    assert gain.y[at] == pytest.approx(y[order].sum() / y.sum())
    assert lift.y[at - 1] == pytest.approx(y[order].mean() / y.mean())
    assert (lift.x[-1], lift.y[-1]) == (1.0, 1.0)


@pytest.mark.parametrize("make", [roc_curve, precision_recall_curve, gain_curve, lift_curve])
def test_curves_are_short(many, make):
    curve = make(ranked_of(*many))
    assert len(curve.x) == len(curve.y) <= 500
    assert curve.x[-1] == 1.0
    assert (np.diff(curve.x) >= 0).all()


def test_a_thinned_curve_lies_on_the_curve(many):
    y, p = many
    curve = roc_curve(ranked_of(y, p))
    area = np.trapezoid(curve.y, curve.x)
    assert area == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-4)
    assert curve.bound < 1e-3


def test_calibration(many):
    y, p = many
    statistic = Calibration(TWO)
    answers = Answers(y, np.stack([1 - p, p], axis=1))
    curve = calibration_curve(
        statistic, statistic.states(y, answers, None, np.zeros(len(y), np.intp), 1)
    )
    assert len(curve.x) == 15
    assert np.abs(curve.x - curve.y).max() < 0.03


def test_without_rows_there_is_no_curve():
    y, p = np.zeros(3, dtype=int), np.linspace(0, 1, 3)
    ranked = ranked_of(y, p)
    assert roc_curve(ranked) is None
    assert precision_recall_curve(ranked) is None
    assert gain_curve(ranked) is None
    assert lift_curve(ranked) is None
    assert calibration_curve(Calibration(TWO), np.zeros((1, 45))) is None
