"""Fit scikit-learn pipelines on data larger than memory, inside a memory budget."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamlearn.bundle import load_run as load
    from streamlearn.errors import StreamlearnError
    from streamlearn.run import explain, fit
    from streamlearn.source.dataset import Dataset, scan

__version__ = "0.1.0"

__all__ = ["Dataset", "StreamlearnError", "__version__", "explain", "fit", "load", "scan"]

_PLACES = {
    "Dataset": ("streamlearn.source.dataset", "Dataset"),
    "StreamlearnError": ("streamlearn.errors", "StreamlearnError"),
    "explain": ("streamlearn.run", "explain"),
    "fit": ("streamlearn.run", "fit"),
    "load": ("streamlearn.bundle", "load_run"),
    "scan": ("streamlearn.source.dataset", "scan"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'streamlearn' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
