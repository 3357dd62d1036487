"""Which scikit-learn class learns from chunks in which way.

To add a way of fitting: write an accumulator (`streamlearn.learn.base.Accumulator`), and
`register` it for the class. Subclasses inherit it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.learn.base import Accumulator

__all__ = ["Exact", "Learner", "Recipe", "Stateless", "find_recipe", "register"]


@dataclass(frozen=True)
class Exact:
    """Fitted from mergeable statistics, equal to the fit in memory."""

    make: Callable[[Any], Accumulator]
    """Empty accumulator for an estimator."""


@dataclass(frozen=True)
class Stateless:
    """Learns nothing from rows; its own fit sees names and types only."""


@dataclass(frozen=True)
class Learner:
    """Learns from batches in order, through ``partial_fit``."""


Recipe = Exact | Stateless | Learner

_BUILT_IN: dict[str, str] = {
    "sklearn.impute.SimpleImputer": "streamlearn.learn.imputing.ImputerStatistics",
    "sklearn.preprocessing.MaxAbsScaler": "streamlearn.learn.extrema.Extrema",
    "sklearn.preprocessing.MinMaxScaler": "streamlearn.learn.extrema.Extrema",
    "sklearn.preprocessing.OneHotEncoder": "streamlearn.learn.categories.Categories",
    "sklearn.preprocessing.OrdinalEncoder": "streamlearn.learn.categories.Categories",
    "sklearn.preprocessing.StandardScaler": "streamlearn.learn.moments.ScalerMoments",
}
_STATELESS = {
    "AdditiveChi2Sampler",
    "Binarizer",
    "FeatureHasher",
    "FunctionTransformer",
    "HashingVectorizer",
    "Normalizer",
    "PolynomialFeatures",
}
_INSTEAD = {
    "LogisticRegression": "SGDClassifier(loss='log_loss')",
    "LinearRegression": "SGDRegressor()",
    "Ridge": "SGDRegressor(penalty='l2')",
    "Lasso": "SGDRegressor(penalty='l1')",
    "ElasticNet": "SGDRegressor(penalty='elasticnet')",
    "LinearSVC": "SGDClassifier(loss='hinge')",
    "SVC": "SGDClassifier(loss='hinge')",
    "LinearSVR": "SGDRegressor(loss='epsilon_insensitive')",
    "HuberRegressor": "SGDRegressor(loss='huber')",
    "KMeans": "MiniBatchKMeans()",
    "RobustScaler": "StandardScaler()",
    "PCA": "IncrementalPCA() as the last step",
}
_registered: dict[type, Recipe] = {}


def register(kind: type, recipe: Recipe) -> None:
    """Say how a class of estimators, and its subclasses, are fitted from chunks.

    Parameters
    ----------
    kind : type
        A scikit-learn compatible estimator class.
    recipe : Exact, Stateless or Learner

    Examples
    --------
    >>> class Logarithm:
    ...     def fit(self, X, y=None): return self
    ...     def transform(self, X): return np.log(X)
    >>> register(Logarithm, Stateless())
    >>> find_recipe(Logarithm())
    Stateless()
    """
    _registered[kind] = recipe


def find_recipe(estimator: Any) -> Recipe | None:
    """Return how an estimator is fitted from chunks, or None."""
    for kind in type(estimator).__mro__:
        if kind in _registered:
            return _registered[kind]
        package = kind.__module__.split(".")
        if package[0] == "sklearn" and len(package) > 1:
            maker = _BUILT_IN.get(f"sklearn.{package[1]}.{kind.__name__}")
            if maker is not None:
                module, name = maker.rsplit(".", 1)
                return Exact(getattr(importlib.import_module(module), name))
            if kind.__name__ in _STATELESS:
                return Stateless()
    if hasattr(estimator, "partial_fit"):
        return Learner()
    if hasattr(estimator, "transform") and not _requires_fit(estimator):
        return Stateless()
    return None


def _requires_fit(estimator: Any) -> bool:
    tags = getattr(estimator, "__sklearn_tags__", None)
    return bool(tags().requires_fit) if tags is not None else True


def refuse(estimator: Any, path: str) -> UnsupportedEstimatorError:
    """Make the error for a step that cannot be fitted from chunks."""
    name = type(estimator).__name__
    where = f"step {path!r} ({name})" if path else name
    instead = _INSTEAD.get(name)
    if instead:
        hint = f"use {instead}"
    elif hasattr(estimator, "partial_fit"):
        hint = "it learns from batches in order, which only the last step can do for now"
    else:
        hint = (
            "use an estimator with partial_fit, or say how it learns with "
            "streamlearn.learn.registry.register"
        )
    return UnsupportedEstimatorError(f"{where} cannot be fitted from chunks; {hint}")
