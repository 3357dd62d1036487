"""What histograms say of ranked rows: scikit-learn's value lies within the bound they tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from streamlearn.errors import DataError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.ladder import magnitudes, probabilities, values
from streamlearn.score.ranking import Ranking
from streamlearn.testing import check_metric

TWO = np.array([0, 1])


def chances(p):
    return Answers((p > 0.5).astype(int), np.stack([1 - p, p], axis=1))


def decided(scores):
    return Answers((scores > 0).astype(int), None, scores)


def exact(y, scores, weight=None):
    return {
        "roc_auc": metrics.roc_auc_score(y, scores, sample_weight=weight),
        "average_precision": metrics.average_precision_score(y, scores, sample_weight=weight),
    }


SCORES = {
    "all equal": lambda rng, n: np.full(n, 0.3),
    "two values": lambda rng, n: rng.choice([0.3, np.nextafter(0.3, 1)], n),
    "three far": lambda rng, n: rng.choice([1e-300, 0.5, 1.0], n),
    "ties": lambda rng, n: np.round(rng.random(n), 1),
    "uniform": lambda rng, n: rng.random(n),
    "tiny": lambda rng, n: 10.0 ** rng.uniform(-320, -250, n),
    "denormal": lambda rng, n: rng.integers(0, 50, n) * 5e-324,
    "near one": lambda rng, n: 1 - 10.0 ** rng.uniform(-17, -1, n),
    "float32": lambda rng, n: rng.random(n).astype(np.float32).astype(np.float64),
    "one bin": lambda rng, n: 0.3 + rng.random(n) * 1e-9,
    "zero and one": lambda rng, n: rng.choice([0.0, -0.0, 1.0], n),
}
DECISIONS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "both tails": lambda rng, n: rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-320, 300, n),
    "offset": lambda rng, n: 1e6 + rng.normal(size=n),
    "huge": lambda rng, n: rng.choice([-1e300, 0.0, 1e300], n),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [*SCORES, *DECISIONS])
def test_adversarial_scores(name, weighted):
    rng = np.random.default_rng(0)
    scores = {**SCORES, **DECISIONS}[name](rng, 300)
    y = (rng.random(300) < np.where(scores > np.median(scores), 0.7, 0.2)).astype(int)
    weight = rng.uniform(0.1, 3.0, 300) if weighted else None
    expected = exact(y, scores, weight)
    answers = chances(scores) if name in SCORES else decided(scores)
    check_metric(
        lambda: Ranking(TWO, list(expected), coarser=4), y, answers, expected, weight=weight
    )


@pytest.mark.parametrize("name", ["all equal", "two values", "three far", "ties", "zero and one"])
def test_few_values_in_bins_of_their_own_are_exact(name):
    rng = np.random.default_rng(1)
    scores = SCORES[name](rng, 1_000)
    y = rng.integers(0, 2, 1_000)
    statistic = Ranking(TWO, ["roc_auc", "average_precision"])
    state = statistic.states(y, chances(scores), None, np.zeros(1_000, np.intp), 1)
    bounds = {key: float(bound[0]) for key, bound in statistic.bounds(state).items()}
    if name != "two values":
        assert bounds == {"roc_auc": 0.0, "average_precision": 0.0}
    for key, value in exact(y, scores).items():
        assert abs(statistic.values(state)[key][0] - value) <= bounds[key] + 1e-12


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: chances(rng.random(n)),
        lambda rng, n: chances(rng.beta(0.2, 5.0, n)),
        lambda rng, n: chances(rng.beta(2.0, 0.1, n)),
        lambda rng, n: chances(1 / (1 + np.exp(-rng.normal(size=n)))),
        lambda rng, n: chances(1e-5 * rng.lognormal(size=n)),
        lambda rng, n: decided(rng.normal(size=n)),
        lambda rng, n: decided(30 * rng.normal(size=n) - 20),
        lambda rng, n: decided(rng.standard_cauchy(size=n)),
    ],
)
def test_the_bound_of_smooth_scores_is_small(draw):
    rng = np.random.default_rng(2)
    answers = draw(rng, 100_000)
    scores = answers.decisions if answers.decisions is not None else answers.probabilities[:, 1]
    ranks = scores.argsort().argsort() / 100_000
    y = (rng.random(100_000) < 0.1 + 0.4 * ranks).astype(int)
    statistic = Ranking(TWO, ["roc_auc", "average_precision"])
    state = np.zeros((1, statistic.size))
    statistic.add(state, y, answers, None)
    bounds = statistic.bounds(state)
    for name, value in exact(y, scores).items():
        assert abs(statistic.values(state)[name][0] - value) <= bounds[name][0] + 1e-12
        assert bounds[name][0] <= (1e-4 if name == "roc_auc" else 3e-4)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(2, 80),
    seed=st.integers(0, 999),
    digits=st.integers(0, 6),
    weighted=st.booleans(),
    cuts=st.lists(st.integers(0, 80), max_size=4),
    groups=st.integers(1, 4),
)
def test_any_rows(rows, seed, digits, weighted, cuts, groups):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(rows), digits)
    y = rng.integers(0, 2, rows)
    y[:2] = 0, 1
    weight = rng.uniform(0.1, 3.0, rows) if weighted else None
    expected = exact(y, scores, weight)
    check_metric(
        lambda: Ranking(TWO, list(expected), coarser=6),
        y,
        chances(scores),
        expected,
        weight=weight,
        cuts=[cuts],
        groups=groups,
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_several_classes(weighted):
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(4), 400)
    y = np.array([rng.choice(4, p=row) for row in p])
    weight = rng.uniform(0.1, 3.0, 400) if weighted else None
    known = {"sample_weight": weight}
    expected = {
        "roc_auc_ovr": metrics.roc_auc_score(y, p, multi_class="ovr", **known),
        "roc_auc_ovr_weighted": metrics.roc_auc_score(
            y, p, multi_class="ovr", average="weighted", **known
        ),
        "average_precision": metrics.average_precision_score(y, p, **known),
    }
    answers = Answers(p.argmax(axis=1), p)
    check_metric(
        lambda: Ranking(np.arange(4), list(expected), coarser=6),
        y,
        answers,
        expected,
        weight=weight,
    )
    state = Ranking(np.arange(5), ["roc_auc_ovr"], coarser=8).states(
        y, Answers(answers.labels, np.hstack([p, np.zeros((400, 1))])), None, np.zeros(400, int), 1
    )
    found = Ranking(np.arange(5), ["roc_auc_ovr"], coarser=8).values(state)
    assert np.isnan(found["roc_auc_ovr"][0])


@pytest.mark.parametrize("name", ["ties", "uniform", "one bin"])
def test_the_kolmogorov_smirnov_distance(name):
    rng = np.random.default_rng(4)
    scores = SCORES[name](rng, 500)
    y = (rng.random(500) < scores).astype(int)
    hits, alarms = metrics.roc_curve(y, scores, drop_intermediate=False)[:2]
    expected = {"ks": float(np.abs(hits - alarms).max())}
    check_metric(lambda: Ranking(TWO, ["ks"], coarser=6), y, chances(scores), expected)


def test_one_class_alone_has_no_area():
    y = np.zeros(5, dtype=int)
    check_metric(
        lambda: Ranking(TWO, ["roc_auc", "average_precision"], coarser=8),
        y,
        chances(np.linspace(0, 1, 5)),
        {"roc_auc": np.nan, "average_precision": np.nan},
    )


def test_infinite_decisions_have_bins_and_nan_is_refused():
    y = np.array([0, 0, 1, 1, 1])
    scores = np.array([-np.inf, 0.0, np.inf, np.inf, -1.0])
    finite = np.clip(scores, -1e9, 1e9)
    check_metric(
        lambda: Ranking(TWO, coarser=8),
        y,
        decided(scores),
        {"roc_auc": exact(y, finite)["roc_auc"]},
    )
    with pytest.raises(DataError, match="score is NaN"):
        Ranking(TWO).states(y, decided(scores * np.nan), None, np.zeros(5, np.intp), 1)


def test_names():
    with pytest.raises(UsageError, match="two classes, and there are 3; choose roc_auc_ovr"):
        Ranking(np.arange(3), ["roc_auc"])
    with pytest.raises(UsageError, match="no metric of ranked rows"):
        Ranking(TWO, ["r2"])


@pytest.mark.parametrize("coarser", [0, 3, 8, 13])
def test_zero_and_infinity_have_bins_of_their_own(coarser):
    ladder = magnitudes(coarser)
    scores = np.r_[0.0, 5e-324, 10.0 ** np.linspace(-300, 308, 5_000), 1.79e308, np.inf]
    places = ladder.places(scores)
    assert (np.diff(places) >= 0).all()
    assert places[0] == 0 < places[1]
    assert places[-2] < places[-1] == ladder.size - 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=30), st.integers(0, 13))
def test_bins_keep_the_order_of_floats(scores, coarser):
    scores = np.sort(np.array(scores))
    for bins in (values(coarser), probabilities(coarser)):
        places = bins.places(scores)
        assert (np.diff(places) >= 0).all()
        assert places.min() >= 0
        assert places.max() < bins.size
    ladder = magnitudes(coarser)
    places = ladder.places(np.sort(np.abs(scores)))
    assert (np.diff(places) >= 0).all()
    assert places.max() < ladder.size
