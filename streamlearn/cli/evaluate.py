"""``streamlearn evaluate``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamlearn.cli.options import (
    ON_ERROR,
    data_options,
    form_of,
    memory_options,
    names,
    open_dataset,
)
from streamlearn.errors import UsageError

__all__ = ["command"]

if TYPE_CHECKING:
    from streamlearn.evaluation import Evaluation

F = TypeVar("F", bound=Callable[..., Any])
_FAILED = 1
"""Exit code where a requirement was not kept."""


def _judging_options(function: F) -> F:
    """Options that say what is judged, and how."""
    for option in reversed(
        (
            click.option(
                "--metrics",
                metavar="NAMES",
                help="By scikit-learn's scorer names, separated by commas; the first is the main one.",
            ),
            click.option("--exact", is_flag=True, help="Nothing binned: ranks by way of the disk."),
            click.option(
                "--slice-by",
                multiple=True,
                metavar="COLUMN",
                help="Score per value: zone, distance:10 (quantile bins), pickup:month, file; may "
                "be given more than once.",
            ),
            click.option(
                "--fairness-by",
                multiple=True,
                metavar="COLUMN",
                help="Compare a classifier's rates between groups; may be given more than once.",
            ),
            click.option("--positive", metavar="CLASS", help="For fairness; the second of two."),
            click.option(
                "--compare",
                multiple=True,
                metavar="RUN",
                help="Another run, scored on the same rows; may be given more than once.",
            ),
            click.option(
                "--require",
                multiple=True,
                metavar="GATE",
                help="'rmse <= 6.5' or 'auc >= 0.8 where zone == 74': exit with 1 unless it is so; "
                "may be given more than once.",
            ),
            click.option(
                "--confidence", type=float, default=0.95, show_default=True, help="Of intervals."
            ),
            click.option("--seed", type=click.IntRange(0), default=0, help="Of the intervals."),
            click.option(
                "--slices",
                type=click.IntRange(1),
                default=1000,
                show_default=True,
                help="Values of a column that get a slice of their own.",
            ),
        )
    ):
        function = option(function)
    return function


@click.command(short_help="Score a fitted model on other data.")
@click.argument("run")
@click.argument("data", nargs=-1, required=True)
@_judging_options
@data_options
@memory_options
@ON_ERROR
@click.option("--scratch-dir", type=click.Path(file_okay=False), help="For columns put aside.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write all of it as JSON.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write all of it as an HTML page.")
def command(run: str, data: tuple[str, ...], **options: Any) -> int:
    """Judge the model of the folder RUN on DATA, in one pass.

    Metrics with intervals, slices, fairness gaps, drift along the rows, other models on the same
    rows. The exit code is 1 if a requirement (--require) is not kept.

    Target, features, computed columns, the condition on rows and how a CSV is written are those
    of the run, unless given anew.
    """
    from streamlearn.cli.display import show_progress, tell_rejected
    from streamlearn.result import load
    from streamlearn.run import evaluate
    from streamlearn.stream.budget import resolve_budget

    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    output, report = options.pop("output"), options.pop("report")
    for path in filter(None, (output, report)):
        _check_folder(path)
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
    options["metrics"] = names(options["metrics"]) or ()
    options["random_state"] = options.pop("seed")
    limit = resolve_budget(options["memory_budget"], 1)
    with show_progress(limit, quiet=quiet) as listeners:
        found = evaluate(result, dataset, listeners=listeners, **options)
    found = replace(
        found, about={**found.about, "command": shlex.join(["streamlearn", *sys.argv[1:]])}
    )
    if output is not None:
        found.to_json(output)
    if report is not None:
        found.to_html(report)
    if as_json:
        click.echo(found.to_json())
    elif not quiet:
        click.echo(repr(found) + (f"\n  report  {report}" if report else ""))
    tell_rejected(found.quarantine, f"{output}.quarantine.jsonl" if output else None)
    return _exit_code(found)


def _check_folder(path: str) -> None:
    """Refuse a file in a folder that is not there, before anything is read."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {folder}; make it first")


def _exit_code(found: Evaluation) -> int:
    """Say which requirements were not kept, and return the exit code."""
    from streamlearn.cli.display import exit_code_of

    code = exit_code_of(found.memory, found.rows.rejected)
    failed = [gate for gate in found.gates if not gate.passed]
    for gate in failed:
        click.echo(f"error: not as required: {gate}", err=True)
    # A budget that was not kept, or rows that could not be used, are told before a poor score.
    return code or (_FAILED if failed else 0)
