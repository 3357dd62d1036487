"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamlearn.errors import StreamlearnError, UsageError
from streamlearn.sizes import parse_rows

__all__ = [
    "ON_ERROR",
    "PROFILE",
    "data_options",
    "file_options",
    "fit_options",
    "form_of",
    "memory_options",
    "names",
    "open_dataset",
    "settings",
]

if TYPE_CHECKING:
    _IntType = click.ParamType[int]
else:
    _IntType = click.ParamType  # takes no type argument at run time before click 8.4

F = TypeVar("F", bound=Callable[..., Any])


class Rows(_IntType):
    """A number of rows: 100_000, 250k, 10M."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number, or fail with a usage error."""
        if isinstance(value, int):
            return value
        try:
            return parse_rows(value)
        except StreamlearnError as error:
            self.fail(str(error), param, ctx)


ROWS = Rows()


PROFILE = click.option(
    "--profile", is_flag=True, help="Show where the time went, and what would help."
)
ON_ERROR = click.option(
    "--on-error",
    type=click.Choice(["raise", "quarantine"]),
    default="raise",
    show_default=True,
    help="quarantine: leave out rows that cannot be used, list them, and exit with 4.",
)


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def data_options(function: F) -> F:
    """Options that describe the data."""
    return _all(
        click.option("--target", help="Column to predict."),
        click.option("--features", help="Columns to learn from, separated by commas."),
        click.option("--weight", help="Column of sample weights."),
        click.option(
            "--derive",
            multiple=True,
            metavar="'FORMULA AS name'",
            help="Computed column, in SQL; may be given more than once.",
        ),
        click.option("--where", metavar="CONDITION", help="Rows to keep, in SQL."),
        click.option(
            "--schema",
            multiple=True,
            metavar="COLUMN=TYPE",
            help="Type that settles drift between files; may be given more than once.",
        ),
        click.option(
            "--drop-missing",
            is_flag=True,
            help="Leave out rows in which a feature, target or weight is missing; counted.",
        ),
        click.option(
            "--fill-absent",
            is_flag=True,
            help="Chunks a zarr store lacks are all fill value, and not lost.",
        ),
        file_options,
    )(function)


def file_options(function: F) -> F:
    """Options that say how files are written, where their names do not."""
    return _all(
        click.option(
            "--format",
            "file_format",
            metavar="FORMAT",
            help="What the files are: parquet, arrow, csv, tsv, jsonl or svmlight.",
        ),
        click.option(
            "--separator", help="Between fields of a CSV: ';', tab, or another character."
        ),
        click.option("--no-header", is_flag=True, help="The CSV's first line is a row."),
        click.option("--names", "column_names", help="Names of the CSV's columns, by commas."),
        click.option("--encoding", help="Of the CSV: utf-8 (the default), latin-1, utf-16, ..."),
        click.option(
            "--missing",
            multiple=True,
            metavar="TEXT",
            help="Text in the CSV for a missing value, such as '?'; may be given more than once.",
        ),
        click.option("--skip-spaces", is_flag=True, help="Leave out spaces in front of fields."),
    )(function)


def memory_options(function: F) -> F:
    """Options on memory, threads and what is shown."""
    return _all(
        click.option(
            "--memory-budget",
            default="auto",
            show_default=True,
            metavar="SIZE",
            help="Highest resident memory: 512MB, 2GiB, 50% of what is available, +300MB, auto.",
        ),
        click.option(
            "--hard-limit",
            is_flag=True,
            help="Let the kernel refuse memory beyond the budget: an error, and no killed process.",
        ),
        click.option("--chunk-size", type=ROWS, help="Rows read at once, at most."),
        click.option("--threads", type=click.IntRange(1), help="By default the number of cores."),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            help="Show no progress and no result, only what is wrong.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("--debug", is_flag=True, help="Show the stack trace of errors."),
    )(function)


