"""``streamlearn convert``."""

from __future__ import annotations

from typing import Any

import click

from streamlearn.cli.options import ON_ERROR, ROWS, data_options, memory_options, open_dataset

__all__ = ["command"]


@click.command(short_help="Write data anew, to parquet or zarr, shuffled if wanted.")
@click.argument("src", nargs=-1, required=True)
@click.argument("dst")
@data_options
@click.option(
    "--to",
    "format",
    type=click.Choice(["parquet", "zarr"]),
    help="Format, where DST does not tell.",
)
@click.option("--shuffle", is_flag=True, help="Put all rows in random order (uses disk).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--compression",
    type=click.Choice(["zstd", "snappy", "gzip", "lz4", "brotli", "none"]),
    default="zstd",
    show_default=True,
)
@click.option("--row-group-bytes", metavar="SIZE", help="Of parquet, decoded: 32MiB by default.")
@click.option("--rows-per-file", type=ROWS, help="Of a folder of parquet files.")
@click.option(
    "--shards",
    is_flag=False,
    flag_value="64MiB",
    metavar="[SIZE]",
    help="Put chunks of zarr together in shards: of 64MiB where no size is given.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier output.")
@click.option("--scratch-dir", type=click.Path(file_okay=False), help="For shuffled rows.")
@ON_ERROR
@memory_options
def command(src: tuple[str, ...], dst: str, **options: Any) -> int:
    """Write the data of SRC to DST.

    DST is one parquet file (out.parquet), a folder of them (out/) or a zarr store (out.zarr). It is
    complete, or not there at all.
    """
    from streamlearn.cli.display import exit_code_of, show_progress, tell_rejected
    from streamlearn.run import convert
    from streamlearn.stream.budget import resolve_budget

    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    del options["debug"]
    dataset = open_dataset(src, options)
    options["random_state"] = options.pop("seed")
    options["shards"] = options["shards"] or False
    limit = resolve_budget(options["memory_budget"], 1)
    with show_progress(limit, quiet=quiet) as listeners:
        found = convert(dataset, dst, listeners=listeners, **options)
    if as_json:
        click.echo(found.to_json())
    elif not quiet:
        click.echo(repr(found))
    tell_rejected(found.quarantine, f"{dst.rstrip('/')}.quarantine.jsonl")
    return exit_code_of(found.memory, found.rows.rejected)
