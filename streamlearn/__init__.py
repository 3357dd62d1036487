"""Fit scikit-learn pipelines on data larger than memory, inside a memory budget."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamlearn.conversion import Conversion
    from streamlearn.errors import StreamlearnError
    from streamlearn.evaluation import Evaluation
    from streamlearn.learn.profile import Profile
    from streamlearn.prediction import Prediction
    from streamlearn.prepare.dates import DateFeatures
    from streamlearn.progress import Progress
    from streamlearn.result import Result, load
    from streamlearn.run import convert, evaluate, explain, fit, predict, profile
    from streamlearn.source.dataset import Dataset
    from streamlearn.source.scan import scan
    from streamlearn.source.text.csv import Csv

__version__ = "0.1.0"

__all__ = [
    "Conversion",
    "Csv",
    "Dataset",
    "DateFeatures",
    "Evaluation",
    "Prediction",
    "Profile",
    "Progress",
    "Result",
    "StreamlearnError",
    "__version__",
    "convert",
    "evaluate",
    "explain",
    "fit",
    "load",
    "predict",
    "profile",
    "scan",
]

_PLACES = {
    "Conversion": ("streamlearn.conversion", "Conversion"),
    "Csv": ("streamlearn.source.text.csv", "Csv"),
    "Dataset": ("streamlearn.source.dataset", "Dataset"),
    "DateFeatures": ("streamlearn.prepare.dates", "DateFeatures"),
    "Evaluation": ("streamlearn.evaluation", "Evaluation"),
    "Prediction": ("streamlearn.prediction", "Prediction"),
    "Profile": ("streamlearn.learn.profile", "Profile"),
    "Progress": ("streamlearn.progress", "Progress"),
    "Result": ("streamlearn.result", "Result"),
    "StreamlearnError": ("streamlearn.errors", "StreamlearnError"),
    "convert": ("streamlearn.run", "convert"),
    "evaluate": ("streamlearn.run", "evaluate"),
    "explain": ("streamlearn.run", "explain"),
    "fit": ("streamlearn.run", "fit"),
    "load": ("streamlearn.result", "load"),
    "predict": ("streamlearn.run", "predict"),
    "profile": ("streamlearn.run", "profile"),
    "scan": ("streamlearn.source.scan", "scan"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'streamlearn' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
