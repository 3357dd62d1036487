"""Learning in order: an estimator with ``partial_fit``, fed batch by batch."""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import concat_blocks
from streamlearn.errors import DivergenceError, UsageError
from streamlearn.learn.target import TargetProfile

__all__ = ["SequentialLearner", "is_classifier", "is_clusterer", "learns_classes", "needs_target"]

_COEFFICIENTS = ("coef_", "intercept_", "coefs_", "intercepts_", "cluster_centers_", "components_")


def is_classifier(estimator: Any) -> bool:
    """Whether scikit-learn calls the estimator a classifier."""
    from sklearn.base import is_classifier as ask

    return bool(ask(estimator))


def is_clusterer(estimator: Any) -> bool:
    """Whether scikit-learn calls the estimator a clusterer."""
    from sklearn.base import is_clusterer as ask

    return bool(ask(estimator))


def is_regressor(estimator: Any) -> bool:
    """Whether scikit-learn calls the estimator a regressor."""
    from sklearn.base import is_regressor as ask

    return bool(ask(estimator))


def learns_classes(estimator: Any) -> bool:
    """Whether an estimator is a classifier, or a step around one."""
    inner = getattr(estimator, "estimator", None)
    return is_classifier(estimator) or (hasattr(inner, "fit") and is_classifier(inner))


def needs_target(estimator: Any) -> bool:
    """Whether the estimator, or the one inside it, cannot learn without a target."""
    inner = getattr(estimator, "estimator", None)
    around = hasattr(inner, "fit") and is_regressor(inner)
    return learns_classes(estimator) or is_regressor(estimator) or around


def own_batch_size(estimator: Any, columns: int) -> int | None:
    """Return the estimator's own ``batch_size``, or None where it leaves that open."""
    size = getattr(estimator, "batch_size", None)
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    if type(estimator).__name__ == "IncrementalPCA" and size is None:
        return 5 * columns
    return None


