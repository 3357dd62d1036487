"""What is known of each column of some data: a value that prints, and travels as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

__all__ = ["ColumnProfile", "Finding", "Profile"]

_WIDE = 200
"""Columns beyond which only numbers are written, and no quantiles but the median."""


@dataclass(frozen=True)
class Finding:
    """Something about the data that one should know before learning from it."""

    severity: str
    """"warning": learning from it as it is will most likely mislead; "notice": worth a look."""
    kind: str
    """One of `streamlearn.learn.findings.KINDS`."""
    column: str
    text: str
    """The column and the numbers, in words."""

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


@dataclass(frozen=True)
class ColumnProfile:
    """One column, in numbers; what does not apply is None."""

    name: str
    type: str
    """Of the values, in Arrow's words."""
    nulls: int = 0
    """Rows without a value. Exact where the profile's ``extremes_exact`` says so, as ``nans``,
    ``infinite``, ``minimum`` and ``maximum`` are."""
    nans: int = 0
    infinite: int = 0
    distinct: int | None = None
    """Different values: exact, an estimate or a lower limit, as ``distinct_is`` says."""
    distinct_is: str = "exact"
    """"exact", "about" (three standard errors are `distinct_error`) or "at least"."""
    distinct_error: float = 0.0
    minimum: Any = None
    """Of finite values: a number, ISO text for a point in time, text for a decimal."""
    maximum: Any = None
    mean: float | None = None
    """Of finite values."""
    std: float | None = None
    """Sample standard deviation (divisor n - 1), of finite values."""
    quantiles: dict[str, Any] = field(default_factory=dict)
    """"5%", "25%", "50%", "75%", "95%" of finite values, of the sampled rows."""
    top: tuple[tuple[Any, float], ...] = ()
    """Values that occur more than once, most frequent first, with their share of all rows."""
    top_is: str = "exact"
    """"exact", or "sampled"."""
    mean_is: str = "exact"
    """"exact", or "sampled"; of ``std`` too."""

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as plain values."""
        plain = {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default and value not in ((), {}, None)
        }
        if "top" in plain:
            plain["top"] = [list(pair) for pair in self.top]
        return plain


@dataclass(frozen=True)
class Profile:
    """The columns of some data in numbers, and what they give cause to think.

    Returned by `streamlearn.profile`; that of the training data is in a run's manifest.
    """

    rows: int
    sampled_rows: int
    """Rows that quantiles, and all that says so, are from: chosen by a hash of their number."""
    rank_error: float
    """A quantile is this far off in rank at most, with 95 % certainty; 0 where all rows count."""
    columns: tuple[ColumnProfile, ...]
    findings: tuple[Finding, ...] = ()
    target: str | None = None
    full: bool = True
    """Whether means and distinct values are of all rows; in a fit they are of the sample."""
    extremes_exact: bool = True
    """Whether nulls and extremes are of all rows. In a fit on more than 500 columns they are of the
    sample, and nulls, NaN and infinities are scaled up from it."""
    memory: Any = None
    """`streamlearn.stream.timeline.MemoryReport` of the pass, where it was one of its own."""
    seconds: float = 0.0

    def __getitem__(self, name: str) -> ColumnProfile:
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain values, short for many columns."""
        columns = [column.to_dict() for column in self.columns]
        if len(columns) > _WIDE:
            for column in columns:
                column.pop("top", None)
                if "quantiles" in column:
                    kept = {name: v for name, v in column["quantiles"].items() if name == "50%"}
                    column["quantiles"] = kept
        return {
            "rows": self.rows,
            "sampled_rows": self.sampled_rows,
            "rank_error": self.rank_error,
            "full": self.full,
            "extremes_exact": self.extremes_exact,
            "target": self.target,
            "columns": columns,
            "findings": [vars(finding).copy() for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Profile:
        """Take a profile from plain values, such as ``manifest["profile"]``."""
        columns = tuple(
            ColumnProfile(**{**item, "top": tuple(map(tuple, item.get("top", ())))})
            for item in plain["columns"]
        )
        findings = tuple(Finding(**item) for item in plain["findings"])
        return cls(**{**plain, "columns": columns, "findings": findings})

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the profile as JSON, and write it to a file if one is named."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n")
        return text

    def __repr__(self) -> str:
        from streamlearn.report.profile import profile_text

        return profile_text(self.to_dict())

    def _repr_html_(self) -> str:
        from streamlearn.report.profile import profile_fragment

        return profile_fragment(self.to_dict())
