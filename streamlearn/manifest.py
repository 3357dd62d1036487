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
from streamlearn.source.dataset import Dataset

__all__ = ["data_of", "derived_for", "machine_of", "manifest_of", "versions_of"]


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
    found: dict[str, Any] = {
        "versions": versions_of(),
        "machine": machine_of(),
        "seed": int(job.options.random_state),
        "options": {
            name: value if isinstance(value, int | float | str | None) else str(value)
            for name, value in vars(job.options).items()
        },
        "data": data_of(job.data),
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
        made = re.findall(r"\bAS\s+(\w+|\"[^\"]+\")", item, re.IGNORECASE)
        if not made or wanted & {name.strip('"') for name in made}:
            kept.append(item)
            wanted |= set(re.findall(r"\w+", item))
    return kept[::-1]


def versions_of() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    import sklearn

    import streamlearn

    return {
        "streamlearn": streamlearn.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        **{name: version(name) for name in ("pandas", "pyarrow", "scipy")},
        "python": platform.python_version(),
    }


def machine_of() -> str:
    """Return system, processor and cores."""
    return f"{platform.system()} {platform.machine()}, {cores()} cores"


def data_of(data: Dataset) -> dict[str, Any]:
    """Return what is needed to find and read some data again, as plain values."""
    target = data.target_field
    files = list(dict.fromkeys(fragment.path for fragment in data.fragments))
    form = getattr(data.source, "form", None)
    return {
        "fingerprint": data.source.fingerprint,
        "files": files[:20],
        "more_files": max(0, len(files) - 20),
        "rows": data.rows,
        "fragments": len(data.fragments),
        "where": None if data.where is None else str(data.where),
        "derive": None if data.derive is None else _text(data.derive),
        "target": None if target is None else target.name,
        "weight": data.weight,
        "drop_missing": data.drop_missing,
        "csv": None if form is None else asdict(form),
    }


def _text(derive: Any) -> Any:
    if isinstance(derive, Mapping):
        return {name: str(formula) for name, formula in derive.items()}
    return derive if isinstance(derive, str) else list(derive)
