"""Metrics of a regressor equal scikit-learn's, however rows are cut, merged, grouped and drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from streamlearn.errors import DataError, UsageError
from streamlearn.score.base import Answers
from streamlearn.score.losses import MeanLosses, RowMetric
from streamlearn.score.regression import LOSSES, Explained, LargestError, pinball, tweedie
from streamlearn.testing import check_metric

SKLEARN = {
    "mse": metrics.mean_squared_error,
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "mape": metrics.mean_absolute_percentage_error,
    "msle": metrics.mean_squared_log_error,
    "rmsle": metrics.root_mean_squared_log_error,
    "mean_pinball_loss": metrics.mean_pinball_loss,
    "mean_poisson_deviance": metrics.mean_poisson_deviance,
    "mean_gamma_deviance": metrics.mean_gamma_deviance,
}


def made(rows, seed, weighted, outputs=1):
    rng = np.random.default_rng(seed)
    shape = (rows,) if outputs == 1 else (rows, outputs)
    y = rng.gamma(2.0, size=shape) + 0.01
    said = y * rng.uniform(0.5, 2.0, size=shape)
    return y, said, rng.uniform(0.1, 3.0, rows) if weighted else None


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(2, 60),
    seed=st.integers(0, 999),
    weighted=st.booleans(),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    groups=st.integers(1, 5),
)
def test_losses(rows, seed, weighted, cuts, groups):
    y, said, weight = made(rows, seed, weighted)
    expected = {name: ask(y, said, sample_weight=weight) for name, ask in SKLEARN.items()}
    check_metric(
        lambda: MeanLosses([LOSSES[name] for name in expected]),
        y,
        Answers(said),
        expected,
        weight=weight,
        cuts=[cuts],
        groups=groups,
        atol=0.0,
    )


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(2, 60),
    seed=st.integers(0, 999),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, -3.0, 1e6, 1e9, -1e12]),
    bias=st.sampled_from([0.0, 1e9]),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    groups=st.integers(1, 5),
)
def test_explained(rows, seed, weighted, offset, bias, cuts, groups):
    y, said, weight = made(rows, seed, weighted)
    # Steps of 1/256 make every difference exact: beyond 1e9 scikit-learn itself keeps fewer digits.
    near, missed = np.round(y * 256) / 256, np.round(said * 256) / 256
    y, said = near + offset, missed + offset + bias
    expected = {
        "r2": metrics.r2_score(near, missed + bias, sample_weight=weight),
        "explained_variance": metrics.explained_variance_score(near, missed, sample_weight=weight),
    }
    check_metric(Explained, y, Answers(said), expected, weight=weight, cuts=[cuts], groups=groups)


def test_a_draw_of_one_group_is_that_group():
    y = np.array([0.1, 0.3, 0.7])
    said = y + np.array([0.1, 0.2, 0.3])
    group, weight = np.arange(3), np.array([0.7, 1.3, 2.9])
    states = Explained().states(y, Answers(said), weight, group, 3)
    for draws in (np.eye(3), 0.3 * np.eye(3)):
        found = Explained().values(Explained().combine(states, draws))
        assert found["explained_variance"].tolist() == [1.0, 1.0, 1.0]


def test_groups_far_apart_lose_nothing():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=50), 1e9 + rng.normal(size=50), -1e6 + rng.normal(size=50)])
    said = y + rng.normal(size=150) / 2
    expected = {"r2": metrics.r2_score(y, said)}
    check_metric(Explained, y, Answers(said), expected, cuts=[(50, 100), (7, 99)])


@pytest.mark.parametrize("weighted", [False, True])
def test_several_outputs_are_averaged(weighted):
    y, said, weight = made(40, 3, weighted, outputs=3)
    options = {"sample_weight": weight}
    expected = {name: ask(y, said, **options) for name, ask in SKLEARN.items() if "dev" not in name}
    losses = [LOSSES[name] for name in expected]
    check_metric(lambda: MeanLosses(losses, 3), y, Answers(said), expected, weight=weight)
    expected = {
        "r2": metrics.r2_score(y, said, **options),
        "explained_variance": metrics.explained_variance_score(y, said, **options),
    }
    check_metric(lambda: Explained(3), y, Answers(said), expected, weight=weight)
    with pytest.raises(DataError, match="expected 1 outputs a row, and there are 3"):
        Explained().states(y, Answers(said), None, np.zeros(40, dtype=np.intp), 1)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.9, 1.0])
def test_pinball(alpha):
    y, said, weight = made(50, 4, True)
    expected = {
        f"pinball_{alpha:g}": metrics.mean_pinball_loss(y, said, alpha=alpha, sample_weight=weight)
    }
    check_metric(lambda: MeanLosses([pinball(alpha)]), y, Answers(said), expected, weight=weight)


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0, 1.5, 2.0, 3.0])
def test_tweedie(power):
    y, said, weight = made(50, 5, True)
    metric = tweedie(power)
    value = metrics.mean_tweedie_deviance(y, said, power=power, sample_weight=weight)
    check_metric(
        lambda: MeanLosses([metric]), y, Answers(said), {metric.name: value}, weight=weight
    )


def test_the_largest_error_knows_no_weights():
    y, said, weight = made(50, 6, True)
    expected = {"max_error": metrics.max_error(y, said)}
    check_metric(LargestError, y, Answers(said), expected, weight=weight, rtol=0, atol=0)


@pytest.mark.parametrize("said", [[2.0, 2.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0], [5.0] * 4])
@pytest.mark.parametrize("value", [2.0, 0.1, 1e9 + 0.1])
def test_a_constant_target(said, value):
    y = np.full(4, value)
    said = np.array(said) - 2.0 + y
    r2 = metrics.r2_score(y - y, said - y)
    explained = metrics.explained_variance_score(y - y, said - y)
    check_metric(Explained, y, Answers(said), {"r2": r2, "explained_variance": explained})


def test_one_row_has_errors_and_no_r2():
    y, said = np.array([3.0]), np.array([4.0])
    check_metric(Explained, y, Answers(said), {"r2": np.nan, "explained_variance": 1.0}, groups=1)
    check_metric(LargestError, y, Answers(said), {"max_error": 1.0}, groups=1)
    check_metric(lambda: MeanLosses([LOSSES["rmse"]]), y, Answers(said), {"rmse": 1.0}, groups=1)


@pytest.mark.parametrize("statistic", [Explained(), LargestError(), MeanLosses([LOSSES["mae"]])])
def test_nan_is_refused_and_its_row_named(statistic):
    y, said = np.array([1.0, np.nan, 2.0]), np.ones(3)
    group = np.zeros(3, dtype=np.intp)
    with pytest.raises(DataError, match="true value is nan") as found:
        statistic.states(y, Answers(said), None, group, 1)
    assert found.value.row == 1
    with pytest.raises(DataError, match="prediction is inf") as found:
        statistic.states(said, Answers(np.array([1.0, 2.0, np.inf])), None, group, 1)
    assert found.value.row == 2


def test_large_values_are_no_nan():
    y, said = np.array([1e308, 1e308, -1e308]), np.array([1e308, 1e308, -1e308])
    found = MeanLosses([LOSSES["mae"]]).states(y, Answers(said), None, np.zeros(3, np.intp), 1)
    assert found[0, 1] == 0


@pytest.mark.parametrize(
    ("name", "y", "said", "text"),
    [
        ("mean_poisson_deviance", 1.0, 0.0, "mean poisson deviance needs predictions above 0"),
        ("mean_poisson_deviance", -1.0, 1.0, "true values from 0 on, and row 1 .* has -1"),
        ("mean_gamma_deviance", 0.0, 1.0, "true values above 0"),
        ("msle", -2.0, 1.0, "true values above -1"),
        ("rmsle", 1.0, -1.0, "predictions above -1"),
    ],
)
def test_values_outside_of_a_domain_are_named(name, y, said, text):
    with pytest.raises(DataError, match=text) as found:
        MeanLosses([LOSSES[name]]).states(
            np.array([1.0, y]), Answers(np.array([1.0, said])), None, np.zeros(2, np.intp), 1
        )
    assert found.value.row == 1


def test_what_has_no_meaning_is_refused():
    with pytest.raises(UsageError, match="between 0 and 1"):
        tweedie(0.5)
    with pytest.raises(UsageError, match="from 0 to 1, not 2"):
        pinball(2)


def test_a_metric_of_ones_own():
    y, said, weight = made(30, 7, True)
    within = RowMetric("within", lambda y, said: np.abs(y - said) < 0.5, greater_is_better=True)
    expected = {"within": np.average(np.abs(y - said) < 0.5, weights=weight)}
    check_metric(lambda: MeanLosses([within]), y, Answers(said), expected, weight=weight)
    whole = RowMetric("whole", lambda y, said: np.mean(y - said))
    with pytest.raises(UsageError, match=r"one number a row, shape \(30,\)"):
        MeanLosses([whole]).states(y, Answers(said), None, np.zeros(30, np.intp), 1)


def test_weights_are_numbers_from_0_on():
    y = np.ones(2)
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="row 1 of the block has the weight"):
            Explained().states(y, Answers(y), np.array([1.0, wrong]), np.zeros(2, dtype=np.intp), 1)
