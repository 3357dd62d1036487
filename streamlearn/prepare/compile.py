"""From a fitted transformer to its kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Schema
from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.prepare.base import ChainKernel, EstimatorKernel, Kernel, PassthroughKernel
from streamlearn.prepare.bins import compile_binarizer, compile_bins
from streamlearn.prepare.columns import Branch, ColumnsKernel
from streamlearn.prepare.dates import DateFeatures, DatesKernel
from streamlearn.prepare.dicts import compile_records
from streamlearn.prepare.elementwise import ElementwiseKernel, FillKernel, compile_elementwise
from streamlearn.prepare.encode import OneHotKernel, OrdinalKernel
from streamlearn.prepare.gaps import compile_indicator, flag
from streamlearn.prepare.matrix import MatrixKernel, compile_matrix
from streamlearn.prepare.picked import PickKernel, compile_selector
from streamlearn.prepare.quantile_map import compile_quantiles
from streamlearn.prepare.target_encode import TargetKernel
from streamlearn.prepare.terms import compile_texts
from streamlearn.prepare.text import TextKernel
from streamlearn.prepare.union import FrameKernel, UnionKernel

__all__ = ["chain", "compile_transformer", "widest_dense"]


def compile_transformer(
    estimator: Any, schema: Schema | None = None, known: Mapping[int, Kernel] | None = None
) -> Kernel:
    """Return the fastest kernel that equals a fitted transformer's ``transform``.

    Parameters
    ----------
    estimator : fitted transformer
        One whose output format was changed by ``set_output`` keeps its own transform.
    schema : Schema, optional
        Columns it works on, where they come straight from the source.
    known : mapping of int to Kernel, optional
        Kernels compiled already, by ``id`` of their estimator.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline

    known = known or {}
    if id(estimator) in known:
        return known[id(estimator)]
    kind = type(estimator)
    if kind is Pipeline:
        return _compile_pipeline(estimator, schema, known)
    if kind is ColumnTransformer:
        return _compile_columns(estimator, schema, known)
    if kind is FeatureUnion:
        return _compile_union(estimator, schema, known)
    return _compile_step(estimator, schema) or _whole(estimator, known)


def _compile_step(estimator: Any, schema: Schema | None) -> Kernel | None:
    """Compile what is not made of other estimators; None where there is no kernel for it."""
    from sklearn.feature_extraction import DictVectorizer, FeatureHasher
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
    from sklearn.feature_selection import SelectorMixin

    if isinstance(estimator, CountVectorizer | HashingVectorizer):
        return TextKernel(estimator) if changes_output(estimator) else compile_texts(estimator)
    if isinstance(estimator, DictVectorizer | FeatureHasher):
        return compile_records(estimator)
    if changes_output(estimator):
        return None
    kind = type(estimator)
    selects = isinstance(estimator, SelectorMixin) and kind.transform is SelectorMixin.transform
    if selects and kind.__module__.startswith("sklearn."):
        return compile_selector(estimator)
    make = _makers().get(kind)
    compiled = make(estimator) if make is not None else None
    if compiled is None and schema is not None:
        compiled = _compile_fill(estimator, schema)
    return compiled or compile_matrix(estimator)


@cache
def _makers() -> dict[type, Callable[[Any], Kernel | None]]:
    """Return what compiles each class; None from it where the options have no kernel."""
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.preprocessing import (
        Binarizer,
        FunctionTransformer,
        KBinsDiscretizer,
        MaxAbsScaler,
        MinMaxScaler,
        OneHotEncoder,
        OrdinalEncoder,
        QuantileTransformer,
        RobustScaler,
        StandardScaler,
        TargetEncoder,
    )

    return {
        Binarizer: compile_binarizer,
        DateFeatures: DatesKernel,
        FunctionTransformer: _compile_function,
        KBinsDiscretizer: compile_bins,
        MaxAbsScaler: compile_elementwise,
        MinMaxScaler: compile_elementwise,
        MissingIndicator: compile_indicator,
        OneHotEncoder: OneHotKernel,
        OrdinalEncoder: OrdinalKernel,
        QuantileTransformer: compile_quantiles,
        RobustScaler: compile_elementwise,
        SimpleImputer: lambda imputer: flag(compile_elementwise(imputer), imputer),
        StandardScaler: compile_elementwise,
        TargetEncoder: TargetKernel,
    }


def _compile_function(estimator: Any) -> Kernel | None:
    """Pass columns through where there is no function; one may look at names, and gets a frame."""
    if estimator.func is not None or estimator.validate:
        return None
    return PassthroughKernel(int(estimator.n_features_in_))


def changes_output(estimator: Any) -> bool:
    """Whether ``set_output`` was used on the estimator."""
    return _output_of(estimator) is not None


def _output_of(estimator: Any) -> str | None:
    """Return the container asked for by ``set_output`` or ``set_config``, if one is."""
    from sklearn import get_config

    config = getattr(estimator, "_sklearn_output_config", None) or {}
    found: str | None = config.get("transform") or get_config()["transform_output"]
    # ColumnTransformer asks the "default" of what it makes of "passthrough".
    return None if found == "default" else found


def _whole(estimator: Any, known: Mapping[int, Kernel]) -> Kernel:
    """Return the kernel of an estimator that keeps its own ``transform``.

    Raises
    ------
    UnsupportedEstimatorError
        If a step inside encodes rows that were learned from otherwise than others: its
        ``transform`` would show the model each row's own target.
    """
    steps = [estimator]
    while steps:
        step = steps.pop()
        if getattr(known.get(id(step)), "cross_fits", False):
            raise UnsupportedEstimatorError(
                f"{type(step).__name__} inside a {type(estimator).__name__} of which the output "
                "format or the class was changed cannot be cross-fitted; leave set_output() out, "
                "pass only numbers through, and use scikit-learn's own classes"
            )
        parts = ("transformers_", "transformer_list", "steps")
        inner = next((found for name in parts if (found := getattr(step, name, None))), ())
        steps += [part[1] for part in inner if not isinstance(part[1], str)]
    return EstimatorKernel(estimator)


