"""Prove the memory promise: every case in a fresh process, under its budget, beside the peers.

``python -m benchmarks.memory [CASE ...] [--reduced] [--no-peers] [--data DIR] [--json FILE]``

For each case: the budget against the highest ``VmHWM`` seen from outside the process; what was
projected; the same run in a memory cgroup whose limit is the budget; whether the model has the
same bits as with 8 GB; and what a loop by hand and dask-ml take for the same work, free and in
that cgroup.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from benchmarks.cases import CASES, Case
from benchmarks.preprocessing import PREPROCESSING
from streamlearn.sizes import format_bytes, parse_bytes
from streamlearn.testing import Measured, measure, why_no_kernel_limit

REPORT = """
import hashlib, json
memory = result.memory
print(json.dumps({
    "measured": memory.measured_bytes,
    "projected": memory.projected_bytes,
    "reserved": memory.reserved_bytes,
    "seconds": result.seconds,
    "monitor": memory.monitor_s,
    "bits": hashlib.sha256(result.estimator[-1].coef_.tobytes()).hexdigest()[:16],
}))
"""
_TIMEOUT_S = 3_600
_REFUSED = "MemoryBudgetError"


def prepared(case: Case, folder: Path, share: float) -> Path:
    """Return the folder of a case's data, made where it is not there yet."""
    place = folder / f"{case.data}-{share:g}"
    if not place.exists():
        making = place.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        case.make(making, share)
        making.rename(place)
    return place


def run(code: str, folder: Path, budget: str, *, limited: bool = False) -> Measured:
    """Run a program on the data of a case."""
    text = f"folder, budget = {os.fspath(folder)!r}, {budget!r}\n{code}"
    limit = parse_bytes(budget) if limited else None
    return measure(text, timeout_s=_TIMEOUT_S, kernel_limit=limit)


def prove(case: Case, folder: Path, share: float, *, peers: bool, cgroup: bool) -> dict[str, Any]:
    """Run everything there is of a case; return it as plain values."""
    place = prepared(case, folder, share)
    row: dict[str, Any] = {
        "case": case.title,
        "budget": case.budget,
        "foreign": case.foreign_bytes,
    }
    free = run(case.code + REPORT, place, case.budget)
    row["peak"] = free.peak_bytes
    if case.refused:
        text = free.errors.strip().rpartition("\n")[2]
        row["refused"] = text if _REFUSED in text and case.refused in text else f"NOT: {text}"
    elif free.exit_code:
        row["failed"] = free.errors.strip().rpartition("\n")[2]
    else:
        row |= free.last
        row["peak"] = max(row["peak"], row["measured"])
        row["bits"] = free.last["bits"] == run(case.code + REPORT, place, "8GB").last["bits"]
    if cgroup:
        row["cgroup"] = _ending(run(case.code + REPORT, place, case.budget, limited=True))
    for name, code in (("loop", case.loop), ("dask-ml", case.dask)) if peers else ():
        if code:
            peer = run(code, place, case.budget)
            row[name] = {"peak": peer.peak_bytes, "seconds": peer.seconds, "end": _ending(peer)}
            if cgroup:
                row[name]["cgroup"] = _ending(run(code, place, case.budget, limited=True))
    return row


def _ending(found: Measured) -> str:
    if found.killed:
        return "killed"
    if _REFUSED in found.errors:
        return "refused"
    return "finished" if not found.exit_code else found.errors.strip().rpartition("\n")[2]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write the proofs as markdown."""
    lines = [
        "| case | budget | reserved | projected | **peak** | growth / projected | in a cgroup "
        "of the budget | bits as with 8 GB | seconds | watching | loop by hand: peak, in the "
        "cgroup | dask-ml: peak, in the cgroup |",
        "|" + "---|" * 12,
    ]
    for row in rows:
        cells = [row["case"], row["budget"]]
        if "reserved" in row:
            grown = row["measured"] - row["reserved"] - row["foreign"]
            growth = grown / (row["projected"] - row["reserved"])
            cells += [
                format_bytes(row["reserved"]),
                format_bytes(row["projected"]),
                f"**{format_bytes(row['peak'])}**",
                f"{growth:.2f}",
                row.get("cgroup", "not run"),
                "yes" if row["bits"] else "**NO**",
                f"{row['seconds']:.1f}",
                f"{row['monitor'] / row['seconds']:.2%}",
            ]
        else:
            cells += ["", "", f"**{format_bytes(row['peak'])}**", ""]
            cells += [row.get("cgroup", "not run"), "", "", ""]
        cells += [_peer(row.get("loop")), _peer(row.get("dask-ml"))]
        lines.append("| " + " | ".join(cells) + " |")
    said = [f"- {row['case']}: {row['refused']}" for row in rows if "refused" in row]
    said += [f"- {row['case']}: FAILED: {row['failed']}" for row in rows if "failed" in row]
    return "\n".join([*lines, "", *said])


def _peer(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    free = found["end"] if found["end"] != "finished" else f"{found['seconds']:.0f} s"
    return f"{format_bytes(found['peak'])} ({free}), {found.get('cgroup', 'not run')}"


@click.command()
@click.argument(
    "names", nargs=-1, type=click.Choice([case.name for case in (*CASES, *PREPROCESSING)])
)
@click.option("--reduced", is_flag=True, help="Smaller data, that still exceeds the budget.")
@click.option("--peers/--no-peers", default=True, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Keep the data here.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the numbers here too.")
def main(
    names: tuple[str, ...], reduced: bool, peers: bool, data: Path | None, out: Path | None
) -> None:
    """Prove the memory promise on the cases NAMES (all by default)."""
    why = why_no_kernel_limit()
    shown = ["scikit-learn", "numpy", "pyarrow", "pandas", *(["dask-ml", "dask"] if peers else [])]
    versions = ", ".join(f"{name} {version(name)}" for name in shown)
    click.echo(f"Python {platform.python_version()}, {versions}; {_machine()}\n")
    if why:
        click.echo(f"{why}\n")
    rows = []
    for case in (*CASES, *PREPROCESSING):
        if names and case.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            share = case.reduced if reduced else 1.0
            rows.append(prove(case, data or Path(folder), share, peers=peers, cgroup=not why))
        click.echo(f"{case.name} done", err=True)
        if out is not None:
            out.write_text(json.dumps(rows, indent=2))
    click.echo(table(rows))


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, {platform.machine()}"


if __name__ == "__main__":
    main()
