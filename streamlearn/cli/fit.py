"""``streamlearn fit``."""

from __future__ import annotations

import json
from typing import Any

import click

from streamlearn.cli.options import (
    PROFILE,
    data_options,
    fit_options,
    memory_options,
    names,
    open_dataset,
    settings,
)
from streamlearn.errors import UsageError

__all__ = ["command", "make_estimator"]


def make_estimator(dataset: Any, options: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return the estimator the options ask for, taking them out of ``options``, and notes."""
    from streamlearn.cli.models import NON_NEGATIVE, make_model
    from streamlearn.cli.preprocessing import load_object, make_pipeline_for

    model, pipeline = options.pop("model"), options.pop("pipeline")
    parameters = settings(options.pop("param"), "--param")
    categorical = names(options.pop("categorical")) or []
    most = options.pop("max_categories")
    if (model is None) == (pipeline is None):
        raise UsageError("name either --model or --pipeline")
    if pipeline is not None:
        if parameters or categorical:
            raise UsageError("--param and --categorical go with --model, not with --pipeline")
        return load_object(pipeline), []
    return make_pipeline_for(
        dataset,
        make_model(model, parameters),
        categorical=categorical,
        max_categories=most,
        non_negative=model in NON_NEGATIVE,
    )


@click.command(short_help="Fit a model on data larger than memory.")
@click.argument("data", nargs=-1, required=True)
@data_options
@fit_options
@click.option("-o", "--output", "run", required=True, help="Folder of the run.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there already.")
@PROFILE
@memory_options
def command(data: tuple[str, ...], **options: Any) -> int:
    """Fit a model on DATA: files, globs, directories, URLs of parquet, or a zarr store.

    Files are parquet, CSV, TSV, JSON lines, svmlight, Arrow, .npy or .npz.

    Preprocessing is chosen from the schema, unless --pipeline names your own: numbers are
    imputed and scaled, strings, booleans and --categorical columns one-hot encoded, timestamps
    taken apart.
    """
    from streamlearn.bundle import metrics_of, refuse_occupied
    from streamlearn.cli.display import exit_code_of, show_progress
    from streamlearn.report.stages import stage_text
    from streamlearn.report.text import result_summary
    from streamlearn.run import explain, fit

    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    del options["debug"]
    timed = options.pop("profile")
    refuse_occupied(options["run"], overwrite=options["overwrite"])
    dataset = open_dataset(data, options)
    estimator, notes = make_estimator(dataset, options)
    options["random_state"] = options.pop("seed")
    planned = {key: value for key, value in options.items() if key != "overwrite"}
    plan = explain(estimator, dataset, **planned)
    if not quiet:
        click.echo(f"{estimator!r}", err=True)
        for note in (*notes, *plan.notes):
            click.echo(f"note: {note}", err=True)
    with show_progress(plan.memory.limit_bytes, quiet=quiet) as listeners:
        result = fit(estimator, dataset, listeners=listeners, **options)
    if as_json:
        click.echo(json.dumps({**metrics_of(result), "run": result.path}, indent=2))
    elif not quiet:
        click.echo(result_summary(result))
    if timed and not as_json:
        click.echo(stage_text(result.stages, result.seconds))
    return exit_code_of(result.memory, result.rows.rejected)