def fit_options(function: F) -> F:
    """Options of the model and how it learns."""
    from streamlearn.cli.models import MODELS

    return _all(
        click.option("--model", type=click.Choice(sorted(MODELS)), help="scikit-learn estimator."),
        click.option(
            "--param",
            multiple=True,
            metavar="NAME=VALUE",
            help="Parameter of the model, such as alpha=1e-5; may be given more than once.",
        ),
        click.option(
            "--pipeline",
            metavar="MODULE:OBJECT",
            help="Your own estimator, or a function that makes it, instead of --model.",
        ),
        click.option("--categorical", help="Columns to encode as categories, by commas."),
        click.option(
            "--max-categories",
            type=click.IntRange(2),
            default=1000,
            show_default=True,
            help="Categories kept per column; the rarest share one.",
        ),
        click.option("--batch-size", type=ROWS, help="Rows the model learns at once."),
        click.option(
            "--epochs",
            "--passes",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Times the model sees all rows.",
        ),
        click.option("--shuffle", is_flag=True, help="Shuffle rows each epoch (uses disk)."),
        click.option(
            "--validation", type=float, default=0.0, metavar="SHARE", help="Share held out: 0.1."
        ),
        click.option("--early-stopping", is_flag=True, help="Stop when the held-out score rests."),
        click.option(
            "--tol",
            type=float,
            default=1e-3,
            show_default=True,
            help="Least gain of the held-out score that counts (early stopping).",
        ),
        click.option(
            "--n-iter-no-change",
            type=click.IntRange(1),
            default=5,
            show_default=True,
            help="Epochs without such a gain after which learning stops.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Of everything random.",
        ),
        click.option(
            "--scratch-dir",
            type=click.Path(file_okay=False),
            help="For shuffled, prepared and held-out rows.",
        ),
        click.option(
            "--on-unsupported",
            type=click.Choice(["raise", "sample"]),
            default="raise",
            show_default=True,
            help="sample: fit steps that cannot learn from chunks on a random sample.",
        ),
        click.option("--sample-rows", type=ROWS, default=100_000, help="Rows of such a sample."),
        click.option(
            "--quantiles",
            type=click.Choice(["exact", "sketch"]),
            default="exact",
            show_default=True,
            help="sketch: medians and quantiles within a stated bound, in fewer passes.",
        ),
        click.option(
            "--cache/--no-cache",
            default=None,
            help="Keep prepared rows on disk between epochs; by default where it saves time.",
        ),
        ON_ERROR,
    )(function)


def names(text: str | None) -> list[str] | None:
    """Split names at commas.

    Examples
    --------
    >>> names("a, b"), names(None)
    (['a', 'b'], None)
    """
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def settings(pairs: tuple[str, ...], option: str) -> dict[str, str]:
    """Split ``NAME=VALUE`` pairs."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name or not value:
            raise UsageError(f"{option} {pair!r}: write it as NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def open_dataset(data: tuple[str, ...], options: dict[str, Any], form: Any = None) -> Any:
    """Scan the data as the options say, taking them out of ``options``.

    ``form`` is how files are written where no option says so.
    """
    from streamlearn.source.scan import scan

    derive = list(options.pop("derive"))
    return scan(
        data[0] if len(data) == 1 else list(data),
        target=options.pop("target"),
        features=names(options.pop("features")),
        weight=options.pop("weight"),
        derive=derive or None,
        where=options.pop("where"),
        schema=settings(options.pop("schema"), "--schema") or None,
        drop_missing=options.pop("drop_missing"),
        fill_absent=options.pop("fill_absent"),
        format=_format(options) or form,
    )


def _format(options: dict[str, Any]) -> Any:
    """Return how files are written, as the options say: a name, a Csv, or nothing."""
    wanted = options.pop("file_format")
    separator, missing = options.pop("separator"), options.pop("missing")
    signs = {"tab": "\t", "\\t": "\t", "space": " "}
    given = {
        "separator": signs.get(separator, separator),
        "header": False if options.pop("no_header") else None,
        "names": names(options.pop("column_names")),
        "encoding": options.pop("encoding"),
        "missing": tuple(missing) or None,
        "skip_spaces": options.pop("skip_spaces") or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return wanted
    if wanted not in (None, "csv", "tsv"):
        raise UsageError(
            f"--format {wanted} goes without --separator, --no-header, --names, --encoding, "
            "--missing and --skip-spaces, which say how a CSV is written"
        )
    from streamlearn.source.text.csv import Csv

    if wanted == "tsv":
        given = {"separator": "\t", **given}
    return Csv(**given)


def form_of(csv: dict[str, Any] | None, data: tuple[str, ...]) -> Any:
    """Return how the run's CSV was written, where the data may be written so too."""
    from streamlearn.source.formats import kind_of
    from streamlearn.source.text.csv import Csv

    texts = all(kind_of(path) in ("csv", "tsv", None) for path in data)
    if csv is None or not texts or any(os.path.isdir(path) for path in data):
        return None
    return Csv(**csv)
