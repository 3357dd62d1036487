"""From a Pipeline, a ColumnTransformer, a FeatureUnion or a bare transformer to nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamlearn.chunk import Schema
from streamlearn.errors import SchemaError, UsageError
from streamlearn.learn.graph import Leaf, Node
from streamlearn.learn.imputing import ImputerStatistics
from streamlearn.learn.nested import Chain, Columns, Picked, Union
from streamlearn.learn.registry import Exact, Fallback, Learner, find_recipe, refuse
from streamlearn.learn.seeding import seed_params
from streamlearn.learn.sequential import learns_classes
from streamlearn.prepare.frame import blank_frame
from streamlearn.prepare.text import iterates

__all__ = ["parse"]


def parse(
    estimator: Any,
    schema: Schema | None,
    path: str = "",
    *,
    seed: int = 0,
    fallback: Fallback | None = None,
) -> Node:
    """Turn a transformer into nodes.

    Parameters
    ----------
    estimator : transformer
        Unfitted; the caller's own copy, which is fitted in place.
    schema : Schema or None
        Columns it takes, where they come straight from the source.
    path : str
        Of the step: names of steps, joined by dots.
    seed : int
        For steps whose ``random_state`` is None, while they are fitted.
    fallback : Exact, optional
        How to fit what has no fit from chunks; None: it is refused.

    Raises
    ------
    UnsupportedEstimatorError
        Naming the step that cannot be fitted from chunks.
    """
    return _Parser(seed, fallback).parse(estimator, schema, path)


class _Parser:
    def __init__(self, seed: int, fallback: Fallback | None) -> None:
        self._seed = seed
        self._fallback = fallback

    def parse(self, estimator: Any, schema: Schema | None, path: str) -> Node:
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import FeatureUnion, Pipeline

        if isinstance(estimator, ColumnTransformer):
            return self._columns(estimator, schema, path)
        if isinstance(estimator, Pipeline):
            return self._chain(estimator, schema, path)
        if isinstance(estimator, FeatureUnion):
            return self._union(estimator, schema, path)
        return self._leaf(estimator, schema, path)

    def _leaf(self, estimator: Any, schema: Schema | None, path: str) -> Leaf:
        seeded = seed_params(estimator, self._seed)
        recipe = find_recipe(estimator)
        if not hasattr(estimator, "transform"):
            raise refuse(estimator, path)
        if recipe is None and self._fallback is not None:
            recipe = Exact(self._fallback)
        if recipe is None:
            raise refuse(estimator, path)
        if schema is not None and len(schema) != 1 and hasattr(estimator, "build_analyzer"):
            raise UsageError(
                f"step {path or type(estimator).__name__!r} takes one text column, and there are "
                f"{len(schema)} features; name the one with features=, or give each text column "
                "its own vectorizer in a ColumnTransformer"
            )
        if isinstance(recipe, Exact):
            recipe.make(estimator)  # refuses options it cannot fit, before anything is read
        leaf = Leaf(path or type(estimator).__name__.lower(), estimator, recipe, schema)
        leaf.seeded = seeded
        leaf.waits_for_classes = isinstance(recipe, Learner) and learns_classes(estimator)
        return leaf

    def _chain(self, estimator: Any, schema: Schema | None, path: str) -> Chain:
        children: list[tuple[str, Node | None]] = []
        for name, step in estimator.steps:
            if step is None or (isinstance(step, str) and step == "passthrough"):
                children.append((name, None))
                continue
            node = self.parse(step, schema, _join(path, name))
            children.append((name, node))
            keeps = (
                isinstance(node, Leaf)
                and isinstance(node.recipe, Exact)
                and (node.recipe.make is ImputerStatistics)
            )
            schema = schema if keeps else None
        return Chain(path, estimator, children)

    def _union(self, estimator: Any, schema: Schema | None, path: str) -> Union:
        from sklearn.preprocessing import FunctionTransformer

        estimator._validate_transformers()
        estimator._validate_transformer_weights()
        children: list[tuple[str, Node | str]] = []
        for name, step in estimator.transformer_list:
            if isinstance(step, str) and step == "drop":
                children.append((name, "drop"))
                continue
            if isinstance(step, str):
                step = FunctionTransformer(feature_names_out="one-to-one")
            children.append((name, self.parse(step, schema, _join(path, name))))
        return Union(path or "union", estimator, children)

    def _columns(self, estimator: Any, schema: Schema | None, path: str) -> Columns:
        path = path or "columns"
        if schema is not None:
            keys: list[Any] = schema.names if schema.named else list(range(len(schema)))
            picked = self._pick(estimator, blank_frame(schema), keys, schema, path)
            return Columns(path, estimator, picked, schema)
        # What the steps before it give is known once they are fitted.
        steps = [*estimator.transformers, ("remainder", estimator.remainder, [])]
        nodes = {
            name: step if isinstance(step, str) else self.parse(step, None, _join(path, name))
            for name, step, _ in steps
        }

        def resolve(sample: Any) -> Picked:
            found = list(sample.columns) if hasattr(sample, "iloc") else range(sample.shape[1])
            return _pick_columns(estimator, sample, list(found), path, nodes)

        provisional: Picked = [(name, node, [], False) for name, node in nodes.items()]
        return Columns(path, estimator, provisional, None, resolve)

    def _pick(
        self, estimator: Any, frame: Any, keys: list[Any], schema: Schema, path: str
    ) -> Picked:
        picked = _pick_columns(estimator, frame, keys, path, None)
        prefix = "" if path == "columns" else path
        return [
            (name, self._branch(step, schema, columns, _join(prefix, name)), columns, scalar)
            for name, step, columns, scalar in picked
        ]

    def _branch(self, step: Any, schema: Schema, columns: list[Any], path: str) -> Node | str:
        if isinstance(step, str):
            return step
        if not columns:
            return "drop"
        picked = [schema.names[key] if isinstance(key, int) else key for key in columns]
        return self.parse(step, schema.select(picked), path)


def _pick_columns(
    estimator: Any,
    frame: Any,
    keys: list[Any],
    path: str,
    nodes: dict[str, Node | str] | None,
) -> Picked:
    """Resolve a ColumnTransformer's columns; ``nodes`` stand for its transformers, if given."""
    taken: set[Any] = set()
    branches: list[tuple[str, Any, list[Any], bool]] = []
    for name, step, chosen in estimator.transformers:
        columns, scalar = _resolve(chosen, frame, keys, _join(path, name))
        taken |= set(columns)
        if isinstance(step, str):
            _refuse_word(step, _join(path, name))
        elif scalar:
            _refuse_series(step, columns[0], _join(path, name))
        else:
            _refuse_frame(step, columns, _join(path, name))
        node = step if nodes is None else nodes[name] if columns else "drop"
        branches.append((name, node, columns, scalar))
    if isinstance(estimator.remainder, str):
        _refuse_word(estimator.remainder, _join(path, "remainder"))
    rest = [key for key in keys if key not in taken]
    if rest:
        node = estimator.remainder if nodes is None else nodes["remainder"]
        branches.append(("remainder", node, rest, False))
    return branches


def _refuse_word(word: str, path: str) -> None:
    if word not in ("drop", "passthrough"):
        raise UsageError(
            f"step {path!r}: {word!r} is no transformer; write 'passthrough', 'drop', or a "
            "transformer"
        )


def _refuse_series(step: Any, column: Any, path: str) -> None:
    """Refuse one column as one dimension where scikit-learn's transformer takes a table."""
    while hasattr(step, "steps") and step.steps:
        step = step.steps[0][1]
    for _, part in getattr(step, "transformer_list", ()):
        if not isinstance(part, str):
            _refuse_series(part, column, path)
    ours = type(step).__module__.startswith(("sklearn.", "streamlearn."))
    free = iterates(step) or type(step).__name__ in ("FunctionTransformer", "FeatureUnion")
    if ours and not free and not isinstance(step, str):
        raise UsageError(
            f"step {path!r} ({type(step).__name__}) takes a table, and of {column!r} scikit-learn "
            f"would give it one column without its dimension; write [{column!r}] instead of "
            f"{column!r}"
        )


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


def _resolve(chosen: Any, frame: Any, keys: Sequence[Any], path: str) -> tuple[list[Any], bool]:
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
