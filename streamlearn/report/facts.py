"""What pages are made of: names with values, and tables that may be longer than what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamlearn.sizes import format_bytes, format_rows

__all__ = [
    "Fact",
    "RowShare",
    "Table",
    "call_text",
    "data_facts",
    "first_of",
    "more_of",
    "option_facts",
    "origin_facts",
    "percent",
    "short",
]

_MOST_CHARACTERS = 2_000
_MOST_FILES = 5
_MOST_FEATURES = 30
_OPTION_UNITS = {
    "batch_size": "rows",
    "chunk_size": "rows",
    "confidence": "of the draws inside an interval",
    "draws": "draws of the bootstrap",
    "epochs": "epochs",
    "least_rows": "rows",
    "n_iter_no_change": "epochs",
    "sample_rows": "rows",
    "segments": "stretches of rows",
    "slices": "slices a column at most",
    "threads": "threads",
    "tol": "of the score",
    "validation": "of the rows",
}


@dataclass(frozen=True)
class Fact:
    """A name and what is known of it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Some rows of a table that may be longer."""

    rows: tuple[Any, ...]
    note: str = ""
    """Says how many rows are not shown; empty where all are."""


@dataclass(frozen=True)
class RowShare:
    """Rows that met one fate."""

    name: str
    rows: str
    share: str
    note: str


def first_of(items: Sequence[Any], most: int, name: str) -> Table:
    """Return the first rows of a table, with a note if there are more."""
    note = f"The first {most:,} of {len(items):,} {name} are shown." if len(items) > most else ""
    cut = (short(item) if isinstance(item, str) else item for item in items[:most])
    return Table(tuple(cut), note)


def more_of(count: int, most: int, what: str) -> str:
    """Say how many are not shown; empty where all are."""
    return f"{count - most:,} more {what} are not shown." if count > most else ""


def short(text: str, most: int = _MOST_CHARACTERS) -> str:
    """Cut a text that would fill the page.

    Examples
    --------
    >>> short("abcdef", 3)
    'abc … (6 characters)'
    """
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


def percent(part: int, whole: int) -> str:
    """Write a share of rows or bytes.

    Examples
    --------
    >>> percent(1, 8), percent(1, 8_000), percent(0, 0)
    ('12.5 %', '< 0.1 %', '-')
    """
    if not whole:
        return "-"
    return "< 0.1 %" if 0 < part < 0.0005 * whole else f"{100 * part / whole:.1f} %"


def option_facts(options: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return what the user asked for, with units."""
    return tuple(Fact(name, _option(name, value)) for name, value in options.items())


def _option(name: str, value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "memory_budget" and isinstance(value, int):
        return format_bytes(value)
    if isinstance(value, list | tuple):
        return short(", ".join(map(str, value)) or "none")
    unit = _OPTION_UNITS.get(name)
    text = format_rows(value) if isinstance(value, int) and name != "random_state" else str(value)
    return short(f"{text} {unit}" if unit else text)


def data_facts(data: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return what a manifest says of the data."""
    if not data:
        return ()
    return (
        Fact("files", _files(data)),
        Fact("rows", f"{format_rows(int(data.get('rows') or 0))} rows"),
        Fact("fragments", f"{format_rows(int(data.get('fragments') or 0))} fragments"),
        Fact("target", short(str(data.get("target") or "none"))),
        Fact("weight", short(str(data.get("weight") or "none"))),
        Fact("where", short(str(data.get("where") or "all rows"))),
        Fact("derive", short(_formulas(data.get("derive")))),
    )


def _files(data: Mapping[str, Any]) -> str:
    files = [short(str(path), 200) for path in data.get("files") or ()]
    more = int(data.get("more_files") or 0) + max(0, len(files) - _MOST_FILES)
    further = [f"and {format_rows(more)} more files"] if more else []
    return "\n".join([*files[:_MOST_FILES], *further]) or "none: the data was in memory"


def _formulas(derive: Any) -> str:
    if not derive:
        return "no column"
    if isinstance(derive, Mapping):
        return "\n".join(f"{name} = {formula}" for name, formula in derive.items())
    return derive if isinstance(derive, str) else "\n".join(map(str, derive))


def origin_facts(manifest: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return versions, seed, fingerprint and machine: what it takes to do it again."""
    versions = manifest.get("versions") or {}
    facts = [Fact(str(name), str(version)) for name, version in versions.items()]
    data = manifest.get("data") or {}
    for name, value in (
        ("seed", manifest.get("seed")),
        ("data fingerprint", data.get("fingerprint")),
        ("machine", manifest.get("machine")),
    ):
        facts.append(Fact(name, "not recorded" if value is None else short(str(value))))
    return tuple(facts)


def call_text(
    function: str,
    first: str,
    options: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    features: Sequence[str] = (),
) -> str:
    """Write a call with its data and options.

    Examples
    --------
    >>> print(call_text("fit", "estimator", {"epochs": 2}, {"files": ["a.csv"], "target": "y"}))
    streamlearn.fit(
        estimator,
        streamlearn.scan('a.csv', target='y'),
        epochs=2,
    )
    """
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    scan = short(_scan_text(data or {}, features))
    return short(",\n    ".join([f"streamlearn.{function}(\n    {first}", scan, *given]) + ",\n)")


def _scan_text(data: Mapping[str, Any], features: Sequence[str]) -> str:
    """Write how the data is opened; "data" where it was in memory, or has too many files."""
    files = [str(path) for path in data.get("files") or ()]
    stored = all("/" in path or "." in path for path in files)
    if not files or not stored or len(files) + int(data.get("more_files") or 0) > _MOST_FILES:
        return "data"
    roles = {name: data.get(name) for name in ("target", "weight", "where", "derive")}
    roles["features"] = list(features) if 0 < len(features) <= _MOST_FEATURES else None
    roles["drop_missing"] = data.get("drop_missing") or None
    given = [f"{name}={value!r}" for name, value in roles.items() if value is not None]
    return f"streamlearn.scan({', '.join([repr(files[0] if len(files) == 1 else files), *given])})"
