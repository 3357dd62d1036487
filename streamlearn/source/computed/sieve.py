"""Fragments that are not read, because no row of theirs passes the user's condition."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

from streamlearn.chunk import Schema
from streamlearn.source.base import Fragment, Source
from streamlearn.source.computed.derive import Expressions

__all__ = ["Sieve"]

_FEWER = 3
"""The condition's columns are read ahead where all columns have so many times their bytes."""
_LOOK_ROWS = 16_384
_TRIED, _AGAIN = 4, 16
"""Where so many looks spared nothing, only one fragment in sixteen is looked at."""


class Sieve:
    """Says of a fragment whether a row of it may pass.

    First its statistics are asked; then, where they leave it open and the condition needs few of
    the columns, those are read alone until a row passes. What is learned does not depend on it.

    Parameters
    ----------
    source : Source
    schema : Schema
        Stored columns and computed ones.
    expressions : Expressions or None
    """

    def __init__(self, source: Source, schema: Schema, expressions: Expressions | None) -> None:
        self._source = source
        self._schema = schema
        self._expressions = expressions
        self._worth: dict[tuple[str, ...], bool] = {}
        self._looked = self._spared = self._asked = 0

    @cached_property
    def impossible(self) -> frozenset[int]:
        """Indexes of fragments of which statistics prove that no row passes."""
        find = getattr(self._source, "impossible", None)
        known = self._expressions.implied if self._expressions is not None else None
        if find is None or known is None or self._expressions is None:
            return frozenset()
        made = set(self._expressions.derived.names)
        names = [name for name in self._expressions.inputs if name not in made]
        found: frozenset[int] = find(known, self._schema.to_arrow(), names)
        return found

    def notes(self) -> tuple[str, ...]:
        """Say how many fragments are not read."""
        if not self.impossible:
            return ()
        return (
            f"{len(self.impossible):,} of {len(self._source.fragments):,} row groups cannot hold "
            "rows that pass where=, as their statistics say, and are not read",
        )

    @cached_property
    def _condition(self) -> Expressions | None:
        return self._expressions.condition() if self._expressions is not None else None

    def may_pass(
        self, source: Source, fragment: Fragment, columns: Sequence[str], rows: int
    ) -> bool:
        """Whether some row of a fragment may pass.

        Parameters
        ----------
        source : Source
            To read from: the sieve's own, or its lean form.
        columns : sequence of str
            That would be read.
        rows : int
            Read at once, at most.
        """
        if self._expressions is None or not self._expressions.filters:
            return True
        if fragment.index in self.impossible:
            return False
        condition = self._condition
        if condition is None or not self._worthwhile(source, columns, condition):
            return True
        self._asked += 1
        if self._looked >= _TRIED and not self._spared and self._asked % _AGAIN:
            return True
        self._looked += 1
        passes = self._look(source, fragment, condition, min(rows, _LOOK_ROWS))
        self._spared += not passes
        return passes

    def _alone(self, condition: Expressions) -> list[str]:
        return [name for name in self._source.schema.names if name in condition.inputs]

    def _worthwhile(self, source: Source, columns: Sequence[str], condition: Expressions) -> bool:
        key = tuple(columns)
        if key not in self._worth:
            alone = self._alone(condition)
            self._worth[key] = (
                hasattr(source, "impossible")
                and 0 < len(alone) < len(columns)
                and source.cost(columns).chunk_row_bytes
                >= _FEWER * source.cost(alone).chunk_row_bytes
            )
        return self._worth[key]

    def _look(self, source: Source, fragment: Fragment, condition: Expressions, rows: int) -> bool:
        chunks: Any = source.read(fragment, self._alone(condition), rows)
        with closing(chunks):
            for chunk in chunks:
                _, keep = condition.apply(chunk.X)
                if keep is None or keep.any():
                    return True
        return False
