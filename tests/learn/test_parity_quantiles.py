"""Medians, quantiles, bins and knots: as fitted in memory, to the bit where values allow."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

import streamlearn as sl
from streamlearn.errors import DataError, UnsupportedEstimatorError
from streamlearn.learn.order import Sizes

ROWS = 130
rng = np.random.default_rng(7)


def some(values, share=0.25):
    return pa.array(list(values), mask=rng.random(len(values)) < share)


FULL = pa.table(
    {
        "plain": rng.normal(size=ROWS),
        "whole": rng.integers(-5, 100, ROWS),
        "small": rng.integers(0, 255, ROWS).astype(np.uint8),
        "ties": rng.integers(0, 3, ROWS).astype(float),
        "huge": 1e9 + rng.normal(size=ROWS),
        "constant": np.full(ROWS, 7.25),
        "skewed": np.exp(2 * rng.normal(size=ROWS)),
        "single": rng.normal(size=ROWS).astype(np.float32),
    }
)
GAPS = pa.table(
    {
        "null": some(rng.normal(3, 2, ROWS)),
        "nan": np.where(rng.random(ROWS) < 0.3, np.nan, rng.normal(-1, 1, ROWS)),
        "whole": some(rng.integers(0, 9, ROWS)),
        "full": rng.normal(size=ROWS),
        "ties": some(rng.integers(0, 3, ROWS).astype(float)),
        "bool": rng.random(ROWS) < 0.5,
        "empty": pa.nulls(ROWS, pa.float64()),
        "huge": some(1e9 + 1e-3 * rng.normal(size=ROWS)),
    }
)
SINGLE = pa.table(
    {
        "a": rng.normal(size=ROWS).astype(np.float32),
        "b": (1000 + rng.normal(size=ROWS)).astype(np.float32),
        "c": rng.integers(0, 5, ROWS).astype(np.float32),
    }
)
MATRICES = {
    "float64": rng.normal(size=(ROWS, 3)),
    "float32": rng.normal(size=(ROWS, 3)).astype(np.float32),
    "int64": rng.integers(-9, 9, (ROWS, 3)),
    "beyond 2**53": rng.integers(-(2**62), 2**62, (ROWS, 2)),
}
METHODS = [
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
]
SCALERS = {
    "robust": RobustScaler(),
    "not centred": RobustScaler(with_centering=False),
    "not scaled": RobustScaler(with_scaling=False),
    "range": RobustScaler(quantile_range=(3, 81.5), unit_variance=True),
    "uniform": QuantileTransformer(n_quantiles=50),
    "normal": QuantileTransformer(output_distribution="normal", n_quantiles=17, subsample=None),
    "clipped": QuantileTransformer(n_quantiles=1000),
    "one": QuantileTransformer(n_quantiles=1),
}
SPLINES = {
    **{
        f"{knots}, {beyond}": SplineTransformer(knots=knots, extrapolation=beyond, n_knots=4)
        for knots in ("uniform", "quantile")
        for beyond in ("error", "constant", "linear", "continue", "periodic")
    },
    "degree": SplineTransformer(degree=1, n_knots=7, include_bias=False, knots="quantile"),
    "sparse": SplineTransformer(sparse_output=True, order="F"),
}


@pytest.fixture
def tiny(monkeypatch):
    for name in ("summary_bytes", "collected_bytes", "waiting_bytes"):
        monkeypatch.setattr(Sizes, name, 1)


@pytest.mark.parametrize("data", [FULL, GAPS, SINGLE], ids=["full", "gaps", "single"])
@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS)
def test_quantiles_scale_as_in_memory_however_they_are_read(parity, scaler, data):
    parity.check(scaler, data, everywhere=data is GAPS)


@pytest.mark.parametrize("data", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("scaler", SCALERS.values(), ids=SCALERS)
def test_quantiles_of_a_matrix_are_those_in_memory(parity, scaler, data):
    parity.check(scaler, data)


@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
@pytest.mark.parametrize("indicate", [False, True], ids=["plain", "indicator"])
def test_medians_fill_as_in_memory_however_they_are_read(parity, indicate, keep):
    imputer = SimpleImputer(strategy="median", add_indicator=indicate, keep_empty_features=keep)
    parity.check(imputer, GAPS, everywhere=True)
    parity.check(imputer, SINGLE)
    parity.check(imputer, MATRICES["int64"])
    parity.check(imputer, MATRICES["float32"])


@pytest.mark.parametrize("marker", [-1, 0, 3, 99])
def test_any_number_can_mark_the_gaps_of_a_median(parity, marker):
    imputer = SimpleImputer(missing_values=marker, strategy="median", add_indicator=True)
    parity.check(imputer, FULL, everywhere=True)
    parity.check(imputer, rng.integers(-1, 4, (ROWS, 3)))


@pytest.mark.parametrize("keep", [False, True], ids=["drop", "keep"])
@pytest.mark.parametrize("strategy", ["mean", "median", "constant"])
@pytest.mark.parametrize(
    "scaler", [SCALERS["robust"], SCALERS["range"], SCALERS["uniform"], SCALERS["normal"]]
)
def test_a_scaler_learns_ahead_of_the_imputer(parity, scaler, strategy, keep):
    imputer = SimpleImputer(strategy=strategy, keep_empty_features=keep)
    # Means are right to the last digits only, and an edge of the data may fall either way.
    rtol = 1e-9 if strategy == "mean" else 0.0
    pipeline = make_pipeline(imputer, scaler)
    if strategy == "mean" and isinstance(scaler, QuantileTransformer):
        fitted = sl.fit(pipeline, parity.source(GAPS, "groups"), chunk_size=7).estimator
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = clone(pipeline).fit(GAPS.to_pandas())
        np.testing.assert_allclose(fitted[-1].quantiles_, expected[-1].quantiles_, rtol=1e-12)
        return
    parity.check(pipeline, GAPS, rtol=rtol, atol=rtol, everywhere=strategy == "median" and keep)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(-100, 100) | st.just(1.0) | st.none(), min_size=1, max_size=40),
    st.floats(-120, 120),
    st.sampled_from([*METHODS, "median"]),
)
def test_quantiles_of_filled_columns_follow_from_those_with_gaps(values, filled, method):
    from streamlearn.learn.column_quantiles import Quantiles

    column = np.array([np.nan if value is None else value for value in values])[:, None]
    ask = (np.linspace(0, 1, 7), method)
    found = Quantiles(1, np.float64)
    found.order.add(column)
    assert not found.refine(lambda _: [ask])
    found.fill(np.array([filled]), np.array([0]))
    whole = np.where(np.isnan(column), filled, column)[:, 0]
    named = "midpoint" if method == "median" else method
    shares = np.full(7, 0.5) if method == "median" else ask[0]
    expected = np.quantile(whole, shares, method=named)
    np.testing.assert_array_equal(found.at(0, ask), expected)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50),
    st.lists(st.floats(0, 1), min_size=1, max_size=9),
    st.sampled_from(METHODS),
    st.sampled_from([np.float64, np.float32]),
)
def test_numpy_interpolates_the_same_to_the_bit(values, shares, method, kind):
    from streamlearn.learn.interpolation import interpolate, neighbours

    ordered = np.sort(np.array(values, dtype=kind))
    below, above, part = neighbours(len(values), np.array(shares), method)
    found = interpolate(ordered[below], ordered[above], part)
    expected = np.quantile(ordered, np.array(shares), method=method)
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("encode", ["onehot", "onehot-dense", "ordinal"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
def test_bins_are_those_in_memory_however_they_are_read(parity, strategy, encode):
    bins = KBinsDiscretizer(
        4, encode=encode, strategy=strategy, quantile_method="averaged_inverted_cdf"
    )
    rtol = 1e-12 if strategy == "kmeans" else 0.0
    data = FULL.drop_columns(["huge", "single"]) if strategy == "kmeans" else FULL
    parity.check(bins, data, rtol=rtol, everywhere=encode == "ordinal")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_bins", [2, 7, 60])
def test_every_definition_of_a_quantile_bins_as_in_memory(parity, method, n_bins):
    bins = KBinsDiscretizer(n_bins, strategy="quantile", quantile_method=method, encode="ordinal")
    parity.check(bins, FULL)
    parity.check(bins, SINGLE)


@pytest.mark.parametrize("dtype", [None, np.float32, np.float64])
@pytest.mark.parametrize("data", MATRICES.values(), ids=MATRICES)
def test_bins_of_a_matrix_are_those_in_memory(parity, data, dtype):
    for strategy in ("uniform", "quantile"):
        bins = KBinsDiscretizer(
            [3, 5, 4][: data.shape[1]],
            strategy=strategy,
            dtype=dtype,
            quantile_method="averaged_inverted_cdf",
        )
        parity.check(bins, data, rtol=1e-15)


@pytest.mark.parametrize(
    "n_bins", [3, 8, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 25))]
)
@pytest.mark.parametrize("shape", ["normal", "skewed", "outlier", "groups", "whole"])
def test_clusters_of_many_values_are_those_in_memory(parity, shape, n_bins):
    """More distinct values than are counted: one pass for each round."""
    from streamlearn.learn import bins as module

    draw = np.random.default_rng(3)
    values = {
        "normal": draw.normal(size=400),
        "skewed": np.exp(2 * draw.normal(size=400)),
        "outlier": np.r_[draw.normal(size=399), 1e4],
        "groups": np.r_[draw.normal(size=200), 50 + draw.normal(size=200)],
        "whole": draw.permutation(400) ** 2.0,
    }[shape][:, None]
    if (shape, n_bins) == ("groups", 3):
        pytest.skip("a tie; see the next test")
    given_bins = KBinsDiscretizer(n_bins, strategy="kmeans", encode="ordinal")
    in_memory = parity.check(given_bins, values, rtol=1e-9)
    before, module._DISTINCT = module._DISTINCT, 16
    try:
        by_passes = parity.check(given_bins, values, rtol=1e-9)
    finally:
        module._DISTINCT = before
    np.testing.assert_allclose(in_memory.bin_edges_[0], by_passes.bin_edges_[0], rtol=1e-12)


def test_an_empty_cluster_moves_to_one_end_of_the_values(parity):
    """Both ends are as far from their centres, so rounding decides in scikit-learn."""
    draw = np.random.default_rng(3)
    values = np.r_[draw.normal(size=200), 50 + draw.normal(size=200)][:, None]
    bins = KBinsDiscretizer(3, strategy="kmeans", encode="ordinal")
    found = sl.fit(bins, values).estimator.bin_edges_[0]
    expected = clone(bins).fit(values).bin_edges_[0]

    def spread(edges):
        parts = np.split(np.sort(values[:, 0]), np.searchsorted(np.sort(values[:, 0]), edges[1:-1]))
        means = np.array([part.mean() for part in parts])
        np.testing.assert_allclose((means[1:] + means[:-1]) / 2, edges[1:-1], atol=0.5)
        return sum(((part - mean) ** 2).sum() for part, mean in zip(parts, means, strict=True))

    assert spread(found) == pytest.approx(spread(expected), rel=0.2)


@pytest.mark.parametrize("strategy", ["uniform", "kmeans"])
def test_bins_take_weights(strategy):
    from sklearn import config_context

    draw = np.random.default_rng(5)
    X = np.c_[draw.normal(size=300), np.exp(draw.normal(size=300))]
    weight = draw.integers(0, 4, 300).astype(float)
    with config_context(enable_metadata_routing=True):
        bins = KBinsDiscretizer(4, strategy=strategy, encode="ordinal")
        bins.set_fit_request(sample_weight=True)
        table = pa.table({"a": X[:, 0], "b": X[:, 1], "w": weight})
        found = _learn(bins, table.select(["a", "b"]), weight)
    expected = clone(bins).fit(X, sample_weight=weight)
    for mine, theirs in zip(found.bin_edges_, expected.bin_edges_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def _learn(estimator, table, weight):
    """Fit through the accumulator alone: a few blocks, two states."""
    import copy

    from streamlearn.learn.registry import find_recipe

    estimator = clone(estimator)
    pending = find_recipe(estimator).make(estimator)
    batch = table.combine_chunks().to_batches()[0]
    while True:
        states = [copy.deepcopy(pending), copy.deepcopy(pending)]
        for number, start in enumerate(range(0, len(batch), 70)):
            part = batch.slice(start, 70)
            own = None if weight is None else weight[start : start + 70]
            states[number > 2].update(part, None, own)
        states[0].merge(states[1])
        pending = states[0]
        if not pending.refine():
            break
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pending.finish(estimator, table.slice(0, 3).to_pandas())
    return estimator


@pytest.mark.parametrize("spline", SPLINES.values(), ids=SPLINES)
def test_knots_are_those_in_memory_however_they_are_read(parity, spline):
    data = FULL.drop_columns(["constant", "ties"])
    fitted = parity.check(spline, data, everywhere=spline.extrapolation == "linear")
    reference = clone(spline).fit(data.to_pandas())
    for mine, theirs in zip(fitted.bsplines_, reference.bsplines_, strict=True):
        np.testing.assert_array_equal(mine.t, theirs.t)


def test_knots_may_be_given_and_doubled(parity):
    knots = np.array([[-3.0, -2000.0], [0.0, 0.0], [1.0, 5.0], [4.0, 2000.0]])
    parity.check(SplineTransformer(knots=knots), SINGLE.select(["a", "b"]))
    ties = FULL.select(["ties", "plain"])
    parity.check(SplineTransformer(knots="quantile", n_knots=9), ties)


def test_knots_leave_gaps_out_where_zeros_stand_for_them(parity):
    for knots in ("uniform", "quantile"):
        try:
            spline = SplineTransformer(knots=knots, handle_missing="zeros")
        except TypeError:
            pytest.skip("this scikit-learn has no handle_missing")
        parity.check(spline, GAPS.drop_columns(["empty"]), everywhere=True)


@pytest.mark.parametrize(
    "step",
    [
        SimpleImputer(strategy="median"),
        RobustScaler(),
        QuantileTransformer(n_quantiles=300, subsample=None),
        KBinsDiscretizer(9, encode="ordinal", quantile_method="linear", subsample=None),
        SplineTransformer(knots="quantile"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_several_passes_find_what_one_does(parity, tiny, step):
    draw = np.random.default_rng(11)
    rows = 20_000
    table = pa.table(
        {
            "plain": draw.normal(size=rows),
            "single": draw.normal(size=rows).astype(np.float32),
            "sorted": np.arange(rows) * 0.5,
            "ties": np.round(draw.normal(size=rows), 2),
        }
    )
    kept = sl.fit(step, parity.source(table, "groups"), chunk_size=900, threads=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = clone(step).set_params(
            **({"subsample": None} if "subsample" in step.get_params() else {})
        )
        expected.fit(table.to_pandas())
    shown = table.slice(0, 500).to_pandas()
    parity.same(kept.estimator.transform(shown), expected.transform(shown), "output")


def test_a_pipeline_of_many_passes_is_that_in_memory(parity, tiny):
    draw = np.random.default_rng(12)
    values = draw.normal(size=(6000, 3))
    values[draw.random(values.shape) < 0.2] = np.nan
    pipeline = make_pipeline(SimpleImputer(strategy="median"), RobustScaler(), StandardScaler())
    parity.check(pipeline, values, rtol=1e-11, atol=1e-11)


def test_sparse_rows_count_their_zeros(parity):
    draw = np.random.default_rng(13)
    rows = sparse.random(400, 5, density=0.7, format="csr", random_state=draw)
    scaler = RobustScaler(with_centering=False)
    source = sl.scan(rows)
    for step in (scaler, QuantileTransformer(n_quantiles=40)):
        found = sl.fit(step, source, chunk_size=90).estimator
        expected = clone(step).fit(rows)
        parity.same(found.transform(rows), expected.transform(rows), "output")
    with pytest.raises(DataError, match="with_centering=False"):
        sl.fit(RobustScaler(), source)
    with pytest.raises(DataError, match="negative"):
        sl.fit(QuantileTransformer(n_quantiles=3), sl.scan(-rows))


@pytest.mark.parametrize(
    "step",
    [
        RobustScaler(),
        QuantileTransformer(),
        SimpleImputer(strategy="median"),
        KBinsDiscretizer(quantile_method="linear"),
        SplineTransformer(),
    ],
    ids=lambda step: type(step).__name__,
)
def test_infinity_is_refused_with_row_and_column(parity, step):
    values = np.arange(50.0)
    values[31] = np.inf
    source = parity.source(pa.table({"fine": np.arange(50.0), "bad": values}), "groups")
    with pytest.raises(DataError, match=r"(?s)row .*bad.*inf"):
        sl.fit(step, source, chunk_size=7)


@pytest.mark.parametrize("step", [KBinsDiscretizer(quantile_method="linear"), SplineTransformer()])
def test_gaps_are_refused_with_row_and_column_and_a_way_out(parity, step):
    with pytest.raises(DataError, match=r"(?s)row .*'null'.*NaN.*imputer"):
        sl.fit(step, parity.source(GAPS.select(["full", "null"]), "groups"), chunk_size=7)
    pipeline = make_pipeline(SimpleImputer(strategy="median"), step)
    parity.check(pipeline, GAPS.drop_columns(["empty", "bool"]))


def test_few_rows_are_enough(parity):
    one = pa.table({"a": [3.5], "b": pa.array([None], pa.float64())})
    for scaler in (RobustScaler(), QuantileTransformer(), SimpleImputer(strategy="median")):
        parity.check(scaler, one, everywhere=True)
    with pytest.raises(DataError, match="two rows"):
        sl.fit(SplineTransformer(), parity.source(pa.table({"a": [1.0]})))
    constant = pa.table({"a": [1.0, 1.0], "b": [1.0, 2.0]})
    parity.check(SplineTransformer(), constant)
    for strategy in ("uniform", "quantile", "kmeans"):
        parity.check(KBinsDiscretizer(2, strategy=strategy, quantile_method="linear"), constant)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuantileTransformer(ignore_implicit_zeros=True), "ignore_implicit_zeros"),
        (lambda: QuantileTransformer(n_quantiles=50, subsample=10), "subsample=None"),
        (lambda: RobustScaler(quantile_range=(70, 30)), "quantile_range"),
        (lambda: SimpleImputer(strategy=np.median), "median"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(make, message):
    with pytest.raises(UnsupportedEstimatorError, match=message):
        sl.fit(make(), np.zeros((3, 1)))


def test_weighted_quantiles_are_refused_by_name():
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        for step in (
            KBinsDiscretizer(quantile_method="averaged_inverted_cdf"),
            SplineTransformer(knots="quantile"),
        ):
            step.set_fit_request(sample_weight=True)
            with pytest.raises(UnsupportedEstimatorError, match="sample_weight"):
                sl.fit(step, np.zeros((3, 1)))


@pytest.mark.parametrize(
    "step",
    [
        RobustScaler(),
        QuantileTransformer(n_quantiles=50),
        SimpleImputer(strategy="median"),
        KBinsDiscretizer(5, quantile_method="linear"),
        SplineTransformer(knots="quantile"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_a_sketch_takes_one_pass_and_knows_how_far_off_it_is(tiny, step):
    from streamlearn.learn.registry import find_recipe

    values = np.random.default_rng(17).normal(size=(20_000, 2))
    found = find_recipe(step).make(step)
    assert found.passes == 3
    assert found.rank_error == 0.0
    found.sketch = True
    assert found.passes == 1
    for start in range(0, len(values), 1000):
        found.update(values[start : start + 1000], None, None)
    assert not found.refine()
    assert 0 < found.rank_error < 0.5
    fitted = clone(step)
    found.finish(fitted, values[:3])
    middle = {
        "RobustScaler": lambda: fitted.center_[0],
        "QuantileTransformer": lambda: fitted.quantiles_[24, 0],
        "SimpleImputer": lambda: fitted.statistics_[0],
        "KBinsDiscretizer": lambda: fitted.bin_edges_[0][2],
        "SplineTransformer": lambda: fitted.bsplines_[0].t[5],
    }[type(step).__name__]()
    share = {"QuantileTransformer": 24 / 49, "KBinsDiscretizer": 0.4}.get(type(step).__name__, 0.5)
    rank = np.searchsorted(np.sort(values[:, 0]), middle) / len(values)
    assert abs(rank - share) <= found.rank_error + 1e-3
    assert pickle.loads(pickle.dumps(fitted)) is not None


def test_the_defaults_of_this_scikit_learn_bin_as_in_memory(parity):
    parity.check(KBinsDiscretizer(3), FULL)


def test_bins_that_are_too_narrow_and_constant_columns_are_warned_of():
    from streamlearn.learn.registry import find_recipe

    step = KBinsDiscretizer(5, quantile_method="linear")
    values = np.column_stack([np.r_[np.zeros(50), np.arange(10.0)], np.ones(60)])
    found = find_recipe(step).make(step)
    found.update(values, None, None)
    assert not found.refine()
    with pytest.warns(UserWarning, match="[Ff]eature") as seen:
        found.finish(step, values[:3])
    assert ["left out" in str(item.message) for item in seen] == [True, False]
    assert "constant" in str(seen[1].message)
    assert step.n_bins_.tolist() == [1, 1]
