"""Metrics by name: scikit-learn's names mean what they mean there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, get_scorer_names

from streamlearn.errors import UsageError
from streamlearn.score.base import Answers, answers_of
from streamlearn.score.choose import as_asked, default_metrics, statistics_for
from streamlearn.score.losses import RowMetric
from streamlearn.score.names import greater_is_better, known_names, metric_names
from streamlearn.score.scores import Scores

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
TARGETS = {
    "regressor": np.exp(X[:, 0] / 2 + RNG.normal(size=300) / 3) + 0.1,
    2: (X[:, 0] + RNG.normal(size=300) > 0).astype(int),
    3: np.digitize(X[:, 0] + RNG.normal(size=300), [-0.5, 0.5]),
}
SUPERVISED = {
    "rand_score",
    "adjusted_rand_score",
    "homogeneity_score",
    "completeness_score",
    "v_measure_score",
    "mutual_info_score",
    "adjusted_mutual_info_score",
    "normalized_mutual_info_score",
    "fowlkes_mallows_score",
}


def fitted(kind):
    model = LinearRegression() if kind == "regressor" else LogisticRegression()
    y = TARGETS[kind]
    if kind == "regressor":
        # Predictions above 0, for those metrics that need them.
        model.fit(X, y)
        model.intercept_ += 5.0
        return model, y
    return model.fit(X, y), y


@pytest.mark.parametrize("kind", ["regressor", 2, 3])
def test_every_scorer_of_scikit_learn_that_is_known_gives_its_value(kind):
    model, y = fitted(kind)
    classes = None if kind == "regressor" else model.classes_
    what = "regressor" if kind == "regressor" else "classifier"
    known = 0
    for name in get_scorer_names():
        try:
            asked = metric_names([name], what, kind if kind != "regressor" else 2)
        except UsageError:
            continue
        if name == "top_k_accuracy" and kind == 2:
            continue
        scores = Scores(statistics_for(what, classes, [name]), classes)
        for at in range(0, 300, 70):
            rows = slice(at, at + 70)
            scores.update(y[rows], answers_of(model, X[rows]))
        found = as_asked(scores.value(), asked)[name]
        bound = scores.bounds().get(asked[0].name, 0.0)
        assert abs(found - get_scorer(name)(model, X, y)) <= bound + 1e-12, name
        known += 1
    assert known >= {"regressor": 12, 2: 20, 3: 20}[kind]


def test_what_scikit_learn_has_and_we_have_not_is_said():
    told = set()
    for name in get_scorer_names():
        known = False
        for kind, classes in (("classifier", 2), ("classifier", 3), ("regressor", 2)):
            try:
                metric_names([name], kind, classes)
                known = True
            except UsageError as error:
                assert "choose" in str(error) or "known are" in str(error)
        if not known:
            told.add(name)
    assert told - SUPERVISED == {
        "d2_absolute_error_score",
        "d2_brier_score",
        "d2_log_loss_score",
        "f1_samples",
        "jaccard_samples",
        "neg_negative_likelihood_ratio",
        "positive_likelihood_ratio",
        "precision_samples",
        "recall_samples",
        "roc_auc_ovo",
        "roc_auc_ovo_weighted",
    }


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("rmsee", "regressor", "no metric of a regressor; did you mean 'rmse'.* known are: r2, "),
        ("acuracy", "classifier", "did you mean 'accuracy'"),
        ("f1_macro", "regressor", "no metric of a regressor, but of a classifier;"),
        ("neg_r2", "regressor", "'neg_r2' is no metric"),
        ("roc_auc_ovo", "classifier", "every pair of classes; choose roc_auc_ovr"),
        ("silhouette_score", "clusterer", "choose silhouette_sample"),
    ],
)
def test_unknown_names(name, kind, text):
    with pytest.raises(UsageError, match=text):
        metric_names([name], kind)


def test_metrics_of_two_classes_are_not_for_three():
    for name in ("roc_auc", "f1", "precision"):
        with pytest.raises(UsageError, match="two classes, and there are 3; choose"):
            metric_names([name], "classifier", 3)


@pytest.mark.parametrize("kind", ["regressor", 2, 3])
def test_the_default(kind):
    model, y = fitted(kind)
    classes = None if kind == "regressor" else model.classes_
    what = "regressor" if kind == "regressor" else "classifier"
    names = default_metrics(what, kind if kind != "regressor" else 2)
    scores = Scores(statistics_for(what, classes), classes)
    assert scores.value() == {}
    scores.update(y, answers_of(model, X))
    assert sorted(scores.value()) == sorted(names)
    assert scores.missing() == []
    labels_only = Scores(statistics_for(what, classes), classes)
    labels_only.update(y, Answers(model.predict(X)))
    assert set(labels_only.value()) == {
        name
        for name in names
        if kind == "regressor" or "macro" in name or name.endswith(("y", "f", "pa"))
    }


def test_exact_on_request():
    model, y = fitted(2)
    parts = statistics_for("classifier", model.classes_, ["roc_auc", "log_loss"], {"roc_auc"})
    scores = Scores(parts, model.classes_)
    other = Scores(
        statistics_for("classifier", model.classes_, ["roc_auc", "log_loss"], {"roc_auc"}),
        model.classes_,
    )
    scores.update(y[:100], answers_of(model, X[:100]))
    other.update(y[100:], answers_of(model, X[100:]))
    scores.merge(other)
    assert scores.rows == 300
    assert scores.bounds() == {}
    assert scores.value()["roc_auc"] == pytest.approx(get_scorer("roc_auc")(model, X, y), rel=1e-12)
    with pytest.raises(UsageError, match="'log_loss' is exact as it is"):
        statistics_for("classifier", model.classes_, ["log_loss"], {"log_loss"})
    with pytest.raises(UsageError, match="not among the metrics"):
        statistics_for("classifier", model.classes_, ["log_loss"], {"roc_auc"})


def test_names_with_numbers_and_metrics_of_ones_own():
    within = RowMetric("within", lambda y, said: np.abs(y - said) < 1, greater_is_better=True)
    scores = Scores(statistics_for("regressor", None, ["pinball_0.9", "tweedie_1.5", within]))
    scores.update(TARGETS["regressor"], Answers(TARGETS["regressor"]))
    found = scores.value()
    assert found["within"] == 1.0
    assert found["pinball_0.9"] == 0.0
    assert found["tweedie_1.5"] == pytest.approx(0.0, abs=1e-12)
    other = RowMetric("same", lambda y, said: y == said, greater_is_better=True, numeric=False)
    names = np.array(["a", "b"], dtype=object)
    scores = Scores(statistics_for("classifier", names, ["f0.5_macro", "top_5_accuracy", other]))
    scores.update(names, Answers(names))
    assert scores.value() == {"f0.5_macro": 1.0, "same": 1.0}


def test_one_class_alone():
    classes = np.array(["a"])
    scores = Scores(statistics_for("classifier", classes), classes)
    y = np.array(["a", "a"])
    scores.update(y, Answers(y, np.ones((2, 1))))
    assert scores.value()["accuracy"] == 1.0
    assert scores.value()["log_loss"] == pytest.approx(0.0, abs=1e-15)
    assert scores.missing() == ["cohen_kappa", "roc_auc_ovr"]


def test_which_is_better():
    smaller = [*known_names("regressor")[2:], "log_loss", "hinge_loss", "pinball_0.9", "inertia"]
    assert not any(map(greater_is_better, smaller))
    assert all(map(greater_is_better, ["r2", "accuracy", "roc_auc", "f2_macro", "top_3_accuracy"]))
