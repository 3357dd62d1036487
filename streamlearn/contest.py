"""The model that is judged, and those it is compared with, by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streamlearn.result import Result, load

__all__ = ["Contest"]


@dataclass(frozen=True)
class Contest:
    """Fitted predictors by name, the judged one first."""

    models: Mapping[str, Any]
    about: Mapping[str, Any]
    """What is known of the judged one, and what the names stand for."""

    @classmethod
    def of(cls, model: Any, compare: Any = ()) -> Contest:
        """Take models as the user gives them: results, paths of runs, or predictors.

        Parameters
        ----------
        model : Result, path or predictor
        compare : the same, or a sequence of them, or a mapping of names to them

        Raises
        ------
        BundleError
            If a path holds no complete run.

        Examples
        --------
        >>> from sklearn.linear_model import Ridge, SGDRegressor
        >>> list(Contest.of(Ridge(), [Ridge(), SGDRegressor()]).models)
        ['Ridge', 'Ridge 2', 'SGDRegressor']
        """
        first = _opened(model)
        models = {_name(first): first}
        for name, other in _listed(compare):
            opened = _opened(other)
            models[_unlike(name or _name(opened), models)] = opened
        about: dict[str, Any] = {"model": type(_estimator(first)).__name__}
        if isinstance(first, Result):
            about["run"] = first.path
            about["fitted_on"] = first.manifest.get("data", {}).get("fingerprint")
        if len(models) > 1:
            about["compared_with"] = list(models)[1:]
        return cls({name: _estimator(item) for name, item in models.items()}, about)


def _listed(compare: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(compare, Mapping):
        return [(str(name), item) for name, item in compare.items()]
    if isinstance(compare, list | tuple):
        return [("", item) for item in compare]
    return [] if compare is None else [("", compare)]


def _opened(model: Any) -> Any:
    return load(model) if isinstance(model, str | os.PathLike) else model


def _estimator(model: Any) -> Any:
    return model.estimator if isinstance(model, Result) else model


def _name(model: Any) -> str:
    if isinstance(model, Result) and model.path:
        return os.fspath(model.path)
    return type(_estimator(model)).__name__


def _unlike(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number where it is taken."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found
