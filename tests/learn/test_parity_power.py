"""PowerTransformer: the lambdas of scikit-learn's search over all rows, found in passes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError
from streamlearn.learn.power import PowerLikelihood
from streamlearn.learn.powers import power

rng = np.random.default_rng(0)
ROWS = 400
SHAPES = {
    "normal": rng.normal(size=ROWS),
    "exponential": rng.exponential(size=ROWS),
    "negative": -rng.gamma(2, size=ROWS),
    "lognormal": rng.lognormal(0, 2, ROWS),
    "uniform": rng.uniform(size=ROWS),
    "heavy": rng.standard_t(2, ROWS),
    "skewed": rng.exponential(size=ROWS) - 0.7,
    "large": rng.lognormal(15, 1, ROWS),
    "small": rng.gamma(2, size=ROWS) * 1e-3,
    "zeros": np.where(rng.random(ROWS) < 0.5, 0.0, rng.exponential(size=ROWS)),
    "whole": rng.integers(0, 5, ROWS),
    "gaps": np.where(rng.random(ROWS) < 0.3, np.nan, rng.gamma(2, size=ROWS)),
}
POSITIVE = {name: abs(values) + 1e-3 for name, values in SHAPES.items() if name != "small"}


def table(columns):
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def close(found, reference, rows, rtol=1e-6):
    """Lambdas to the precision of scikit-learn's own search; output as far as they carry it."""
    np.testing.assert_allclose(found.lambdas_, reference.lambdas_, rtol=rtol, atol=rtol)
    mine, theirs = found.transform(rows), reference.transform(rows)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert mine.dtype == theirs.dtype
    assert found.lambdas_.dtype == reference.lambdas_.dtype


def likelihood(method, values, lam):
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    known = stats.yeojohnson_llf if method == "yeo-johnson" else stats.boxcox_llf
    return known(lam, values)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("method", "columns"), [("yeo-johnson", SHAPES), ("box-cox", POSITIVE)])
def test_lambdas_are_as_likely_as_scikit_learns_and_the_same(parity, method, columns, standardize):
    data = table(columns)
    rows = data.to_pandas()
    step = PowerTransformer(method=method, standardize=standardize)
    reference = clone(step).fit(rows)
    first = None
    for layout, chunk_size, threads in [("one", 7, 1), ("groups", 1000, 3), ("groups", 7, 1)]:
        found = sl.fit(
            step, parity.source(data, layout), chunk_size=chunk_size, threads=threads
        ).estimator
        close(found, reference, rows)
        for index, name in enumerate(columns):
            ours = likelihood(method, columns[name], found.lambdas_[index])
            theirs = likelihood(method, columns[name], reference.lambdas_[index])
            assert ours >= theirs - 1e-9 * abs(theirs), name
        if layout == "groups":
            first = first or found
            np.testing.assert_array_equal(found.lambdas_, first.lambdas_)
    assert list(found.get_feature_names_out()) == list(columns)
    assert clone(found).get_params() == step.get_params()
    assert hasattr(found, "_scaler") == standardize


def test_the_scaler_behind_holds_the_moments_of_what_is_transformed():
    X = np.column_stack(list(SHAPES.values()))
    found = sl.fit(PowerTransformer(), X).estimator
    bare = clone(found).set_params(standardize=False).fit(X[:3])
    bare.lambdas_ = found.lambdas_
    reference = StandardScaler().fit(bare.transform(X))
    np.testing.assert_allclose(found._scaler.mean_, reference.mean_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found._scaler.var_, reference.var_, rtol=1e-9)
    np.testing.assert_array_equal(found._scaler.n_samples_seen_, reference.n_samples_seen_)
    assert found._scaler.n_samples_seen_.dtype == np.asarray(reference.n_samples_seen_).dtype


