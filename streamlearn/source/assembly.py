"""From the columns that were read to rows with roles: selected, computed, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field
from streamlearn.errors import DataError, SchemaError, UsageError
from streamlearn.source.base import locate
from streamlearn.source.values import (
    Faulty,
    faulty_target,
    faulty_weight,
    infinite,
    missing,
    missing_in_rows,
)

if TYPE_CHECKING:
    from streamlearn.source.dataset import Dataset

__all__ = ["Assembler", "LeftOut"]


@dataclass
class LeftOut:
    """Rows of a fragment that are not delivered, other than by the user's own condition."""

    missing: int = 0
    """With a missing value, where these are dropped."""
    rejected: int = 0


class Assembler:
    """Makes a dataset's rows out of the chunks of its source.

    Parameters
    ----------
    data : Dataset
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def select(
        self, chunk: Chunk, features: Sequence[str], roles: bool, left_out: LeftOut
    ) -> tuple[Chunk, dict[str, pa.Array]]:
        """Return the rows that pass the condition, and their columns by name."""
        if not self._data.source.schema.named:
            return self._select_rows(self._picked(chunk), left_out), {}
        table: pa.RecordBatch = chunk.X
        columns = dict(zip(table.schema.names, table.columns, strict=True))
        wanted = self._data.wanted(features, roles)
        keep: NDArray[np.bool_] | None = None
        if self._data.expressions is not None and (
            self._data.expressions.filters or wanted & self._data.computed
        ):
            made, keep = self._compute(chunk)
            columns.update(zip(made.schema.names, made.columns, strict=True))
        columns = {name: columns[name] for name in self._data.schema.names if name in wanted}
        if self._data.drop_missing:
            absent = np.zeros(len(chunk), bool) if keep is None else ~keep
            passed = len(chunk) - int(absent.sum())
            for column in columns.values():
                found = missing(column)
                if found is not None:
                    absent |= found
            keep = ~absent
            left_out.missing += passed - int(keep.sum())
        if keep is None or keep.all():
            return chunk, columns
        mask = pa.array(keep)
        rows = chunk.rows[keep]
        empty = pa.record_batch({"": pa.nulls(len(rows))}).select([])
        return Chunk(empty, rows), {name: item.filter(mask) for name, item in columns.items()}

    def _picked(self, chunk: Chunk) -> Chunk:
        """Return the chunk of a matrix with its features alone: others have no say in its rows."""
        picks = self._data.picks
        if picks is None:
            return chunk
        return Chunk(chunk.X[:, picks], chunk.rows, chunk.y, chunk.weight)

    def _select_rows(self, chunk: Chunk, left_out: LeftOut) -> Chunk:
        if not self._data.drop_missing:
            return chunk
        absent = np.zeros(len(chunk), bool)
        for part in (chunk.X, chunk.y, chunk.weight):
            found = None if part is None else missing_in_rows(part)
            if found is not None:
                absent |= found
        left_out.missing += int(absent.sum())
        return chunk.keep(~absent)

    def _compute(self, chunk: Chunk) -> tuple[pa.RecordBatch, NDArray[np.bool_] | None]:
        assert self._data.expressions is not None
        table: pa.RecordBatch = chunk.X
        inputs = [name for name in table.schema.names if name in self._data.expressions.inputs]
        try:
            return self._data.expressions.apply(table.select(inputs))
        except (DataError, UsageError, MemoryError):
            raise
        except Exception as error:
            first, last = int(chunk.rows[0]), int(chunk.rows[-1])
            raise DataError(
                f"derive or where cannot be computed in rows {first} to {last} of the source "
                f"(from {locate(self._data.fragments, first)}): {str(error).splitlines()[0]}"
            ) from error

    def assign(
        self,
        chunk: Chunk,
        columns: Mapping[str, pa.Array],
        features: Sequence[str],
        roles: bool,
    ) -> Chunk:
        """Give columns their roles, and refuse values that these do not allow."""
        if not self._data.source.schema.named:
            return chunk
        for name, values, faulty in self.faulty(chunk, columns, []) if roles else ():
            at = int(faulty.mask.argmax())
            shown = faulty.shown or str(values[at])
            place = locate(self._data.fragments, int(chunk.rows[at]))
            raise DataError(f"{place}: column {name!r} is {shown}; {faulty.remedy}")
        schema = pa.schema([(name, columns[name].type) for name in features])
        X = pa.RecordBatch.from_arrays([columns[name] for name in features], schema=schema)
        y = self._target_values(columns[self._data.target]) if roles and self._data.target else None
        weight = _as_numbers(columns[self._data.weight]) if roles and self._data.weight else None
        return Chunk(X, chunk.rows, y, weight)

    def faulty(
        self,
        chunk: Chunk,
        columns: Mapping[str, pa.Array],
        features: Sequence[str],
        *,
        screen: bool = False,
        classes: bool = False,
    ) -> Iterator[tuple[str, Any, Faulty]]:
        """Yield columns, their values, and the rows where these are not allowed."""
        named = self._data.source.schema.named
        target = columns[self._data.target] if named and self._data.target else chunk.y
        if target is not None:
            name = self._data.target or "target"
            for faulty in faulty_target(name, target, classes=classes):
                yield name, target, faulty
        weight = (
            _as_numbers(columns[self._data.weight]) if named and self._data.weight else chunk.weight
        )
        if weight is not None:
            for faulty in faulty_weight(weight):
                yield self._data.weight or "weight", weight, faulty
        if not screen:
            return
        for name in features if named else [""]:
            values = columns[name] if named else chunk.X
            found = infinite(values)
            if found is not None:
                shown = "" if named else "infinite"
                yield name or "X", values, Faulty(found, shown, "a number is infinite", "")

    def _target_values(self, column: pa.Array) -> NDArray[Any]:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            lists = np.empty(len(column), dtype=object)
            lists[:] = column.to_pylist()
            return lists
        elif not Field("", column.type).is_number:
            raise SchemaError(
                f"the target {self._data.target!r} is {column.type}; a target is a number, a "
                "boolean or a string; compute one with derive="
            )
        return np.asarray(column.to_numpy(zero_copy_only=False))


def _as_numbers(column: pa.Array) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
