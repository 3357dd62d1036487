"""An estimator as a graph of steps: which can learn now, which wait on which.

A pass shows every block to the graph once (`visit`): steps that are fitted transform, steps that are not
learn, and what waits on them waits. After the pass, `settle` fits what has learned, and the
next pass goes one level deeper. An imputer and the step behind it learn in one pass.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Block, Chunk, Schema
from streamlearn.errors import CellError, DataError
from streamlearn.learn.base import Accumulator, Growing, Growth, Numbered, Refining, Sized
from streamlearn.learn.in_order import BatchLearning
from streamlearn.learn.registry import Exact, Learner, Recipe, Stateless
from streamlearn.learn.reservoir import SampleFit
from streamlearn.learn.seeding import unseed
from streamlearn.learn.sequential import needs_target
from streamlearn.learn.target import TargetProfile
from streamlearn.prepare.base import Kernel, PassthroughKernel
from streamlearn.prepare.compile import changes_output, compile_transformer
from streamlearn.prepare.text import iterates
from streamlearn.prepare.union import FrameKernel

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

    @property
    def estimator(self) -> Any:
        """What the node is made from; fitted once ``fitted``."""
        ...

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
    recipe: Recipe
    schema: Schema | None
    """Columns it takes, where they come straight from the source."""
    kernel: Kernel | None = None
    columns_out: int = 0
    """Columns it gives, once fitted."""
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
    seeded: list[str] = field(default_factory=list)
    """Parameters that hold a seed until it is fitted."""
    waits_for_classes: bool = False
    """It learns in order, and has to know all classes before."""
    target: TargetProfile | None = None
    """The classes, once they are known."""
    batch_rows: int | None = None
    """Rows of a batch, where it learns in order and the user has a say."""
    learns_target: bool = False
    """It has to do with the target only, and transforms no rows."""
    sketches: bool = False
    """Its quantiles may be those of a sketch."""
    rank_error: float = 0.0
    """How far the quantiles of a sketch may be off, as a share of the rows."""
    checked: bool = False
    """Whether a function was looked at on rows of the data."""
    told: list[str] = field(default_factory=list)
    """What fitting it warned of."""
    sampled: tuple[int, int] | None = None
    """Rows it was fitted on and rows there were, where it was fitted on a sample."""

    @property
    def fitted(self) -> bool:
        """See `Node.fitted`."""
        return self.kernel is not None

    @cached_property
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
        if self.pending is not None:
            return copy.deepcopy(self.pending)
        return self.make()

    def make(self) -> Accumulator:
        """Return an empty accumulator."""
        if isinstance(self.recipe, Learner):
            return BatchLearning(self.estimator, self.target, self.batch_rows)
        assert isinstance(self.recipe, Exact)
        found = self.recipe.make(self.estimator)
        if self.sketches and hasattr(found, "sketch"):
            found.sketch = True
        if self.is_ahead and hasattr(found, "ahead"):
            found.ahead = True
        if self.target is not None and self.target.is_class and hasattr(found, "classes"):
            found.classes = len(self.target.classes()[0])
        return found

    @property
    def needs_target(self) -> bool:
        """Whether it cannot learn without a target."""
        if isinstance(self.recipe, Stateless):
            return False
        if isinstance(self.recipe, Learner):
            return needs_target(self.estimator)
        return bool(getattr(self.make(), "needs_target", False))

    @property
    def looks_at_target(self) -> bool:
        """Whether it may look at target or weight while it learns; not known of others' classes."""
        if not isinstance(self.recipe, Exact) or not isinstance(self.recipe.make, type):
            return True
        ours = self.recipe.make.__module__.startswith("streamlearn.")
        return not ours or self.needs_target or self.takes_weight

    @property
    def grows(self) -> bool:
        """Whether what it counts grows with the data."""
        if self.fitted or not isinstance(self.recipe, Exact):
            return False
        return isinstance(self.make(), Growing)

    @property
    def planned(self) -> bool:
        """Whether its size follows from the number of columns."""
        return isinstance(self.make(), Sized)

    @property
    def in_order(self) -> bool:
        """Whether it has to see all rows one after the other."""
        return isinstance(self.recipe, Learner)

    @property
    def passes(self) -> int:
        """How many more passes it needs at most."""
        if self.fitted or self.learned is not None or isinstance(self.recipe, Stateless):
            return 0
        found = self.pending or self.make()
        return found.passes if isinstance(found, Refining) else 1

    def leaves(self) -> Iterator[Leaf]:
        """See `Node.leaves`."""
        yield self

    def visit(self, chunk: Chunk, state: PassState, need: bool) -> Block | None:
        """See `Node.visit`."""
        if self.kernel is not None:
            return self.kernel.apply(chunk.X, chunk.rows) if need else None
        if self.learned is None and not (self.waits_for_classes and self.target is None):
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
                self._quietly(self.estimator.fit, sample)
            else:
                if not self.advance(state):
                    return None
                assert self.learned is not None
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    self._call(self.learned.finish, self.estimator, sample)
                self.told += [str(item.message) for item in caught]
                self._note(self.learned)
                self.learned = None
            unseed(self.estimator, self.seeded)
            if self.learns_target:
                self.kernel = PassthroughKernel(1)
                return sample
            if self.kernel is None:
                self.kernel = self._quietly(compile_transformer, self.estimator, self.schema)
        if iterates(self.estimator) and self.kernel is not None:
            # These iterate over rows, and a frame iterates over the names of its columns.
            found = self._quietly(self.kernel.apply, sample)
        else:
            found = self._quietly(self.estimator.transform, sample)
        self.columns_out = int(found.shape[1]) if np.ndim(found) == 2 else 1
        if state is not None and isinstance(self.recipe, Stateless) and not self.checked:
            self.checked = True
            self._look_across_rows(sample, found)
        return found

    def _look_across_rows(self, sample: Any, whole: Any) -> None:
        """Warn of a function whose values for a row depend on the rows beside it."""
        ours = type(self.estimator).__module__.startswith(("sklearn.", "streamlearn."))
        if (ours and getattr(self.estimator, "func", None) is None) or sample.shape[0] < 2:
            return
        half = sample.shape[0] // 2
        rows = sample.iloc if hasattr(sample, "iloc") else sample
        parts = [
            _values(self._quietly(self.estimator.transform, part))
            for part in (rows[:half], rows[half:])
        ]
        widths = {part.shape[1:] for part in (_values(whole), *parts)}
        if len(widths) > 1:
            shown = " or ".join(sorted(str(width[0]) for width in widths if width))
            raise DataError(
                f"step {self.path!r}: how many columns it gives depends on the rows ({shown}); give "
                "every block the same columns (a OneHotEncoder knows them from all rows)"
            )
        if not _are_equal(_values(whole), np.concatenate(parts)):
            self.told.append(
                "it gives a row other values among other rows; it sees one block of rows at a "
                "time, and never all of them"
            )

    def _note(self, learned: Any) -> None:
        """Keep what an accumulator has to say beyond the fitted estimator."""
        self.counts = getattr(learned, "counts", None)
        # One that encodes the rows it learned from in another way brings its own kernel.
        self.kernel = getattr(learned, "kernel", None)
        if self.kernel is not None and changes_output(self.estimator):
            names = self.estimator.get_feature_names_out()
            self.kernel = FrameKernel([(self.kernel, lambda X: X)], names)
        self.rank_error = getattr(learned, "rank_error", 0.0)
        if type(learned) is SampleFit:  # Nystroem takes a sample by its nature
            self.sampled = (learned.rows_sampled, learned.rows_seen)

    def _call(self, function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except (ValueError, TypeError, NotImplementedError) as error:
            if isinstance(error, DataError):
                raise
            name = type(self.estimator).__name__
            raise DataError(f"step {self.path!r} ({name}): {error}") from error

    def _quietly(self, function: Any, *args: Any) -> Any:
        """Call what works on the sample: a stand-in, whose lacks say nothing about the data."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._call(function, *args)


def _values(found: Any) -> Any:
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def _are_equal(one: Any, other: Any) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=1e-6, atol=0, equal_nan=True))
    return bool(np.all((one == other) | ((one != one) & (other != other))))  # noqa: PLR0124 - NaN