@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_float32_lambdas_are_right_to_float32(method):
    X = np.column_stack([POSITIVE[name] for name in ("normal", "exponential", "gaps")])
    single = X.astype(np.float32)
    found = sl.fit(PowerTransformer(method=method), single).estimator
    reference = PowerTransformer(method=method).fit(single)
    np.testing.assert_allclose(found.lambdas_, reference.lambdas_, rtol=1e-3, atol=1e-3)
    assert found.lambdas_.dtype == reference.lambdas_.dtype
    # Its sums are right to float32 only, and with scikit-learn 1.8 less so; ours are exact.
    exact = PowerTransformer(method=method).fit(single.astype(np.float64))
    np.testing.assert_allclose(found.lambdas_, exact.lambdas_, rtol=1e-6, atol=1e-6)
    output = exact.transform(single.astype(np.float64))
    np.testing.assert_allclose(found.transform(single), output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("value", [0.0, 3.25, -7.0, 1e9])
def test_a_constant_column_is_left_as_it_is(rows, value):
    X = np.column_stack([np.full(rows, value), np.arange(rows) ** 2.0])
    found = sl.fit(PowerTransformer(), X).estimator
    reference = PowerTransformer().fit(X)
    assert found.lambdas_[0] == reference.lambdas_[0] == 1.0
    np.testing.assert_allclose(found.transform(X), reference.transform(X), rtol=1e-5, atol=1e-5)


def test_a_constant_column_with_gaps_is_left_as_it_is_too():
    X = np.array([[5.1], [np.nan], [5.1], [5.1]])
    found = sl.fit(PowerTransformer(), X).estimator
    assert found.lambdas_.tolist() == [1.0]
    np.testing.assert_allclose(found.transform(X)[[0, 2, 3]], 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "values", "message"),
    [
        ("box-cox", [1.0, 2.0, 0.0], r"(?s)row 2.*bad.*yeo-johnson"),
        ("box-cox", [1.0, -2.0, 3.0], r"(?s)row 1.*bad.*yeo-johnson"),
        ("box-cox", [2.0, 2.0, 2.0], r"'bad' is constant"),
        ("box-cox", [np.nan, np.nan, np.nan], r"'bad' has no value"),
        ("yeo-johnson", [np.nan, np.nan, np.nan], r"'bad' has no value"),
        ("yeo-johnson", [1.0, np.inf, 2.0], r"(?s)row 1.*bad.*infinity"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(parity, method, values, message):
    data = pa.table({"good": [1.0, 2.0, 3.0], "bad": values})
    with pytest.raises(DataError, match=message):
        sl.fit(PowerTransformer(method=method), parity.source(data))


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_a_column_far_from_zero_is_not_faded_into_one_number(offset):
    # scikit-learn's search ends in its own rounding here, and a column of one number comes out.
    values = offset * (1 + 0.03 * rng.exponential(size=(2000, 1)))
    found = sl.fit(PowerTransformer(), np.hstack([values, -values])).estimator
    out = found.transform(np.hstack([values, -values]))
    np.testing.assert_allclose(out.std(axis=0), 1.0, rtol=1e-2)
    np.testing.assert_allclose(out[:, 0], -out[:, 1], atol=1e-2)
    ranks = np.argsort(values[:, 0])
    assert (np.diff(out[ranks, 0]) >= 0).all()


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("spread", [1e300, 1e-300])
def test_no_size_of_numbers_overflows(spread):
    X = rng.exponential(size=(200, 1)) * spread
    found = sl.fit(PowerTransformer(method="box-cox"), X).estimator
    reference = PowerTransformer(method="box-cox").fit(X)
    np.testing.assert_allclose(found.lambdas_, reference.lambdas_, rtol=1e-5)
    assert np.isfinite(sl.fit(PowerTransformer(), X).estimator.lambdas_).all()


def test_a_few_passes_are_enough():
    state = PowerLikelihood(PowerTransformer())
    most = state.passes
    X = np.column_stack(list(SHAPES.values()))
    passes = 1
    state.update(X, None, None)
    while state.refine():
        passes += 1
        state.update(X, None, None)
    assert most == 8
    assert passes <= 6


def test_it_comes_after_other_steps(parity):
    steps = make_pipeline(StandardScaler(), PowerTransformer()).set_output(transform="pandas")
    data = table({name: SHAPES[name] for name in ("normal", "lognormal", "skewed")})
    found = sl.fit(steps, parity.source(data, "groups"), chunk_size=7).estimator
    reference = clone(steps).fit(data.to_pandas())
    np.testing.assert_allclose(found[1].lambdas_, reference[1].lambdas_, rtol=1e-6, atol=1e-6)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.floats(-4, 4), st.floats(-6, 6))
def test_derivatives_are_those_of_the_transform(lam, t):
    lam, t = np.array([lam]), np.array([[t]])
    for negative in (np.array([[False]]), np.array([[True]])):
        value, first, second = power(lam, t, negative, derivatives=2)
        step = 1e-4
        above, below = (power(lam + side, t, negative)[0] for side in (step, -step))
        scale = abs(value) + abs(first) + abs(second) + 1e-9
        np.testing.assert_allclose((above - below) / (2 * step) / scale, first / scale, atol=1e-5)
        np.testing.assert_allclose(
            (above - 2 * value + below) / step**2 / scale, second / scale, atol=1e-4
        )


@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_a_log_is_found_to_be_one(method):
    # Symmetric in logs, so that the best lambda is 0: next to it, the way back would be rounding.
    logs = np.concatenate([values := rng.normal(size=200), -values]) + 6
    X = (np.exp(logs) - (method == "yeo-johnson"))[:, None]
    found = sl.fit(PowerTransformer(method=method), X).estimator
    assert found.lambdas_.tolist() == [0.0]
    np.testing.assert_allclose(found.inverse_transform(found.transform(X)), X, rtol=1e-10)
