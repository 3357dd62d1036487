"""Steps in the middle that learn in order: the same estimator, given the same batches by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.cluster import Birch, MiniBatchKMeans
from sklearn.decomposition import (
    IncrementalPCA,
    LatentDirichletAllocation,
    MiniBatchDictionaryLearning,
    MiniBatchNMF,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import streamlearn as sl
from streamlearn.errors import UsageError

ROWS = 530
rng = np.random.default_rng(3)
X = rng.gamma(2.0, size=(ROWS, 6)) @ rng.random((6, 6))
LABELS = np.array(["no", "yes", "often"])[np.digitize(X[:, 0] - X[:, 1], [-0.5, 0.8])]

LEARNERS = {
    "dictionary": MiniBatchDictionaryLearning(3, batch_size=64, random_state=0),
    "nmf": MiniBatchNMF(3, batch_size=100, random_state=0),
    "topics": LatentDirichletAllocation(3, batch_size=128, random_state=0),
    "rbm": BernoulliRBM(4, batch_size=50, random_state=0),
    "means": MiniBatchKMeans(4, batch_size=200, random_state=0, n_init=1),
    "birch": Birch(n_clusters=None, threshold=0.4),
}


def table():
    return pa.Table.from_arrays([*X.T], names=list("abcdef"))


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("chunk_size", [7, 1000])
def test_a_step_learns_as_a_loop_by_hand_would_teach_it(name, chunk_size):
    step = LEARNERS[name]
    pipeline = make_pipeline(MinMaxScaler(), step, StandardScaler())
    data = sl.scan([table().slice(0, 200), table().slice(200)])
    fitted = sl.fit(pipeline, data, chunk_size=chunk_size, threads=2).estimator
    scaled = MinMaxScaler().fit_transform(X)
    by_hand = clone(step)
    size = getattr(step, "batch_size", ROWS)
    for start in range(0, ROWS, size):
        by_hand.partial_fit(scaled[start : start + size])
    transformed = by_hand.transform(scaled)
    np.testing.assert_array_equal(fitted[1].transform(scaled), transformed)
    expected = StandardScaler().fit(transformed)
    np.testing.assert_allclose(fitted[2].mean_, expected.mean_, rtol=1e-9)
    assert len(sl.explain(pipeline, data).passes) == 3


@pytest.mark.parametrize(("components", "batch"), [(2, None), (4, 528), (5, 105), (None, 60)])
@pytest.mark.parametrize("where", ["middle", "last"])
def test_incremental_pca_is_its_sequential_self(components, batch, where):
    step = IncrementalPCA(components, batch_size=batch)
    pipeline = make_pipeline(StandardScaler(), step)
    if where == "middle":
        pipeline = make_pipeline(StandardScaler(), step, MinMaxScaler())
    fitted = sl.fit(pipeline, table()).estimator[1]
    expected = clone(step).fit(StandardScaler().fit_transform(X))
    assert fitted.n_samples_seen_ == ROWS
    np.testing.assert_allclose(fitted.components_, expected.components_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.singular_values_, expected.singular_values_, rtol=1e-10)


def test_a_batch_size_that_is_asked_for_holds_for_every_step():
    pipeline = make_pipeline(MiniBatchKMeans(3, random_state=0, n_init=1), StandardScaler())
    fitted = sl.fit(pipeline, table(), batch_size=111).estimator[0]
    by_hand = clone(pipeline[0])
    for start in range(0, ROWS, 111):
        by_hand.partial_fit(X[start : start + 111])
    np.testing.assert_array_equal(fitted.cluster_centers_, by_hand.cluster_centers_)


@pytest.mark.parametrize(
    ("inner", "y"),
    [(SGDClassifier(random_state=1), LABELS), (SGDRegressor(random_state=1), X[:, 2])],
    ids=["classes", "numbers"],
)
def test_features_are_selected_by_a_model_that_learns_in_order(inner, y):
    pipeline = make_pipeline(
        StandardScaler(), SelectFromModel(inner, threshold="median"), StandardScaler(), clone(inner)
    )
    data = sl.scan(table().append_column("y", pa.array(y)), target="y")
    fitted = sl.fit(pipeline, data, chunk_size=50).estimator
    scaled = StandardScaler().fit_transform(X)
    options = {"classes": np.unique(y)} if y is LABELS else {}
    by_hand = SelectFromModel(inner, threshold="median").partial_fit(scaled, y, **options)
    np.testing.assert_array_equal(fitted[1].get_support(), by_hand.get_support())
    np.testing.assert_allclose(fitted[1].estimator_.coef_, by_hand.estimator_.coef_, rtol=1e-9)
    assert [item.name for item in sl.explain(pipeline, data).passes] == [
        "statistics",
        "statistics, pass 2",
        "statistics, pass 3",
        "learn",
    ]
    assert repr(fitted[1].estimator) == repr(inner)


def test_a_step_that_needs_classes_waits_for_them_in_a_pass_of_its_own():
    pipeline = make_pipeline(SelectFromModel(SGDClassifier(random_state=0)), SGDClassifier())
    data = sl.scan((X, LABELS))
    assert len(sl.explain(pipeline, data).passes) == 3
    assert sl.fit(pipeline, data).estimator.predict(X).shape == (ROWS,)


def test_a_step_that_needs_a_target_says_so():
    with pytest.raises(UsageError, match="'selectfrommodel'.*needs a target"):
        sl.fit(make_pipeline(SelectFromModel(SGDClassifier()), StandardScaler()), table())


def test_seeds_are_given_for_the_fit_and_taken_back():
    pipeline = make_pipeline(MiniBatchKMeans(3, n_init=1), StandardScaler())
    one = sl.fit(pipeline, table(), random_state=4).estimator
    other = sl.fit(pipeline, table(), random_state=4).estimator
    np.testing.assert_array_equal(one[0].cluster_centers_, other[0].cluster_centers_)
    assert one[0].get_params()["random_state"] is None
