"""Metrics by name: ours, and scikit-learn's ``scoring=`` strings and functions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from streamlearn.errors import UsageError
from streamlearn.score.confusion import confusion_metric
from streamlearn.score.probability import class_loss
from streamlearn.score.ranking import RANKINGS
from streamlearn.score.regression import LOSSES

__all__ = ["Asked", "greater_is_better", "is_known", "known_names", "metric_names"]

_CONFUSED = ("accuracy", "balanced_accuracy", "matthews_corrcoef", "cohen_kappa")
_AVERAGED = ("precision", "recall", "f1", "jaccard")
_PROBABLE = ("log_loss", "brier_score", "hinge_loss", "top_k_accuracy", "calibration_error")
_REGRESSOR = ("r2", "explained_variance", "max_error", "median_absolute_error", *LOSSES)
_CLUSTERER = (
    "inertia",
    "calinski_harabasz_score",
    "davies_bouldin_score",
    "silhouette_sample",
)

_FUNCTIONS = {
    "accuracy_score": "accuracy",
    "average_precision_score": "average_precision",
    "balanced_accuracy_score": "balanced_accuracy",
    "brier_score_loss": "brier_score",
    "cohen_kappa_score": "cohen_kappa",
    "explained_variance_score": "explained_variance",
    "f1_score": "f1",
    "jaccard_score": "jaccard",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_error": "mse",
    "mean_squared_log_error": "msle",
    "precision_score": "precision",
    "r2_score": "r2",
    "recall_score": "recall",
    "roc_auc_score": "roc_auc",
    "root_mean_squared_error": "rmse",
    "root_mean_squared_log_error": "rmsle",
    "top_k_accuracy_score": "top_k_accuracy",
}
"""What scikit-learn calls the function or the scorer, and we the metric."""

_REFUSED = {
    "roc_auc_ovo": "ranks every pair of classes; choose roc_auc_ovr",
    "roc_auc_ovo_weighted": "ranks every pair of classes; choose roc_auc_ovr_weighted",
    "d2_absolute_error_score": "compares with the median of the target; choose mae or r2",
    "d2_pinball_score": "compares with a quantile of the target; choose pinball_0.5 or the like",
    "d2_log_loss_score": "is not offered; choose log_loss",
    "d2_brier_score": "is not offered; choose brier_score",
    "silhouette_score": "compares every pair of rows; choose silhouette_sample",
}

_SMALLER = re.compile(
    r"(mse|rmse|mae|mape|msle|rmsle|max_error|median_absolute_error|mean_pinball_loss"
    r"|mean_\w+_deviance|pinball_.*|tweedie_.*|log_loss|brier_score|hinge_loss"
    r"|calibration_error|inertia|davies_bouldin_score)"
)


@dataclass(frozen=True)
class Asked:
    """A metric that somebody asked for."""

    asked: str
    """The name as it was asked for: what to report it by."""
    name: str
    """Our name of the metric."""
    sign: float = 1.0
    """-1 where the negative was asked for, as ``neg_root_mean_squared_error``."""


def known_names(kind: str, classes: int = 2) -> list[str]:
    """Return the names of metrics, without those that have a number in them.

    Parameters
    ----------
    kind : {"classifier", "regressor", "clusterer"}
    classes : int
        Of a classifier.
    """
    if kind == "regressor":
        return list(_REGRESSOR)
    if kind == "clusterer":
        return list(_CLUSTERER)
    averages = ("_macro", "_micro", "_weighted", *([""] if classes == 2 else []))
    names = [*_CONFUSED, *(name + how for name in _AVERAGED for how in averages), *_PROBABLE]
    return names + [name for name in RANKINGS if classes == 2 or name not in {"roc_auc", "ks"}]


def is_known(name: str, kind: str, classes: int = 2) -> bool:
    """Return whether a name, perhaps with a number in it, is one of ours.

    Raises
    ------
    UsageError
        If the metric is of two classes, and there are more.

    Examples
    --------
    >>> [is_known(name, "regressor") for name in ("rmse", "pinball_0.9", "f1_macro")]
    [True, True, False]
    """
    if name in known_names(kind, classes):
        return True
    if kind == "regressor":
        return re.fullmatch(r"(pinball|tweedie)_-?\d*\.?\d+", name) is not None
    if kind == "classifier":
        return confusion_metric(name, classes) is not None or class_loss(name, classes) is not None
    return False


def greater_is_better(name: str) -> bool:
    """Return whether more of a metric is better: true of scores, false of errors and losses.

    Examples
    --------
    >>> greater_is_better("r2"), greater_is_better("rmse")
    (True, False)
    """
    return _SMALLER.fullmatch(name) is None


def metric_names(wanted: Sequence[str], kind: str, classes: int = 2) -> list[Asked]:
    """Return which metrics are meant, each once.

    Parameters
    ----------
    wanted : sequence of str
        Our names, scikit-learn's ``scoring=`` strings, or names of its functions.
    kind : {"classifier", "regressor", "clusterer"}
    classes : int
        Of a classifier.

    Raises
    ------
    UsageError
        If a name is unknown, with those that are known and the nearest; or if the metric cannot
        be streamed, with what to choose.

    Examples
    --------
    >>> metric_names(["neg_root_mean_squared_error"], "regressor")
    [Asked(asked='neg_root_mean_squared_error', name='rmse', sign=-1.0)]
    """
    found = [_meant(name, kind, classes) for name in wanted]
    return list(dict.fromkeys(found))


def _meant(asked: str, kind: str, classes: int) -> Asked:
    sign, plain = (-1.0, asked[4:]) if asked.startswith("neg_") else (1.0, asked)
    name = _FUNCTIONS.get(plain, plain)
    if sign < 0 and greater_is_better(name):
        name = asked
    if name in _REFUSED:
        raise UsageError(f"metric {asked!r} {_REFUSED[name]}")
    if name in {"roc_auc", "ks"} and kind == "classifier" and classes > 2:
        raise UsageError(
            f"{asked!r} is a metric of two classes, and there are {classes}; "
            "choose roc_auc_ovr or roc_auc_ovr_weighted"
        )
    if is_known(name, kind, classes):
        return Asked(asked, name, sign)
    raise UsageError(_unknown(asked, name, kind, classes))


def _unknown(asked: str, name: str, kind: str, classes: int) -> str:
    known = known_names(kind, classes)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    for other in ("classifier", "regressor", "clusterer"):
        if other != kind and is_known(name, other, 2):
            hint = f", but of a {other};"
    return f"{asked!r} is no metric of a {kind}{hint} known are: {', '.join(known)}"
