"""A source with roles: which column is the target, which are features, what is computed."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import DataError, SchemaError, UsageError
from streamlearn.source.base import Fragment, ReaderCost, Source, locate
from streamlearn.source.derive import Expressions, make_expressions

__all__ = ["Dataset"]


class Dataset:
    """Rows to learn from: a source, the roles of its columns, computed columns and a condition.

    Made by `scan`; nothing is read until it is fitted or evaluated.
    """

    def __init__(
        self,
        source: Source,
        *,
        target: str | None = None,
        features: Sequence[str] | None = None,
        weight: str | None = None,
        derive: Mapping[str, pc.Expression] | Sequence[str] | str | None = None,
        where: pc.Expression | str | None = None,
    ) -> None:
        self.source = source
        self.expressions: Expressions | None = make_expressions(source.schema, derive, where)
        self.target = target
        self.weight = weight
        self.where = where
        self.derive = derive
        derived = list(self.expressions.derived) if self.expressions else []
        replaced = {field.name for field in derived}
        kept = [field for field in source.schema if field.name not in replaced]
        self.schema = Schema((*kept, *derived), source.schema.named)
        for role, name in (("target", target), ("weight", weight)):
            if name is not None and name not in self.schema:
                raise SchemaError(
                    f"the {role} {name!r} is not a column; "
                    f"the columns are: {', '.join(self.schema.names)}"
                )
        if weight is not None and not self.schema[weight].is_number:
            raise SchemaError(
                f"the weight {weight!r} is {self.schema[weight].type}; a weight is a number"
            )
        self.features = self._features(features)
        self._computed = frozenset(replaced)

    def _features(self, features: Sequence[str] | None) -> Schema:
        if not self.source.schema.named:
            if features is not None:
                raise UsageError("features= needs named columns; an array has none")
            return self.schema
        if features is not None:
            if isinstance(features, str):
                raise UsageError(f"features= takes a list of names, not the text {features!r}")
            for role, name in (("target", self.target), ("weight", self.weight)):
                if name in features:
                    raise UsageError(f"{name!r} is the {role}; it cannot be a feature as well")
            return self.schema.select(list(features))
        left_out = {self.target, self.weight}
        # pandas writes its index as a column of this name; it is a row number, not a feature.
        names = [
            name
            for name in self.schema.names
            if name not in left_out and not name.startswith("__index_level_")
        ]
        return self.schema.select(names)

    @property
    def fragments(self) -> Sequence[Fragment]:
        """Parts that can be read on their own, in order."""
        return self.source.fragments

    @cached_property
    def rows(self) -> int:
        """Rows stored, before any filter."""
        return sum(fragment.rows for fragment in self.fragments)

    @cached_property
    def longest_rows(self) -> int:
        """Rows of the longest fragment."""
        return max((fragment.rows for fragment in self.fragments), default=0)

    @property
    def has_target(self) -> bool:
        """Whether there is something to predict."""
        return self.target_field is not None

    @property
    def has_weight(self) -> bool:
        """Whether rows carry weights."""
        return self.weight is not None or getattr(self.source, "has_weight", False)

    @property
    def target_field(self) -> Field | None:
        """Name and type of the target."""
        if self.target is not None:
            return self.schema[self.target]
        own = getattr(self.source, "target_type", None)
        return None if own is None else Field("target", own)

    def stored_columns(self, features: Sequence[str], roles: bool = True) -> list[str]:
        """Return the stored columns to read for these features (and target and weight)."""
        if not self.source.schema.named:
            return self.source.schema.names
        names = set(features)
        if roles:
            names |= {name for name in (self.target, self.weight) if name is not None}
        if self.expressions is not None and (self.expressions.filters or names & self._computed):
            names |= self.expressions.inputs
        names -= self._computed - (self.expressions.inputs if self.expressions else frozenset())
        return [name for name in self.source.schema.names if name in names]

    def require(self, features: Sequence[str], roles: bool = True) -> None:
        """Refuse nested columns, and those whose types disagree between files or that some lack.

        Raises
        ------
        SchemaError
            Naming files, column, types, and what settles it.
        """
        for name in features:
            if pa.types.is_nested(self.schema[name].type):
                raise SchemaError(
                    f"column {name!r} is nested ({self.schema[name].type}), and a feature is one "
                    "value a row: leave it out by naming the columns to learn from with features= "
                    "or --features, or compute a plain column from it with derive="
                )
        reconciled = getattr(self.source, "reconciled", None)
        if reconciled is not None:
            reconciled.require(self.stored_columns(features, roles))

    def cost(self, features: Sequence[str], roles: bool = True) -> ReaderCost:
        """Bytes one reader holds for these features."""
        cost = self.source.cost(self.stored_columns(features, roles))
        if not self.source.schema.named:
            return cost
        wanted = {*features, *(name for name in (self.target, self.weight) if roles and name)}
        wanted -= self._computed
        kept = [name for name in self.source.schema.names if name in wanted]
        delivered = 8.0 + self.source.cost(kept).chunk_row_bytes
        if self.expressions is None:
            return replace(cost, row_bytes=cost.row_bytes + 8, chunk_row_bytes=delivered)
        computed = 16.0 * len(self.expressions.derived) + 2
        return replace(
            cost,
            fixed_bytes=cost.fixed_bytes + (8 << 20),
            row_bytes=cost.row_bytes + 8 + cost.chunk_row_bytes + 2 * computed,
            chunk_row_bytes=delivered + computed,
        )

    def lean(self, scratch_dir: str | None) -> Dataset:
        """Return the same data, read with as little memory as can be, by way of the disk."""
        found = copy.copy(self)
        found.source = self.source.lean(scratch_dir)
        return found

    def read(
        self, fragment: Fragment, features: Sequence[str], rows: int, *, roles: bool = True
    ) -> Generator[Chunk, None, None]:
        """Yield a fragment's rows that pass the condition; ``rows`` are read at a time.

        Parameters
        ----------
        features : sequence of str
            Columns of ``X``, in this order. May be empty.
        roles : bool
            Whether to read target and weight as well.
        """
        for chunk in self.source.read(fragment, self.stored_columns(features, roles), rows):
            if not self.source.schema.named:
                yield chunk
                continue
            kept = self._assign(chunk, features, roles)
            if len(kept):
                yield kept

    def _assign(self, chunk: Chunk, features: Sequence[str], roles: bool) -> Chunk:
        table: pa.RecordBatch = chunk.X
        columns = dict(zip(table.schema.names, table.columns, strict=True))
        keep: NDArray[np.bool_] | None = None
        wanted = {*features, *(name for name in (self.target, self.weight) if roles and name)}
        if self.expressions is not None and (self.expressions.filters or wanted & self._computed):
            made, keep = self.expressions.apply(
                table.select(
                    [name for name in table.schema.names if name in self.expressions.inputs]
                )
            )
            columns.update(zip(made.schema.names, made.columns, strict=True))
        names = [name for name in self.schema.names if name in wanted]
        arrays = [columns[name] for name in names]
        if keep is not None and not keep.all():
            mask = pa.array(keep)
            arrays = [array.filter(mask) for array in arrays]
        row_numbers = chunk.rows if keep is None else chunk.rows[keep]
        found = dict(zip(names, arrays, strict=True))
        schema = pa.schema([(name, found[name].type) for name in features])
        X = pa.RecordBatch.from_arrays([found[name] for name in features], schema=schema)
        y = self._target_values(found, row_numbers) if roles and self.target else None
        weight = self._weight_values(found, row_numbers) if roles and self.weight else None
        return Chunk(X, row_numbers, y, weight)

    def _target_values(
        self, columns: Mapping[str, pa.Array], rows: NDArray[np.int64]
    ) -> NDArray[Any]:
        name = self.target or ""
        column = columns[name]
        if column.null_count:
            self._refuse(name, int(np.asarray(column.is_null()).argmax()), rows, "missing (null)")
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)
        field = Field(name, column.type)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        elif not field.is_number:
            raise SchemaError(
                f"the target {name!r} is {column.type}; a target is a number, a boolean or a "
                "string; compute one with derive="
            )
        values = np.asarray(column.to_numpy(zero_copy_only=False))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            rule = f"leave such rows out with where= (in SQL: isfinite({name}))"
            self._refuse(name, bad, rows, str(values[bad]), rule)
        return values

    def _weight_values(
        self, columns: Mapping[str, pa.Array], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        name = self.weight or ""
        values = np.asarray(
            columns[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64
        )
        good = np.isfinite(values) & (values >= 0)
        if not good.all():
            bad = int(np.argmin(good))
            self._refuse(name, bad, rows, str(values[bad]), "a weight is a number, zero or more")
        return values

    def _refuse(
        self, name: str, at: int, rows: NDArray[np.int64], shown: str, rule: str = ""
    ) -> None:
        place = locate(self.fragments, int(rows[at]))
        remedy = rule or f"leave such rows out with where= (in SQL: {name} IS NOT NULL)"
        raise DataError(f"{place}: column {name!r} is {shown}; {remedy}")

    def to_dask(self) -> Any:
        """Return the same rows as a `dask.dataframe.DataFrame`, a fragment a partition.

        Features, then target and weight, with computed columns and without the rows that the
        condition filters; the index is the number of the row in the source. A matrix has the
        columns ``"0"``, ``"1"``, ... and ``"target"`` and ``"weight"``. Integers and booleans
        with gaps become what pandas makes of them, partition by partition.

        Raises
        ------
        UsageError
            If the data is a sparse matrix.
        """
        from streamlearn.source.dask import to_dask

        return to_dask(self)

    def locate(self, row: int) -> str:
        """Say where a row is stored."""
        return locate(self.fragments, row)

    def __repr__(self) -> str:
        kind = type(self.source).__name__.removesuffix("Source").lower()
        target = self.target_field
        return (
            f"Dataset({kind}, {self.rows:,} rows, {len(self.features)} features, "
            f"{len(self.fragments)} fragments, target={target.name if target else None!r})"
        )
