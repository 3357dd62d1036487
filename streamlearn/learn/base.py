"""What can learn from chunks: accumulators, which merge, and learners, which go in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from streamlearn.chunk import Block

__all__ = ["Accumulator", "Fillable", "Growing", "Growth", "column_names"]


class Accumulator(Protocol):
    """Mergeable state of one estimator.

    Blocks of fixed size arrive in order within a fragment, and fragments merge in source
    order; within that, nothing may depend on how the rows were read.
    """

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """Take in a block of rows."""
        ...

    def merge(self, other: Self) -> None:
        """Take in the state of rows that come after these."""
        ...

    def finish(self, estimator: Any, sample: Any) -> Accumulator | None:
        """Fit the estimator from the state; ``sample`` is a few rows as it would see them.

        Returns
        -------
        Accumulator or None
            None: fitted. An accumulator: one more pass is needed, with it.
        """
        ...


@runtime_checkable
class Fillable(Protocol):
    """An accumulator that can learn ahead of an imputer, from data with gaps.

    The imputer before it learns in the same pass; when its fill values are known, ``fill``
    turns the state into the one of the filled data.
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
