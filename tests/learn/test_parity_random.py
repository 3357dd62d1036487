"""What is drawn at random: samples of rows, projections, and steps that learn a shape alone."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.manifold import Isomap
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    Normalizer,
    PolynomialFeatures,
    QuantileTransformer,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

import streamlearn as sl
from streamlearn.errors import DataError, UnsupportedEstimatorError
from streamlearn.learn.registry import Exact, _registered
from streamlearn.learn.reservoir import LandmarkSample, RowReservoir, SampleFit, row_hash
from streamlearn.plan.holdout import held_out

rng = np.random.default_rng(0)
ROWS = 120
MATRIX = np.abs(rng.normal(size=(ROWS, 12)))
TABLES = {
    "float64": pa.table({f"x{i}": MATRIX[:, i] for i in range(12)}),
    "float32": pa.table({f"x{i}": MATRIX[:, i].astype(np.float32) for i in range(12)}),
    "mixed": pa.table(
        {"a": MATRIX[:, 0], "b": rng.integers(0, 9, ROWS), "c": rng.random(ROWS) < 0.5}
    ),
}
SHAPES = [
    GaussianRandomProjection(2, random_state=3),
    GaussianRandomProjection(2, random_state=3, compute_inverse_components=True),
    RBFSampler(n_components=7, random_state=2),
    RBFSampler(gamma=0.3, n_components=7, random_state=2),
]
STATELESS = [
    PolynomialCountSketch(n_components=9, random_state=1),
    PolynomialCountSketch(n_components=9, degree=3, coef0=1, gamma=0.5, random_state=1),
    SkewedChi2Sampler(n_components=5, random_state=1),
    AdditiveChi2Sampler(),
    AdditiveChi2Sampler(sample_steps=3, sample_interval=0.3),
    Normalizer("l1"),
    Normalizer("max"),
    Binarizer(threshold=0.4),
    PolynomialFeatures(2, interaction_only=True, include_bias=False),
    PolynomialFeatures((2, 3)),
    FunctionTransformer(np.log1p),
    FunctionTransformer(np.sqrt, feature_names_out="one-to-one"),
]


@pytest.mark.parametrize("data", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("step", [*SHAPES, *STATELESS], ids=str)
def test_a_shape_is_all_it_takes(parity, step, data):
    parity.check(step, data, rtol=1e-12, atol=1e-6 if data is TABLES["float32"] else 1e-12)


@pytest.mark.parametrize("step", [*SHAPES, *STATELESS], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_matrix_will_do_as_well(parity, step, dtype):
    parity.check(
        step, MATRIX.astype(dtype), rtol=1e-12, atol=1e-12 if dtype is np.float64 else 1e-6
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "step",
    [
        SparseRandomProjection(2, random_state=3),
        SparseRandomProjection(3, density=0.5, dense_output=True, random_state=0),
    ],
)
def test_a_sparse_projection_is_drawn_as_in_memory(step, dtype):
    # To the bit, and so with its columns as unsorted as scikit-learn leaves them.
    X = MATRIX.astype(dtype)
    found, reference = sl.fit(step, X, chunk_size=7).estimator, clone(step).fit(X)
    for name in ("data", "indices", "indptr"):
        mine, theirs = (getattr(fit.components_, name) for fit in (found, reference))
        np.testing.assert_array_equal(mine, theirs, strict=True)
    np.testing.assert_array_equal(found.transform(X), reference.transform(X), strict=True)
    assert list(found.get_feature_names_out()) == list(reference.get_feature_names_out())


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_gamma_by_scale_is_one_over_the_variance_of_all_cells(parity, offset):
    X = MATRIX * np.arange(1, 13) + offset
    found = sl.fit(RBFSampler(gamma="scale", random_state=0), X, chunk_size=7).estimator
    reference = RBFSampler(gamma="scale", random_state=0).fit(MATRIX * np.arange(1, 13))
    assert found.gamma == "scale"
    assert found._gamma == pytest.approx(reference._gamma, rel=1e-12 if not offset else 1e-6)
    stored = sparse.csr_matrix(np.where(MATRIX > 1, MATRIX, 0))
    found = sl.fit(RBFSampler(gamma="scale", random_state=0), stored, chunk_size=7).estimator
    reference = RBFSampler(gamma="scale", random_state=0).fit(stored)
    np.testing.assert_allclose(found.random_weights_, reference.random_weights_, rtol=1e-12)
    constant = sl.fit(RBFSampler(gamma="scale", random_state=0), np.full((9, 2), 0.1)).estimator
    assert constant._gamma == 1.0


@pytest.mark.parametrize("kind", [GaussianRandomProjection, SparseRandomProjection])
def test_components_by_the_number_of_rows(kind):
    X = np.random.default_rng(1).normal(size=(37, 300))
    step = kind(eps=0.7, random_state=0)
    found, reference = sl.fit(step, X, chunk_size=7).estimator, clone(step).fit(X)
    assert found.n_components == "auto"
    assert found.n_components_ == reference.n_components_
    np.testing.assert_allclose(found.transform(X), reference.transform(X), rtol=1e-12)
    assert len(found.get_feature_names_out()) == found.n_components_
    with pytest.raises(DataError, match=r"37 rows need .* components, and there are 300 columns"):
        sl.fit(kind(eps=0.1), X)


@pytest.mark.parametrize("step", [SHAPES[0], SHAPES[-1]])
def test_a_cell_that_is_no_number_is_named(step):
    with pytest.raises(DataError, match=r"(?s)row 3.*missing"):
        sl.fit(step, np.array([[1.0, 2], [3, 4], [5, 6], [np.nan, 8]]))


def test_all_rows_are_landmarks_where_they_are_few(parity):
    for step in (
        Nystroem(n_components=ROWS, random_state=0),
        Nystroem(n_components=500, random_state=0),
    ):
        parity.check(step, TABLES["float64"], rtol=1e-9, atol=1e-9)
        parity.check(step, MATRIX, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "kernel", ["rbf", "linear", "poly", "cosine", "chi2", "sigmoid", "laplacian"]
)
def test_landmarks_are_rows_by_their_numbers(kernel):
    step = Nystroem(kernel, n_components=9, random_state=4)
    fits = [
        sl.fit(step, sl.scan(MATRIX), chunk_size=size, threads=threads).estimator
        for size, threads in [(7, 1), (1000, 3)]
    ]
    for found in fits:
        np.testing.assert_array_equal(found.components_, MATRIX[found.component_indices_])
        np.testing.assert_array_equal(found.component_indices_, fits[0].component_indices_)
    reference = clone(step).fit(MATRIX[np.sort(found.component_indices_)])
    np.testing.assert_allclose(found.transform(MATRIX), reference.transform(MATRIX), rtol=1e-9)
    if kernel == "chi2":
        return  # takes no sparse matrix
    stored = sparse.csr_matrix(np.where(MATRIX > 1, MATRIX, 0))
    found = sl.fit(step, stored, chunk_size=7).estimator
    np.testing.assert_array_equal(
        found.components_.toarray(), stored[found.component_indices_].toarray()
    )


def test_a_seed_of_ones_own_is_not_drawn_from():
    state = np.random.RandomState(0)
    before = state.get_state()[1].copy()
    first, second = (LandmarkSample(Nystroem(random_state=state)) for _ in range(2))
    assert first._reservoir._seed == second._reservoir._seed
    np.testing.assert_array_equal(state.get_state()[1], before)
    with pytest.raises(UnsupportedEstimatorError, match="precomputed"):
        LandmarkSample(Nystroem(kernel="precomputed"))


def blocks_of(X, cuts):
    edges = [0, *sorted(cuts), X.shape[0]]
    for start, stop in itertools.pairwise(edges):
        yield np.arange(start, stop), X[start:stop]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(0, 300), max_size=9),
    st.lists(st.booleans(), min_size=10, max_size=10),
    st.integers(1, 320),
    st.integers(0, 2**63),
    st.sampled_from(["array", "sparse"]),
)
def test_a_sample_does_not_depend_on_how_rows_come(cuts, joins, size, seed, kind):
    X = np.arange(600.0).reshape(300, 2)
    given_as = sparse.csr_matrix(X) if kind == "sparse" else X
    whole = RowReservoir(size, seed)
    whole.add(np.arange(300), given_as, np.arange(300))
    total, part = RowReservoir(size, seed), RowReservoir(size, seed)
    for (rows, block), join in zip(blocks_of(given_as, cuts), joins, strict=False):
        part.add(rows, block, rows)
        if join:
            total.merge(part)
            part = RowReservoir(size, seed)
    total.merge(part)
    (mine, block, y, _), (theirs, expected, _, _) = total.sample(), whole.sample()
    np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(mine, y)
    assert (np.diff(mine) > 0).all()
    assert len(mine) == min(size, 300)
    assert total.seen == whole.seen == 300
    dense = block.toarray() if kind == "sparse" else block
    np.testing.assert_array_equal(dense, X[mine])
    assert dense.shape == expected.shape


def test_every_row_is_as_likely_as_every_other():
    times, size, seeds = np.zeros(200), 20, range(3000)
    for seed in seeds:
        found = RowReservoir(size, seed)
        found.add(np.arange(200), np.zeros((200, 1)))
        times[found.sample()[0]] += 1
    expected = len(seeds) * size / 200
    # Without replacement the counts vary by 1 - size / 200 of what independent draws would.
    statistic = ((times - expected) ** 2 / (expected * (1 - size / 200))).sum() * 199 / 200
    assert 0.001 < stats.chi2.sf(statistic, 199) < 0.999


def test_a_sample_has_nothing_to_do_with_what_is_held_out():
    rows = np.arange(100_000)
    first = np.argsort(row_hash(rows, 0))[:10_000]
    assert abs(held_out(rows, 0.1, 0)[first].mean() - 0.1) < 0.01
    assert len(np.unique(row_hash(rows, 0))) == len(rows)


def fit_from(accumulators, blocks, sample, estimator):
    row = 0
    for accumulator, block in zip(accumulators, blocks, strict=True):
        X, y = block
        rows = np.arange(row, row + len(y))
        row += len(y)
        accumulator.note_rows(rows)
        accumulator.update(X, y, None)
    total = accumulators[0]
    for other in accumulators[1:]:
        total.merge(other)
    total.finish(estimator, sample)
    return total, estimator


def test_any_transformer_is_fitted_on_a_sample():
    y = rng.normal(size=ROWS)
    frame = pd.DataFrame({"a": MATRIX[:, 0], "b": MATRIX[:, 1] + y})
    batch = pa.RecordBatch.from_pandas(frame)
    parts = [(batch.slice(0, 50), y[:50]), (batch.slice(50), y[50:])]
    step = SelectKBest(f_regression, k=1)
    made = [SampleFit(step, rows=30, seed=1) for _ in parts]
    total, found = fit_from(made, parts, frame.head(8), step)
    assert (total.rows_sampled, total.rows_seen) == (30, ROWS)
    chosen = np.sort(np.argsort(row_hash(np.arange(ROWS), 1))[:30])
    reference = SelectKBest(f_regression, k=1).fit(frame.iloc[chosen], y[chosen])
    np.testing.assert_allclose(found.scores_, reference.scores_)
    assert list(found.feature_names_in_) == ["a", "b"]
    assert SampleFit(LinearDiscriminantAnalysis()).needs_target
    assert not SampleFit(Isomap()).needs_target


@pytest.mark.parametrize("kind", ["array", "frame", "sparse", "series", "list"])
def test_blocks_of_any_kind_are_sampled(kind):
    make = {
        "array": lambda X: X,
        "frame": pd.DataFrame,
        "sparse": sparse.csr_matrix,
        "series": lambda X: pd.Series(X[:, 0]),
        "list": lambda X: list(X[:, 0]),
    }[kind]
    found = RowReservoir(10, 0)
    for rows, block in blocks_of(MATRIX, [3, 60, 90]):
        found.add(rows, make(block))
    rows, X, y, weight = found.sample()
    assert y is None
    assert weight is None
    if kind in ("series", "list"):
        np.testing.assert_array_equal(np.asarray(X), MATRIX[rows, 0])
    else:
        np.testing.assert_array_equal(X.toarray() if kind == "sparse" else X, MATRIX[rows])


def test_few_rows_are_all_sampled():
    for step in (Isomap(n_components=2), QuantileTransformer(n_quantiles=10)):
        made = SampleFit(step)
        made.note_rows(np.arange(ROWS))
        made.update(MATRIX, None, None)
        found = clone(step)
        made.finish(found, MATRIX[:8])
        assert made.rows_sampled == made.rows_seen == ROWS
        np.testing.assert_array_equal(
            found.transform(MATRIX[:5]), clone(step).fit(MATRIX).transform(MATRIX[:5])
        )


class Spread(TransformerMixin, BaseEstimator):
    """A transformer nobody has an accumulator for."""

    def fit(self, X, y=None):
        self.rows_, self.range_ = len(X), np.ptp(np.asarray(X), axis=0)
        return self

    def transform(self, X):
        return np.asarray(X) / self.range_


@pytest.mark.parametrize("kind", ["table", "matrix"])
def test_a_sample_is_the_same_however_rows_are_read(parity, monkeypatch, kind):
    monkeypatch.setitem(_registered, Spread, Exact(lambda step: SampleFit(step, rows=25)))
    chosen = np.sort(np.argsort(row_hash(np.arange(ROWS), 0))[:25])
    data = TABLES["float64"] if kind == "table" else MATRIX
    for layout in ("one", "groups", "files"):
        for chunk_size, threads in [(1, 3), (7, 1), (1000, 3)]:
            found = sl.fit(
                Spread(), parity.source(data, layout), chunk_size=chunk_size, threads=threads
            ).estimator
            assert found.rows_ == 25
            np.testing.assert_array_equal(found.range_, np.ptp(MATRIX[chosen], axis=0))
