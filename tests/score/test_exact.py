"""What is asked for exactly equals scikit-learn's, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from streamlearn.errors import DataError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.exact import ExactMedianError, ExactRanking
from streamlearn.score.median import MedianError
from streamlearn.score.runs import SortedRuns
from streamlearn.testing import check_metric, check_metric_merges

TWO = np.array([0, 1])
CUTS = ((), (1,), (0, 3, 3, 10), (40, 80))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(2, 120),
    seed=st.integers(0, 999),
    digits=st.integers(0, 9),
    weighted=st.booleans(),
    decided=st.booleans(),
)
def test_ranking(rows, seed, digits, weighted, decided):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(rows), digits)
    y = rng.integers(0, 2, rows)
    y[:2] = 0, 1
    weight = rng.uniform(0.1, 3.0, rows) if weighted else None
    hits, alarms = metrics.roc_curve(y, scores, drop_intermediate=False, sample_weight=weight)[:2]
    expected = {
        "roc_auc": metrics.roc_auc_score(y, scores, sample_weight=weight),
        "average_precision": metrics.average_precision_score(y, scores, sample_weight=weight),
        "ks": float(np.abs(hits - alarms).max()),
    }
    chances = np.stack([1 - scores, scores], axis=1)
    answers = Answers(y, None, scores) if decided else Answers(y, chances)
    check_metric_merges(
        lambda: ExactRanking(TWO, list(expected), buffer_rows=16),
        y,
        answers,
        expected,
        weight=weight,
        cuts=CUTS,
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_several_classes(weighted):
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(4), 300)
    y = np.array([rng.choice(4, p=row) for row in p])
    weight = rng.uniform(0.1, 3.0, 300) if weighted else None
    known = {"sample_weight": weight}
    expected = {
        "roc_auc_ovr": metrics.roc_auc_score(y, p, multi_class="ovr", **known),
        "roc_auc_ovr_weighted": metrics.roc_auc_score(
            y, p, multi_class="ovr", average="weighted", **known
        ),
        "average_precision": metrics.average_precision_score(y, p, **known),
    }
    check_metric_merges(
        lambda: ExactRanking(np.arange(4), list(expected), buffer_rows=50),
        y,
        Answers(p.argmax(axis=1), p),
        expected,
        weight=weight,
    )


def test_memory_is_bounded_however_many_rows_tie(tmp_path):
    rng = np.random.default_rng(0)
    rows = 200_000
    for values in (np.zeros(rows), rng.random(rows), rng.integers(0, 9, rows) / 3):
        score = ExactRanking(TWO, ["roc_auc"], tmp_path, buffer_rows=4_096)
        y = rng.integers(0, 2, rows)
        tracemalloc.start()
        for at in range(0, rows, 2_000):
            part = slice(at, at + 2_000)
            score.update(y[part], Answers(y[part], None, values[part]))
        found = score.value()["roc_auc"]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert abs(found - metrics.roc_auc_score(y, values)) <= 1e-12
        assert peak < 96 * 4_096 + 200_000
        assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_no_more_is_told(tmp_path):
    file = tmp_path / "file"
    file.touch()
    runs = SortedRuns(file / "folder", buffer_rows=2)
    with pytest.raises(UsageError, match="rows on disk in .*file.folder: .*scratch_dir="):
        runs.add(np.arange(5.0), np.ones(5))


def test_runs_give_back_what_they_got():
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 50, 500).astype(float)
    keys[::7] = np.inf
    runs = SortedRuns(buffer_rows=32)
    runs.add(keys, np.ones(500))
    rows = np.vstack(list(runs.blocks()))
    values, counts = np.unique(keys, return_counts=True)
    np.testing.assert_array_equal(rows, np.stack([values, counts], axis=1))


def test_one_class_alone_has_no_area_and_nan_is_refused():
    score = ExactRanking(TWO, ["roc_auc", "ks"])
    assert all(np.isnan(value) for value in score.value().values())
    score.update(np.zeros(3, int), Answers(np.zeros(3, int), None, np.arange(3.0)))
    assert all(np.isnan(value) for value in score.value().values())
    with pytest.raises(DataError, match="score is NaN"):
        score.update(np.zeros(1, int), Answers(np.zeros(1, int), None, np.array([np.nan])))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 80),
    seed=st.integers(0, 999),
    weights=st.sampled_from(["none", "whole", "any", "with zeros"]),
    digits=st.integers(0, 9),
    scale=st.sampled_from([1e-300, 1.0, 1e12]),
    groups=st.integers(1, 4),
)
def test_median_error(rows, seed, weights, digits, scale, groups):
    rng = np.random.default_rng(seed)
    y = np.zeros(rows)
    said = np.round(rng.normal(size=rows), digits) * scale
    weight = {
        "none": None,
        "whole": rng.integers(1, 4, rows).astype(float),
        "any": rng.uniform(0.1, 3.0, rows),
        "with zeros": np.r_[1.0, rng.integers(0, 2, rows - 1)],
    }[weights]
    value = metrics.median_absolute_error(y, said, sample_weight=weight)
    expected = {"median_absolute_error": value}
    check_metric_merges(
        lambda: ExactMedianError(buffer_rows=16), y, Answers(said), expected, weight=weight
    )
    check_metric(
        lambda: MedianError(coarser=6),
        y,
        Answers(said),
        expected,
        weight=weight,
        groups=groups,
        atol=1e-12 * scale,
    )


def test_the_bound_of_the_median_error_is_small():
    rng = np.random.default_rng(2)
    y, said = np.zeros(100_000), rng.normal(size=100_000)
    statistic = MedianError()
    state = np.zeros((1, statistic.size))
    statistic.add(state, y, Answers(said), None)
    value = metrics.median_absolute_error(y, said)
    bound = statistic.bounds(state)["median_absolute_error"][0]
    assert abs(statistic.values(state)["median_absolute_error"][0] - value) <= bound
    assert 0 < bound <= 5e-4 * value


def test_median_errors_of_several_outputs():
    rng = np.random.default_rng(3)
    y, said = rng.normal(size=(41, 3)), rng.normal(size=(41, 3))
    expected = {"median_absolute_error": metrics.median_absolute_error(y, said)}
    check_metric(lambda: MedianError(3, coarser=4), y, Answers(said), expected)
    check_metric_merges(lambda: ExactMedianError(3), y, Answers(said), expected)
