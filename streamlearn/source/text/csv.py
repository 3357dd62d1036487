"""CSV and other delimited text, parsed block by block by `pyarrow.csv`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import SchemaError, SourceError, UsageError
from streamlearn.source.base import Fragment, ReaderCost
from streamlearn.source.reconcile import Reconciled
from streamlearn.source.text.infer import ColumnTypes, Seen, inexact_integer, meet_texts
from streamlearn.source.text.lines import MARKER, Fault, LineSource
from streamlearn.source.text.records import Records
from streamlearn.source.text.textfile import TextFile

__all__ = ["MISSING", "Csv", "CsvSource"]

MISSING = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""What pandas takes for a missing value, besides an empty field."""
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_HEAD_BYTES = 65_536
_CONVERSION = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?(.*)", re.DOTALL)
_VALUE = re.compile(r"invalid value '(.*)'", re.DOTALL)


@dataclass(frozen=True)
class Csv:
    """How delimited text is written.

    Parameters
    ----------
    separator : str, optional
        One character between fields: ``","``, ``";"``, a tab. By default a comma, or a tab for
        files named .tsv.
    header : bool
        Whether the first record of each file holds the names of the columns.
    names : sequence of str, optional
        Names of the columns, instead of the header's. Without a header and without names they
        are ``f0``, ``f1``, and so on.
    quote : str or None
        Character around fields that hold separators or line ends; inside it is doubled. None
        where quotes are characters like others.
    encoding : str
        Any text encoding of Python's; a byte order mark is taken off.
    missing : sequence of str
        Texts that stand for a missing value, quoted or not, in columns of any type. An empty
        field always does.
    skip_spaces : bool
        Whether spaces in front of a field are no part of it.
    decimal : str
        The decimal point of numbers.

    Raises
    ------
    UsageError
        If a separator or quote is not one ASCII character, or they are the same.

    Examples
    --------
    >>> Csv(separator=";", decimal=",").separator
    ';'
    """

    separator: str | None = None
    header: bool = True
    names: Sequence[str] | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"
    missing: Sequence[str] = MISSING
    skip_spaces: bool = False
    decimal: str = "."

    def __post_init__(self) -> None:
        for what, sign in (
            ("separator", self.separator),
            ("quote", self.quote),
            ("decimal", self.decimal),
        ):
            if sign is None and what != "decimal":
                continue
            if (
                not isinstance(sign, str)
                or len(sign) != 1
                or not sign.isascii()
                or sign in "\r\n\0"
            ):
                raise UsageError(
                    f"{what}={sign!r}: it is one ASCII character, such as ',', ';' or a tab; "
                    "what is separated otherwise has to be rewritten first"
                )
        signs = [self.separator or "no", self.quote or "none", self.decimal]
        if len(set(signs)) < 3:
            raise UsageError(
                f"separator={self.separator!r}, quote={self.quote!r} and decimal={self.decimal!r} "
                "are three different characters"
            )
        if self.skip_spaces and self.separator == " ":
            raise UsageError("skip_spaces=True cannot be where spaces separate fields")
        for what in ("names", "missing"):
            given = getattr(self, what)
            if isinstance(given, str):
                raise UsageError(f"{what}= takes a list of texts, not the text {given!r}")
            if given is not None:
                object.__setattr__(self, what, tuple(given))

    def separated(self, separator: str) -> Csv:
        """Return the same with this separator."""
        return replace(self, separator=separator)