class SequentialLearner:
    """Feeds batches to ``partial_fit`` with classes, balanced weights and a seed supplied.

    It is the loop one would write by hand::

        model = clone(estimator)
        for X, y in batches:
            model.partial_fit(X, y, classes=classes)

    Parameters
    ----------
    estimator : estimator with partial_fit
        The caller's own copy, which is fitted in place.
    profile : TargetProfile or None
        Classes and counts, for classifiers.
    seed : int
        Given to the estimator where its ``random_state`` is None.
    """

    def __init__(self, estimator: Any, profile: TargetProfile | None, seed: int) -> None:
        self.estimator = estimator
        signature = inspect.signature(estimator.partial_fit).parameters
        self._accepts = set(signature)
        inner = getattr(estimator, "estimator", None)
        if any(part.kind is part.VAR_KEYWORD for part in signature.values()) and inner is not None:
            # A step around another hands on what it is given.
            self._accepts |= set(inspect.signature(inner.partial_fit).parameters)
        self._original: dict[str, Any] = {}
        self.classes: NDArray[Any] | None = None
        self._least = _least_rows(estimator)
        self._held: tuple[Any, Any, Any] | None = None
        if profile is not None and learns_classes(estimator):
            self.classes, _ = profile.classes()
        parameters = estimator.get_params(deep=False)
        if parameters.get("early_stopping") is True:
            raise UsageError(
                f"{type(estimator).__name__}(early_stopping=True) cannot learn from batches; "
                "leave it False and pass early_stopping=True and validation=0.1 to fit (or "
                "--early-stopping --validation 0.1)"
            )
        if "random_state" in parameters and parameters["random_state"] is None:
            self._set("random_state", seed)
        weight = parameters.get("class_weight")
        if isinstance(weight, str) and weight == "balanced" and profile is not None:
            self._set("class_weight", profile.class_weights())
        self.batches = 0

    def _set(self, name: str, value: Any) -> None:
        self._original[name] = getattr(self.estimator, name)
        setattr(self.estimator, name, value)

    def learn(self, X: Any, y: Any, weight: NDArray[np.float64] | None) -> None:
        """Show the estimator one batch.

        One that needs more rows than the last, short batch may have gets each batch when the
        next one comes, and the last two as one: as scikit-learn cuts them in its own ``fit``.

        Raises
        ------
        DivergenceError
            If its coefficients are no longer finite.
        """
        if not self._least:
            self._learn(X, y, weight)
            return
        before, self._held = self._held, (X, y, weight)
        if before is None:
            return
        if X.shape[0] >= self._least:
            self._learn(*before)
            return
        self._held = None
        self._learn(*(_together(*parts) for parts in zip(before, (X, y, weight), strict=True)))

    def flush(self) -> None:
        """Show the estimator what was held back, at the end of an epoch."""
        if self._held is not None:
            before, self._held = self._held, None
            self._learn(*before)

    def _learn(self, X: Any, y: Any, weight: NDArray[np.float64] | None) -> None:
        if weight is not None and not weight.any():
            return  # rows of no weight teach nothing, and scikit-learn takes no batch of them
        arguments: dict[str, Any] = {}
        if y is not None and "y" in self._accepts:
            arguments["y"] = y
        if self.classes is not None and "classes" in self._accepts and self.batches == 0:
            arguments["classes"] = self.classes
        if weight is not None:
            if "sample_weight" not in self._accepts:
                raise UsageError(
                    f"{type(self.estimator).__name__}.partial_fit takes no sample_weight; "
                    "leave weight= out"
                )
            arguments["sample_weight"] = weight
        try:
            with warnings.catch_warnings():
                # The number of iterations is the number of epochs, which the user chose.
                warnings.filterwarnings("ignore", category=_convergence_warning())
                self.estimator.partial_fit(X, **arguments)
        except ValueError as error:
            if "under-/overflow" in str(error):
                raise self._diverged() from error
            raise
        self.batches += 1
        self._check()

    def _check(self) -> None:
        for name in _COEFFICIENTS:
            value = getattr(getattr(self.estimator, "estimator_", self.estimator), name, None)
            for part in value if isinstance(value, list) else [value]:
                if part is None or np.isfinite(np.sum(part)):
                    continue
                if not np.isfinite(part).all():
                    raise self._diverged()

    def _diverged(self) -> DivergenceError:
        parameters = self.estimator.get_params(deep=False)
        name = type(self.estimator).__name__
        hints = ["scale the features (StandardScaler before the model)"]
        if "eta0" in parameters:
            hints.append(
                f"lower eta0 (now {parameters['eta0']:g}, learning_rate="
                f"{parameters.get('learning_rate')!r})"
            )
        if "learning_rate_init" in parameters:
            hints.append(f"lower learning_rate_init (now {parameters['learning_rate_init']:g})")
        if "alpha" in parameters and isinstance(parameters["alpha"], float):
            hints.append(f"raise alpha (now {parameters['alpha']:g})")
        return DivergenceError(
            f"{name} ran to NaN or infinity in batch {self.batches + 1}; {', or '.join(hints)}"
        )

    def finish(self, names: list[str] | None) -> Any:
        """Give the parameters back as the user set them, and the feature names if it saw a table."""
        self.flush()
        if type(self.estimator).__name__ == "IncrementalPCA" and self.batches:
            # Its own fit leaves this; partial_fit does not.
            columns = self.estimator.n_features_in_
            self.estimator.batch_size_ = own_batch_size(self.estimator, columns)
        for name, value in self._original.items():
            setattr(self.estimator, name, value)
        if names is not None and self.batches:
            self.estimator.feature_names_in_ = np.asarray(names, dtype=object)
        return self.estimator

    def snapshot(self) -> Any:
        """Return a copy of the estimator as it stands."""
        return copy.deepcopy(self.estimator)


def _least_rows(estimator: Any) -> int:
    """Return how many rows a batch must have at least; 0 where one is enough."""
    if type(estimator).__name__ != "IncrementalPCA":
        return 0
    return int(estimator.n_components or 0)


def _together(one: Any, other: Any) -> Any:
    return None if one is None else concat_blocks([one, other])


def _convergence_warning() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning

    kind: type[Warning] = ConvergenceWarning
    return kind
