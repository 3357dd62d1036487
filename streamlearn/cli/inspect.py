"""``streamlearn inspect``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from streamlearn.cli.options import data_options, memory_options, open_dataset
from streamlearn.errors import UsageError
from streamlearn.sizes import format_bytes

if TYPE_CHECKING:
    from rich.table import Table

    from streamlearn.report.profile import ColumnRow

__all__ = ["command"]

_MOST_COLUMNS = 100
_WIDEST = 10_000
_LEAST_IMPORTANT = ("5%", "95%", "most frequent", "std", "mean", "median")
"""Left out of the table in this order, where a terminal is too narrow."""
_METADATA_ONLY = {
    "target": None,
    "features": None,
    "weight": None,
    "derive": (),
    "where": None,
    "chunk_size": None,
    "threads": None,
    "memory_budget": "auto",
    "hard_limit": False,
    "drop_missing": False,
}
"""What these options are where they are not given; without --profile they would do nothing."""


@click.command(short_help="Show what the data is.")
@click.argument("data", nargs=-1, required=True)
@click.option(
    "--profile",
    is_flag=True,
    help="Read all rows once: nulls, distinct, extremes, quantiles, findings of each column.",
)
@data_options
@memory_options
def command(data: tuple[str, ...], **options: Any) -> int:
    """Show schema, rows, bytes, fragments and drift of DATA; reads metadata only, of text all.

    With --profile all rows are read once, inside the memory budget, and each column is shown in
    numbers, with what to look at before learning; with --target, features that give it away too.
    """
    if options.pop("profile"):
        return _profile(data, options)
    for name, default in _METADATA_ONLY.items():
        if options[name] != default:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} needs --profile: without it only metadata is read")
    return _metadata(data, options)


def _metadata(data: tuple[str, ...], options: dict[str, Any]) -> int:
    dataset = open_dataset(data, options)
    source = dataset.source
    reconciled = getattr(source, "reconciled", None)
    trouble = []
    if reconciled is not None:
        trouble = [*reconciled.conflicts.values(), *reconciled.gaps.values()]
    faults = getattr(source, "faults", [])
    shown = [str(fault) for fault in faults[:10]]
    if len(faults) > len(shown):
        shown.append(f"and {len(faults) - len(shown):,} more")
    cost = source.cost(source.schema.names)
    facts: dict[str, Any] = {
        "rows": dataset.rows,
        "columns": len(source.schema),
        "decoded_bytes": int(cost.chunk_row_bytes * dataset.rows),
        "files": len({fragment.path for fragment in source.fragments}),
        "fragments": len(source.fragments),
        "largest_fragment_rows": max((part.rows for part in source.fragments), default=0),
        "schema": {field.name: str(field.type) for field in source.schema},
        "drift": list(source.notes(source.schema.names)),
        "conflicts": trouble,
        "faults": [str(fault) for fault in faults],
        "fingerprint": source.fingerprint,
    }
    if options["as_json"]:
        click.echo(json.dumps(facts, indent=2))
        return 0
    click.echo(
        f"{facts['rows']:,} rows, {facts['columns']} columns, about "
        f"{format_bytes(cost.chunk_row_bytes * dataset.rows)} decoded\n"
        f"{facts['files']} files, {facts['fragments']} fragments of up to "
        f"{facts['largest_fragment_rows']:,} rows\n"
    )
    width = max((len(field.name) for field in source.schema), default=0)
    for field in source.schema:
        click.echo(f"  {field.name:<{width}}  {field.type}")
    for title, lines in (
        ("Notes", facts["drift"]),
        ("Conflicts", trouble),
        ("Rows that cannot be used", shown),
    ):
        if lines:
            click.echo(f"\n{title}")
        for line in lines:
            click.echo(f"  {line}")
    return 0


def _profile(data: tuple[str, ...], options: dict[str, Any]) -> int:
    from streamlearn.cli.display import exit_code_of, show_progress
    from streamlearn.run import profile
    from streamlearn.stream.budget import resolve_budget

    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    del options["debug"]
    dataset = open_dataset(data, options)
    limit = resolve_budget(options["memory_budget"], 1)
    with show_progress(limit, quiet=quiet) as listeners:
        found = profile(dataset, listeners=listeners, **options)
    if as_json:
        click.echo(found.to_json())
    else:
        _show(found)
    return exit_code_of(found.memory)


def _show(found: Any) -> None:
    """Print the table: in a terminal the columns that fit, elsewhere all of it."""
    from rich.console import Console
    from rich.text import Text

    from streamlearn.report.profile import HEADINGS, profile_table

    shown = profile_table(found.to_dict(), _MOST_COLUMNS)
    used = [
        name
        for place, name in enumerate(HEADINGS)
        if any(row.cells[place] for row in shown.columns)
    ]
    wide = Console(width=_WIDEST, highlight=False)
    terminal = Console(highlight=False, soft_wrap=True)
    table = _table(shown.columns, used)
    left_out = []
    if terminal.is_terminal:
        for name in _LEAST_IMPORTANT:
            if wide.measure(table).maximum <= terminal.width:
                break
            if name in used:
                used.remove(name)
                left_out.append(name)
                table = _table(shown.columns, used)
    terminal.print(Text(shown.about))
    Console(width=wide.measure(table).maximum, highlight=False).print(table)
    if left_out:
        terminal.print(Text(f"A wider terminal, or --json, shows {', '.join(left_out)} as well."))
    for text in (shown.note, "" if shown.findings else "No findings."):
        if text:
            terminal.print(Text(text))
    for severity, text in shown.findings:
        style = "bold red" if severity == "warning" else "yellow"
        terminal.print(Text.assemble((severity, style), ": ", text))
    if shown.more_findings:
        terminal.print(Text(shown.more_findings))


def _table(rows: Sequence[ColumnRow], used: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from streamlearn.report.profile import HEADINGS

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("column", "type", *used):
        words = name in ("column", "type", "most frequent")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    places = [HEADINGS.index(name) for name in used]
    for row in rows:
        cells = (row.name, row.type, *(row.cells[place] for place in places))
        table.add_row(*(Text(cell) for cell in cells))
    return table
