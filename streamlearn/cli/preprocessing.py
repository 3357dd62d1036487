"""Preprocessing chosen from the schema, as a scikit-learn pipeline."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from streamlearn.chunk import Field
from streamlearn.errors import SchemaError, UsageError
from streamlearn.source.dataset import Dataset

__all__ = ["load_object", "make_pipeline_for"]


def make_pipeline_for(
    data: Dataset,
    model: Any,
    *,
    categorical: Sequence[str] = (),
    max_categories: int = 1000,
    non_negative: bool = False,
) -> tuple[Any, list[str]]:
    """Return a pipeline that makes the features ready for the model, and notes on it.

    Numbers are imputed and scaled; strings, booleans and ``categorical`` columns one-hot encoded,
    the rarest categories together; timestamps give month, day of week, hour and minute of day.

    Parameters
    ----------
    non_negative : bool
        Scale numbers to 0..1, for models that take no negative ones.

    Raises
    ------
    SchemaError
        If a categorical column does not exist, or nothing can be learned from.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, StandardScaler

    from streamlearn.prepare.dates import DateFeatures

    scaler: type[Any] = MinMaxScaler if non_negative else StandardScaler
    if data.is_sparse:
        # What centres or imputes would fill the matrix.
        return make_pipeline(MaxAbsScaler(), model), []
    if not data.features.named:
        return make_pipeline(SimpleImputer(), scaler(), model), []
    unknown = [name for name in categorical if name not in data.features]
    if unknown:
        raise SchemaError(
            f"--categorical names {', '.join(map(repr, unknown))}, not among the features: "
            f"{', '.join(data.features.names)}"
        )
    groups: dict[str, list[str]] = {"numbers": [], "categories": [], "dates": []}
    notes = []
    for field in data.features:
        kind = "categories" if field.name in categorical else _kind(field)
        if kind in groups:
            groups[kind].append(field.name)
        else:
            notes.append(f"column {field.name!r} ({field.type}) is left out: {kind}")
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=max_categories)
    makers = {
        "numbers": make_pipeline(SimpleImputer(), scaler()),
        "categories": one_hot,
        "dates": make_pipeline(DateFeatures(), SimpleImputer(), scaler()),
    }
    chosen = [(kind, makers[kind], columns) for kind, columns in groups.items() if columns]
    if not chosen:
        raise SchemaError("no feature can be learned from; " + "; ".join(notes))
    return make_pipeline(ColumnTransformer(chosen), model), notes


def _kind(field: Field) -> str:
    if pa.types.is_null(field.type):
        return "every value is missing"
    if pa.types.is_boolean(field.type):
        return "categories"
    if field.is_number:
        return "numbers"
    text = str(field.type)
    if text in ("string", "large_string"):
        return "categories"
    if text.startswith(("timestamp", "date")):
        return "dates"
    return "no preprocessing is known for this type"


def load_object(text: str) -> Any:
    """Return the estimator that ``module:object`` names, called if it is a function.

    Raises
    ------
    UsageError
        If it cannot be imported, or is no estimator.
    """
    module, sign, name = text.partition(":")
    if not sign or not name:
        raise UsageError(f"--pipeline {text!r}: write it as module:object")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise UsageError(f"--pipeline {text!r} cannot be imported: {error}") from error
    if isinstance(found, type) or (callable(found) and not hasattr(found, "get_params")):
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"--pipeline {text!r}: calling it without arguments failed: "
                f"{type(error).__name__}: {error}"
            ) from error
    if not hasattr(found, "get_params"):
        raise UsageError(f"--pipeline {text!r} is a {type(found).__name__}, not an estimator")
    return found
