"""What is needed to do a run again: versions, seed, data, options."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from streamlearn.learn.profile import Profile
from streamlearn.learn.sequential import is_classifier
from streamlearn.learn.target import TargetProfile
from streamlearn.plan.job import Job, cores

__all__ = ["derived_for", "manifest_of"]


def manifest_of(
    job: Job, profile: TargetProfile | None, columns: Profile | None = None
) -> dict[str, Any]:
    """Return a run's manifest as plain values.

    Parameters
    ----------
    profile : TargetProfile or None
        Of the target, where it was read.
    columns : Profile or None
        Of the columns that the first pass of statistics read, if there was one.
    """
    import sklearn

    import streamlearn

    target = job.data.target_field
    files = list(dict.fromkeys(fragment.path for fragment in job.data.fragments))
    found: dict[str, Any] = {
        "versions": {
            "streamlearn": streamlearn.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            **{name: version(name) for name in ("pandas", "pyarrow", "scipy")},
            "python": platform.python_version(),
        },
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "seed": int(job.options.random_state),
        "options": {
            name: value if isinstance(value, int | float | str | None) else str(value)
            for name, value in vars(job.options).items()
        },
        "data": {
            "fingerprint": job.data.source.fingerprint,
            "files": files[:20],
            "more_files": max(0, len(files) - 20),
            "rows": job.data.rows,
            "fragments": len(job.data.fragments),
            "where": None if job.data.where is None else str(job.data.where),
            "derive": None if job.data.derive is None else _text(job.data.derive),
            "target": None if target is None else target.name,
            "weight": job.data.weight,
            "drop_missing": job.data.drop_missing,
            "csv": asdict(form) if (form := getattr(job.data.source, "form", None)) else None,
        },
        "schema": {item.name: str(item.type) for item in job.data.features},
    }
    if columns is not None:
        found["profile"] = columns.to_dict()
    if profile is not None and job.model is not None and is_classifier(job.model):
        classes, counts = profile.classes()
        if len(classes) <= 1000:
            found["classes"] = dict(zip(map(str, classes.tolist()), counts.tolist(), strict=True))
    return found


def derived_for(manifest: Mapping[str, Any], names: Iterable[str] | None) -> list[str]:
    """Return the computed columns of a run, in SQL, that some columns need.

    A target that is computed needs columns that data to be predicted may not have. Formulas that
    were no text cannot be read back, and are left out.

    Parameters
    ----------
    names : iterable of str or None
        None: all of them.

    Examples
    --------
    >>> run = {"data": {"derive": ["a + 1 AS b", "b * 2 AS c", "tip / total AS y"]}}
    >>> derived_for(run, ["c"])
    ['a + 1 AS b', 'b * 2 AS c']
    """
    derive = manifest.get("data", {}).get("derive") or ()
    items = [derive] if isinstance(derive, str) else list(derive)
    if isinstance(derive, Mapping):
        return []
    if names is None:
        return items
    wanted, kept = set(names), []
    for item in reversed(items):
        made = re.search(r"\bAS\s+(\w+|\"[^\"]+\")\s*$", item, re.IGNORECASE)
        if made is None or made[1].strip('"') in wanted:
            kept.append(item)
            wanted |= set(re.findall(r"\w+", item))
    return kept[::-1]


def _text(derive: Any) -> Any:
    if isinstance(derive, Mapping):
        return {name: str(formula) for name, formula in derive.items()}
    return derive if isinstance(derive, str) else list(derive)
