"""Computed columns and conditions in SQL, by duckdb (the extra ``sql``)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Schema
from streamlearn.errors import MissingExtraError, UsageError
from streamlearn.source.computed.implied import implied

__all__ = ["SqlExpressions"]

_AS = re.compile(r"^(?P<formula>.+)\s+as\s+(?P<name>\"[^\"]+\"|\w+)\s*$", re.IGNORECASE | re.DOTALL)
_KEEP = "__keep__"


class SqlExpressions:
    """Expressions in DuckDB's SQL.

    Parameters
    ----------
    schema : Schema
        Stored columns.
    derive : sequence of str
        Each ``FORMULA AS name``; a later one may use an earlier one, and a name that exists
        already replaces that column.
    where : str or None
        Rows for which it is false or null are filtered.
    connection : duckdb connection, optional
        To work in; by default one of its own.

    Raises
    ------
    MissingExtraError
        If duckdb is not installed.
    UsageError
        If a formula has no name, does not parse, or names a column that does not exist.
    """

    def __init__(
        self,
        schema: Schema,
        derive: Sequence[str],
        where: str | None,
        connection: Any = None,
    ) -> None:
        try:
            import duckdb
        except ImportError:
            raise MissingExtraError("SQL in --derive and --where", "duckdb", "sql") from None
        self._duckdb: Any = duckdb
        self._connection: Any = connection or duckdb.connect(
            ":memory:",
            config={
                "threads": 1,
                "memory_limit": "128MB",
                "autoinstall_known_extensions": "false",
                "enable_external_access": "false",
            },
        )
        self._local = threading.local()
        found = self._connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = "
            "'aggregate' OR (function_type = 'scalar' AND stability <> 'CONSISTENT')"
        ).fetchall()
        self._unsteady = {str(row[0]).casefold() for row in found} | {"unnest"}
        self._schema = schema
        self._derive = [_split(text) for text in derive]
        self._where = where
        self.filters = where is not None
        self.inputs = self._inputs(schema)
        read = [name for name in schema.names if name in self.inputs]
        self._query = self._build(read)
        empty = pa.RecordBatch.from_arrays(
            [pa.array([], schema[name].type) for name in read], names=read
        )
        try:
            table, _ = self.apply(empty)
        except duckdb.Error as error:
            shown = str(error).splitlines()[0]
            raise UsageError(
                f"derive or where cannot be used on this data: {shown}; "
                f"the columns are: {', '.join(schema.names)}"
            ) from error
        self.derived = Schema.from_arrow(table.schema)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("SQL expressions hold a database connection and cannot be pickled")

    def _inputs(self, schema: Schema) -> frozenset[str]:
        """Return the stored columns that are read: a name computed by then is not one of them."""
        found: set[str] = set()
        made: set[str] = set()
        for formula, name in [*self._derive, (self._where, None)]:
            if formula is not None:
                found |= {item.casefold() for item in self._names(formula)} - made
            made.add((name or "").casefold())
        return frozenset(name for name in schema.names if name.casefold() in found)

    @property
    def implied(self) -> pc.Expression | None:
        """See `streamlearn.source.computed.derive.Expressions.implied`."""
        if self._where is None:
            return None
        made = {name.casefold() for _, name in self._derive}
        kept = [name for name in self._schema.names if name.casefold() not in made]
        node = self._parsed(self._where)["statements"][0]["node"]["select_list"][0]
        return implied(node, self._schema.select(kept), self._constant)

    def _constant(self, node: Any) -> Any:
        """Return the value of a parsed formula without columns; None where there is none."""
        query = self._parsed("1")
        query["statements"][0]["node"]["select_list"] = [node]
        cursor = self._connection.cursor()
        try:
            text = cursor.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(query)])
            return cursor.execute(text.fetchall()[0][0]).fetchall()[0][0]
        except self._duckdb.Error:
            return None
        finally:
            cursor.close()

    def condition(self) -> SqlExpressions | None:
        """See `streamlearn.source.computed.derive.Expressions.condition`."""
        if self._where is None:
            return None
        needed: list[str] = []
        read = {name.casefold() for name in self._names(self._where)}
        for formula, name in reversed(self._derive):
            if name.casefold() in read:
                needed.insert(0, f"{formula} AS {_quoted(name)}")
                read |= {item.casefold() for item in self._names(formula)}
        return SqlExpressions(self._schema, needed, self._where, self._connection)

    def _names(self, text: str) -> set[str]:
        parsed = self._parsed(text)
        self._refuse(parsed, text)
        return set(_column_names(parsed))

    def _parsed(self, text: str) -> Any:
        query = f"SELECT {text}"
        row = self._connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0]
        parsed = json.loads(row[0])
        if parsed.get("error"):
            raise UsageError(f"{text!r} is not SQL: {parsed.get('error_message')}")
        if len(parsed["statements"]) != 1:
            raise UsageError(f"{text!r} must be one SQL expression, without ';'")
        return parsed

    def _refuse(self, node: Any, text: str) -> None:
        """Refuse what is not a function of the row alone: chunks would change its value."""
        if isinstance(node, list):
            for item in node:
                self._refuse(item, text)
            return
        if not isinstance(node, dict):
            return
        kind, name = node.get("class"), str(node.get("function_name", "")).casefold()
        reason = {"WINDOW": "a window function", "SUBQUERY": "a subquery"}.get(str(kind))
        if kind == "FUNCTION" and name in self._unsteady:
            reason = f"{name}()"
        if reason is not None:
            raise UsageError(
                f"{text!r} uses {reason}, which is not a function of each row alone; "
                "compute it beforehand, and give it as a column"
            )
        for value in node.values():
            self._refuse(value, text)

    def _build(self, read: Sequence[str]) -> str:
        relation = "chunk"
        known = list(read)
        for formula, name in self._derive:
            others = ", ".join(_quoted(column) for column in known if column != name)
            listed = f"{others}, " if others else ""
            relation = f"(SELECT {listed}({formula}) AS {_quoted(name)} FROM {relation})"
            known = [*(column for column in known if column != name), name]
        made = list(dict.fromkeys(name for _, name in self._derive))
        wanted = [_quoted(name) for name in made]
        if self._where is not None:
            wanted.append(f"CAST(({self._where}) AS BOOLEAN) AS {_KEEP}")
        return f"SELECT {', '.join(wanted)} FROM {relation}"

    def apply(self, table: pa.RecordBatch) -> tuple[pa.RecordBatch, NDArray[np.bool_] | None]:
        """See `streamlearn.source.computed.derive.Expressions.apply`."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
        held = table if table.num_columns else pa.record_batch({"": pa.nulls(table.num_rows)})
        cursor.register("chunk", pa.Table.from_batches([held]))
        try:
            result = cursor.sql(self._query).to_arrow_table().combine_chunks()
        finally:
            cursor.unregister("chunk")
        columns = {
            name: result.column(name).chunk(0)
            if result.column(name).num_chunks
            else pa.array([], result.schema.field(name).type)
            for name in result.schema.names
        }
        keep = columns.pop(_KEEP, None)
        made = pa.RecordBatch.from_arrays(
            [_plain(column) for column in columns.values()], names=list(columns)
        )
        if result.num_rows != table.num_rows:
            raise UsageError(
                f"derive and where gave {result.num_rows:,} rows for {table.num_rows:,}; "
                "each must give one value a row"
            )
        return made, None if keep is None else np.asarray(keep.fill_null(False))


def _plain(column: pa.Array) -> pa.Array:
    """Decimals and huge integers as double: what scikit-learn can take."""
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return column


def _split(text: str) -> tuple[str, str]:
    match = _AS.match(text.strip())
    if match is None:
        raise UsageError(f"{text!r} has no name; write it as 'FORMULA AS name'")
    return match.group("formula"), match.group("name").strip('"')


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column_names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield node["column_names"][-1]
        if node.get("type") == "STAR":
            raise UsageError("'*' cannot stand in derive or where; name the columns")
        for value in node.values():
            yield from _column_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _column_names(value)
