"""Losses of probabilities and decision values equal scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from streamlearn.errors import DataError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.calibration import Calibration
from streamlearn.score.probability import ClassLosses
from streamlearn.testing import check_metric


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 60),
    classes=st.integers(2, 4),
    seed=st.integers(0, 999),
    weighted=st.booleans(),
    kind=st.sampled_from([np.float64, np.float32]),
    sharp=st.booleans(),
    groups=st.integers(1, 4),
)
def test_probabilities(rows, classes, seed, weighted, kind, sharp, groups):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.02 if sharp else 1.0), rows).astype(kind)
    y = rng.integers(0, classes, rows)
    weight = rng.uniform(0.1, 3.0, rows) if weighted else None
    labels = np.arange(classes)
    known = {"labels": labels, "sample_weight": weight}
    # scikit-learn sums float32 probabilities in float32: its digits are those of a mean of them.
    wide = p.astype(np.float64)
    eps = np.finfo(kind).eps
    chosen = np.clip(p[np.arange(rows), y], eps, 1 - eps).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log_loss = metrics.log_loss(y, p, **known)
        brier = metrics.brier_score_loss(y, wide, **known)
        top = metrics.top_k_accuracy_score(y, wide[:, 1] if classes == 2 else wide, k=2, **known)
    expected = {"log_loss": float(np.average(-np.log(chosen), weights=weight))}
    assert log_loss == pytest.approx(
        expected["log_loss"], rel=1e-12 if kind is np.float64 else 1e-5
    )
    if kind is np.float64:
        expected |= {"brier_score": brier, "top_k_accuracy": top}
    check_metric(
        lambda: ClassLosses(labels, list(expected)),
        y,
        Answers(p.argmax(axis=1), p),
        expected,
        weight=weight,
        groups=groups,
        rtol=1e-12 if kind is np.float64 else 1e-6,
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_decision_values(classes, weighted):
    rng = np.random.default_rng(0)
    decisions = rng.normal(size=(80, classes)) if classes > 2 else rng.normal(size=80)
    y = rng.integers(0, classes, 80)
    weight = rng.uniform(0.1, 3.0, 80) if weighted else None
    labels = np.arange(classes)
    known = {"labels": labels, "sample_weight": weight}
    expected = {
        "hinge_loss": metrics.hinge_loss(y, decisions, **known),
        "top_1_accuracy": metrics.top_k_accuracy_score(y, decisions, k=1, **known),
    }
    check_metric(
        lambda: ClassLosses(labels, list(expected)),
        y,
        Answers(y, None, decisions),
        expected,
        weight=weight,
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ties_for_the_top_are_broken_as_scikit_learn_does(k):
    rng = np.random.default_rng(1)
    p = rng.integers(0, 3, (200, 4)).astype(float)
    y = rng.integers(0, 4, 200)
    expected = {f"top_{k}_accuracy": metrics.top_k_accuracy_score(y, p, k=k)}
    check_metric(lambda: ClassLosses(np.arange(4), list(expected)), y, Answers(y, p), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_came_true(weighted):
    rng = np.random.default_rng(2)
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(int)
    weight = rng.uniform(0.1, 3.0, 500) if weighted else None
    ones = np.ones(500) if weight is None else weight
    cells = np.minimum((p * 10).astype(int), 9)
    expected = sum(abs((ones * (p - y))[cells == cell].sum()) for cell in range(10)) / ones.sum()
    answers = Answers(y, np.stack([1 - p, p], axis=1))
    check_metric(
        lambda: Calibration(np.arange(2), bins=10),
        y,
        answers,
        {"calibration_error": expected},
        weight=weight,
    )
    if not weighted:
        statistic = Calibration(np.arange(2), bins=10)
        state = statistic.states(y, answers, None, np.zeros(500, np.intp), 1)
        likely, came, counts = statistic.reliability(state)
        true, predicted = calibration_curve(y, p, n_bins=10)
        np.testing.assert_allclose(likely, predicted, rtol=1e-12)
        np.testing.assert_allclose(came, true, rtol=1e-12)
        assert counts.sum() == 500


def test_of_more_classes_the_likeliest_counts():
    p = np.array([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8]])
    y = np.array([0, 1])
    statistic = Calibration(np.arange(3), bins=2)
    check_metric(lambda: statistic, y, Answers(y, p), {"calibration_error": abs(1.4 - 1) / 2})


def test_answers_that_lack_what_a_metric_needs_give_no_value():
    y = np.array([0, 1])
    expected = {"log_loss": np.nan, "brier_score": np.nan, "hinge_loss": np.nan}
    check_metric(lambda: ClassLosses(y, list(expected)), y, Answers(y), expected)
    check_metric(lambda: Calibration(y), y, Answers(y), {"calibration_error": np.nan})


def test_nan_is_refused_and_its_row_named():
    y = np.array([0, 1])
    p = np.array([[0.5, 0.5], [0.5, np.nan]])
    for statistic in (ClassLosses(y), Calibration(y)):
        with pytest.raises(DataError, match="NaN") as found:
            statistic.states(y, Answers(y, p), None, np.zeros(2, np.intp), 1)
        assert found.value.row == 1
    with pytest.raises(UsageError, match="'auc' is no loss"):
        ClassLosses(y, ["auc"])
