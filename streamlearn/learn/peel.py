"""The model inside an estimator: under pipelines, and behind a transformed target."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamlearn.learn.registry import Learner, find_recipe

__all__ = ["Peeled", "is_transformed_target", "on_its_own", "peel"]


@dataclass
class Peeled:
    """An estimator taken apart: steps before the model, the model, and its target's transformer."""

    whole: Any
    """The estimator; the caller's own copy."""
    steps: list[tuple[str, Any]]
    """Every step before the model, in order, with its path; empty where there is none."""
    model: Any
    """What learns in order, a part of ``whole``; None where all of it are transformers."""
    target: Any
    """Unfitted transformer of the target, or None."""
    path: str
    """Of the model."""
    last: Any
    """The innermost last step, model or not."""

    def assemble(self, fitted: Sequence[Any], target: Any) -> Any:
        """Put the fitted steps and the fitted transformer of the target where they belong."""
        return _assemble(self.whole, list(fitted), self.model, target)


def peel(whole: Any) -> Peeled:
    """Find the model inside an estimator.

    Parameters
    ----------
    whole : estimator
        The caller's own copy.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.linear_model import SGDRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler, StandardScaler
    >>> inner = make_pipeline(MinMaxScaler(), SGDRegressor())
    >>> found = peel(TransformedTargetRegressor(inner, transformer=StandardScaler()))
    >>> found.steps, found.model, found.target
    ([('regressor.minmaxscaler', MinMaxScaler())], SGDRegressor(), StandardScaler())
    """
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    steps: list[tuple[str, Any]] = []
    target, current, path = None, whole, ""
    while True:
        if isinstance(current, Pipeline):
            before, (name, last) = current.steps[:-1], current.steps[-1]
            steps += [(_join(path, name), step) for name, step in before]
            current, path = last, _join(path, name)
        elif is_transformed_target(current) and target is None:
            target = _target_transformer(current)
            current.regressor_ = clone(current._get_regressor())
            current, path = current.regressor_, _join(path, "regressor")
        else:
            break
    learns = current is not None and not isinstance(current, str)
    if not learns or not isinstance(find_recipe(current), Learner):
        return Peeled(whole, [], None, target, path, current)
    return Peeled(whole, steps, current, target, path, current)


def is_transformed_target(estimator: Any) -> bool:
    """Whether an estimator is scikit-learn's TransformedTargetRegressor."""
    from sklearn.compose import TransformedTargetRegressor

    return isinstance(estimator, TransformedTargetRegressor)


def _target_transformer(estimator: Any) -> Any:
    from sklearn.base import clone
    from sklearn.preprocessing import FunctionTransformer

    if estimator.transformer is not None:
        return clone(estimator.transformer)
    step = FunctionTransformer(
        func=estimator.func,
        inverse_func=estimator.inverse_func,
        validate=True,
        check_inverse=estimator.check_inverse,
    )
    return step.set_output(transform="default")


def _assemble(current: Any, fitted: list[Any], model: Any, target: Any) -> Any:
    from sklearn.pipeline import Pipeline

    if isinstance(current, Pipeline):
        names = [name for name, _ in current.steps]
        inner = current.steps[-1][1]
        mine, rest = fitted[: len(names) - 1], fitted[len(names) - 1 :]
        last = _assemble(inner, rest, model, target)
        current.steps = list(zip(names, [*mine, last], strict=True))
        return current
    if current is not model:
        current.regressor_ = _assemble(current.regressor_, fitted, model, target)
        _finish_target(current, target)
        return current
    return model


def _finish_target(estimator: Any, target: Any) -> None:
    estimator.transformer_ = target
    estimator._training_dim = 1
    names = getattr(estimator.regressor_, "feature_names_in_", None)
    if names is not None:
        estimator.feature_names_in_ = names


def on_its_own(peeled: Peeled, target: Any) -> Any:
    """Return what predicts from prepared rows: the model, or it with its target transformed back."""
    if target is None:
        return peeled.model
    estimator = peeled.whole
    while not is_transformed_target(estimator):
        estimator = estimator.steps[-1][1]
    short = copy.copy(estimator)
    short.regressor_ = peeled.model
    _finish_target(short, target)
    return short


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
