"""An estimator as a graph of steps: which can learn now, which wait on which.

A pass shows every block to the graph once (`visit`): steps that are fitted transform, steps that are not
learn, and what waits on them waits. After the pass, `settle` fits what has learned, and the
next pass goes one level deeper. An imputer and the step behind it learn in one pass.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from streamlearn.chunk import Block, Schema
from streamlearn.errors import CellError, DataError
from streamlearn.learn.base import Accumulator, Fillable, Growing, Growth
from streamlearn.learn.imputing import ImputerStatistics, learns_ahead
from streamlearn.learn.registry import Exact, Stateless
from streamlearn.prepare.base import Kernel, PassthroughKernel
from streamlearn.prepare.columns import Branch
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.encode import OneHotKernel

__all__ = ["Chain", "Columns", "Leaf", "Node", "PassState", "learns_ahead_of"]


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
            if isinstance(error, DataError | MemoryError):
                raise
            name = type(leaf.estimator).__name__
            raise DataError(f"step {leaf.path!r} ({name}) cannot learn: {error}") from error

    def growth(self, *, exact: bool = False) -> dict[str, list[Growth]]:
        """Say how far the steps have grown that grow with the data, by their paths."""
        return {
            path: found.growth(exact=exact)
            for path, found in list(self.accumulators.items())
            if isinstance(found, Growing)
        }

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
    growth: list[Growth] = field(default_factory=list)
    """What its pass has found, before it is fitted, where that grows with the data."""
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
            if not node.fitted and rest and learns_ahead_of(node, rest[0]):
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
            ahead = (
                not node.fitted
                and index + 1 < len(nodes)
                and learns_ahead_of(node, nodes[index + 1])
            )
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
        rows, sampled = max(1, self.rows), max(1, sample.shape[0])
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


def learns_ahead_of(node: Node, follower: Node) -> bool:
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