class CsvSource(LineSource):
    """Rows of delimited text files.

    Parameters
    ----------
    files : sequence of path
    form : Csv
    schema : mapping of str to pyarrow.DataType, optional
        Types that win over what the text looks like; a value such a column cannot hold makes
        the row one of `faults`.

    Raises
    ------
    SourceError
        If a file cannot be read as text in records.
    SchemaError
        If names repeat, or differ between files.
    DataError
        If most rows are at fault.

    Notes
    -----
    Types are those that hold every value of all files: integers and floats meet in double, dates
    and times in timestamps, and what does not meet is text, every value as it is stored.
    """

    errors = (pa.ArrowInvalid, pa.ArrowKeyError)

    def __init__(
        self,
        files: Sequence[str],
        form: Csv | None = None,
        schema: Mapping[str, pa.DataType] | None = None,
    ) -> None:
        self.form = form or Csv()
        self._separator = self.form.separator or ","
        self._given = dict(schema or {})
        self._names: list[str] = []
        self._header_record = b""
        self._header_notes: list[str] = []
        given = sorted((name, str(kind)) for name, kind in self._given.items())
        self._fields = 0
        super().__init__(files, encoding=self.form.encoding, options=f"{self.form}|{given}")
        types = self._columns.types()
        self.schema = Schema(tuple(Field(name, types[name]) for name in self._names))
        self.reconciled = Reconciled(
            self.schema, self._columns.conflicts(), {}, self._columns.notes()
        )

    def _make_records(self) -> Records:
        return Records(self._separator, self.form.quote, self.form.skip_spaces)

    def _doubt(self) -> str:
        named = f"; the columns are: {', '.join(self._names[:10])}" if self.form.header else ""
        return (
            f"The separator is {self._separator!r} and the quote {self.form.quote!r}, which "
            f"makes {len(self._names)} columns{named}: if that is not how the file is written, say "
            "how with format=sl.Csv(separator=..., header=...) or --separator, --no-header"
        )

    # The header.

    def _header(self, text: TextFile) -> tuple[int, list[tuple[Fault, str]]]:
        at, before, record = self._first_record(text)
        columns = self._header_names(text, record)
        if not self.form.header:
            at, before = text.begin, []
            columns = [f"f{index}" for index in range(len(columns))]
        elif text is self._texts[0]:
            self._header_record = record
            columns = self._named(columns)
        else:
            columns = self._named(columns, note=False)
        twice = [name for name, times in Counter(columns).items() if times > 1]
        if twice and self.form.names is None:
            raise SchemaError(
                f"{text.path}: the header has {', '.join(map(repr, twice[:10]))} more than once; "
                "give every column a name of its own with sl.Csv(names=[...]) or --names a,b,c, "
                "or say header=False (--no-header) if the first line is a row"
            )
        if text is self._texts[0]:
            self._begin(text, columns)
        else:
            self._compare(text, columns)
        return at, before

    def _first_record(self, text: TextFile) -> tuple[int, list[tuple[Fault, str]], bytes]:
        """Return where the second record begins, the markers before the first, and the first."""
        before: list[tuple[Fault, str]] = []
        size = _HEAD_BYTES
        while True:
            data = text.read(text.begin, size)
            whole = text.begin + len(data) >= text.end
            usable = data if whole else data[: self._records.cut(data)]
            before.clear()
            for start, end in zip(*self._records.spans(usable), strict=True):
                record = usable[start:end]
                if self.form.header and MARKER.fullmatch(record):
                    shown = record.rstrip(b"\r\n").decode(errors="replace")
                    before.append((Fault("it is a marker of a merge conflict"), shown))
                    continue
                return text.begin + int(end), before, record
            if whole:
                raise SourceError(f"{text.path}: has no row and no header, only empty lines")
            if size > 64 << 20:
                raise SourceError(
                    f"{text.path}: its first line does not end within 64 MB; it is no text in "
                    "lines, or a quote there never closes"
                )
            size *= 4

    def _header_names(self, text: TextFile, record: bytes) -> list[str]:
        try:
            return list(
                pc.read_csv(
                    pa.BufferReader(self._prepared(record)),
                    read_options=pc.ReadOptions(use_threads=False, block_size=len(record) + 64),
                    parse_options=self._parse_options(),
                ).column_names
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise SourceError(f"{text.path}: the header cannot be read: {error}") from error

    def _named(self, columns: list[str], note: bool = True) -> list[str]:
        """Name nameless columns as pandas does."""
        if note and len(columns) == 1 and self.form.names is None:
            others = [sign for sign in ",;\t|" if sign in columns[0]]
            if others:
                self._header_notes.append(
                    f"there is one column, {columns[0]!r}: if {others[0]!r} separates columns, "
                    f"say so with sl.Csv(separator={others[0]!r}) or --separator"
                )
        found = []
        for index, name in enumerate(columns):
            found.append(name or f"Unnamed: {index}")
            if note and not name and self.form.names is None:
                self._header_notes.append(
                    f"column {index + 1} has no name in the header and is read as "
                    f"{found[-1]!r}; if it numbers the rows, leave it out with features="
                )
        numbers = [name for name in columns if _is_number(name)]
        if note and numbers and self.form.names is None:
            self._header_notes.append(
                f"the header names a column {numbers[0]!r}, which is a number; if the file has no "
                "header, say so with sl.Csv(header=False) or --no-header"
            )
        return found

    def _begin(self, text: TextFile, columns: list[str]) -> None:
        if self.form.names is not None:
            if len(self.form.names) != len(columns):
                raise SchemaError(
                    f"{text.path}: has {len(columns)} columns, and names= (--names) gives "
                    f"{len(self.form.names)} names; give one for each"
                )
            columns = list(self.form.names)
        Schema.from_arrow(pa.schema([(name, pa.null()) for name in columns]))
        unknown = [name for name in self._given if name not in columns]
        if unknown:
            raise SchemaError(
                f"schema= names {', '.join(map(repr, unknown))}, which no file has; "
                f"the columns are: {', '.join(columns)}"
            )
        self._names = columns
        self._columns = ColumnTypes(columns, self._given, meet_texts)

    def _compare(self, text: TextFile, columns: list[str]) -> None:
        first, expected = self.files[0], self._names
        if self.form.names is not None or not self.form.header:
            if len(columns) == len(expected):
                return
            raise SchemaError(
                f"{first} has {len(expected)} columns and {text.path} has {len(columns)}; "
                "files of one source have the same columns in the same order"
            )
        if columns == expected:
            return
        lacking = [name for name in expected if name not in columns]
        more = [name for name in columns if name not in expected]
        told = []
        if lacking:
            told.append(f"{text.path} lacks {', '.join(map(repr, lacking[:10]))}")
        if more:
            told.append(f"{text.path} has {', '.join(map(repr, more[:10]))} as well")
        if not told:
            pairs = zip(expected, columns, strict=True)
            index, (one, other) = next(
                item for item in enumerate(pairs) if item[1][0] != item[1][1]
            )
            told.append(f"column {index + 1} is {one!r} in the first and {other!r} in the second")
        raise SchemaError(
            f"{first} and {text.path} have not the same columns in the same order: "
            f"{'; '.join(told)}; write them alike, or name the columns with sl.Csv(names=[...]) "
            "(--names) if only the headers differ"
        )

    # Blocks.

    def _suspects(self, data: bytes) -> list[tuple[bytes, str]]:
        del data
        record = self._header_record.rstrip(b"\r\n")
        return [(record, "it is the header once more")] if record else []

    def _prepared(self, data: bytes) -> bytes:
        return self._records.without_spaces(data) if self.form.skip_spaces else data

    def _parse_options(self, handler: Any = None, quotes: bool = True) -> pc.ParseOptions:
        return pc.ParseOptions(
            delimiter=self._separator,
            quote_char=self.form.quote if self.form.quote is not None else False,
            double_quote=True,
            newlines_in_values=self.form.quote is not None and quotes,
            invalid_row_handler=handler,
        )

    def _table(
        self,
        data: bytes,
        types: Mapping[str, pa.DataType],
        columns: Sequence[str] = (),
        *,
        handler: Any = None,
        infer: bool = False,
    ) -> pa.Table:
        data = self._prepared(data)
        booleans = not infer or any(pa.types.is_boolean(kind) for kind in types.values())
        quotes = self.form.quote is not None and self.form.quote.encode() in data
        return pc.read_csv(
            pa.BufferReader(data),
            read_options=pc.ReadOptions(
                use_threads=False, block_size=len(data) + 64, column_names=self._names
            ),
            parse_options=self._parse_options(handler, quotes),
            convert_options=pc.ConvertOptions(
                check_utf8=not infer,
                column_types=dict(types),
                include_columns=list(columns),
                null_values=["", *self.form.missing],
                # In a column of integers, 1 and 0 are no truth values.
                true_values=[*_TRUE, "1"] if booleans else list(_TRUE),
                false_values=[*_FALSE, "0"] if booleans else list(_FALSE),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                decimal_point=self.form.decimal,
            ),
        )

    def _parse(self, data: bytes) -> tuple[int, Any, dict[int, Fault]]:
        if not self._prepared(data).strip(b"\r\n"):
            return 0, {}, {}
        ragged: dict[int, Fault] = {}

        def note(row: Any) -> str:
            ragged[row.number - 1] = Fault(
                f"it has {row.actual_columns} field{'' if row.actual_columns == 1 else 's'} where "
                f"there are {row.expected_columns} columns"
            )
            return "skip"

        table = self._table(data, self._given, handler=note, infer=True)
        found = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            inexact = None
            if name not in self._given and inexact_integer(column) is not None:
                texts = self._table(data, {name: pa.string()}, [name], handler=lambda _: "skip")
                inexact = inexact_integer(texts.column(0))
            found[name] = Seen(column.type, column.nbytes, len(column), inexact)
        return table.num_rows, found, ragged

    def _blame(self, error: Exception) -> Fault:
        match = _CONVERSION.fullmatch(str(error))
        if match is None:
            return Fault(f"it cannot be read: {error}")
        name = self._names[int(match[1])]
        value = _VALUE.search(match[2])
        return Fault(
            f"it is no {self._given.get(name, 'value of its type')}; choose another type with "
            f"schema= or --schema {name}=TYPE",
            name,
            value[1] if value else match[2],
        )

    def _learn(self, found: Any, fragment: Fragment, faults: Sequence[int]) -> None:
        self._columns.add(found, fragment, faults)
        self._fields = max(self._fields, fragment.rows * len(self._names))

    # Reading.

    def notes(self, columns: Sequence[str]) -> tuple[str, ...]:
        """See `streamlearn.source.base.Source.notes`."""
        found = [note for name in columns for note in self.reconciled.notes.get(name, ())]
        return (*self._header_notes, *found)

    def lean(self, scratch_dir: str | None) -> CsvSource:
        """See `streamlearn.source.base.Source.lean`: a block is what it is."""
        del scratch_dir
        return self

    def cost(self, columns: Sequence[str]) -> ReaderCost:
        """See `streamlearn.source.base.Source.cost`."""
        row = 8.0 + sum(self._columns.row_bytes(self.schema[name]) for name in columns)
        most = max((fragment.rows for fragment in self.fragments), default=0)
        # The block, its fields without quotes, where each of them ends, the columns while they
        # grow, and what Arrow keeps of the block before (measured).
        fixed = (2 << 20) + 4 * self._largest_bytes + 4 * self._fields + int(3 * row * most)
        if self.form.skip_spaces:
            fixed += self._largest_bytes
        return ReaderCost(fixed, row, row)

    def read(self, fragment: Fragment, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """See `streamlearn.source.base.Source.read`."""
        data, numbers = self._text(fragment)
        if not len(numbers):
            return
        # Some column is read even where none is wanted: rows are counted by it.
        names = list(columns) or self._names[:1]
        try:
            table = self._table(data, {name: self.schema[name].type for name in names}, names)
        except self.errors as error:
            raise SourceError(
                f"{fragment}: cannot be read with the types that all files together have: {error}; "
                "choose another type with schema= or --schema COLUMN=string"
            ) from error
        del data
        yield from self._sliced(fragment, table, numbers, columns, rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")
