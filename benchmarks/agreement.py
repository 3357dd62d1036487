"""Whether a contender's result is ours, within what its comparison states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.work import Contender

__all__ = ["disagreement", "distance"]


def distance(ours: Path, theirs: Path) -> float | None:
    """Return the distance of coefficients over the length of ours; None without both.

    Infinite where their numbers differ.
    """
    if not (ours.exists() and theirs.exists()):
        return None
    ours_, theirs_ = np.load(ours), np.load(theirs)
    if ours_.shape != theirs_.shape:
        return float("inf")
    length = float(np.linalg.norm(ours_))
    return float(np.linalg.norm(ours_ - theirs_)) / (length or 1.0)


def disagreement(
    contender: Contender, metric: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> str | None:
    """Say how one run's result differs from ours by more than is tolerated; None if it does not.

    Parameters
    ----------
    contender : Contender
        With its tolerances.
    metric : {"accuracy", "rmse"}
    ours, theirs : dict
        One run each, with ``score`` and, of theirs, ``distance``.
    """
    if "score" in ours and "score" in theirs:
        gap = abs(ours["score"] - theirs["score"])
        if metric != "accuracy":
            gap /= ours["score"] or 1.0
        # Not "more than": a NaN agrees with nothing.
        if not gap <= contender.score_tolerance:
            return (
                f"{metric} {theirs['score']:.4g} against {ours['score']:.4g} "
                f"(tolerance {contender.score_tolerance:g})"
            )
    limit, found = contender.coef_tolerance, theirs.get("distance")
    if limit is not None and found is not None and not found <= limit:
        return f"coefficients differ by {found:.2g} (tolerance {limit:g})"
    return None
