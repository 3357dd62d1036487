import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from streamlearn.score.base import Answers
from streamlearn.score.gaps import Rates
from streamlearn.score.rank_bins import RankBins
from streamlearn.testing.metrics import check_metric

NAMES = ["roc_auc", "average_precision", "ks"]


def _chances(kind, rows, rng):
    return {
        "spread": rng.random(rows),
        "equal": np.full(rows, 0.25),
        "two": rng.choice([0.1, 0.9], rows),
        "tiny": rng.random(rows) * 1e-9,
        "sure": np.round(rng.random(rows)),
        "near one": 1 - rng.random(rows) * 1e-6,
    }[kind]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["spread", "equal", "two", "tiny", "sure", "near one"])
def test_values_are_within_their_bounds(kind, weighted):
    rng = np.random.default_rng(0)
    p = _chances(kind, 3_000, rng)
    y = (rng.random(3_000) < 0.2 + 0.6 * p).astype(int)
    w = rng.random(3_000) + 0.1 if weighted else None
    statistic = RankBins(np.array([0, 1]), NAMES)
    answers = Answers(y, np.stack([1 - p, p], axis=1))
    state = statistic.states(y, answers, w, np.zeros(3_000, np.intp), 1)
    found, bounds = statistic.values(state), statistic.bounds(state)
    expected = {
        "roc_auc": roc_auc_score(y, p, sample_weight=w),
        "average_precision": average_precision_score(y, p, sample_weight=w),
    }
    for name, value in expected.items():
        assert abs(found[name][0] - value) <= bounds[name][0] + 1e-12
    if kind in ("equal", "two", "sure"):
        assert (
            found["roc_auc"][0] == pytest.approx(expected["roc_auc"], abs=1e-12)
            or bounds["roc_auc"][0]
        )
    if kind == "spread":
        assert bounds["roc_auc"][0] < 0.01


def test_the_metric_law():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 40)
    chances = rng.dirichlet(np.ones(3), 40)
    answers = Answers(chances.argmax(axis=1), chances)
    names = ["roc_auc_ovr", "roc_auc_ovr_weighted"]
    statistic = RankBins(np.arange(3), names)
    state = statistic.states(y, answers, None, np.zeros(40, np.intp), 1)
    expected = {name: float(value[0]) for name, value in statistic.values(state).items()}
    check_metric(lambda: RankBins(np.arange(3), names), y, answers, expected)
    truth = roc_auc_score(y, chances, multi_class="ovr")
    assert expected["roc_auc_ovr"] == pytest.approx(truth, abs=0.02)
    said = answers.labels == 1
    rates = {
        "selection_rate": said.mean(),
        "true_positive_rate": said[y == 1].mean(),
        "false_positive_rate": said[y != 1].mean(),
    }
    check_metric(lambda: Rates(1), y, answers, rates)


def test_without_scores_there_is_no_value():
    y = np.array([0, 1])
    statistic = RankBins(np.arange(2), ["roc_auc"])
    state = statistic.states(y, Answers(y), None, np.zeros(2, np.intp), 1)
    assert np.isnan(statistic.values(state)["roc_auc"][0])
