"""``streamlearn predict``."""

from __future__ import annotations

import re
from typing import Any

import click

from streamlearn.cli.options import (
    ON_ERROR,
    PROFILE,
    ROWS,
    data_options,
    form_of,
    memory_options,
    names,
    open_dataset,
)

__all__ = ["command"]


@click.command(short_help="Write a fitted model's answers for other data.")
@click.argument("run")
@click.argument("data", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="One file (out.parquet), a folder of them (out/) or a store (out.zarr).",
)
@click.option("--proba", is_flag=True, help="Write probabilities of the classes as well.")
@click.option("--decision", is_flag=True, help="Write decision values as well.")
@click.option("--transform", is_flag=True, help="Write what the run's transform gives, alone.")
@click.option("--columns", help="Columns of DATA to write as well, by commas.")
@click.option("--row-ids", is_flag=True, help="Write the number of each row in DATA as well.")
@data_options
@click.option(
    "--to",
    "format",
    type=click.Choice(["parquet", "zarr"]),
    help="Format, where OUT does not tell.",
)
@click.option(
    "--compression",
    type=click.Choice(["zstd", "snappy", "gzip", "lz4", "brotli", "none"]),
    default="zstd",
    show_default=True,
)
@click.option("--row-group-bytes", metavar="SIZE", help="Of parquet, decoded: 32MiB by default.")
@click.option("--rows-per-file", type=ROWS, help="Of a folder of parquet files.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier output.")
@click.option("--scratch-dir", type=click.Path(file_okay=False), help="For columns put aside.")
@PROFILE
@ON_ERROR
@memory_options
def command(run: str, data: tuple[str, ...], output: str, **options: Any) -> int:
    """Write what the model of the folder RUN says of DATA to OUT, row by row, in order.

    Computed columns and how a CSV is written are those of the run, unless given anew. Its condition
    on rows is not applied: every row of DATA has one in OUT, unless --where or --drop-missing leave
    some out. OUT is complete, or not there at all.
    """
    from streamlearn.cli.display import exit_code_of, show_progress, tell_rejected
    from streamlearn.errors import UsageError
    from streamlearn.manifest import derived_for
    from streamlearn.prediction import Prediction
    from streamlearn.report.stages import stage_text
    from streamlearn.result import load
    from streamlearn.run import predict
    from streamlearn.stream.budget import resolve_budget
    from streamlearn.write.place import find_place

    quiet, as_json, timed = (options.pop(name) for name in ("quiet", "as_json", "profile"))
    del options["debug"]
    proba, decision = options.pop("proba"), options.pop("decision")
    if options.pop("transform"):
        if proba or decision:
            raise UsageError("--transform goes without --proba and --decision")
        options["method"] = ["transform"]
    else:
        asked = {"predict_proba": proba, "decision_function": decision}
        options["method"] = ["predict", *(name for name, wanted in asked.items() if wanted)]
    options["columns"] = names(options["columns"]) or []
    place = find_place(output, options["format"])
    place.refuse_occupied(overwrite=options["overwrite"])
    place.refuse_inside(data)
    result = load(run)
    known = getattr(result.estimator, "feature_names_in_", None)
    if not options["derive"]:
        more = [*options["columns"], *re.findall(r"\w+", options["where"] or "")]
        needed = None if known is None else [*map(str, known), *more]
        options["derive"] = derived_for(result.manifest, needed)
    form = form_of(result.manifest.get("data", {}).get("csv"), data)
    dataset = open_dataset(data, options, form)
    limit = resolve_budget(options["memory_budget"], 1)
    with show_progress(limit, quiet=quiet) as listeners:
        found = predict(result, dataset, out=output, listeners=listeners, **options)
    assert isinstance(found, Prediction)
    if as_json:
        click.echo(found.to_json())
    elif not quiet:
        click.echo(repr(found))
    if timed and not as_json:
        click.echo(stage_text(found.stages, found.seconds))
    tell_rejected(found.quarantine, f"{output.rstrip('/')}.quarantine.jsonl")
    return exit_code_of(found.memory, found.rows.rejected)
