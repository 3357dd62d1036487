"""Which statistics yield the metrics that are wanted."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.score.base import Score, Statistic
from streamlearn.score.calibration import Calibration
from streamlearn.score.confusion import Confusion, confusion_metric
from streamlearn.score.exact import ExactMedianError, ExactRanking
from streamlearn.score.losses import MeanLosses, RowMetric
from streamlearn.score.median import MedianError
from streamlearn.score.names import Asked, metric_names
from streamlearn.score.probability import ClassLosses, class_loss
from streamlearn.score.ranking import RANKINGS, Ranking, prefers_decisions
from streamlearn.score.regression import LOSSES, Explained, LargestError, pinball, tweedie
from streamlearn.score.scores import Scores

__all__ = ["as_asked", "default_metrics", "held_out_scores", "statistics_for"]

_RANKED_CLASSES = 20
"""Classes up to which each has a histogram without being asked for."""

_HELD_OUT = ("accuracy", "balanced_accuracy", "f1_macro", "matthews_corrcoef")

Part = Statistic | Score


def default_metrics(kind: str, classes: int = 2) -> list[str]:
    """Return the names of the metrics that nobody has to ask for.

    Parameters
    ----------
    kind : {"classifier", "regressor", "clusterer"}
    classes : int
        Of a classifier.
    """
    if kind == "regressor":
        return [
            "r2",
            "rmse",
            "mse",
            "mae",
            "median_absolute_error",
            "max_error",
            "mape",
            "explained_variance",
        ]
    if kind == "clusterer":
        return ["inertia", "calinski_harabasz_score"]
    names = [*_HELD_OUT[:3], "precision_macro", "recall_macro", "matthews_corrcoef", "cohen_kappa"]
    names += ["log_loss", "brier_score"]
    if classes == 2:
        return [*names, "roc_auc", "average_precision"]
    return [*names, *(["roc_auc_ovr", "average_precision"] if classes <= _RANKED_CLASSES else [])]


def statistics_for(
    kind: str,
    classes: NDArray[Any] | None,
    wanted: Sequence[str | RowMetric] | None = None,
    exact: Collection[str] = (),
    *,
    outputs: int = 1,
    coarser: int = 0,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> list[Part]:
    """Return empty statistics that yield metrics, in their order as far as statistics share them.

    Parameters
    ----------
    kind : {"classifier", "regressor"}
        A clusterer has other inputs: see `streamlearn.score.clusters` and `.silhouette`.
    classes : array of shape (n_classes,) or None
        Of a classifier, sorted.
    wanted : sequence of str or RowMetric, optional
        As `streamlearn.score.names.metric_names` takes them; `default_metrics` by default.
    exact : collection of str
        Which of those that histograms give with a bound to sort on disk instead: "roc_auc" and
        its kin, "average_precision", "ks", "median_absolute_error".
    outputs : int
        Targets of a row, for a regressor.
    coarser : int
        Bits fewer for each bin of histograms, for states that there are many of.
    scratch_dir : path, optional
        Where exact metrics sort.

    Returns
    -------
    list of Statistic or Score
        Only the exact ones are a `streamlearn.score.base.Score`.

    Raises
    ------
    UsageError
        If a name is unknown or cannot be streamed, or a metric asked for exactly is exact already.

    Examples
    --------
    >>> [type(part).__name__ for part in statistics_for("regressor", None, ["rmse", "r2"])]
    ['MeanLosses', 'Explained']
    """
    count = 2 if classes is None else len(classes)
    asked = default_metrics(kind, count) if wanted is None else wanted
    own = [metric for metric in asked if isinstance(metric, RowMetric)]
    found = metric_names([name for name in asked if isinstance(name, str)], kind, count)
    names = list(dict.fromkeys(item.name for item in found))
    precise = {item.name for item in metric_names(sorted(exact), kind, count)}
    _check_exact(precise, names)
    if kind == "classifier":
        if classes is None:
            raise UsageError("the metrics of a classifier need its classes")
        parts = _of_classifier(np.asarray(classes), names, precise, coarser, scratch_dir)
    elif kind == "regressor":
        parts = _of_regressor(names, precise, outputs, coarser, scratch_dir)
    else:
        raise UsageError(f"a {kind} has other inputs than a truth; see streamlearn.score.clusters")
    for metric in own:
        parts.append(MeanLosses([metric], outputs if metric.numeric else 1))
    return parts


def _check_exact(precise: Collection[str], names: Sequence[str]) -> None:
    binned = [*RANKINGS, "median_absolute_error"]
    for name in precise:
        if name not in binned:
            raise UsageError(
                f"{name!r} is exact as it is; those that can be asked for exactly are: "
                f"{', '.join(binned)}"
            )
        if name not in names:
            raise UsageError(f"{name!r} is asked for exactly, but not among the metrics")


def _of_classifier(
    classes: NDArray[Any],
    names: Sequence[str],
    precise: Collection[str],
    coarser: int,
    scratch_dir: str | os.PathLike[str] | None,
) -> list[Part]:
    count = len(classes)
    made: dict[str, Any] = {
        "confusion": lambda chosen: Confusion(classes, chosen),
        "losses": lambda chosen: ClassLosses(classes, chosen),
        "calibration": lambda _: Calibration(classes),
    }
    for of in ("", " of decision values"):
        made["sorted" + of] = lambda chosen: ExactRanking(classes, chosen, scratch_dir)
        made["binned" + of] = lambda chosen: Ranking(classes, chosen, coarser)

    def family(name: str) -> str:
        if confusion_metric(name, count) is not None:
            return "confusion"
        if class_loss(name, count) is not None:
            return "losses"
        if name == "calibration_error":
            return "calibration"
        # What ranks probabilities and what ranks decision values are two histograms.
        of = " of decision values" if prefers_decisions([name]) else ""
        return ("sorted" if name in precise else "binned") + of

    return [made[kind](chosen) for kind, chosen in _families(names, family).items()]


def _of_regressor(
    names: Sequence[str],
    precise: Collection[str],
    outputs: int,
    coarser: int,
    scratch_dir: str | os.PathLike[str] | None,
) -> list[Part]:
    if "max_error" in names and outputs > 1:
        names = [name for name in names if name != "max_error"]
    median = "median_absolute_error"
    made: Mapping[str, Any] = {
        "explained": lambda chosen: Explained(outputs, chosen),
        "losses": lambda chosen: MeanLosses([_loss(name) for name in chosen], outputs),
        "max_error": lambda _: LargestError(),
        median: lambda _: (
            ExactMedianError(outputs, scratch_dir)
            if median in precise
            else MedianError(outputs, coarser)
        ),
    }

    def family(name: str) -> str:
        if name in {"max_error", median}:
            return name
        return "explained" if name in {"r2", "explained_variance"} else "losses"

    return [made[kind](chosen) for kind, chosen in _families(names, family).items()]


def _families(names: Sequence[str], family: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(family(name), []).append(name)
    return found


def _loss(name: str) -> RowMetric:
    if name in LOSSES:
        return LOSSES[name]
    kind, _, number = name.partition("_")
    return pinball(float(number)) if kind == "pinball" else tweedie(float(number))


def as_asked(values: Mapping[str, float], asked: Sequence[Asked]) -> dict[str, float]:
    """Return values by the names that were asked for, in that order and with that sign.

    Examples
    --------
    >>> as_asked({"rmse": 2.0}, metric_names(["neg_root_mean_squared_error"], "regressor"))
    {'neg_root_mean_squared_error': -2.0}
    """
    return {item.asked: item.sign * values[item.name] for item in asked if item.name in values}


def held_out_scores(classes: NDArray[Any] | None, outputs: int = 1) -> Scores:
    """Return empty scores for held-out rows of a fit: cheap metrics, all exact.

    Parameters
    ----------
    classes : array of shape (n_classes,) or None
        None for a regressor.
    outputs : int
        Targets of a row, for a regressor.
    """
    if classes is not None:
        return Scores(statistics_for("classifier", classes, [*_HELD_OUT, "log_loss"]), classes)
    names = ["r2", "rmse", "mse", "mae", *(["max_error"] if outputs == 1 else [])]
    return Scores(statistics_for("regressor", None, names, outputs=outputs))
