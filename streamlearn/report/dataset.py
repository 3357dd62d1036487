"""A dataset as a fragment for notebooks, from metadata alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamlearn.report.facts import Fact, Table, first_of, short
from streamlearn.report.template import render
from streamlearn.sizes import format_bytes, format_rows

if TYPE_CHECKING:
    from streamlearn.source.dataset import Dataset

__all__ = ["dataset_fragment"]

_MOST_COLUMNS = 100
_MOST_FRAGMENTS = 20
_MOST_NOTES = 10


@dataclass(frozen=True)
class DatasetContent:
    """What is shown of a dataset."""

    kind: str
    size: str
    facts: tuple[Fact, ...]
    trouble: tuple[str, ...]
    columns_told: str
    columns: Table
    """Name, type and role."""
    fragments_told: str
    fragments: Table
    """Place and rows."""


def dataset_fragment(data: Dataset) -> str:
    """Return a dataset as an HTML fragment for a notebook; no row is read.

    Parameters
    ----------
    data : Dataset
    """
    return render("dataset_fragment.html.j2", content=_content(data))


def _content(data: Dataset) -> DatasetContent:
    source, fragments = data.source, data.fragments
    files = len({fragment.path for fragment in fragments})
    decoded = source.cost(source.schema.names).chunk_row_bytes * data.rows
    notes = [*data.notes(data.features.names), *map(str, data.faults)]
    more = len(notes) - _MOST_NOTES
    return DatasetContent(
        kind=f"Dataset ({type(source).__name__.removesuffix('Source').lower()})",
        size=(
            f"{format_rows(data.rows)} rows stored, {format_rows(len(source.schema))} columns, "
            f"about {format_bytes(decoded)} decoded"
        ),
        facts=_facts(data),
        trouble=(
            *(short(text, 500) for text in notes[:_MOST_NOTES]),
            *([f"{more:,} more notes are not shown."] if more > 0 else []),
        ),
        columns_told=f"{format_rows(len(data.schema))} columns",
        columns=first_of(_columns(data), _MOST_COLUMNS, "columns"),
        fragments_told=f"{_count(len(fragments), 'fragment')} in {_count(files, 'file')}",
        fragments=first_of(
            [
                (short(str(item), 200), format_rows(item.rows))
                for item in fragments[:_MOST_FRAGMENTS]
            ]
            + [("", "")] * max(0, len(fragments) - _MOST_FRAGMENTS),
            _MOST_FRAGMENTS,
            "fragments",
        ),
    )


def _facts(data: Dataset) -> tuple[Fact, ...]:
    target = data.target_field
    names = data.features.names
    shown = ", ".join(map(str, names[:12])) + (" and more" if len(names) > 12 else "")
    facts = [
        Fact("target", "none" if target is None else f"{target.name} ({target.type})"),
        Fact("features", short(f"{format_rows(len(names))}: {shown}", 600)),
    ]
    if data.weight:
        facts.append(Fact("weight", short(data.weight, 200)))
    if data.where is not None:
        facts.append(Fact("where", short(str(data.where))))
    if data.drop_missing:
        facts.append(Fact("drop_missing", "rows with a missing value are left out"))
    return tuple(facts)


def _columns(data: Dataset) -> list[tuple[str, str, str]]:
    features = set(data.features.names)
    target = None if data.target_field is None else data.target_field.name
    found = []
    for item in data.schema:
        roles = [
            "target" if item.name == target else "",
            "weight" if item.name == data.weight else "",
            "feature" if item.name in features else "",
            "computed" if item.name in data.computed else "",
        ]
        role = ", ".join(filter(None, roles)) or "not used"
        found.append((short(str(item.name), 100), short(str(item.type), 100), role))
    return found


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"
