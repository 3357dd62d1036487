"""TransformedTargetRegressor: its target's transformer and its regressor learn from chunks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import streamlearn as sl
from streamlearn.errors import UnsupportedEstimatorError

rng = np.random.default_rng(8)
X = rng.normal(size=(900, 4))
Y = np.exp(X @ [0.5, -0.2, 0.1, 0.3] + rng.normal(0, 0.1, 900))
DATA = pa.Table.from_arrays([*X.T, Y], names=[*"abcd", "y"])
HOW = {
    "functions": {"func": np.log1p, "inverse_func": np.expm1},
    "scaler": {"transformer": StandardScaler()},
    "chain": {"transformer": make_pipeline(MinMaxScaler(), StandardScaler())},
}


def model():
    return SGDRegressor(random_state=0)


def shapes(how):
    return {
        "bare": TransformedTargetRegressor(model(), **how),
        "pipeline inside": TransformedTargetRegressor(
            make_pipeline(StandardScaler(), model()), **how
        ),
        "inside a pipeline": make_pipeline(
            StandardScaler(), TransformedTargetRegressor(model(), **how)
        ),
        "both": make_pipeline(
            MinMaxScaler(),
            TransformedTargetRegressor(make_pipeline(StandardScaler(), model()), **how),
        ),
    }


def by_hand(estimator, X, y):
    """Fit as fit does in memory, but with one pass of batches."""
    if hasattr(estimator, "steps"):
        for step in estimator[:-1]:
            X = step.fit_transform(X)
        by_hand(estimator[-1], X, y)
    elif isinstance(estimator, TransformedTargetRegressor):
        estimator._fit_transformer(y[:, None])
        estimator._training_dim = 1
        estimator.regressor_ = clone(estimator.regressor)
        by_hand(estimator.regressor_, X, estimator.transformer_.transform(y[:, None])[:, 0])
    else:
        for start in range(0, len(X), 256):
            estimator.partial_fit(X[start : start + 256], y[start : start + 256])
    return estimator


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("shape", ["bare", "pipeline inside", "inside a pipeline", "both"])
def test_it_equals_a_loop_by_hand(how, shape):
    estimator = shapes(HOW[how])[shape]
    data = sl.scan(DATA, target="y")
    found = sl.fit(estimator, data, batch_size=256, chunk_size=100).estimator
    expected = by_hand(clone(estimator), X, Y)
    frame = DATA.to_pandas()[list("abcd")]
    found_y = found.predict(frame if hasattr(found, "feature_names_in_") else X)
    np.testing.assert_allclose(found_y, expected.predict(X), rtol=1e-9)
    assert repr(clone(found)) == repr(estimator)


def test_scores_are_those_of_the_target_itself(tmp_path):
    estimator = shapes(HOW["functions"])["pipeline inside"]
    data = sl.scan(DATA, target="y")
    result = sl.fit(estimator, data, epochs=3, validation=0.2, run=tmp_path / "run")
    scores = sl.evaluate(result, data).metrics
    frame = DATA.to_pandas()
    error = np.sqrt(np.mean((result.estimator.predict(frame[list("abcd")]) - Y) ** 2))
    assert scores["rmse"] == pytest.approx(error)
    assert result.history[-1].held_out["rmse"] == pytest.approx(error, rel=0.3)
    again = sl.load(tmp_path / "run").estimator
    np.testing.assert_array_equal(
        again.predict(frame[list("abcd")]), result.estimator.predict(frame[list("abcd")])
    )


def test_the_target_and_the_features_learn_in_one_pass():
    estimator = shapes(HOW["scaler"])["pipeline inside"]
    plan = sl.explain(estimator, sl.scan(DATA, target="y"))
    assert [item.name for item in plan.passes] == ["statistics", "learn"]
    assert "'target'" in plan.passes[0].why


def test_what_cannot_learn_inside_is_named():
    with pytest.raises(UnsupportedEstimatorError, match="'regressor' \\(LinearRegression\\)"):
        sl.fit(TransformedTargetRegressor(LinearRegression()), sl.scan(DATA, target="y"))
