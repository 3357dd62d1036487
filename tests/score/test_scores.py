"""Scores equal scikit-learn's on the whole, however the rows are cut."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from streamlearn.errors import DataError
from streamlearn.score.base import Answers
from streamlearn.score.choose import held_out_scores
from streamlearn.testing import check_metric_merges


def regression_scores():
    return held_out_scores(None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_regression(weighted, offset):
    rng = np.random.default_rng(0)
    y = rng.normal(size=500) + offset
    said = y + rng.normal(size=500) * 0.3
    weight = rng.random(500) if weighted else None
    expected = {
        "r2": metrics.r2_score(y, said, sample_weight=weight),
        "rmse": metrics.root_mean_squared_error(y, said, sample_weight=weight),
        "mse": metrics.mean_squared_error(y, said, sample_weight=weight),
        "mae": metrics.mean_absolute_error(y, said, sample_weight=weight),
        "max_error": metrics.max_error(y, said),
    }
    check_metric_merges(
        regression_scores,
        y,
        Answers(said),
        expected,
        weight=weight,
        rtol=1e-12 if not offset else 1e-9,
    )


def test_a_constant_target_scores_as_scikit_learn_has_it():
    for said in ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]):
        y = np.full(3, 2.0)
        expected = {"r2": metrics.r2_score(y, said)}
        check_metric_merges(regression_scores, y, Answers(np.array(said)), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("names", [np.array([0, 1]), np.array(["a", "b", "ü"], dtype=object)])
def test_classification(weighted, names):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, len(names), 400)
    chances = rng.dirichlet(np.ones(len(names)), 400)
    said = chances.argmax(axis=1)
    weight = rng.random(400) if weighted else None
    y, labels = names[truth], names[said]
    known = {"sample_weight": weight}
    expected = {
        "accuracy": metrics.accuracy_score(truth, said, **known),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said, **known),
        "f1_macro": metrics.f1_score(truth, said, average="macro", **known),
        "matthews_corrcoef": metrics.matthews_corrcoef(truth, said, **known),
        "log_loss": metrics.log_loss(truth, chances, **known),
    }
    check_metric_merges(
        lambda: held_out_scores(names), y, Answers(labels, chances), expected, weight=weight
    )


def test_a_class_that_is_never_seen_counts_as_scikit_learn_has_it():
    y, said = np.array([0, 0, 2, 2]), np.array([0, 2, 2, 2])
    expected = {
        "balanced_accuracy": metrics.balanced_accuracy_score(y, said),
        "f1_macro": metrics.f1_score(y, said, average="macro"),
        "matthews_corrcoef": metrics.matthews_corrcoef(y, said),
    }
    check_metric_merges(lambda: held_out_scores(np.arange(3)), y, Answers(said), expected)


def test_an_unknown_label_is_named():
    scores = held_out_scores(np.array([0, 1]))
    with pytest.raises(DataError, match=r"label .*7.* none of the classes .* 0, 1"):
        scores.update(np.array([0, 7]), Answers(np.array([0, 1])))


def test_no_rows_have_no_score():
    assert dict(regression_scores().value()) == {}
    assert dict(held_out_scores(np.arange(2)).value()) == {}
