"""Metrics of a clusterer equal scikit-learn's, however rows are cut and merged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn import metrics
from sklearn.cluster import KMeans

from streamlearn.errors import UsageError
from streamlearn.score.base import Answers
from streamlearn.score.clusters import ClusterDistances, ClusterSpreads
from streamlearn.score.silhouette import SilhouetteSample
from streamlearn.testing import check_metric, check_metric_merges


@pytest.fixture(params=[0.0, 1e6])
def clustered(request):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) + 4 * rng.integers(0, 3, (200, 1)) + request.param
    model = KMeans(4, n_init=1, random_state=0).fit(X)
    return X, model


def test_spreads(clustered):
    X, model = clustered
    near = X - X[0]
    expected = {
        "inertia": float(np.square(X - model.cluster_centers_[model.labels_]).sum()),
        "calinski_harabasz_score": metrics.calinski_harabasz_score(near, model.labels_),
    }
    # Inertia about centres of 1e6 is that of rows that were rounded there.
    check_metric(
        lambda: ClusterSpreads(4, 3, model.cluster_centers_),
        X,
        Answers(model.labels_),
        expected,
        rtol=1e-12 if X[0, 0] < 1e5 else 1e-9,
    )
    found = ClusterSpreads(4, 3).states(
        sparse.csr_matrix(X), Answers(model.labels_), None, np.zeros(200, np.intp), 1
    )
    value = ClusterSpreads(4, 3).values(found)["calinski_harabasz_score"][0]
    assert value == pytest.approx(expected["calinski_harabasz_score"], rel=1e-9)


def test_weighted_inertia():
    rng = np.random.default_rng(1)
    X, weight = rng.normal(size=(100, 2)), rng.uniform(0.1, 3.0, 100)
    model = KMeans(3, n_init=1, random_state=0).fit(X, sample_weight=weight)
    value = -model.score(X, sample_weight=weight)
    check_metric(
        lambda: ClusterSpreads(3, 2, model.cluster_centers_),
        X,
        Answers(model.predict(X)),
        {"inertia": value},
        weight=weight,
        rtol=1e-11,
    )


def test_davies_bouldin_in_a_second_pass(clustered):
    X, model = clustered
    statistic = ClusterSpreads(4, 3)
    state = statistic.states(X, Answers(model.labels_), None, np.zeros(200, np.intp), 1)
    means = statistic.means(state)
    expected = {"davies_bouldin_score": metrics.davies_bouldin_score(X - X[0], model.labels_)}
    check_metric(
        lambda: ClusterDistances(means),
        X,
        Answers(model.labels_),
        expected,
        rtol=1e-12 if X[0, 0] < 1e5 else 1e-9,
        atol=1e-9,
    )


def test_clusters_that_are_empty_or_alone():
    X = np.array([[0.0], [2.0], [10.0], [12.0], [99.0]])
    labels = np.array([0, 0, 3, 3, -1])
    expected = {"calinski_harabasz_score": metrics.calinski_harabasz_score(X[:4], labels[:4])}
    check_metric(lambda: ClusterSpreads(5, 1), X, Answers(labels), expected)
    one = np.zeros(5, dtype=int)
    check_metric(lambda: ClusterSpreads(5, 1), X, Answers(one), {"calinski_harabasz_score": np.nan})
    check_metric(lambda: ClusterDistances(X), X, Answers(one), {"davies_bouldin_score": np.nan})
    with pytest.raises(UsageError, match="cluster 3, and there are 2"):
        ClusterSpreads(2, 1).states(X, Answers(labels), None, one, 1)


def test_silhouette_of_a_sample():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(500, 2)) + 5 * rng.integers(0, 2, (500, 1))
    labels = (X[:, 0] > 2.5).astype(int)
    answers = Answers(labels, numbers=np.arange(500))
    whole = {"silhouette_sample": metrics.silhouette_score(X, labels)}
    check_metric_merges(lambda: SilhouetteSample(500), X, answers, whole)
    score = SilhouetteSample(100)
    score.update(X, answers)
    value = score.value()["silhouette_sample"]
    assert value == pytest.approx(whole["silhouette_sample"], abs=0.05)
    check_metric_merges(
        lambda: SilhouetteSample(100), X, answers, {"silhouette_sample": value}, rtol=0.0
    )
    assert np.isnan(SilhouetteSample().value()["silhouette_sample"])
    with pytest.raises(UsageError, match="their numbers, which are not given"):
        score.update(X, Answers(labels))
