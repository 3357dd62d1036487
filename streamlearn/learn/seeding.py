"""Seeds for estimators that were given none, for as long as they are fitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["seed_params", "unseed"]


def seed_params(estimator: Any, seed: int) -> list[str]:
    """Set every ``random_state`` that is None, at any depth; return their names.

    With None scikit-learn draws on NumPy's global state, and no fit could be repeated.

    Examples
    --------
    >>> from sklearn.kernel_approximation import RBFSampler
    >>> sampler = RBFSampler()
    >>> seed_params(sampler, 7)
    ['random_state']
    >>> sampler.random_state
    7
    >>> unseed(sampler, ["random_state"])
    >>> sampler
    RBFSampler()
    """
    if not hasattr(estimator, "get_params"):
        return []
    found = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    if found:
        estimator.set_params(**dict.fromkeys(found, seed))
    return found


def unseed(estimator: Any, names: Iterable[str]) -> None:
    """Give back None to the parameters that `seed_params` has set."""
    if names:
        estimator.set_params(**dict.fromkeys(names))
