"""Run contenders in fresh processes, alternating, and print medians.

``python -m benchmarks [dense] [taxi] [--rows N] [--runs K] [--budget SIZE]``
"""

from __future__ import annotations

import platform
import statistics
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import click

from benchmarks.contenders import COLUMNS, WORKS, Contender
from streamlearn.sizes import format_bytes, parse_bytes, parse_rows
from streamlearn.testing import measure

_PROGRAM = """
import time
folder, budget, columns = {folder!r}, {budget!r}, {columns!r}
began = time.perf_counter()
{code}
import json
print(json.dumps({{"seconds": time.perf_counter() - began, "size": int(coef.size)}}))
"""


def time_it(contender: Contender, folder: str, budget: int) -> dict[str, Any]:
    """Run one contender in a fresh process; its own seconds, and its peak memory from outside."""
    found = measure(
        _PROGRAM.format(folder=folder, budget=budget, columns=COLUMNS, code=contender.code),
        timeout_s=3_600,
    )
    if found.exit_code:
        last = (found.errors.strip().splitlines() or ["killed"])[-1]
        return {"error": last, "peak": found.peak_bytes}
    return {**found.last, "peak": found.peak_bytes}


def compare(work: str, folder: str, budget: int, runs: int) -> list[dict[str, Any]]:
    """Measure all contenders of a work, taking turns."""
    found: dict[str, list[dict[str, Any]]] = {item.name: [] for item in WORKS[work]}
    for _ in range(runs):
        for contender in WORKS[work]:
            found[contender.name].append(time_it(contender, folder, budget))
    rows = []
    for name, results in found.items():
        errors = [result["error"] for result in results if "error" in result]
        if errors:
            rows.append({"name": name, "error": errors[0]})
            continue
        rows.append(
            {
                "name": name,
                "seconds": statistics.median(result["seconds"] for result in results),
                "peak": max(result["peak"] for result in results),
                "size": results[0]["size"],
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]], total: int) -> str:
    """Write a comparison as markdown."""
    ours = rows[0]
    lines = [
        "| way | seconds (median) | rows/s | peak memory | time / ours | memory / ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['name']} | failed: {row['error']} | | | | |")
            continue
        lines.append(
            f"| {row['name']} | {row['seconds']:.1f} | {total / row['seconds']:,.0f} | "
            f"{format_bytes(row['peak'])} | {row['seconds'] / ours['seconds']:.2f} | "
            f"{row['peak'] / ours['peak']:.2f} |"
        )
    return "\n".join(lines)


@click.command()
@click.argument("works", nargs=-1, type=click.Choice(sorted(WORKS)))
@click.option("--rows", default="10M", show_default=True)
@click.option("--runs", default=5, show_default=True)
@click.option("--budget", default="512MB", show_default=True)
def main(works: tuple[str, ...], rows: str, runs: int, budget: str) -> None:
    """Compare WORKS (all by default) on generated data."""
    from streamlearn.generate import generate_dense, generate_taxi

    total = parse_rows(rows)
    names = ("scikit-learn", "numpy", "pyarrow", "pandas")
    shown = ", ".join(f"{name} {version(name)}" for name in names)
    click.echo(f"{total:,} rows, {runs} runs, budget {budget} for streamlearn")
    click.echo(f"Python {platform.python_version()}, {shown}; {platform.machine()}\n")
    for work in works or sorted(WORKS):
        with tempfile.TemporaryDirectory() as folder:
            (generate_dense if work == "dense" else generate_taxi)(folder, total)
            click.echo(
                f"## {work}\n\n{table(compare(work, folder, parse_bytes(budget), runs), total)}\n"
            )


if __name__ == "__main__":
    main()
