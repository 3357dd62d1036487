"""A model is asked once, and says the same bits as when it is asked for each thing alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from streamlearn.score.base import answers_of

MODELS = [
    SGDClassifier(loss="log_loss", random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0),
    SGDClassifier(loss="hinge", random_state=0),
    Perceptron(),
    LogisticRegression(),
    RidgeClassifier(),
    LinearSVC(),
    LinearDiscriminantAnalysis(),
    GaussianNB(),
    BernoulliNB(),
    MultinomialNB(),
    RandomForestClassifier(5, random_state=0),
    ExtraTreesClassifier(5, random_state=0),
    MLPClassifier((4,), max_iter=20, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_same_bits(model, classes):
    X, y = make_classification(
        300, n_classes=classes, n_informative=5, n_features=8, random_state=0
    )
    X = np.abs(X)
    names = np.array(["a", "b", "c"], dtype=object)[y]
    for target in (y, names):
        model.fit(X, target)
        before = dict(vars(model))
        found = answers_of(model, X)
        np.testing.assert_array_equal(found.labels, model.predict(X))
        if hasattr(model, "predict_proba"):
            np.testing.assert_array_equal(found.probabilities, model.predict_proba(X))
        else:
            assert found.probabilities is None
        if found.decisions is not None:
            np.testing.assert_array_equal(found.decisions, model.decision_function(X))
        assert found.probabilities is not None or found.decisions is not None
        assert vars(model).keys() == before.keys()


def test_linear_classifiers_are_asked_once(monkeypatch):
    X, y = make_classification(50, random_state=0)
    model = SGDClassifier(loss="log_loss", random_state=0).fit(X, y)
    calls = []
    ask = SGDClassifier.decision_function
    monkeypatch.setattr(
        SGDClassifier, "decision_function", lambda self, X: calls.append(1) or ask(self, X)
    )
    answers_of(model, X)
    assert len(calls) == 1


def test_somebody_elses_class_is_asked_for_everything():
    class Own(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def predict(self, X):
            return np.ones(len(X), dtype=int)

        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    found = answers_of(Own(), np.zeros((3, 1)))
    assert found.labels.tolist() == [1, 1, 1]
    assert found.probabilities.tolist() == [[0.5, 0.5]] * 3
    assert found.decisions is None


def test_a_regressor_has_labels_only():
    X = np.arange(5.0)[:, None]
    found = answers_of(LinearRegression().fit(X, X[:, 0]), X)
    assert found.probabilities is None
    assert found.decisions is None
