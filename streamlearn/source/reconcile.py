"""One schema for many files: safe promotion, and a clear no to the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import pyarrow as pa

from streamlearn.chunk import Field, Schema
from streamlearn.errors import SchemaError, UsageError

__all__ = ["Reconciled", "parse_type", "promote", "reconcile"]


def parse_type(text: str | pa.DataType) -> pa.DataType:
    """Read a type name such as ``"int64"``, ``"double"``, ``"string"`` or ``"timestamp[us]"``.

    Raises
    ------
    UsageError
        If Arrow knows no such type.
    """
    if isinstance(text, pa.DataType):
        return text
    for read in (pa.type_for_alias, pa.from_numpy_dtype):
        try:
            return read(text)
        except (ValueError, TypeError, NotImplementedError, pa.ArrowException):
            continue
    raise UsageError(
        f"{text!r} is not a column type; write for example int64, double, string, bool "
        "or timestamp[us]"
    )


def promote(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both, or None where none is safe.

    Integers widen, integers and floats meet in double, strings in large_string,
    timestamps in the finer unit; null gives way to anything.

    Examples
    --------
    >>> promote(pa.int32(), pa.int64()), promote(pa.int64(), pa.float64())
    (DataType(int64), DataType(double))
    >>> promote(pa.string(), pa.int64()) is None
    True
    """
    if left.equals(right):
        return left
    for one, other in ((left, right), (right, left)):
        if pa.types.is_null(one):
            return other
    kinds = [_kind(left), _kind(right)]
    if kinds[0] == kinds[1] == "string":
        return pa.large_string()
    if kinds[0] == kinds[1] == "timestamp" and left.tz == right.tz:
        units = ["s", "ms", "us", "ns"]
        return pa.timestamp(max(left.unit, right.unit, key=units.index), left.tz)
    if kinds[0] == kinds[1] == "integer":
        if pa.types.is_signed_integer(left) == pa.types.is_signed_integer(right):
            return left if left.bit_width >= right.bit_width else right
        return None if pa.uint64() in (left, right) else pa.int64()
    if set(kinds) == {"integer", "float"} or kinds == ["float", "float"]:
        return pa.float64()
    return None


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_):
        return "float"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "string"
    return "timestamp" if pa.types.is_timestamp(type_) else str(type_)


@dataclass
class _Column:
    name: str
    type: pa.DataType | None
    """Promoted type so far, or None after a conflict."""
    seen: dict[str, tuple[pa.DataType, str]] = field(default_factory=dict)
    """Each stored type by its name, with the first file that has it."""
    files: int = 0
    lacking: str = ""
    """First file without the column."""

    def add(self, type_: pa.DataType, path: str) -> None:
        self.files += 1
        self.seen.setdefault(str(type_), (type_, path))
        if self.type is not None:
            self.type = promote(self.type, type_)

    def conflict(self) -> str | None:
        """Say which two files disagree, and what settles it."""
        for (one, first), (other, second) in combinations(self.seen.values(), 2):
            if promote(one, other) is None:
                return (
                    f"column {self.name!r} is {one} in {first} but {other} in {second}, and "
                    "neither holds the other's values; settle it with "
                    f"schema={{{self.name!r}: '{other}'}} or --schema {self.name}={other}"
                )
        return None

    def gap(self, type_: pa.DataType, total: int) -> str:
        """Say which files lack the column, and what to do."""
        return (
            f"column {self.name!r} is in {self.files} of {total} files (absent from "
            f"{self.lacking}); leave it out with features=, or read it as null there with "
            f"schema={{{self.name!r}: '{type_}'}} or --schema {self.name}={type_}"
        )


@dataclass(frozen=True)
class Reconciled:
    """What came of many schemas."""

    schema: Schema
    """Every column of any file; a column in conflict has the type of its first file."""
    conflicts: Mapping[str, str]
    """Message for each column whose types have no safe meeting."""
    gaps: Mapping[str, str]
    """Message for each column that some files lack."""
    notes: Mapping[str, tuple[str, ...]]
    """Drift that was settled, by column."""

    def require(self, columns: Iterable[str]) -> None:
        """Refuse columns that have no single type, or that some files lack.

        Raises
        ------
        SchemaError
            Naming both files, the column, both types and what settles it.
        """
        for name in columns:
            for trouble in (self.conflicts.get(name), self.gaps.get(name)):
                if trouble is not None:
                    raise SchemaError(trouble)


def reconcile(
    files: Iterable[tuple[str, pa.Schema]], given: Mapping[str, pa.DataType] | None = None
) -> Reconciled:
    """Find the one schema under which all files can be read.

    Parameters
    ----------
    files : iterable of (str, pyarrow.Schema)
        Name and stored schema of each file, in reading order.
    given : mapping of str to pyarrow.DataType, optional
        Types settled by the user; they win over what is stored, and let a column be
        absent from some files (read as null there).
    """
    given = dict(given or {})
    columns, total = _collect(files)
    unknown = [name for name in given if name not in columns]
    if unknown:
        raise SchemaError(
            f"schema= names {', '.join(map(repr, unknown))}, which no file has; "
            f"the columns are: {', '.join(columns)}"
        )
    fields: list[Field] = []
    conflicts: dict[str, str] = {}
    gaps: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for name, column in columns.items():
        type_ = given.get(name, column.type)
        conflict = column.conflict() if type_ is None else None
        if type_ is None:
            conflicts[name] = conflict or f"column {name!r} has types that do not meet"
            type_ = next(iter(column.seen.values()))[0]
        elif len(column.seen) > 1 or str(type_) not in column.seen:
            notes[name] = (f"column {name!r}: {', '.join(column.seen)} read as {type_}",)
        if column.files < total and name not in given:
            gaps[name] = column.gap(type_, total)
        elif column.files < total:
            absent = f"column {name!r}: absent from {total - column.files} of {total} files, "
            notes[name] = (*notes.get(name, ()), absent + "read as null there")
        fields.append(Field(name, type_))
    return Reconciled(Schema(tuple(fields)), conflicts, gaps, notes)


def _collect(files: Iterable[tuple[str, pa.Schema]]) -> tuple[dict[str, _Column], int]:
    """Note the types of every column, and how many files there are."""
    columns: dict[str, _Column] = {}
    total, before = 0, ""
    for path, schema in files:
        here = set(schema.names)
        if len(here) < len(schema.names):
            twice = sorted({name for name in here if schema.names.count(name) > 1})
            raise SchemaError(
                f"{path}: column {', '.join(map(repr, twice))} stands more than once; rename it"
            )
        for name, column in columns.items():
            if name not in here:
                column.lacking = column.lacking or path
        for item in schema:
            type_ = item.type.value_type if pa.types.is_dictionary(item.type) else item.type
            if item.name not in columns:
                columns[item.name] = _Column(item.name, type_, lacking=before)
            columns[item.name].add(type_, path)
        total, before = total + 1, path
    return columns, total
