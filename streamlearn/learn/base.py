"""What can learn from chunks: accumulators, which merge, and learners, which go in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from streamlearn.chunk import Block

__all__ = [
    "Accumulator",
    "Fillable",
    "Growing",
    "Growth",
    "Numbered",
    "Refining",
    "Sized",
    "column_names",
]


class Accumulator(Protocol):
    """Mergeable state of one estimator.

    Blocks of fixed size arrive in order within a fragment, and fragments merge in source
    order; within that, nothing may depend on how the rows were read.

    A class may say more about itself by attributes, all of them optional: ``takes_sparse``
    (True: works on what a CSR block stores), ``needs_target`` (True: ``y`` is never None),
    ``kernel`` (once finished: transforms, and knows more of the rows learned from than the
    estimator keeps), ``in_order`` (True: blocks of a fixed size, across fragments, all in one state; never merged).
    """

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """Take in a block of rows."""
        ...

    def merge(self, other: Self) -> None:
        """Take in the state of rows that come after these."""
        ...

    def finish(self, estimator: Any, sample: Any) -> None:
        """Fit the estimator from the state; ``sample`` is a few rows as it would see them."""
        ...


@runtime_checkable
class Refining(Protocol):
    """An accumulator that may need more than one pass."""

    @property
    def passes(self) -> int:
        """How many more passes it needs at most, for the plan."""
        ...

    def refine(self) -> bool:
        """Take stock after a pass; return whether one more is needed.

        If so, what was gathered is put into what to look for next, and the state is empty
        again: each stretch of rows of the next pass begins with a copy of it.
        """
        ...


@runtime_checkable
class Numbered(Protocol):
    """An accumulator to which it matters which rows these are."""

    def note_rows(self, rows: NDArray[np.int64]) -> None:
        """Take the numbers in the source of the rows that the next ``update`` brings."""
        ...


@runtime_checkable
class Sized(Protocol):
    """An accumulator whose size follows from the number of columns and rows."""

    def planned_bytes(self, columns: int, rows: int) -> int:
        """Return what one state will hold while rows are read, for the memory plan."""
        ...


@runtime_checkable
class Fillable(Protocol):
    """An accumulator that can learn ahead of an imputer, from data with gaps.

    The imputer before it learns in the same pass; when its fill values are known, ``fill``
    turns the state into the one of the filled data. By then ``refine``, if there is one, has
    said that no more pass is needed. Where only some estimators of a class can, a static method
    ``may_fill(estimator)`` says which; where gaps are refused otherwise, an attribute ``ahead`` is
    set to True before any row is seen.
    """

    def fill(self, imputer: Any) -> None:
        """Count the missing values as the fitted imputer's fill values."""
        ...


@dataclass(frozen=True)
class Growth:
    """How far the state of one column has grown."""

    column: str
    count: int
    """Distinct values so far."""
    outputs: int
    """Columns that the fitted step would give for them."""
    state_bytes: int
    """Held while rows are read."""
    finish_bytes: int
    """On top of it for a moment, when the step is fitted."""
    kept_bytes: int
    """Of the fitted step and its kernel."""
    unit: str = "distinct values"
    """What is counted."""
    instead: str = "hash the column (FeatureHasher)"
    """What to do where it does not fit."""


@runtime_checkable
class Growing(Protocol):
    """An accumulator whose state grows with the data, and not with its columns alone."""

    def growth(self, *, exact: bool = False) -> list[Growth]:
        """Say how far it has grown, column by column; asked for after every chunk.

        Parameters
        ----------
        exact : bool
            Once all rows are in: take the time to count.
        """
        ...


def column_names(X: Block) -> list[str]:
    """Names of a block's columns; positions where there are none."""
    schema = getattr(X, "schema", None)
    return list(schema.names) if schema is not None else [str(i) for i in range(X.shape[1])]
