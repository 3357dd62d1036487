"""What to measure of models, from what the user asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import UsageError
from streamlearn.learn.sequential import is_classifier
from streamlearn.score.base import Score, Statistic
from streamlearn.score.choose import default_metrics, statistics_for
from streamlearn.score.clusters import ClusterSpreads
from streamlearn.score.gates import parse_gate
from streamlearn.score.measures import Measures
from streamlearn.score.names import greater_is_better, metric_names
from streamlearn.score.ranking import RANKINGS

__all__ = ["EvaluateOptions", "classes_of", "measures_of", "measures_of_clusters"]

_SORTED = (*RANKINGS, "median_absolute_error")
_MAIN = {"regressor": "rmse", "classifier": "accuracy"}


@dataclass(frozen=True)
class EvaluateOptions:
    """What the user asked for, beside models and data; see `streamlearn.evaluate`."""

    metrics: tuple[str, ...] = ()
    exact: bool | tuple[str, ...] = False
    slice_by: tuple[str, ...] = ()
    fairness_by: tuple[str, ...] = ()
    positive: Any = None
    require: tuple[str, ...] = ()
    confidence: float = 0.95
    draws: int = 400
    random_state: int = 0
    slices: int = 1_000
    least_rows: int = 30
    segments: int = 50
    chunk_size: int | None = None
    threads: int | None = None
    scratch_dir: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise UsageError(
                f"confidence must be between 0 and 1, such as 0.95, not {self.confidence!r}"
            )
        for name, least in (("draws", 20), ("slices", 1), ("least_rows", 1), ("segments", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name} must be a whole number from {least} on, not {value!r}")
        if not isinstance(self.random_state, int) or self.random_state < 0:
            raise UsageError(
                f"random_state must be a whole number from 0 on, not {self.random_state!r}"
            )

    def plain(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {**asdict(self), "positive": None if self.positive is None else str(self.positive)}


def classes_of(models: Mapping[str, Any]) -> NDArray[Any] | None:
    """Return the classes all models know; None of regressors."""
    found = [
        getattr(model, "classes_", None) if is_classifier(model) else None
        for model in models.values()
    ]
    first = found[0]
    for name, other in zip(models, found, strict=True):
        same = first is other or (
            first is not None and other is not None and np.array_equal(first, other)
        )
        if not same:
            raise UsageError(
                f"{name} cannot be compared: its classes are {_told(other)}, and those of "
                f"{next(iter(models))} are {_told(first)}"
            )
    return first


def _told(classes: Any) -> str:
    if classes is None:
        return "none (it predicts numbers)"
    shown = ", ".join(map(str, classes[:10].tolist()))
    return shown + (", ..." if len(classes) > 10 else "")


def measures_of(classes: NDArray[Any] | None, options: EvaluateOptions) -> Measures:
    """Return what is measured: the metrics asked for or the usual ones, and those of gates."""
    kind, count = ("regressor", 0) if classes is None else ("classifier", len(classes))
    gates = [parse_gate(text).metric for text in options.require]
    first = list(options.metrics) or default_metrics(kind, count)
    asked = metric_names([*first, *gates], kind, count)
    names = list(dict.fromkeys(item.name for item in asked))
    exact: Sequence[str] = options.exact if not isinstance(options.exact, bool) else ()
    if options.exact is True:
        exact = [name for name in names if name in _SORTED]
    drawn = ["calibration_error"] if classes is not None and not options.metrics else []

    def parts(chosen: Sequence[str] | None = None) -> Sequence[Statistic | Score]:
        if chosen is not None:
            return statistics_for(kind, classes, chosen)
        folder = options.scratch_dir
        return statistics_for(kind, classes, [*names, *drawn], exact, scratch_dir=folder)

    main = options.metrics[0] if options.metrics else _MAIN[kind]
    (own,) = metric_names([main], kind, count)
    return Measures(kind, parts, asked, classes, main, own.sign < 0 or greater_is_better(own.name))


def measures_of_clusters(models: Sequence[Any], options: EvaluateOptions) -> Measures:
    """Return what is measured of a clusterer without a target."""
    centers = getattr(models[0], "cluster_centers_", None)
    if len(models) > 1 or centers is None:
        raise UsageError(
            "without a target one clusterer with cluster_centers_ can be evaluated, and compared "
            "with none; name a target with target= or --target"
        )
    gates = [parse_gate(text).metric for text in options.require]
    first = list(options.metrics) or default_metrics("clusterer")
    asked = metric_names([*first, *gates], "clusterer")
    known = ClusterSpreads(len(centers), centers.shape[1], centers).names
    later = [item.asked for item in asked if item.name not in known]
    if later:
        raise UsageError(
            f"{', '.join(later)} takes more than one pass; those of one are: {', '.join(known)}"
        )

    def parts(_: Sequence[str] | None = None) -> Sequence[Statistic | Score]:
        return [ClusterSpreads(len(centers), centers.shape[1], centers)]

    own = asked[0]
    better = own.sign < 0 or greater_is_better(own.name)
    return Measures("clusterer", parts, asked, None, own.asked, better)
