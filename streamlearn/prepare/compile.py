"""From a fitted transformer to its kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from streamlearn.chunk import Schema
from streamlearn.prepare.base import ChainKernel, EstimatorKernel, Kernel, PassthroughKernel
from streamlearn.prepare.columns import Branch, ColumnsKernel
from streamlearn.prepare.dates import DateFeatures, DatesKernel
from streamlearn.prepare.dicts import compile_records
from streamlearn.prepare.elementwise import ElementwiseKernel, FillKernel, compile_elementwise
from streamlearn.prepare.encode import OneHotKernel, OrdinalKernel
from streamlearn.prepare.text import TextKernel, iterates

__all__ = ["chain", "compile_transformer"]


def compile_transformer(
    estimator: Any, schema: Schema | None = None, known: Mapping[int, Kernel] | None = None
) -> Kernel:
    """Return the fastest kernel that equals a fitted transformer's ``transform``.

    Parameters
    ----------
    estimator : fitted transformer
        One whose output format was changed by ``set_output`` keeps its own transform.
        So does a Pipeline or ColumnTransformer with such a one inside.
    schema : Schema, optional
        Columns it works on, where they come straight from the source.
    known : mapping of int to Kernel, optional
        Kernels compiled already, by ``id`` of their estimator.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction import DictVectorizer, FeatureHasher
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import (
        MaxAbsScaler,
        MinMaxScaler,
        OneHotEncoder,
        OrdinalEncoder,
        StandardScaler,
    )

    known = known or {}
    if id(estimator) in known:
        return known[id(estimator)]
    if isinstance(estimator, CountVectorizer | HashingVectorizer):
        return TextKernel(estimator)
    if isinstance(estimator, DictVectorizer | FeatureHasher):
        return compile_records(estimator)
    kind = type(estimator)
    if changes_output(estimator):
        if kind is Pipeline and iterates(estimator.steps[0][1]):
            steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
            first = compile_transformer(steps[0], schema, known)
            return ChainKernel([first, *(EstimatorKernel(step) for step in steps[1:])])
        return EstimatorKernel(estimator)
    if kind is Pipeline:
        return _compile_pipeline(estimator, schema, known)
    if kind is ColumnTransformer and schema is not None:
        return _compile_columns(estimator, schema, known)
    if kind in (StandardScaler, MinMaxScaler, MaxAbsScaler, SimpleImputer):
        compiled = compile_elementwise(estimator)
        if compiled is not None:
            return compiled
        if kind is SimpleImputer and schema is not None and _fills_strings(estimator, schema):
            return FillKernel([str(value) for value in estimator.statistics_])
    if kind is OneHotEncoder:
        return OneHotKernel(estimator)
    if kind is DateFeatures:
        return DatesKernel(estimator)
    if kind is OrdinalEncoder:
        return OrdinalKernel(estimator)
    return EstimatorKernel(estimator)


def changes_output(estimator: Any) -> bool:
    """Whether ``set_output`` was used on the estimator, or on one inside it."""
    config = getattr(estimator, "_sklearn_output_config", None) or {}
    # ColumnTransformer asks the "default" of what it makes of "passthrough".
    if config.get("transform", "default") not in (None, "default"):
        return True
    steps = getattr(estimator, "transformers_", None) or getattr(estimator, "steps", None) or ()
    return any(changes_output(step[1]) for step in steps if not isinstance(step[1], str))


def _compile_pipeline(estimator: Any, schema: Schema | None, known: Mapping[int, Kernel]) -> Kernel:
    kernels: list[Kernel] = []
    for _, step in estimator.steps:
        if step is None or (isinstance(step, str) and step == "passthrough"):
            continue
        kernels.append(compile_transformer(step, schema, known))
        if not isinstance(kernels[-1], FillKernel):
            schema = None
    return chain(kernels) if kernels else PassthroughKernel(0)


def _compile_columns(estimator: Any, schema: Schema, known: Mapping[int, Kernel]) -> Kernel:
    keys: list[Any] = schema.names if schema.named else list(range(len(schema)))
    inputs = estimator._transformer_to_input_indices
    branches = []
    for name, step, chosen in estimator.transformers_:
        columns = [keys[index] for index in inputs[name]]
        if not columns or (isinstance(step, str) and step == "drop"):
            continue
        picked = schema.select([schema.names[index] for index in inputs[name]])
        if isinstance(step, str) or _is_identity(step):
            if not all(field.is_number for field in picked):
                return EstimatorKernel(estimator)
            branches.append(Branch(PassthroughKernel(len(columns)), columns))
            continue
        scalar = isinstance(chosen, str | int)
        branches.append(Branch(compile_transformer(step, picked, known), columns, scalar))
    return ColumnsKernel(branches, sparse=getattr(estimator, "sparse_output_", False))


def _is_identity(step: Any) -> bool:
    """Whether a step is what ColumnTransformer makes of "passthrough"."""
    return type(step).__name__ == "FunctionTransformer" and step.func is None


def _fills_strings(imputer: Any, schema: Schema) -> bool:
    """All columns strings, none dropped, no indicator: Arrow can fill them."""
    missing = imputer.missing_values
    return (
        not imputer.add_indicator
        and isinstance(missing, float)
        and math.isnan(missing)
        and all(isinstance(value, str) for value in imputer.statistics_)
        and all(str(field.type) in ("string", "large_string") for field in schema)
    )


def chain(kernels: Sequence[Kernel]) -> Kernel:
    """Compose kernels, fusing neighbours that work cell by cell."""
    fused: list[Kernel] = []
    for kernel in kernels:
        if (
            fused
            and isinstance(fused[-1], ElementwiseKernel)
            and isinstance(kernel, ElementwiseKernel)
        ):
            one = fused[-1].then(kernel)
            if one is not None:
                fused[-1] = one
                continue
        fused.append(kernel)
    return fused[0] if len(fused) == 1 else ChainKernel(fused)
