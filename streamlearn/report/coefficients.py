"""The coefficients that weigh most, with the names of their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Coefficient", "Coefficients", "coefficients_of", "final_step"]

_MOST_NAMES = 50_000
"""Names of more features than these take more memory than a report should."""
_NAMELESS = (AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError)
"""What scikit-learn raises where a step cannot name its columns."""


@dataclass(frozen=True)
class Coefficient:
    """One feature's weight."""

    name: str
    value: float
    share: float
    """Of the largest, by absolute value: 0 to 1."""


@dataclass(frozen=True)
class Coefficients:
    """The largest coefficients, or a sentence that says why there are none."""

    rows: tuple[Coefficient, ...]
    note: str
    total: int = 0


def final_step(estimator: Any) -> Any:
    """Return the model at the end of a pipeline, or the estimator itself.

    Parameters
    ----------
    estimator : Pipeline or estimator
    """
    steps = getattr(estimator, "steps", None)
    if not steps or isinstance(steps[-1][1], str) or steps[-1][1] is None:
        return estimator
    return steps[-1][1]


def coefficients_of(estimator: Any, most: int = 30) -> Coefficients:
    """Return the largest coefficients by absolute value.

    Parameters
    ----------
    estimator : Pipeline or estimator
        Fitted.
    most : int, default 30

    Returns
    -------
    Coefficients
        Without rows, and with the reason as its note, where the model has no single row of
        coefficients.
    """
    import numpy as np

    model = final_step(estimator)
    name = type(model).__name__
    found = getattr(model, "coef_", None)
    if found is None:
        return Coefficients((), f"{name} has no coefficients (coef_).")
    values = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    if values.dtype.kind not in "fiu" or (values.ndim > 1 and values.shape[0] != 1):
        shape = " x ".join(f"{size:,}" for size in values.shape)
        return Coefficients((), f"{name} has coefficients of shape {shape}: too many to rank.")
    values = values.ravel()
    if not values.size:
        return Coefficients((), f"{name} has no coefficients: its coef_ is empty.")
    sizes = np.abs(values)
    order = np.argsort(-sizes, kind="stable")[:most] if values.size <= most else _top(sizes, most)
    names, note = _feature_names(estimator, values.size)
    largest = float(sizes[order[0]]) or 1.0
    rows = tuple(
        Coefficient(
            f"feature {index:,}" if names is None else str(names[index]),
            float(values[index]),
            float(sizes[index]) / largest,
        )
        for index in order
    )
    return Coefficients(rows, " ".join(filter(None, (_meaning(model), note))), int(values.size))


def _top(sizes: Any, most: int) -> Any:
    import numpy as np

    chosen = np.argpartition(sizes, -most)[-most:]
    return chosen[np.lexsort((chosen, -sizes[chosen]))]


def _meaning(model: Any) -> str:
    classes = getattr(model, "classes_", None)
    if classes is None or len(classes) != 2:
        return "In units of the target, for each unit of the feature as the model sees it."
    return (
        f"In units of the decision function, for each unit of the feature as the model sees it; "
        f"above zero speaks for class {str(classes[1])!r}, below for {str(classes[0])!r}."
    )


def _feature_names(estimator: Any, total: int) -> tuple[Any, str]:
    """Return the model's feature names, or None and a sentence that says why."""
    if total > _MOST_NAMES:
        return None, f"Features are numbered from 0: {total:,} names are too many to make."
    if len(getattr(estimator, "steps", ())) > 1:
        try:
            names = estimator[:-1].get_feature_names_out()
        except _NAMELESS:
            names = None
    else:
        names = getattr(final_step(estimator), "feature_names_in_", None)
    if names is None or len(names) != total:
        return None, "Features are numbered from 0: the steps before the model name none."
    return names, ""
