"""A profile of columns as rows of text: for the page, the terminal and `repr`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamlearn.report.template import render
from streamlearn.sizes import format_rows

__all__ = [
    "HEADINGS",
    "ColumnRow",
    "ProfileTable",
    "column_row",
    "profile_fragment",
    "profile_table",
    "profile_text",
]

_MOST_COLUMNS = 300
_MOST_FINDINGS = 100
_MOST_LETTERS = 40
_MOST_TOP = 3

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")

HEADINGS = (
    "nulls",
    "distinct",
    "min",
    "5%",
    "median",
    "95%",
    "max",
    "mean",
    "std",
    "most frequent",
)
"""Of what a `ColumnRow` shows after name and type."""


@dataclass(frozen=True)
class ColumnRow:
    """One column, as text; an empty text where nothing applies."""

    name: str
    type: str
    cells: tuple[str, ...]
    """One for each of `HEADINGS`."""


@dataclass(frozen=True)
class ProfileTable:
    """What is shown of a profile."""

    about: str
    """Of how many rows, and what is exact."""
    columns: tuple[ColumnRow, ...]
    note: str
    """Says how many columns are not shown; empty where all are."""
    findings: tuple[tuple[str, str], ...]
    """Severity and text."""
    more_findings: str
    headings: tuple[str, ...] = HEADINGS


def profile_table(profile: Mapping[str, Any] | None, most: int = _MOST_COLUMNS) -> ProfileTable:
    """Return what is to be shown of a profile, as `Profile.to_dict` gives it; None for none.

    Columns with findings come first where not all are shown.
    """
    if not profile:
        return ProfileTable("", (), "", (), "")
    columns, findings = list(profile["columns"]), list(profile["findings"])
    note = ""
    if len(columns) > most:
        named = {finding["column"] for finding in findings} | {profile["target"]}
        columns.sort(key=lambda column: column["name"] not in named)
        note = (
            f"{most:,} of {len(columns):,} columns are shown: those with findings, and the first "
            "of the others."
        )
    more = len(findings) - _MOST_FINDINGS
    return ProfileTable(
        about=_about(profile),
        columns=tuple(
            column_row(column, int(profile["rows"]), target=column["name"] == profile["target"])
            for column in columns[:most]
        ),
        note=note,
        findings=tuple((item["severity"], item["text"]) for item in findings[:_MOST_FINDINGS]),
        more_findings=f"{more:,} more findings are not shown." if more > 0 else "",
    )


def _about(profile: Mapping[str, Any]) -> str:
    rows, sampled = int(profile["rows"]), int(profile["sampled_rows"])
    of = f"{format_rows(rows)} rows, {format_rows(len(profile['columns']))} columns"
    if sampled == rows:
        return f"{of}; everything is exact"
    off = f"their ranks are off by {float(profile['rank_error']):.1%} at most (95 % certain)"
    if profile["full"]:
        return (
            f"{of}; nulls, extremes, means are exact; quantiles are from a sample of "
            f"{format_rows(sampled)} rows: {off}"
        )
    if not profile["extremes_exact"]:
        return (
            f"{of}; everything is from a sample of {format_rows(sampled)} rows; of quantiles {off}"
        )
    return (
        f"{of}; nulls and extremes are exact; means, quantiles, distinct and frequent values are "
        f"from a sample of {format_rows(sampled)} rows; of the quantiles {off}"
    )


def column_row(column: Mapping[str, Any], rows: int, *, target: bool = False) -> ColumnRow:
    """Return a column as text.

    Parameters
    ----------
    column : mapping
        As `ColumnProfile.to_dict` gives it.
    rows : int
        Of the data.
    """
    quantiles = column.get("quantiles") or {}
    about = "~" if column.get("mean_is") == "sampled" else ""
    mean, std = (_number(column.get(name)) for name in ("mean", "std"))
    return ColumnRow(
        name=_cut(str(column["name"])) + (" (target)" if target else ""),
        type=str(column["type"]),
        cells=(
            _missing(column, rows),
            _distinct(column),
            _number(column.get("minimum")),
            *(_number(quantiles.get(name)) for name in ("5%", "50%", "95%")),
            _number(column.get("maximum")),
            f"{about}{mean}" if mean else "",
            f"{about}{std}" if std else "",
            _top(column),
        ),
    )


def _missing(column: Mapping[str, Any], rows: int) -> str:
    parts = []
    for name, word in (("nulls", ""), ("nans", " NaN"), ("infinite", " inf")):
        count = int(column.get(name, 0))
        if count:
            share = 100 * count / max(1, rows)
            parts.append(f"{share:.1f} %{word}" if share >= 0.1 else f"{count:,}{word}")
    return ", ".join(parts)


def _distinct(column: Mapping[str, Any]) -> str:
    count = column.get("distinct")
    if count is None:
        return ""
    sign = {"about": "~", "at least": ">="}.get(str(column.get("distinct_is")), "")
    if sign == "~":
        return f"~{_rounded(int(count)):,}"
    return f"{sign}{int(count):,}"


def _rounded(count: int) -> int:
    """Two or three digits: an estimate has no more."""
    unit = int(10 ** max(0, int(math.log10(max(1, count))) - 2))
    return int(round(count / unit) * unit)


def _top(column: Mapping[str, Any]) -> str:
    about = "~" if column.get("top_is") == "sampled" else ""
    return ", ".join(
        f"{_number(value) if isinstance(value, float | bool) else _cut(str(value), 20)} "
        f"({about}{100 * share:.1f} %)"
        for value, share in list(column.get("top", ()))[:_MOST_TOP]
    )


def _number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**12 else str(value)
    return _cut(re.sub(r"\.0+(?=Z?$)", "", value) if _DATE.match(str(value)) else str(value))


def _cut(text: str, most: int = _MOST_LETTERS) -> str:
    # What a terminal would act upon is shown, and not done.
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return text if len(text) <= most else f"{text[: most - 1]}…"


def profile_text(profile: Mapping[str, Any], most: int = 60) -> str:
    """Return a profile as aligned lines, without markup."""
    table = profile_table(profile, most)
    lines = [table.about, ""]
    rows = [("column", "type", *HEADINGS), *((r.name, r.type, *r.cells) for r in table.columns)]
    shown = [place for place in range(len(rows[0])) if any(row[place] for row in rows[1:])]
    widths = {place: max(len(row[place]) for row in rows) for place in shown}
    last = len(rows[0]) - 1
    for row in rows:
        cells = [
            row[place] + " " * (widths[place] - len(row[place]))
            if place in (0, 1, last)
            else f"{row[place]:>{widths[place]}}"
            for place in shown
        ]
        lines.append("  ".join(cells).rstrip())
    lines += [table.note] if table.note else []
    lines += ["", *_findings(table)]
    return "\n".join(lines)


def _findings(table: ProfileTable) -> list[str]:
    if not table.findings:
        return ["No findings."]
    found = [f"{severity}: {text}" for severity, text in table.findings]
    return found + ([table.more_findings] if table.more_findings else [])


def profile_fragment(profile: Mapping[str, Any], most: int = 100) -> str:
    """Return a profile as an HTML fragment for a notebook."""
    table = profile_table(profile, most)
    used = [
        place for place in range(len(HEADINGS)) if any(row.cells[place] for row in table.columns)
    ]
    return render("profile_fragment.html.j2", profile=table, used=used, last=len(HEADINGS) - 1)
