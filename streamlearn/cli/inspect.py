"""``streamlearn inspect``."""

from __future__ import annotations

import json
from typing import Any

import click

from streamlearn.cli.options import file_options, open_dataset
from streamlearn.sizes import format_bytes

__all__ = ["command"]


@click.command(short_help="Show what the data is.")
@click.argument("data", nargs=-1, required=True)
@click.option("--schema", multiple=True, metavar="COLUMN=TYPE", help="Type that settles drift.")
@file_options
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--debug", is_flag=True, help="Show the stack trace of errors.")
def command(data: tuple[str, ...], schema: tuple[str, ...], **options: Any) -> int:
    """Show schema, rows, bytes, fragments and drift of DATA; reads metadata only, of text files all."""
    nothing = dict.fromkeys(("target", "features", "weight", "where"))
    dataset = open_dataset(data, {**options, **nothing, "derive": (), "schema": schema})
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
