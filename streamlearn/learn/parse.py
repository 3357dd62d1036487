"""From a Pipeline, a ColumnTransformer or a bare transformer to nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamlearn.chunk import Schema
from streamlearn.errors import SchemaError, UsageError
from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.imputing import ImputerStatistics
from streamlearn.learn.nested import Chain, Columns
from streamlearn.learn.registry import Exact, Stateless, find_recipe, refuse
from streamlearn.prepare.frame import blank_frame
from streamlearn.prepare.text import iterates

__all__ = ["parse"]


def parse(estimator: Any, schema: Schema | None, path: str = "") -> Node:
    """Turn a transformer into nodes.

    Parameters
    ----------
    estimator : transformer
        Unfitted; the caller's own copy, which is fitted in place.
    schema : Schema or None
        Columns it takes, where they come straight from the source.

    Raises
    ------
    UnsupportedEstimatorError
        Naming the step that cannot be fitted from chunks.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, ColumnTransformer):
        return _parse_columns(estimator, schema, path)
    if isinstance(estimator, Pipeline):
        children: list[tuple[str, Node | None]] = []
        known = schema
        for name, step in estimator.steps:
            if step is None or (isinstance(step, str) and step == "passthrough"):
                children.append((name, None))
                continue
            node = parse(step, known, f"{path}.{name}" if path else name)
            children.append((name, node))
            keeps = (
                isinstance(node, Leaf)
                and isinstance(node.recipe, Exact)
                and (node.recipe.make is ImputerStatistics)
            )
            known = known if keeps else None
        return Chain(path, estimator, children)
    recipe = find_recipe(estimator)
    if not isinstance(recipe, Exact | Stateless) or not hasattr(estimator, "transform"):
        raise refuse(estimator, path)
    if schema is not None and len(schema) != 1 and hasattr(estimator, "build_analyzer"):
        raise UsageError(
            f"step {path or type(estimator).__name__!r} takes one text column, and there are "
            f"{len(schema)} features; name the one with features=, or give each text column its "
            "own vectorizer in a ColumnTransformer"
        )
    if isinstance(recipe, Exact):
        recipe.make(estimator)  # refuses options it cannot fit, before anything is read
    return Leaf(path or type(estimator).__name__.lower(), estimator, recipe, schema)


def _parse_columns(estimator: Any, schema: Schema | None, path: str) -> Columns:
    if schema is None:
        raise UsageError(
            f"step {path!r} (ColumnTransformer): inside a pipeline it must come first, where the "
            "columns still have their names"
        )
    frame = blank_frame(schema)
    keys = schema.names if schema.named else list(range(len(schema)))
    taken: set[Any] = set()
    branches: list[tuple[str, Node | str, list[Any], bool]] = []
    for name, step, chosen in estimator.transformers:
        columns, scalar = _resolve(chosen, frame, keys, f"{path}.{name}" if path else name)
        taken |= set(columns)
        if not scalar:
            _refuse_frame(step, columns, _join(path, name))
        branches.append((name, _branch(step, schema, columns, _join(path, name)), columns, scalar))
    rest = [key for key in keys if key not in taken]
    if rest:
        step = _branch(estimator.remainder, schema, rest, _join(path, "remainder"))
        branches.append(("remainder", step, rest, False))
    return Columns(path or "columns", estimator, branches, schema)


def _refuse_frame(step: Any, columns: list[Any], path: str) -> None:
    """Refuse what would iterate over a frame, as its rows: scikit-learn gives it the names."""
    while hasattr(step, "steps") and step.steps:
        step = step.steps[0][1]
    if not iterates(step):
        return
    if hasattr(step, "build_analyzer"):
        how = "give each column a vectorizer of its own"
        if len(columns) == 1:
            how = f"write {columns[0]!r} instead of {columns!r}"
    else:
        how = (
            "use it as the first step of a pipeline over the table, without ColumnTransformer, or "
            "put FunctionTransformer(lambda frame: frame.to_dict('records')) before it"
        )
    raise UsageError(
        f"step {path!r} ({type(step).__name__}) takes one row after the other, and of several "
        f"columns scikit-learn would give it their names; {how}"
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _branch(step: Any, schema: Schema, columns: list[Any], path: str) -> Node | str:
    if isinstance(step, str):
        return step
    if not columns:
        return "drop"
    picked = [schema.names[key] if isinstance(key, int) else key for key in columns]
    return parse(step, schema.select(picked), path)


def _resolve(chosen: Any, frame: Any, keys: list[Any], path: str) -> tuple[list[Any], bool]:
    """Return the columns a ColumnTransformer's selector picks, by scikit-learn's own rules."""
    from sklearn.utils._indexing import _get_column_indices

    if callable(chosen):
        chosen = chosen(frame)
    scalar = isinstance(chosen, str | int | np.integer)
    try:
        picked = _get_column_indices(frame, chosen)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SchemaError(
            f"step {path!r}: the columns {chosen!r} cannot be picked: {error}; "
            f"the columns are: {', '.join(map(str, keys))}"
        ) from error
    return [keys[index] for index in picked], scalar
