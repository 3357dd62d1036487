"""From a fitted transformer to its kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from streamlearn.chunk import Schema
from streamlearn.prepare.base import ChainKernel, EstimatorKernel, Kernel
from streamlearn.prepare.elementwise import ElementwiseKernel, FillKernel, compile_elementwise
from streamlearn.prepare.encode import OneHotKernel, OrdinalKernel

__all__ = ["chain", "compile_transformer"]


def compile_transformer(estimator: Any, schema: Schema | None = None) -> Kernel:
    """Return the fastest kernel that equals a fitted transformer's ``transform``.

    Parameters
    ----------
    estimator : fitted transformer
        One whose output format was changed by ``set_output`` keeps its own transform.
    schema : Schema, optional
        Columns it works on, where they come straight from a table.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import (
        MaxAbsScaler,
        MinMaxScaler,
        OneHotEncoder,
        OrdinalEncoder,
        StandardScaler,
    )

    if getattr(estimator, "_sklearn_output_config", None):
        return EstimatorKernel(estimator)
    kind = type(estimator)
    if kind in (StandardScaler, MinMaxScaler, MaxAbsScaler, SimpleImputer):
        compiled = compile_elementwise(estimator)
        if compiled is not None:
            return compiled
        if kind is SimpleImputer and schema is not None and _fills_strings(estimator, schema):
            return FillKernel([str(value) for value in estimator.statistics_])
    if kind is OneHotEncoder:
        return OneHotKernel(estimator)
    if kind is OrdinalEncoder:
        return OrdinalKernel(estimator)
    return EstimatorKernel(estimator)


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
        if fused and isinstance(fused[-1], ElementwiseKernel) and isinstance(kernel, ElementwiseKernel):
            one = fused[-1].then(kernel)
            if one is not None:
                fused[-1] = one
                continue
        fused.append(kernel)
    return fused[0] if len(fused) == 1 else ChainKernel(fused)
