"""One schema for many files: safe promotion, and a clear no to the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    type: pa.DataType | None
    """Promoted type so far, or None after a conflict."""
    seen: dict[str, str] = field(default_factory=dict)
    """First file of each stored type."""
    files: int = 0


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
    columns: dict[str, _Column] = {}
    total = 0
    lacking: dict[str, str] = {}
    for path, schema in files:
        total += 1
        here = set(schema.names)
        if len(here) < len(schema.names):
            twice = sorted({name for name in here if schema.names.count(name) > 1})
            raise SchemaError(
                f"{path}: column {', '.join(map(repr, twice))} stands more than once; rename it"
            )
        for name, column in columns.items():
            if name not in here and name not in lacking:
                lacking[name] = path
                column.seen.setdefault("absent", path)
        for item in schema:
            type_ = item.type.value_type if pa.types.is_dictionary(item.type) else item.type
            if item.name not in columns:
                columns[item.name] = _Column(type_)
                if total > 1:
                    lacking.setdefault(item.name, "an earlier file")
            column = columns[item.name]
            column.files += 1
            column.seen.setdefault(str(type_), path)
            if column.type is not None:
                column.type = promote(column.type, type_)

    unknown = [name for name in given if name not in columns]
    if unknown:
        raise SchemaError(
            f"schema= names {', '.join(map(repr, unknown))}, which no file has; "
            f"the columns are: {', '.join(columns)}"
        )

    fields, conflicts, gaps = [], {}, {}
    notes: dict[str, tuple[str, ...]] = {}
    for name, column in columns.items():
        stored = [text for text in column.seen if text != "absent"]
        settled = given.get(name, column.type)
        if settled is None:
            one, other = stored[0], next(text for text in stored[1:] if _clash(stored[0], text))
            conflicts[name] = (
                f"column {name!r} is {one} in {column.seen[one]} but {other} in "
                f"{column.seen[other]}, and neither holds the other's values; settle it with "
                f"schema={{{name!r}: {other!r}}} or --schema {name}={other}"
            )
            settled = parse_type(one) if one != "null" else pa.null()
        elif len(stored) > 1 or (name in given and str(settled) not in stored):
            notes[name] = (f"column {name!r}: {', '.join(stored)} read as {settled}",)
        if column.files < total:
            if name in given:
                absent = (
                    f"column {name!r}: absent from {total - column.files} of {total} files, "
                    "read as null there"
                )
                notes[name] = (*notes.get(name, ()), absent)
            else:
                gaps[name] = (
                    f"column {name!r} is in {column.files} of {total} files "
                    f"(absent from {lacking[name]}); leave it out with features=, or read it as "
                    f"null there with schema={{{name!r}: {settled!s}}} or "
                    f"--schema {name}={settled}"
                )
        fields.append(Field(name, settled))
    return Reconciled(Schema(tuple(fields)), conflicts, gaps, notes)


def _clash(one: str, other: str) -> bool:
    return promote(_read(one), _read(other)) is None


def _read(text: str) -> pa.DataType:
    try:
        return parse_type(text)
    except UsageError:
        return pa.binary(1)
