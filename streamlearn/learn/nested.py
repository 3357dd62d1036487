"""Steps put together: one after the other, side by side over columns, or side by side on all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamlearn.chunk import Block, Chunk, Schema
from streamlearn.learn.base import Fillable
from streamlearn.learn.documents import DocumentCounts
from streamlearn.learn.graph import Leaf, Node, PassState
from streamlearn.learn.imputing import ImputerStatistics, learns_ahead
from streamlearn.learn.registry import Exact
from streamlearn.prepare.base import Kernel, PassthroughKernel
from streamlearn.prepare.columns import Branch
from streamlearn.prepare.compile import compile_transformer

__all__ = ["Chain", "Columns", "Picked", "TargetBeside", "Union", "counts_for", "learns_ahead_of"]

Picked = list[tuple[str, "Node | str", list[Any], bool]]
"""Branches of a ColumnTransformer: name, transformer (or "passthrough", "drop"), columns, and
whether one column is taken as one dimension; in output order, the remainder last."""


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

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(chunk.X, chunk.rows) if need else None
        nodes = self.nodes
        for index, node in enumerate(nodes):
            rest = nodes[index + 1 :]
            if rest and learns_ahead_of(node, rest[0]):
                if not node.fitted:
                    node.visit(chunk, state, False)
                rest[0].visit(chunk, state, False)
                return None
            needed = need or any(not later.fitted for later in rest)
            transformed = node.visit(chunk, state, needed)
            if transformed is None:
                return None
            chunk = chunk.replace(transformed)
        return chunk.X

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        nodes = self.nodes
        for index, node in enumerate(nodes):
            follower = nodes[index + 1] if index + 1 < len(nodes) else None
            ahead = follower is not None and learns_ahead_of(node, follower)
            sample = node.settle(sample, state)
            if follower is not None and counts_for(node, follower):
                _hand_on_counts(node, follower, state)
            if ahead:
                assert isinstance(follower, Leaf)
                follower.is_ahead = True
                if not follower.advance(state):
                    return None
            if sample is None:
                return None
            if ahead:
                learned: Any = follower.learned  # type: ignore[union-attr]
                learned.fill(node.estimator)
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
    branches: Picked
    schema: Schema | None
    """Columns it takes, where they come straight from the source."""
    resolve: Callable[[Any], Picked] | None = None
    """Picks the columns from a sample, where only the steps before it say what they are."""
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

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(chunk.X, chunk.rows) if need else None
        for _, node, columns, scalar in self.branches:
            if not isinstance(node, str) and not node.fitted:
                node.visit(chunk.replace(_take(chunk.X, columns, scalar)), state, False)
        return None

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        if self.resolve is not None:
            self.branches, self.resolve = self.resolve(sample), None
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
            counted = getattr(last.kernel, "nonzeros", None)
            if counted is not None and last.counts is not None:
                stored += counted(last.counts)
            else:
                stored += output.nnz / sampled * rows
        return bool(stored / max(1.0, cells) < self.estimator.sparse_threshold)


@dataclass
class Union:
    """A FeatureUnion."""

    path: str
    estimator: Any
    children: list[tuple[str, Node | str]]
    """Name, and transformer or "drop"."""
    kernel: Kernel | None = None

    @property
    def nodes(self) -> list[Node]:
        """Transformers that have something to do."""
        return [node for _, node in self.children if not isinstance(node, str)]

    @property
    def fitted(self) -> bool:
        """See `Node.fitted`."""
        return self.kernel is not None

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        for node in self.nodes:
            yield from node.leaves()

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(chunk.X, chunk.rows) if need else None
        for node in self.nodes:
            if not node.fitted:
                node.visit(chunk, state, False)
        return None

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        if self.kernel is None:
            outputs = [node.settle(sample, state) for node in self.nodes]
            if any(output is None for output in outputs):
                return None
            self.estimator = copy.copy(self.estimator)
            self.estimator.transformer_list = [
                (name, node if isinstance(node, str) else node.estimator)
                for name, node in self.children
            ]
            found = self.estimator.transform(sample)
            known = {id(node.estimator): node_kernel(node) for node in self.nodes}
            self.kernel = compile_transformer(self.estimator, None, known)
            return found
        return self.estimator.transform(sample)


@dataclass
class TargetBeside:
    """What learns from the target, beside what learns from the features."""

    path: str
    steps: Node | None
    target: Node

    @property
    def estimator(self) -> Any:
        """What learns from the features."""
        return self.steps.estimator if self.steps is not None else None

    @property
    def fitted(self) -> bool:
        """See `Node.fitted`."""
        return self.target.fitted and (self.steps is None or self.steps.fitted)

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        if self.steps is not None:
            yield from self.steps.leaves()
        yield from self.target.leaves()

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if not self.target.fitted and chunk.y is not None:
            self.target.visit(chunk.replace(chunk.y[:, None]), state, False)
        return self.steps.visit(chunk, state, need) if self.steps is not None else None

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        self.target.settle(np.ones((8, 1)), state)
        return self.steps.settle(sample, state) if self.steps is not None else None


def node_kernel(node: Node) -> Kernel:
    """Return the compiled form of a fitted node."""
    kernel: Kernel | None = getattr(node, "kernel", None)
    assert kernel is not None
    return kernel


def _take(X: Any, columns: list[Any], scalar: bool) -> Any:
    return Branch(PassthroughKernel(len(columns)), columns, scalar).take(X)


def counts_for(node: Node, follower: Node) -> bool:
    """Whether a vectorizer counts, while it learns its terms, all that a TfidfTransformer needs."""
    return (
        isinstance(node, Leaf)
        and isinstance(follower, Leaf)
        and type(node.estimator).__name__ == "CountVectorizer"
        and node.estimator.vocabulary is None
        and isinstance(follower.recipe, Exact)
        and follower.recipe.make is DocumentCounts
        and not follower.fitted
    )


def _hand_on_counts(node: Node, follower: Node, state: PassState | None) -> None:
    assert isinstance(node, Leaf)
    assert isinstance(follower, Leaf)
    if node.fitted and node.counts is not None and state is not None and not follower.learned:
        follower.learned = DocumentCounts.counted(
            follower.estimator, node.counts[0], state.rows, node.estimator.dtype
        )


def learns_ahead_of(node: Node, follower: Node) -> bool:
    """Whether the follower learns from the same data with gaps as the imputer before it."""
    return (
        isinstance(node, Leaf)
        and isinstance(follower, Leaf)
        and isinstance(node.recipe, Exact)
        and isinstance(follower.recipe, Exact)
        and not follower.fitted
        and (follower.is_ahead or not node.fitted)
        and node.recipe.make is ImputerStatistics
        and learns_ahead(node.estimator, node.schema)
        and isinstance(follower.recipe.make, type)
        and issubclass(follower.recipe.make, Fillable)
        and getattr(follower.recipe.make, "may_fill", _always)(follower.estimator)
    )


def _always(estimator: Any) -> bool:
    del estimator
    return True
