"""``streamlearn evaluate``."""

from __future__ import annotations

from typing import Any

import click

from streamlearn.cli.options import ON_ERROR, data_options, form_of, memory_options, open_dataset

__all__ = ["command"]


@click.command(short_help="Score a fitted model on other data.")
@click.argument("run")
@click.argument("data", nargs=-1, required=True)
@data_options
@memory_options
@ON_ERROR
@click.option("--scratch-dir", type=click.Path(file_okay=False), help="For columns put aside.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write the scores as JSON.")
def command(run: str, data: tuple[str, ...], **options: Any) -> int:
    """Score the model of the folder RUN on DATA, in one pass.

    Target, features, computed columns, the condition on rows and how a CSV is written are those
    of the run, unless given anew.
    """
    from streamlearn.cli.display import exit_code_of, show_progress, tell_rejected
    from streamlearn.result import load
    from streamlearn.run import evaluate
    from streamlearn.stream.budget import resolve_budget

    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    output = options.pop("output")
    del options["debug"]
    result = load(run)
    described = result.manifest.get("data", {})
    derive = described.get("derive") or ()
    options["derive"] = options["derive"] or ([derive] if isinstance(derive, str) else list(derive))
    options["drop_missing"] = options["drop_missing"] or described.get("drop_missing", False)
    for name in ("target", "where", "weight"):
        options[name] = options[name] if options[name] is not None else described.get(name)
    if options["features"] is None and hasattr(result.estimator, "feature_names_in_"):
        options["features"] = ",".join(map(str, result.estimator.feature_names_in_))
    dataset = open_dataset(data, options, form_of(described.get("csv"), data))
    limit = resolve_budget(options["memory_budget"], 1)
    with show_progress(limit, quiet=quiet) as listeners:
        found = evaluate(result, dataset, listeners=listeners, **options)
    if output is not None:
        found.to_json(output)
    if as_json:
        click.echo(found.to_json())
    else:
        click.echo(repr(found))
    tell_rejected(found.quarantine, f"{output}.quarantine.jsonl" if output else None)
    return exit_code_of(found.memory, found.rows.rejected)
