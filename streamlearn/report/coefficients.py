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
    of: str
    """The class or the target it is for, where there are several; otherwise empty."""
    value: float
    share: float
    """Of the largest, by absolute value: 0 to 1."""


@dataclass(frozen=True)
class Coefficients:
    """The largest coefficients, or a sentence that says why there are none."""

    rows: tuple[Coefficient, ...]
    note: str
    total: int = 0
    of: str = ""
    """What `Coefficient.of` is: class or target."""


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
        Without rows, and with the reason as its note, where the model has no coefficients.
    """
    import numpy as np

    model = final_step(estimator)
    name = type(model).__name__
    found = getattr(model, "coef_", None)
    if found is None:
        return Coefficients((), f"{name} has no coefficients (coef_).")
    values = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    if values.dtype.kind not in "fiu" or values.ndim > 2:
        shape = " x ".join(f"{size:,}" for size in values.shape)
        return Coefficients(
            (), f"{name} has coefficients of shape {shape}, which have no features."
        )
    if not values.size:
        return Coefficients((), f"{name} has no coefficients: its coef_ is empty.")
    values = np.atleast_2d(values)
    several, width = len(values) > 1, values.shape[1]
    chosen = _largest(values, most)
    names, note = _feature_names(estimator, width)
    whose = _whose(model, len(values)) if several else [""]
    largest = float(abs(values[chosen[0]])) or 1.0
    rows = tuple(
        Coefficient(
            f"feature {column:,}" if names is None else str(names[column]),
            whose[row],
            float(values[row, column]),
            float(abs(values[row, column])) / largest,
        )
        for row, column in chosen
    )
    told = " ".join(filter(None, (_meaning(model, several=several), note)))
    of = (
        "" if not several else "class" if getattr(model, "classes_", None) is not None else "target"
    )
    return Coefficients(rows, told, int(values.size), of)


def _whose(model: Any, count: int) -> list[str]:
    """Name the class, or number the target, of each row of coefficients."""
    classes = getattr(model, "classes_", None)
    if classes is not None and len(classes) == count:
        return [str(item) for item in classes]
    return [f"{number:,}" for number in range(count)]


def _largest(values: Any, most: int) -> list[tuple[int, int]]:
    """Return row and column of the largest by absolute value, in order; a row at a time."""
    import numpy as np

    found: list[tuple[float, int, int]] = []
    for row, line in enumerate(values):
        sizes = np.abs(line)
        kept = np.argpartition(sizes, -most)[-most:] if sizes.size > most else range(sizes.size)
        found += [(-float(sizes[column]), row, int(column)) for column in kept]
        found = sorted(found)[:most]
    return [(row, column) for _, row, column in found]


def _meaning(model: Any, *, several: bool) -> str:
    classes = getattr(model, "classes_", None)
    if classes is None:
        return "In units of the target, for each unit of the feature as the model sees it."
    unit = "In units of the decision function, for each unit of the feature as the model sees it"
    if several:
        return f"{unit}; above zero speaks for the class, below against it."
    if len(classes) != 2:
        return f"{unit}."
    return (
        f"{unit}; above zero speaks for class {str(classes[1])!r}, below for {str(classes[0])!r}."
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
