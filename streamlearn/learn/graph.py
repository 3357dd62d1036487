"""An estimator as a graph of steps: which can learn now, which wait on which.

`parse` turns a Pipeline, a ColumnTransformer or a bare transformer into nodes. A pass shows
every block to the graph once (`visit`): steps that are fitted transform, steps that are not
learn, and what waits on them waits. After the pass, `settle` fits what has learned, and the
next pass goes one level deeper. An imputer and the step behind it learn in one pass.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Block, Schema
from streamlearn.errors import CellError, DataError, SchemaError, UsageError
from streamlearn.learn.base import Accumulator, Fillable
from streamlearn.learn.imputing import ImputerStatistics, learns_ahead
from streamlearn.learn.registry import Exact, Stateless, find_recipe, refuse
from streamlearn.prepare.base import Kernel, PassthroughKernel
from streamlearn.prepare.columns import Branch
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.encode import OneHotKernel
from streamlearn.prepare.frame import blank_frame

__all__ = ["Chain", "Columns", "Leaf", "Node", "PassState", "parse", "schedule"]


@dataclass
class PassState:
    """What one stretch of rows has taught, step by step."""

    accumulators: dict[str, Accumulator] = field(default_factory=dict)
    rows: int = 0
    """Rows learned from."""

    def update(self, leaf: Leaf, X: Block, y: Any, weight: Any) -> None:
        """Show a block to one step."""
        found = self.accumulators.get(leaf.path)
        if found is None:
            found = self.accumulators[leaf.path] = leaf.start()
        try:
            found.update(X, y, weight if leaf.takes_weight else None)
        except CellError as error:
            raise CellError(
                error.row, error.column, f"{error.message} (step {leaf.path!r})"
            ) from None
        except (ValueError, TypeError, pa.ArrowException) as error:
            if isinstance(error, DataError):
                raise
            name = type(leaf.estimator).__name__
            raise DataError(f"step {leaf.path!r} ({name}) cannot learn: {error}") from error

    def merge(self, other: PassState) -> None:
        """Take in the state of the rows that come after."""
        self.rows += other.rows
        for path, theirs in other.accumulators.items():
            mine: Any = self.accumulators.get(path)
            if mine is None:
                self.accumulators[path] = theirs
            else:
                mine.merge(theirs)


class Node(Protocol):
    """A step, or steps put together."""

    path: str
    estimator: Any
    """Fitted once ``fitted``."""

    @property
    def fitted(self) -> bool:
        """Whether nothing in here still has to learn."""
        ...

    def leaves(self) -> Iterator[Leaf]:
        """Yield every step that is not made of others."""
        ...

    def visit(self, X: Block, y: Any, weight: Any, state: PassState, need: bool) -> Block | None:
        """Show a block; return it transformed, or None where that is not possible or needed."""
        ...

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """Fit what has learned; return the sample transformed, or None where steps still wait."""
        ...


@dataclass
class Leaf:
    """One transformer."""

    path: str
    estimator: Any
    recipe: Exact | Stateless
    schema: Schema | None
    """Columns it takes, where they come straight from the source."""
    kernel: Kernel | None = None
    counts: list[Any] | None = None
    """Rows of each category, for encoders."""
    pending: Accumulator | None = None
    """What its last pass left for one more."""

    @property
    def fitted(self) -> bool:
        """See `Node.fitted`."""
        return self.kernel is not None

    @property
    def takes_weight(self) -> bool:
        """Whether the user asked for sample weights here, by scikit-learn's metadata routing."""
        ask = getattr(self.estimator, "get_metadata_routing", None)
        if ask is None:
            return False
        try:
            requests = ask().fit.requests
        except (AttributeError, RuntimeError):
            return False
        return requests.get("sample_weight") is True

    def start(self) -> Accumulator:
        """Return an empty accumulator, or the one its last pass left."""
        assert isinstance(self.recipe, Exact)
        return copy.deepcopy(self.pending) if self.pending else self.recipe.make(self.estimator)

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        yield self

    def visit(self, X: Block, y: Any, weight: Any, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(X) if need else None
        state.update(self, X, y, weight)
        return None

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        if not self.fitted:
            if isinstance(self.recipe, Stateless):
                self._call(self.estimator.fit, sample)
            else:
                found = state.accumulators.get(self.path) if state is not None else None
                if found is None:
                    return None
                self.pending = self._call(found.finish, self.estimator, sample)
                if self.pending is not None:
                    return None
                self.counts = getattr(found, "counts", None)
            self.kernel = self._call(compile_transformer, self.estimator, self.schema)
        return self._call(self.estimator.transform, sample)

    def _call(self, function: Any, *args: Any) -> Any:
        import warnings

        try:
            with warnings.catch_warnings():
                # The sample is a stand-in: what it lacks says nothing about the data.
                warnings.simplefilter("ignore")
                return function(*args)
        except (ValueError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            name = type(self.estimator).__name__
            raise DataError(f"step {self.path!r} ({name}): {error}") from error


@dataclass
class Chain:
    """A Pipeline of transformers."""

    path: str
    estimator: Any
    children: list[tuple[str, Node | None]]
    """Steps; None is a passthrough."""
    kernel: Kernel | None = None

    @property
    def nodes(self) -> list[Node]:
        """Steps that do something."""
        return [node for _, node in self.children if node is not None]

    @property
    def fitted(self) -> bool:
        """See `Node.fitted`."""
        return all(node.fitted for node in self.nodes)

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        for node in self.nodes:
            yield from node.leaves()

    def visit(self, X: Block, y: Any, weight: Any, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(X) if need else None
        nodes = self.nodes
        for index, node in enumerate(nodes):
            rest = nodes[index + 1 :]
            if not node.fitted and rest and _ahead(node, rest[0]):
                node.visit(X, y, weight, state, False)
                rest[0].visit(X, y, weight, state, False)
                return None
            needed = need or any(not later.fitted for later in rest)
            transformed = node.visit(X, y, weight, state, needed)
            if transformed is None:
                return None
            X = transformed
        return X

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        nodes = self.nodes
        for index, node in enumerate(nodes):
            ahead = not node.fitted and index + 1 < len(nodes) and _ahead(node, nodes[index + 1])
            sample = node.settle(sample, state)
            if sample is None:
                return None
            if ahead and state is not None:
                follower: Any = state.accumulators.get(nodes[index + 1].path)
                if follower is not None:
                    follower.fill(node.estimator)
        if self.kernel is None:
            self.estimator = copy.copy(self.estimator)
            self.estimator.steps = [
                (name, node.estimator if node is not None else step)
                for (name, node), (_, step) in zip(self.children, self.estimator.steps, strict=True)
            ]
            known = {id(node.estimator): node_kernel(node) for node in nodes}
            self.kernel = compile_transformer(self.estimator, None, known)
        return sample


@dataclass
class Columns:
    """A ColumnTransformer."""

    path: str
    estimator: Any
    branches: list[tuple[str, Node | str, list[Any], bool]]
    """Name, transformer (or "passthrough", "drop"), columns, and whether one column is taken as
    one dimension; in output order, the remainder last."""
    schema: Schema
    kernel: Kernel | None = None
    rows: int = 0

    @property
    def nodes(self) -> list[Node]:
        """Branches that have something to do."""
        return [node for _, node, _, _ in self.branches if not isinstance(node, str)]

    @property
    def fitted(self) -> bool:
        """See `Node.fitted`."""
        return self.kernel is not None

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        for node in self.nodes:
            yield from node.leaves()

    def visit(self, X: Block, y: Any, weight: Any, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(X) if need else None
        for _, node, columns, scalar in self.branches:
            if not isinstance(node, str) and not node.fitted:
                node.visit(_take(X, columns, scalar), y, weight, state, False)
        return None

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        if self.kernel is None:
            if state is not None and not self.rows:
                self.rows = state.rows  # the same in every pass
            outputs = [
                node.settle(_take(sample, columns, scalar), state)
                for _, node, columns, scalar in self.branches
                if not isinstance(node, str)
            ]
            if any(output is None for output in outputs):
                return None
            self._assemble(sample, outputs)
        return self.estimator.transform(sample)

    def _assemble(self, sample: Any, outputs: list[Any]) -> None:
        """Let scikit-learn put the fitted branches together on the sample."""
        from sklearn.frozen import FrozenEstimator

        original = self.estimator
        fitted = copy.copy(original)
        by_name = {name: node for name, node, _, _ in self.branches if not isinstance(node, str)}
        fitted.transformers = [
            (name, FrozenEstimator(by_name[name].estimator) if name in by_name else step, columns)
            for name, step, columns in original.transformers
        ]
        if "remainder" in by_name:
            fitted.remainder = FrozenEstimator(by_name["remainder"].estimator)
        fitted.fit(sample)
        fitted.transformers_ = [
            (name, step.estimator if isinstance(step, FrozenEstimator) else step, columns)
            for name, step, columns in fitted.transformers_
        ]
        fitted.transformers, fitted.remainder = original.transformers, original.remainder
        if hasattr(fitted, "sparse_output_"):
            fitted.sparse_output_ = self._is_sparse(sample, outputs)
        self.estimator = fitted
        known = {
            id(leaf.estimator): leaf.kernel for leaf in self.leaves() if leaf.kernel is not None
        }
        self.kernel = compile_transformer(fitted, self.schema, known)

    def _is_sparse(self, sample: Any, outputs: list[Any]) -> bool:
        """Decide as ColumnTransformer would on all rows: by the share of stored values."""
        if not any(hasattr(output, "indptr") for output in outputs):
            return False
        rows, sampled = max(1, self.rows), max(1, len(sample))
        stored = cells = 0.0
        found = iter(outputs)
        for _, node, columns, _ in self.branches:
            if isinstance(node, str):
                width = 0 if node == "drop" else len(columns)
                stored, cells = stored + rows * width, cells + rows * width
                continue
            output = next(found)
            width = output.shape[1] if output.ndim == 2 else 1
            cells += rows * width
            if not hasattr(output, "indptr"):
                stored += rows * width
                continue
            last = list(node.leaves())[-1]
            if isinstance(last.kernel, OneHotKernel) and last.counts is not None:
                stored += last.kernel.nonzeros(last.counts)
            else:
                stored += output.nnz / sampled * rows
        return bool(stored / max(1.0, cells) < self.estimator.sparse_threshold)


def node_kernel(node: Node) -> Kernel:
    """Return the compiled form of a fitted node."""
    kernel: Kernel | None = getattr(node, "kernel", None)
    assert kernel is not None
    return kernel


def _take(X: Any, columns: list[Any], scalar: bool) -> Any:
    return Branch(PassthroughKernel(len(columns)), columns, scalar).take(X)


def _ahead(node: Node, follower: Node) -> bool:
    """Whether the follower can learn in the same pass as this imputer."""
    return (
        isinstance(node, Leaf)
        and isinstance(follower, Leaf)
        and isinstance(node.recipe, Exact)
        and isinstance(follower.recipe, Exact)
        and not follower.fitted
        and node.recipe.make is ImputerStatistics
        and learns_ahead(node.estimator, node.schema)
        and isinstance(follower.recipe.make, type)
        and issubclass(follower.recipe.make, Fillable)
    )


def schedule(root: Node) -> list[list[Leaf]]:
    """Return which steps learn in which pass, without reading anything."""
    fitted: set[str] = {leaf.path for leaf in root.leaves() if leaf.fitted}
    passes: list[list[Leaf]] = []
    while True:
        learning: list[Leaf] = []
        if _ready(root, fitted, learning):
            return passes
        if not learning:
            return passes
        passes.append(learning)
        fitted |= {leaf.path for leaf in learning}


def _ready(node: Node, fitted: set[str], learning: list[Leaf]) -> bool:
    if isinstance(node, Leaf):
        if isinstance(node.recipe, Stateless) or node.path in fitted:
            return True
        learning.append(node)
        return False
    if isinstance(node, Chain):
        nodes = node.nodes
        for index, child in enumerate(nodes):
            if not _ready(child, fitted, learning):
                follower = nodes[index + 1] if index + 1 < len(nodes) else None
                if follower is not None and _ahead(child, follower):
                    _ready(follower, fitted, learning)
                return False
        return True
    assert isinstance(node, Columns)
    # Every branch is asked, for each may have steps that can learn.
    ready = [_ready(child, fitted, learning) for child in node.nodes]
    return all(ready)


def columns_for(node: Node, given: Sequence[Any], learning: set[str], need: bool) -> list[Any]:
    """Return which of the given columns a pass has to read.

    Parameters
    ----------
    learning : set of str
        Paths of the steps that learn in the pass.
    need : bool
        Whether the node's output is needed.
    """
    wanted = _wanted(node, list(given), learning, need)
    return [name for name in given if name in wanted]


def _wanted(node: Node, given: list[Any], learning: set[str], need: bool) -> set[Any]:
    if isinstance(node, Leaf):
        return set(given) if need or node.path in learning else set()
    if isinstance(node, Chain):
        nodes = node.nodes
        if not nodes:
            return set(given) if need else set()
        later = any(leaf.path in learning for child in nodes[1:] for leaf in child.leaves())
        return _wanted(nodes[0], given, learning, need or later)
    assert isinstance(node, Columns)
    found: set[Any] = set()
    for _, child, columns, _ in node.branches:
        if isinstance(child, str):
            found |= set(columns) if need and child == "passthrough" else set()
        else:
            found |= _wanted(child, columns, learning, need)
    return found


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
        branches.append((name, _branch(step, schema, columns, _join(path, name)), columns, scalar))
    rest = [key for key in keys if key not in taken]
    if rest:
        step = _branch(estimator.remainder, schema, rest, _join(path, "remainder"))
        branches.append(("remainder", step, rest, False))
    return Columns(path or "columns", estimator, branches, schema)


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
