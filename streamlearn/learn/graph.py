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

from streamlearn.chunk import Block, Chunk, Schema
from streamlearn.errors import CellError, DataError
from streamlearn.learn.base import Accumulator, Growing, Growth, Numbered, Refining
from streamlearn.learn.registry import Exact, Stateless
from streamlearn.prepare.base import Kernel
from streamlearn.prepare.compile import compile_transformer
from streamlearn.prepare.dicts import RecordsKernel, RowsKernel
from streamlearn.prepare.text import TextKernel

__all__ = ["Leaf", "Node", "PassState"]


@dataclass
class PassState:
    """What one stretch of rows has taught, step by step."""

    accumulators: dict[str, Accumulator] = field(default_factory=dict)
    rows: int = 0
    """Rows learned from."""

    def update(self, leaf: Leaf, chunk: Chunk) -> None:
        """Show a block to one step."""
        found = self.accumulators.get(leaf.path)
        if found is None:
            found = self.accumulators[leaf.path] = leaf.start()
        try:
            if isinstance(found, Numbered):
                found.note_rows(chunk.rows)
            found.update(chunk.X, chunk.y, chunk.weight if leaf.takes_weight else None)
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

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
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
    learned: Accumulator | None = None
    """All it needs to be fitted, once it has that."""
    is_ahead: bool = False
    """It learns from data with gaps, which the imputer before it is to fill."""

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

    @property
    def passes(self) -> int:
        """How many more passes it needs at most."""
        if self.fitted or self.learned is not None or not isinstance(self.recipe, Exact):
            return 0
        found = self.pending or self.recipe.make(self.estimator)
        return found.passes if isinstance(found, Refining) else 1

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        yield self

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(chunk.X, chunk.rows) if need else None
        if self.learned is None:
            state.update(self, chunk)
        return None

    def advance(self, state: PassState | None) -> bool:
        """Take what a pass has taught; return whether the step has all it needs."""
        if self.fitted or self.learned is not None:
            return True
        found = state.accumulators.get(self.path) if state is not None else None
        if found is None or found is self.pending:
            return False
        if isinstance(found, Refining) and self._call(found.refine):
            self.pending = found
            return False
        self.learned, self.pending = found, None
        return True

    def settle(self, sample: Any, state: PassState | None) -> Any:
        """See `Node.settle`."""
        if not self.fitted:
            if isinstance(self.recipe, Stateless):
                self._call(self.estimator.fit, sample)
            else:
                if not self.advance(state):
                    return None
                assert self.learned is not None
                self._call(self.learned.finish, self.estimator, sample)
                self.counts = getattr(self.learned, "counts", None)
                self.learned = None
            self.kernel = self._call(compile_transformer, self.estimator, self.schema)
        if isinstance(self.kernel, TextKernel | RecordsKernel | RowsKernel):
            # These iterate over rows, and a frame iterates over the names of its columns.
            return self._call(self.kernel.apply, sample)
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
