"""Metrics of a confusion matrix equal scikit-learn's, however rows are cut and merged."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from streamlearn.errors import DataError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.confusion import Confusion
from streamlearn.testing import check_metric

PLAIN = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "matthews_corrcoef": metrics.matthews_corrcoef,
    "cohen_kappa": metrics.cohen_kappa_score,
}
AVERAGED = {
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "f1": metrics.f1_score,
    "jaccard": metrics.jaccard_score,
}


def expected_of(y, said, weight, two):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {name: ask(y, said, sample_weight=weight) for name, ask in PLAIN.items()}
        for name, ask in AVERAGED.items():
            for average in ("macro", "micro", "weighted"):
                found[f"{name}_{average}"] = ask(
                    y, said, average=average, sample_weight=weight, **quiet(name)
                )
            if two:
                found[name] = ask(y, said, pos_label=1, sample_weight=weight, **quiet(name))
        for beta in (0.5, 2):
            found[f"f{beta:g}_macro"] = metrics.fbeta_score(
                y, said, beta=beta, average="macro", sample_weight=weight
            )
    return found


def quiet(name):
    return {"zero_division": 0}


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 60),
    classes=st.integers(2, 5),
    seed=st.integers(0, 999),
    weighted=st.booleans(),
    right=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    groups=st.integers(1, 4),
)
def test_confusion(rows, classes, seed, weighted, right, cuts, groups):
    rng = np.random.default_rng(seed)
    # Classes that are rare or never there.
    y = rng.choice(classes, rows, p=rng.dirichlet(np.full(classes, 0.4)))
    said = np.where(rng.random(rows) < right, y, rng.integers(0, classes, rows))
    weight = rng.uniform(0.1, 3.0, rows) if weighted else None
    two = classes == 2
    expected = expected_of(y, said, weight, two)
    check_metric(
        lambda: Confusion(np.arange(classes), list(expected)),
        y,
        Answers(said),
        expected,
        weight=weight,
        cuts=[cuts],
        groups=groups,
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_the_matrix_itself(weighted):
    rng = np.random.default_rng(0)
    names = np.array(["a", "b", "ü"], dtype=object)
    y, said = names[rng.integers(0, 3, 50)], names[rng.integers(0, 2, 50)]
    weight = rng.random(50) if weighted else None
    statistic = Confusion(names)
    group = np.arange(50) % 2
    states = statistic.states(y, Answers(said), weight, group, 2)
    matrix = statistic.matrix(statistic.combine(states, np.ones((1, 2))))[0]
    expected = metrics.confusion_matrix(y, said, labels=names, sample_weight=weight)
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)


def test_names_that_mean_nothing_here():
    with pytest.raises(UsageError, match="two classes, and there are 3; choose f1_macro"):
        Confusion(np.arange(3), ["f1"])
    with pytest.raises(UsageError, match="'r2' is no metric of a confusion matrix"):
        Confusion(np.arange(3), ["r2"])


def test_an_unknown_label_is_named_with_its_row():
    statistic = Confusion(np.array([0, 1]))
    with pytest.raises(DataError, match=r"label 7 is none of the classes .*: 0, 1;") as found:
        statistic.states(np.array([0, 7]), Answers(np.array([0, 1])), None, np.zeros(2, np.intp), 1)
    assert found.value.row == 1
