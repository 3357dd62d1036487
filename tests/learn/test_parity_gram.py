"""PCA, TruncatedSVD and FactorAnalysis: as fitted in memory, from a scatter matrix."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import streamlearn as sl
from streamlearn.errors import DataError
from streamlearn.learn.components import PrincipalScatter
from streamlearn.learn.gram import Scatter

pytestmark = pytest.mark.filterwarnings("ignore:FactorAnalysis")

rng = np.random.default_rng(0)
ROWS, COLUMNS = 150, 6
MIXED = rng.normal(size=(ROWS, COLUMNS)) @ rng.normal(size=(COLUMNS, COLUMNS)) + 3
TABLE = pa.table(
    {
        **{name: MIXED[:, index] for index, name in enumerate("abcd")},
        "whole": rng.integers(-9, 9, ROWS),
        "bool": rng.random(ROWS) < 0.5,
    }
)
PCAS = {
    "all": PCA(),
    "three": PCA(3),
    "none": PCA(0),
    "share": PCA(0.9),
    "mle": PCA("mle"),
    "white": PCA(4, whiten=True),
    "full": PCA(4, svd_solver="full"),
    "covariance": PCA(4, svd_solver="covariance_eigh"),
    "arpack": PCA(3, svd_solver="arpack", random_state=0),
}
SVDS = {
    "two": TruncatedSVD(2, algorithm="arpack", random_state=0),
    "five": TruncatedSVD(5, algorithm="arpack", random_state=0),
}


@pytest.mark.parametrize("step", [*PCAS.values(), *SVDS.values()], ids=[*PCAS, *SVDS])
def test_components_are_those_in_memory_however_rows_are_read(parity, step):
    parity.check(step, TABLE, rtol=1e-9, atol=1e-10, everywhere=True)
    parity.check(step, MIXED, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("random", "exact"),
    [
        (
            PCA(2, svd_solver="randomized", random_state=1, whiten=True),
            PCA(2, svd_solver="full", whiten=True),
        ),
        (TruncatedSVD(2, random_state=1), TruncatedSVD(2, algorithm="arpack", random_state=0)),
        (FactorAnalysis(2), FactorAnalysis(2, svd_method="lapack")),
    ],
)
def test_random_solvers_give_the_exact_answer(parity, random, exact):
    found = sl.fit(random, MIXED).estimator
    reference = clone(exact).fit(MIXED)
    sign = np.sign((found.components_ * reference.components_).sum(axis=1))
    np.testing.assert_allclose(
        found.components_ * sign[:, None], reference.components_, rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(
        found.transform(MIXED) * sign, reference.transform(MIXED), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("rotation", [None, "varimax", "quartimax"])
@pytest.mark.parametrize("count", [0, 2, 3, None])
@pytest.mark.parametrize("init", [None, np.linspace(0.5, 2, COLUMNS)])
def test_factors_are_those_of_lapack_but_for_their_signs(rotation, count, init):
    if count == 0 and rotation:
        pytest.skip("scikit-learn cannot rotate nothing")
    step = FactorAnalysis(
        count, svd_method="lapack", rotation=rotation, noise_variance_init=init, tol=1e-2
    )
    found, reference = sl.fit(step, MIXED).estimator, clone(step).fit(MIXED)
    assert found.n_iter_ == reference.n_iter_
    np.testing.assert_allclose(found.loglike_, reference.loglike_, rtol=1e-10)
    np.testing.assert_allclose(found.noise_variance_, reference.noise_variance_, 1e-8, 1e-12)
    np.testing.assert_allclose(
        abs(found.components_), abs(reference.components_), rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(found.mean_, reference.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.score(MIXED), reference.score(MIXED), rtol=1e-9)


@pytest.mark.parametrize("count", [1, 3])
def test_factors_of_fewer_rows_than_columns(count):
    X = np.random.default_rng(5).normal(size=(8, 11)) * np.arange(1, 12)
    step = FactorAnalysis(count, svd_method="lapack", max_iter=20)
    found, reference = sl.fit(step, X).estimator, clone(step).fit(X)
    np.testing.assert_allclose(found.loglike_, reference.loglike_, rtol=1e-9)
    np.testing.assert_allclose(
        abs(found.components_), abs(reference.components_), rtol=1e-7, atol=1e-9
    )


def test_factors_stop_where_they_are_told_to():
    step = FactorAnalysis(2, svd_method="lapack", max_iter=3, tol=0.0)
    found, reference = sl.fit(step, MIXED).estimator, clone(step).fit(MIXED)
    assert found.n_iter_ == reference.n_iter_ == 3
    np.testing.assert_allclose(found.noise_variance_, reference.noise_variance_, rtol=1e-9)


@pytest.mark.parametrize("step", [PCA(3, svd_solver="full"), SVDS["two"], FactorAnalysis(2)])
def test_float32_comes_back_as_float32_where_scikit_learn_does_so(step):
    single = MIXED.astype(np.float32)
    found, reference = sl.fit(step, single).estimator, clone(step).fit(single)
    for name, value in vars(reference).items():
        if name.endswith("_"):
            assert np.asarray(getattr(found, name)).dtype == np.asarray(value).dtype, name
    # Right to float32's own digits, by the fit in float64.
    exact = clone(step).fit(single.astype(np.float64))
    np.testing.assert_allclose(abs(found.components_), abs(exact.components_), 2e-6, 1e-6)
    assert found.transform(single).dtype == reference.transform(single).dtype


@pytest.mark.parametrize("rows", [2, 5, 6, 7])
@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
def test_fewer_rows_than_columns_give_what_they_determine(rows, solver):
    X = np.random.default_rng(rows).normal(size=(rows, 6))
    found = sl.fit(PCA(svd_solver=solver), X).estimator
    reference = PCA(svd_solver="full").fit(X)
    rank = min(rows - 1, 6)
    np.testing.assert_allclose(found.components_[:rank], reference.components_[:rank], 1e-9, 1e-10)
    np.testing.assert_allclose(
        found.explained_variance_, reference.explained_variance_, rtol=1e-9, atol=1e-15
    )
    assert found.components_.shape == reference.components_.shape
    np.testing.assert_allclose(
        found.components_ @ found.components_.T, np.eye(min(rows, 6)), atol=1e-12
    )


def test_one_row_spans_nothing():
    found = sl.fit(PCA(), np.array([[1.0, 2.0]])).estimator
    np.testing.assert_array_equal(found.mean_, [1.0, 2.0])
    np.testing.assert_array_equal(found.transform([[1.0, 2.0]]), [[0.0]])


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_offsets_cost_no_digit(offset):
    X = MIXED + offset
    about = (X.astype(np.longdouble) - X.astype(np.longdouble).mean(axis=0)).astype(np.float64)
    reference = PCA(svd_solver="full").fit(about)
    for layout in (X, pa.table({str(i): X[:, i] for i in range(COLUMNS)})):
        source = sl.scan(layout)
        found = sl.fit(PCA(), source, chunk_size=7).estimator
        np.testing.assert_allclose(found.components_, reference.components_, 1e-9, 1e-10)
        np.testing.assert_allclose(
            found.explained_variance_, reference.explained_variance_, rtol=1e-10
        )


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_small_components_lose_the_square_of_their_share(condition):
    made = np.random.default_rng(3)
    left, _ = np.linalg.qr(made.normal(size=(400, 8)) - 0.0)
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    right, _ = np.linalg.qr(made.normal(size=(8, 8)))
    sizes = np.geomspace(1, 1 / condition, 8)
    X = (left * sizes) @ right.T
    found = sl.fit(PCA(), X).estimator
    lost = abs(found.singular_values_ - sizes) / sizes
    assert (lost <= 1e-13 + 1e-14 / (sizes / sizes[0]) ** 2).all(), lost


def test_singular_vectors_of_offset_columns_keep_their_variance():
    X = MIXED + 1e6
    found = sl.fit(SVDS["two"], X).estimator
    about = X.astype(np.longdouble) @ found.components_.T.astype(np.longdouble)
    # What a projection of values this large keeps of their variance: 1e12 times less is noise.
    np.testing.assert_allclose(found.explained_variance_, about.var(axis=0), rtol=1e-4)


SPARSE = sparse.random(200, 12, 0.3, format="csr", random_state=0, dtype=np.float64)


@pytest.mark.parametrize(
    "step",
    [
        PCA(3, svd_solver="arpack", random_state=0),
        PCA(random_state=0),
        PCA(4, svd_solver="covariance_eigh"),
        SVDS["five"],
    ],
)
def test_sparse_rows_are_taken_as_they_are(step):
    found = sl.fit(step, SPARSE, chunk_size=7).estimator
    reference = clone(step).fit(SPARSE)
    for name in (
        "components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
    ):
        np.testing.assert_allclose(getattr(found, name), getattr(reference, name), 1e-9, 1e-11)
    np.testing.assert_allclose(found.transform(SPARSE), reference.transform(SPARSE), 1e-8, 1e-10)


@pytest.mark.parametrize(
    ("step", "data", "message"),
    [
        (PCA(7), MIXED, "n_components=7 must be between 0 and 6"),
        (PCA("mle", svd_solver="randomized"), MIXED, "mle"),
        (PCA("mle", svd_solver="full"), MIXED[:3], "as many rows"),
        (PCA(6, svd_solver="arpack"), MIXED, "between 1 and 5"),
        (PCA(svd_solver="full"), SPARSE, "TruncatedSVD"),
        (FactorAnalysis(), SPARSE, "TruncatedSVD"),
        (TruncatedSVD(7), MIXED, "at most 6"),
        (FactorAnalysis(noise_variance_init=[1.0]), MIXED, "noise_variance_init"),
        (PCA(), MIXED * 1e200, "scale the columns"),
    ],
)
def test_what_cannot_be_is_said(step, data, message):
    with pytest.raises(DataError, match=message):
        sl.fit(step, data)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("step", [PCA(2), TruncatedSVD(2), FactorAnalysis(2)])
def test_a_cell_that_is_no_number_is_named(parity, step, bad):
    values = np.arange(50.0)
    values[31] = bad
    table = pa.table({"fine": np.arange(50.0), "bad": values})
    with pytest.raises(DataError, match=rf"(?s)row .*bad.*({bad}|NaN)"):
        sl.fit(step, parity.source(table, "groups"), chunk_size=7)


def test_components_come_after_other_steps(parity):
    steps = make_pipeline(MinMaxScaler(), PCA(3)).set_output(transform="pandas")
    parity.check(steps, TABLE, rtol=1e-8, atol=1e-9, everywhere=True)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.sampled_from([0.0, 1e9]))
def test_scatter_matrices_merge(sizes, offset):
    X = np.random.default_rng(sum(sizes)).normal(size=(sum(sizes), 4)) + offset
    found = Scatter(4)
    for size, stop in zip(sizes, np.cumsum(sizes), strict=True):
        part = Scatter(4)
        half = stop - size // 2
        part.add(X[stop - size : half])
        part.add(X[half:stop])
        found.merge(part)
    assert found.rows == len(X)
    if len(X):
        about = X.astype(np.longdouble) - X.astype(np.longdouble).mean(axis=0)
        expected = np.tril((about.T @ about).astype(np.float64))
        np.testing.assert_allclose(np.tril(found.centred()), expected, 1e-11, 1e-11)


def test_the_plan_can_refuse_very_many_columns_by_the_number():
    assert PrincipalScatter(PCA()).planned_bytes(50_000, 10) == 40_000_000_000
