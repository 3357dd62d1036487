"""What metrics are measured in, and which way is better."""

from __future__ import annotations

__all__ = ["loss_unit", "lower_is_better", "unit_of"]

_TARGET, _SQUARED, _NATS = "target units", "target units²", "nats per row"
_ROWS = "share of rows"
_SHARE_OF_TRUTH = "share of the true value"
_UNITS = {
    "accuracy": _ROWS,
    "average_precision": "mean precision, 0 to 1",
    "balanced_accuracy": "mean share of rows",
    "calibration_error": "probability",
    "cohen_kappa": "no unit, up to 1",
    "inertia": "squared units of the features",
    "kolmogorov_smirnov": _ROWS,
    "ks": _ROWS,
    "log_loss": _NATS,
    "mae": _TARGET,
    "mape": _SHARE_OF_TRUTH,
    "matthews_corrcoef": "no unit, -1 to 1",
    "max_error": _TARGET,
    "mean_absolute_error": _TARGET,
    "mean_absolute_percentage_error": _SHARE_OF_TRUTH,
    "mean_poisson_deviance": _TARGET,
    "mean_squared_error": _SQUARED,
    "median_absolute_error": _TARGET,
    "mse": _SQUARED,
    "msle": "squared logarithm of the target",
    "rmse": _TARGET,
    "rmsle": "logarithm of the target",
    "root_mean_squared_error": _TARGET,
    "silhouette_sample": "no unit, -1 to 1",
}
_BEGINNINGS = {
    "brier_score": "squared probability",
    "f1": "no unit, 0 to 1",
    "hinge_loss": "margin",
    "jaccard": "share of rows, 0 to 1",
    "mean_pinball_loss": _TARGET,
    "pinball": _TARGET,
    "precision": _ROWS,
    "recall": _ROWS,
    "roc_auc": "share of pairs",
    "top_": _ROWS,
    "tweedie": "deviance",
}
_LOSSES = {"squared error": _SQUARED, "log loss": _NATS, "error rate": _ROWS}
_LOWER = ("error", "loss", "deviance", "brier", "inertia", "davies_bouldin", "pinball", "tweedie")
_LOWER_NAMES = ("rmse", "mse", "mae", "mape", "msle", "rmsle")


def unit_of(metric: str) -> str:
    """Return the unit of a metric.

    Examples
    --------
    >>> unit_of("rmse"), unit_of("f1_macro"), unit_of("of my own")
    ('target units', 'no unit, 0 to 1', 'no unit')
    """
    if metric in _UNITS:
        return _UNITS[metric]
    return next(
        (unit for start, unit in _BEGINNINGS.items() if metric.startswith(start)), "no unit"
    )


def loss_unit(loss: str) -> str:
    """Return the unit of a progressive loss.

    Examples
    --------
    >>> loss_unit("log loss")
    'nats per row'
    """
    return _LOSSES.get(loss, "no unit")


def lower_is_better(metric: str) -> bool:
    """Say whether smaller values are better; scores that are negated on purpose are not.

    Examples
    --------
    >>> lower_is_better("rmse"), lower_is_better("roc_auc"), lower_is_better("neg_log_loss")
    (True, False, False)
    """
    if metric.startswith("neg_"):
        return False
    return metric in _LOWER_NAMES or any(part in metric for part in _LOWER)
