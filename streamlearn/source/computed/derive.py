"""Columns computed from others, and the user's own condition on rows.

Two languages, one contract: Arrow expressions in Python, SQL (`streamlearn.source.computed.sql`) in text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Field, Schema
from streamlearn.errors import DataError, UsageError

__all__ = ["ArrowExpressions", "Expressions", "make_expressions"]


class Expressions(Protocol):
    """Computed columns and a condition, bound to a schema."""

    inputs: frozenset[str]
    """Stored columns that the expressions read (a superset is allowed)."""
    derived: Schema
    """The computed columns, with types."""
    filters: bool
    """Whether there is a condition on rows."""

    @property
    def implied(self) -> pc.Expression | None:
        """A condition that holds for every row that is kept, or None where none is known."""
        ...

    def condition(self) -> Expressions | None:
        """Return the condition alone, with the computed columns that it needs; None without."""
        ...

    def apply(self, table: pa.RecordBatch) -> tuple[pa.RecordBatch, NDArray[np.bool_] | None]:
        """Return the computed columns and which rows to keep (None: all); row for row."""
        ...


def make_expressions(
    schema: Schema,
    derive: Mapping[str, pc.Expression] | Sequence[str] | str | None,
    where: pc.Expression | str | None,
) -> Expressions | None:
    """Bind ``derive`` and ``where`` to a schema, in Arrow or SQL; both in one language.

    Raises
    ------
    UsageError
        If the two are in different languages, or name a column that does not exist.
    """
    if not derive and where is None:
        return None
    if not schema.named:
        raise UsageError("derive= and where= need named columns; an array has none")
    texts = [isinstance(derive, str | Sequence)] if derive else []
    texts += [isinstance(where, str)] if where is not None else []
    if all(texts):
        from streamlearn.source.computed.sql import SqlExpressions

        items = [derive] if isinstance(derive, str) else list(derive or [])
        return SqlExpressions(schema, items, where if isinstance(where, str) else None)
    if any(texts):
        raise UsageError(
            "derive= and where= must both be SQL text or both be pyarrow expressions, not one each"
        )
    return ArrowExpressions(
        schema,
        derive if isinstance(derive, Mapping) else {},
        where if isinstance(where, pc.Expression) else None,
    )


class ArrowExpressions:
    """Expressions in pyarrow's language.

    Parameters
    ----------
    schema : Schema
        Stored columns.
    derive : mapping of str to pyarrow.compute.Expression
        Name and formula of each new column; a later one may use an earlier one, and a name
        that exists already replaces that column.
    where : pyarrow.compute.Expression or None
        Rows for which it is false or null are filtered.
    """

    def __init__(
        self, schema: Schema, derive: Mapping[str, pc.Expression], where: pc.Expression | None
    ) -> None:
        self._schema = schema
        self._derive = dict(derive)
        self._where = where
        self.filters = where is not None
        self.inputs = self._inputs(schema)
        empty = schema.select([name for name in schema.names if name in self.inputs])
        try:
            table, _ = self.apply(
                pa.RecordBatch.from_arrays(
                    [pa.array([], field.type) for field in empty], names=empty.names
                )
            )
        except (pa.ArrowException, KeyError) as error:
            raise UsageError(
                f"derive= or where= cannot be used on this data: {error}; "
                f"the columns are: {', '.join(schema.names)}"
            ) from error
        self.derived = Schema.from_arrow(table.schema)

    @property
    def implied(self) -> pc.Expression | None:
        """See `Expressions.implied`: the condition itself."""
        return self._where

    def condition(self) -> ArrowExpressions | None:
        """See `Expressions.condition`."""
        if self._where is None:
            return None
        needed: dict[str, pc.Expression] = {}
        text = str(self._where)
        for name, formula in reversed(self._derive.items()):
            if name in text:
                needed[name] = formula
                text += str(formula)
        return ArrowExpressions(self._schema, dict(reversed(needed.items())), self._where)

    def _inputs(self, schema: Schema) -> frozenset[str]:
        """Return the stored columns that are read: a name computed by then is not one of them.

        The text of an expression names each field; a literal of the same text only reads one
        column more.
        """
        found: set[str] = set()
        made: set[str] = set()
        for name, formula in [*self._derive.items(), ("", self._where)]:
            text = "" if formula is None else str(formula)
            found |= {column for column in schema.names if column in text and column not in made}
            made.add(name)
        return frozenset(found)

    def apply(self, table: pa.RecordBatch) -> tuple[pa.RecordBatch, NDArray[np.bool_] | None]:
        """See `Expressions.apply`."""
        columns = dict(zip(table.schema.names, table.columns, strict=True))
        for name, formula in self._derive.items():
            columns[name] = _evaluate(formula, columns, table.num_rows)
        keep = None
        if self._where is not None:
            mask = _evaluate(self._where, columns, table.num_rows)
            if not pa.types.is_boolean(mask.type):
                raise DataError(f"where= must be true or false for each row, not {mask.type}")
            keep = np.asarray(mask.fill_null(False))
        made = {name: columns[name] for name in self._derive}
        schema = pa.schema([pa.field(name, array.type) for name, array in made.items()])
        return pa.RecordBatch.from_arrays(list(made.values()), schema=schema), keep


def _evaluate(formula: pc.Expression, columns: Mapping[str, pa.Array], rows: int) -> pa.Array:
    from pyarrow import acero

    held = dict(columns) or {"": pa.nulls(rows)}
    table = pa.Table.from_arrays(list(held.values()), names=list(held))
    plan = acero.Declaration.from_sequence(
        [
            acero.Declaration("table_source", acero.TableSourceNodeOptions(table)),
            acero.Declaration("project", acero.ProjectNodeOptions([formula], ["value"])),
        ]
    )
    value = plan.to_table(use_threads=False).column(0).combine_chunks()
    if isinstance(value, pa.ChunkedArray):
        value = value.chunk(0) if value.num_chunks else pa.array([], value.type)
    return value


def derived_fields(expressions: Expressions | None) -> list[Field]:
    """Fields of the computed columns, in order."""
    return list(expressions.derived) if expressions is not None else []
