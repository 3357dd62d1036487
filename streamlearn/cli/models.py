"""The models that have a name on the command line, each a scikit-learn estimator."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from typing import Any

from streamlearn.errors import UsageError

__all__ = ["MODELS", "make_model"]

MODELS: Mapping[str, str] = {
    "bernoulli-nb": "sklearn.naive_bayes:BernoulliNB",
    "complement-nb": "sklearn.naive_bayes:ComplementNB",
    "gaussian-nb": "sklearn.naive_bayes:GaussianNB",
    "minibatch-kmeans": "sklearn.cluster:MiniBatchKMeans",
    "mlp-classifier": "sklearn.neural_network:MLPClassifier",
    "mlp-regressor": "sklearn.neural_network:MLPRegressor",
    "multinomial-nb": "sklearn.naive_bayes:MultinomialNB",
    "passive-aggressive": "sklearn.linear_model:SGDClassifier",
    "passive-aggressive-regressor": "sklearn.linear_model:SGDRegressor",
    "perceptron": "sklearn.linear_model:Perceptron",
    "sgd-classifier": "sklearn.linear_model:SGDClassifier",
    "sgd-regressor": "sklearn.linear_model:SGDRegressor",
}
# scikit-learn 1.8 deprecated PassiveAggressive* in favour of these settings of SGD.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "passive-aggressive": {
        "loss": "hinge",
        "penalty": None,
        "learning_rate": "pa1",
        "eta0": 1.0,
    },
    "passive-aggressive-regressor": {
        "loss": "epsilon_insensitive",
        "penalty": None,
        "learning_rate": "pa1",
        "eta0": 1.0,
    },
}
NON_NEGATIVE = ("multinomial-nb", "complement-nb", "bernoulli-nb")
"""Models that want features from 0 on: scaled to 0..1 instead of standardised."""


def make_model(name: str, parameters: Mapping[str, str]) -> Any:
    """Return an unfitted model.

    Parameters
    ----------
    parameters : mapping of str to str
        Values as Python writes them (``1e-5``, ``True``, ``(64, 32)``); other text is a string.

    Raises
    ------
    UsageError
        If the model has no such parameter.

    Examples
    --------
    >>> make_model("sgd-classifier", {"alpha": "1e-5", "loss": "log_loss"})
    SGDClassifier(alpha=1e-05, loss='log_loss')
    """
    module, _, kind = MODELS[name].partition(":")
    estimator = getattr(importlib.import_module(module), kind)(**_SETTINGS.get(name, {}))
    known = estimator.get_params()
    for key, text in parameters.items():
        if key not in known:
            raise UsageError(
                f"--param {key}: {kind} has no such parameter; it has {', '.join(sorted(known))}"
            )
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        estimator.set_params(**{key: value})
    return estimator
