"""``streamlearn generate``."""

from __future__ import annotations

import sys
from typing import Any

import click

from streamlearn.cli.options import ROWS

__all__ = ["command"]


@click.command(short_help="Write made-up data sets of any size.")
@click.argument("kind", type=click.Choice(["taxi", "dense"]))
@click.option("--rows", type=ROWS, required=True, help="Rows to write: 10_000_000 or 10M.")
@click.option("-o", "--output", required=True, help="Folder to write to; it must hold no parts.")
@click.option("--columns", type=click.IntRange(1), default=28, show_default=True, help="Of dense.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--rows-per-file", type=ROWS, default=2_000_000, show_default=True)
@click.option("--rows-per-group", type=ROWS, default=131_072, show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--debug", is_flag=True, help="Show the stack trace of errors.")
def command(kind: str, **options: Any) -> int:
    """Write a data set in parquet, the same for the same seed.

    taxi has the columns, types, gaps and skew of New York's green taxi months; dense has float32
    columns and a label of two classes.
    """
    from streamlearn.generate import generate_dense, generate_taxi

    output, rows, columns = options.pop("output"), options.pop("rows"), options.pop("columns")
    quiet = options.pop("quiet")
    del options["debug"]

    def progress(done: int) -> None:
        if sys.stderr.isatty() and not quiet:
            print(f"\r{done:,} of {rows:,} rows", end="", file=sys.stderr, flush=True)

    if kind == "taxi":
        files = generate_taxi(output, rows, progress=progress, **options)
    else:
        files = generate_dense(output, rows, columns=columns, progress=progress, **options)
    if not quiet:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        click.echo(f"{rows:,} rows in {len(files)} files in {output}")
    return 0
