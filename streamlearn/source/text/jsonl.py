"""JSON lines, parsed block by block by `pyarrow.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json as pj

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SchemaError, SourceError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.reconcile import Reconciled
from streamlearn.source.text.infer import ColumnTypes, Seen, inexact_integer, meet_json
from streamlearn.source.text.lines import Fault, LineSource
from streamlearn.source.text.records import Records

__all__ = ["JsonLinesSource"]

_CLASH = re.compile(r"Column\(/(.*)\) changed from (\w+) to (\w+)")
_LINES = Records(quote=None)


class JsonLinesSource(LineSource):
    """Rows of files with a JSON object in each line.

    Parameters
    ----------
    files : sequence of path
        In UTF-8.
    schema : mapping of str to pyarrow.DataType, optional
        Types that win over what values look like; a line with a value that does not fit is one
        of `faults`.

    Raises
    ------
    SourceError
        If a file cannot be read as text in lines.
    DataError
        If most lines are at fault.

    Notes
    -----
    A key that some lines lack is null there. Objects and lists become nested columns. A key whose
    values are of several types (a number here, a text there) is a column that cannot be used,
    and the error says where.
    """

    errors = (pa.ArrowInvalid, pa.ArrowNotImplementedError)

    def __init__(
        self, files: Sequence[str], schema: Mapping[str, pa.DataType] | None = None
    ) -> None:
        self._given = dict(schema or {})
        self._columns = ColumnTypes((), self._given, meet_json)
        self._values = 0
        given = sorted((name, str(kind)) for name, kind in self._given.items())
        super().__init__(files, encoding="utf-8", options=str(given))
        types = self._columns.types()
        unknown = [name for name in self._given if name not in types]
        if unknown:
            raise SchemaError(
                f"schema= names {', '.join(map(repr, unknown))}, which no line has; "
                f"the columns are: {', '.join(types)}"
            )
        self.schema = Schema(tuple(Field(name, kind) for name, kind in types.items()))
        self.reconciled = Reconciled(
            self.schema, self._columns.conflicts(), {}, self._columns.notes()
        )

    def _make_records(self) -> Records:
        return Records(quote=None, skip_spaces=True, blank=b" \t")

    def _doubt(self) -> str:
        return (
            "JSON lines have a whole object in each line; an array of objects, or objects over "
            "several lines, have to be rewritten first (with jq: jq -c '.[]')"
        )

    # Blocks.

    def _table(self, data: bytes, types: Mapping[str, pa.DataType], others: str) -> pa.Table:
        return pj.read_json(
            pa.BufferReader(data),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 64),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema(list(types.items())) if types else None,
                unexpected_field_behavior=others,
            ),
        )

    def _parse(self, data: bytes) -> tuple[int, Any, dict[int, Fault]]:
        if not data.strip():
            return 0, {}, {}
        clashes: dict[str, str] = {}
        table, data = self._settled(data, clashes)
        faults: dict[int, Fault] = {}
        if table.num_rows != len(_LINES.spans(data)[0]):
            faults, data = self._several(data)
            if not data.strip():
                return 0, {}, faults
            table, data = self._settled(data, clashes)
        found = {name: Seen(pa.null(), 0, 0, None, what) for name, what in clashes.items()}
        for name, column in zip(table.column_names, table.columns, strict=True):
            # A type given for a key that no line has makes a column all the same.
            if name in self._given and not any(key in data for key in _spellings(name)):
                continue
            inexact = inexact_integer(column) if name not in self._given else None
            if inexact is not None and pa.types.is_floating(column.type):
                inexact = self._inexact(data, name)
            found[name] = Seen(column.type, column.nbytes, len(column), inexact)
        return table.num_rows, found, faults

    def _settled(self, data: bytes, clashes: dict[str, str]) -> tuple[pa.Table, bytes]:
        """Read all columns but those whose values are of several types in these lines."""
        while True:
            try:
                return self._table(data, self._given, "infer"), data
            except pa.ArrowInvalid as error:
                match = _CLASH.search(str(error))
                if match is None:
                    raise
                name = match[1].partition("/")[0]
                if name in self._given or name in clashes:
                    raise
                data = self._dropped(data, name)
                clashes[name] = f"{match[2]} and {match[3]}"

    def _dropped(self, data: bytes, name: str) -> bytes:
        """Return the lines without a key; lines that cannot be read stay as they are."""
        lines = []
        for start, end in zip(*self._records.spans(data), strict=True):
            line = data[start:end]
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if isinstance(value, dict) and name in value:
                del value[name]
                line = json.dumps(value).encode() + b"\n"
            lines.append(line if line.endswith(b"\n") else line + b"\n")
        return b"".join(lines)

    def _several(self, data: bytes) -> tuple[dict[int, Fault], bytes]:
        """Find lines with more than one value; return the others."""
        faults: dict[int, Fault] = {}
        kept = []
        for index, (start, end) in enumerate(zip(*self._records.spans(data), strict=True)):
            line = data[start:end]
            try:
                json.loads(line)
            except ValueError as error:
                faults[index] = Fault(f"it is not one JSON object: {error}")
            else:
                kept.append(line)
        return faults, b"".join(kept)

    def _inexact(self, data: bytes, name: str) -> tuple[int, str] | None:
        for index, (start, end) in enumerate(zip(*self._records.spans(data), strict=True)):
            value = json.loads(data[start:end]).get(name)
            if isinstance(value, int) and int(float(value)) != value:
                return index, str(value)
        return None

    def _blame(self, error: Exception) -> Fault:
        text = str(error).partition(" in row ")[0]
        clash = _CLASH.search(text)
        if clash is not None:
            name = clash[1].partition("/")[0]
            if name in self._given:
                return Fault(
                    f"it is no {self._given[name]}; choose another type with schema= or "
                    f"--schema {name}=TYPE",
                    name,
                    f"a {clash[3]}",
                )
        return Fault(
            f"it cannot be read as a JSON object: {text.removeprefix('JSON parse error: ')}"
        )

    def _learn(self, found: Any, fragment: Fragment, faults: Sequence[int]) -> None:
        self._columns.add(found, fragment, faults)
        self._values = max(self._values, fragment.rows * len(found))

    # Reading.

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        return tuple(note for name in columns for note in self.reconciled.notes.get(name, ()))

    def lean(self, scratch_dir: str | None) -> JsonLinesSource:
        """See `streamlearn.source.base.Source.lean`: a block is what it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        row = 8.0 + sum(self._columns.row_bytes(self.schema[name]) for name in columns)
        most = max((fragment.rows for fragment in self.fragments), default=0)
        fixed = (2 << 20) + 5 * self._largest_bytes + 8 * self._values + int(3 * row * most)
        return ReaderCost(fixed, row, row)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        data, numbers = self._text(fragment)
        if not len(numbers):
            return
        names = list(columns) or self.schema.names[:1]
        try:
            table = self._table(data, {name: self.schema[name].type for name in names}, "ignore")
        except self.errors as error:
            raise SourceError(
                f"{fragment}: cannot be read with the types that all files together have: {error}; "
                "choose another type with schema= or --schema COLUMN=string"
            ) from error
        del data
        yield from self._sliced(fragment, table, numbers, columns, rows)


def _spellings(name: str) -> list[bytes]:
    return [json.dumps(name, ensure_ascii=plain).encode() for plain in (True, False)]
