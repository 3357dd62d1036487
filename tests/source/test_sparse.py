"""SciPy's CSR matrices: rows as they are stored, and models as of the same rows in memory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

import streamlearn as sl
from streamlearn.errors import DataError, SchemaError, SourceError, UsageError
from streamlearn.source.library import sparse as source
from streamlearn.testing import (
    check_every_row_once,
    check_same_answer,
    check_same_bits,
)
from streamlearn.testing.compare import assert_same_fit

ROWS, COLUMNS = 6_000, 30


def matrix(dtype="f8", seed=0):
    return sparse.random(ROWS, COLUMNS, 0.1, format="csr", random_state=seed).astype(dtype)


X = matrix()
Y = (np.asarray(X.sum(axis=1)).ravel() > 1.5).astype(int)


@pytest.fixture(autouse=True)
def short_fragments(monkeypatch):
    monkeypatch.setattr(source, "_FRAGMENT_ROWS", 1_700)


def wide_indices(matrix):
    found = matrix.copy()
    found.indices, found.indptr = found.indices.astype("i8"), found.indptr.astype("i8")
    return found


FORMS = {
    "matrix": X,
    "array": sparse.csr_array(X),
    "float32": matrix("f4"),
    "int64 indices": wide_indices(X),
    "whole numbers": sparse.csr_matrix(np.arange(600).reshape(200, 3) % 4),
    "booleans": sparse.csr_matrix(np.arange(600).reshape(200, 3) % 4 > 1),
    "one row": X[:1],
    "one column": X[:, :1],
    "nothing stored": sparse.csr_matrix((50, 4)),
    "no column": sparse.csr_matrix((50, 0)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_row_is_read_once(form):
    y = np.arange(form.shape[0])
    data = sl.scan((form, y))
    check_every_row_once(data, (1, 7, 1_000_000) if form.shape[0] < 1_000 else (97, 1_000_000))
    chunks = [c for f in data.fragments for c in data.read(f, data.features.names, 501)]
    whole = sparse.vstack([chunk.X for chunk in chunks], format="csr")
    assert whole.dtype == form.dtype
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(form, name))
    assert all(chunk.X.indices.dtype == np.int32 for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate([chunk.y for chunk in chunks]), y)


def test_order_and_duplicates_stay_and_the_matrix_is_not_touched():
    given = sparse.csr_matrix(
        (np.array([1.0, 2, 3, 4]), np.array([2, 0, 1, 1]), np.array([0, 2, 4])), shape=(2, 3)
    )
    before = given.copy()
    data = sl.scan(given)
    (chunk,) = data.read(data.fragments[0], data.features.names, 10)
    np.testing.assert_array_equal(chunk.X.indices, [2, 0, 1, 1])
    chunk.X.sum_duplicates()
    chunk.X.data[:] = 9
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(given, name), getattr(before, name))


@pytest.mark.parametrize("kind", ["f8", "f4"])
@pytest.mark.parametrize(
    "step",
    [MaxAbsScaler(), StandardScaler(with_mean=False), SimpleImputer()],
    ids=lambda step: type(step).__name__,
)
def test_statistics_equal_those_in_memory(step, kind):
    given = matrix(kind)
    check_same_answer(step, sl.scan(given), given, rtol=1e-12 if kind == "f8" else 1e-6)


@pytest.mark.parametrize(
    "step",
    [
        MaxAbsScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_mean=False, with_std=False),
    ],
    ids=str,
)
def test_missing_values_are_left_out_as_in_memory(step):
    given = X.copy()
    given.data[::50] = np.nan
    found = sl.fit(step, given).estimator
    assert_same_fit(found, step.fit(given), rtol=1e-12)


def test_weights_reach_the_scaler_where_they_are_asked_for():
    from sklearn import config_context

    weight = np.random.default_rng(0).random(ROWS)
    with config_context(enable_metadata_routing=True):
        step = StandardScaler(with_mean=False).set_fit_request(sample_weight=True)
        found = sl.fit(step, sl.scan(X, weight=weight)).estimator
        expected = step.fit(X, sample_weight=weight)
    np.testing.assert_allclose(found.var_, expected.var_, rtol=1e-12)


MODELS = {
    "model alone": SGDClassifier(random_state=0),
    "largest values": make_pipeline(MaxAbsScaler(), SGDClassifier(random_state=0)),
    "imputer gives columns": make_pipeline(SimpleImputer(), SGDClassifier(random_state=0)),
    "columns": make_pipeline(
        ColumnTransformer([("a", MaxAbsScaler(), [0, 1, 2]), ("b", "passthrough", [3, 4])]),
        SGDClassifier(random_state=0),
    ),
}


@pytest.mark.parametrize("options", [{}, {"shuffle": True, "epochs": 2}, {"validation": 0.2}])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_learning_is_the_loop_by_hand_and_does_not_depend_on_reading(model, options):
    options = {"batch_size": 1_024, "random_state": 0, **options}
    variations = [{"chunk_size": 100, "threads": 1}, {"chunk_size": 5_000, "threads": 2}]
    found = check_same_bits(model, sl.scan((X, Y)), variations, **options)
    scores = sl.evaluate(found, sl.scan((X, Y)))
    assert scores.metrics["accuracy"] == pytest.approx(found.score(X, Y), abs=1e-12)


def test_batches_are_those_of_a_loop_by_hand():
    found = sl.fit(SGDClassifier(random_state=0), (X, Y), batch_size=1_024).estimator
    expected = SGDClassifier(random_state=0)
    for start in range(0, ROWS, 1_024):
        stop = start + 1_024
        expected.partial_fit(X[start:stop], Y[start:stop], classes=[0, 1])
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    wide = sl.fit(SGDClassifier(random_state=0), (wide_indices(X), Y), batch_size=1_024).estimator
    np.testing.assert_array_equal(wide.coef_, found.coef_)


@pytest.mark.parametrize(
    ("step", "match"),
    [(StandardScaler(), "with_mean=False"), (MinMaxScaler(), "MaxAbsScaler")],
)
def test_what_would_fill_the_matrix_is_refused_with_what_to_do(step, match):
    with pytest.raises(DataError, match=match):
        sl.fit(step, X)


def test_an_infinity_is_named_by_its_row():
    given = X.copy()
    at = 5_000
    given.data[at] = np.inf
    row = int(np.searchsorted(given.indptr, at, side="right")) - 1
    for step in (MaxAbsScaler(), StandardScaler(with_mean=False)):
        with pytest.raises(
            DataError, match=rf"row {row} of the source.*'{given.indices[at]}'.*inf"
        ):
            sl.fit(step, given)


def test_many_columns_fit_into_a_small_budget():
    columns = 200_000
    rng = np.random.default_rng(0)
    indices = rng.integers(0, columns, 150_000)
    wide = sparse.csr_matrix((rng.random(150_000), indices, np.arange(0, 150_001, 50)))
    wide.resize(3_000, columns)
    model = make_pipeline(MaxAbsScaler(), SGDClassifier(random_state=0))
    found = sl.fit(model, (wide, Y[:3_000]), memory_budget="1.5GB").estimator
    np.testing.assert_array_equal(found[0].max_abs_, MaxAbsScaler().fit(wide).max_abs_)


def test_what_is_no_csr_is_refused_with_what_to_do():
    for other in (X.tocsc(), X.tocoo(), sparse.coo_array(X)):
        with pytest.raises(UsageError, match=r"\.tocsr\(\)"):
            sl.scan(other)
    with pytest.raises(UsageError, match="no named columns"):
        sl.scan(X, target="y")
    with pytest.raises(SchemaError, match=r"shape \(6000,\)"):
        sl.scan((X, Y[:-1]))
    with pytest.raises(SchemaError, match="complex"):
        sl.scan(X.astype(complex))
    with pytest.raises(UsageError, match="sparse"):
        sl.scan(X).to_dask()
    with pytest.raises(UsageError, match="profile"):
        sl.profile(sl.scan(X))
    assert sl.scan(X[:0]).rows == 0
    with pytest.raises(DataError, match="no row"):
        sl.fit(MaxAbsScaler(), X[:0])


def test_a_damaged_matrix_is_named_by_its_row():
    given = X.copy()
    given.indices[given.indptr[3_000]] = 99
    data = sl.scan(given)
    with pytest.raises(SourceError, match=r"row 3000 has a value in column 99"):
        [list(data.read(f, data.features.names, 1_000)) for f in data.fragments]
    given = X.copy()
    given.indptr[10] = given.indptr[-1]
    with pytest.raises(SourceError, match=r"row 10 ends before"):
        sl.scan(given)
