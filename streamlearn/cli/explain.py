"""``streamlearn explain``."""

from __future__ import annotations

import json
from typing import Any

import click

from streamlearn.cli.fit import make_estimator
from streamlearn.cli.options import data_options, fit_options, memory_options, open_dataset

__all__ = ["command"]


@click.command(short_help="Show what fit would do, without doing it.")
@click.argument("data", nargs=-1, required=True)
@data_options
@fit_options
@memory_options
def command(data: tuple[str, ...], **options: Any) -> int:
    """Show the pipeline, the passes and the memory that fitting DATA would take."""
    from streamlearn.run import explain

    del options["quiet"], options["debug"]
    as_json = options.pop("as_json")
    dataset = open_dataset(data, options)
    estimator, notes = make_estimator(dataset, options)
    options["random_state"] = options.pop("seed")
    # As fit would: it saves the run.
    plan = explain(estimator, dataset, run="run", **options)
    if as_json:
        click.echo(json.dumps(plan.to_dict(), indent=2, default=str))
        return 0
    click.echo(f"{estimator!r}\n")
    click.echo(str(plan))
    for note in notes:
        click.echo(f"Note: {note}")
    return 0