def _compile_pipeline(estimator: Any, schema: Schema | None, known: Mapping[int, Kernel]) -> Kernel:
    kernels: list[Kernel] = []
    for _, step in estimator.steps:
        if step is None or (isinstance(step, str) and step == "passthrough"):
            continue
        kernels.append(compile_transformer(step, schema, known))
        if not isinstance(kernels[-1], FillKernel):
            schema = None
    return chain(kernels) if kernels else PassthroughKernel(0)


def _compile_columns(estimator: Any, schema: Schema | None, known: Mapping[int, Kernel]) -> Kernel:
    keys = _keys(estimator, schema)
    inputs = estimator._transformer_to_input_indices
    output = _output_of(estimator)
    branches = []
    for name, step, chosen in estimator.transformers_:
        columns = [keys[index] for index in inputs[name]]
        if not columns or (isinstance(step, str) and step == "drop"):
            continue
        picked = schema.select([schema.names[i] for i in inputs[name]]) if schema else None
        if isinstance(step, str) or _is_identity(step):
            strings = picked is not None and not all(field.is_number for field in picked)
            if strings and output is None:
                return _whole(estimator, known)
            branches.append(Branch(PassthroughKernel(len(columns)), columns))
            continue
        scalar = isinstance(chosen, str | int)
        branches.append(Branch(compile_transformer(step, picked, known), columns, scalar))
    if output == "pandas":
        parts = [(branch.kernel, branch.take) for branch in branches]
        return FrameKernel(parts, estimator.get_feature_names_out())
    if output is not None:
        return _whole(estimator, known)
    return ColumnsKernel(branches, sparse=getattr(estimator, "sparse_output_", False))


def _keys(estimator: Any, schema: Schema | None) -> list[Any]:
    """Return what columns are called in the blocks that reach the estimator."""
    if schema is not None:
        return list(schema.names) if schema.named else list(range(len(schema)))
    return list(getattr(estimator, "feature_names_in_", range(estimator.n_features_in_)))


def _compile_union(estimator: Any, schema: Schema | None, known: Mapping[int, Kernel]) -> Kernel:
    weights = estimator.transformer_weights or {}
    steps = [(name, step) for name, step in estimator.transformer_list if step != "drop"]
    kernels = [compile_transformer(step, schema, known) for _, step in steps]
    output = _output_of(estimator)
    if output == "pandas" and not weights:
        return FrameKernel(
            [(kernel, lambda X: X) for kernel in kernels], estimator.get_feature_names_out()
        )
    if output is not None:
        return _whole(estimator, known)
    return UnionKernel(kernels, [weights.get(name) for name, _ in steps])


def _is_identity(step: Any) -> bool:
    """Whether a step is what ColumnTransformer makes of "passthrough"."""
    return type(step).__name__ == "FunctionTransformer" and step.func is None


def _compile_fill(estimator: Any, schema: Schema) -> FillKernel | None:
    """Compile an imputer of strings, or of whole numbers: Arrow can fill them."""
    from sklearn.impute import SimpleImputer

    if type(estimator) is not SimpleImputer or estimator.add_indicator:
        return None
    missing = estimator.missing_values
    if not (isinstance(missing, float) and math.isnan(missing)):
        return None
    values = estimator.statistics_.tolist()
    if all(isinstance(value, str) for value in values):
        strings = all(str(field.type) in ("string", "large_string") for field in schema)
        return FillKernel(values) if strings else None
    if estimator._fit_dtype.kind not in "iu":
        return None
    held = (_holds(field.type, value) for field, value in zip(schema, values, strict=True))
    return FillKernel([int(value) for value in values]) if all(held) else None


def _holds(type_: pa.DataType, value: float) -> bool:
    """Whether a type of whole numbers has this one."""
    if not pa.types.is_integer(type_) or value != value // 1:
        return False
    bounds = np.iinfo(type_.to_pandas_dtype())
    return bool(bounds.min <= value <= bounds.max)


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
        if (
            fused
            and isinstance(fused[-1], ElementwiseKernel)
            and isinstance(kernel, PickKernel)
            and fused[-1].picked is None
        ):
            fused[-1] = fused[-1].pick(kernel.columns, kernel.check, kernel.estimator)
            continue
        fused.append(kernel)
    return fused[0] if len(fused) == 1 else ChainKernel(fused)


def widest_dense(kernel: Kernel | None) -> int:
    """Return the most columns that a kernel, or one inside it, gives as a dense matrix."""
    if isinstance(kernel, ChainKernel):
        return max(widest_dense(part) for part in kernel.kernels)
    if isinstance(kernel, ColumnsKernel):
        inside = max((widest_dense(branch.kernel) for branch in kernel.branches), default=0)
        return inside if kernel.sparse else max(inside, kernel.width or 0)
    if isinstance(kernel, UnionKernel):
        return sum(widest_dense(part) for part in kernel.kernels)
    if isinstance(kernel, MatrixKernel):
        # Its input is made into a matrix first.
        return max(kernel.columns_in, 0 if kernel.sparse else kernel.width or 0)
    if kernel is None or isinstance(kernel, TextKernel) or getattr(kernel, "sparse", False):
        return 0
    known: Any = kernel.width or getattr(kernel, "columns_out", 0)
    return int(known)
