"""What was found as markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.summary import Line, Outcome, floor_of, lines_of, outcomes
from benchmarks.work import DECODE, MODEL, OURS, Contender, Work
from streamlearn.sizes import format_bytes

__all__ = ["document"]

_HEAD = """# Speed

Written by `python -m benchmarks` (`python -m benchmarks --help` says how to run a part of it); the
numbers of every run are in `{name}.json`, the programs in `benchmarks/contenders/`.

Each run is a fresh process; contenders take turns, and medians are shown, except of the peak, which
is the highest of all runs. *Wall* and *CPU* (user and system) begin after the imports, and end when
the model is fitted or the file is written. *Peak* is `VmHWM` until then, imports included. Data are
read from the page cache where they fit. *Agrees*: the score on held-out rows is ours within the
tolerance, and where the same arithmetic is done in the same order so are the coefficients (their
distance to ours over the length of ours; found in brackets). Where the model differs, it says how.

The *floor* is measured in the same rounds: CPU seconds of reading the needed columns once with our
reader, over the cores; and CPU seconds of `partial_fit` (or `predict`) alone, on prepared batches in
memory, as many rows and epochs. Whichever is longer is the floor. A second pass for statistics and
what lies between reading and the model are not in it.

![Seconds of each way]({name}.svg)
"""


def document(found: Mapping[str, Any], works: Mapping[str, Work], name: str) -> str:
    """Return the whole document.

    Parameters
    ----------
    found : mapping
        What a session wrote.
    works : mapping of str to Work
    name : str
        Of the files, without their endings.
    """
    shown = {key: found[key] for key in works if key in found}
    conditions = {key: _conditions(entry) for key, entry in shown.items()}
    alike = len(set(conditions.values())) == 1
    parts = [_HEAD.format(name=name)]
    if alike:
        parts.append(f"Measured on {next(iter(conditions.values()))}.\n")
    reaches = [one for key, entry in shown.items() for one in outcomes(works[key], entry)]
    met = sum(one.met is True for one in reaches)
    parts.append(f"Of {len(reaches)} marks that were meant to be reached, {met} are.\n")
    for key, entry in shown.items():
        parts.append(_section(works[key], entry, "" if alike else conditions[key]))
    return "\n".join(parts)


def _section(work: Work, entry: Mapping[str, Any], conditions: str) -> str:
    lines = lines_of(entry)
    rows = max((line.of for line in lines.values()), default=0)
    said = {item.name: item for item in work.contenders}
    about = f"{rows:,} rows, budget {entry['budget']} for streamlearn, {entry['date']}."
    about += f" {conditions}." if conditions else ""
    parts = [f"## {work.name}: {work.title}\n", f"{about}{_apart(entry)}\n"]
    if work.notes:
        parts.append(f"{work.notes}\n")
    shown = [line for line in lines.values() if line.name not in (DECODE, MODEL)]
    parts.append(_table(shown, said, lines.get(OURS), work))
    parts += [_floor(entry, lines), _reaches(outcomes(work, entry))]
    return "\n".join(part for part in parts if part)


def _conditions(entry: Mapping[str, Any]) -> str:
    machine = entry["machine"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}; "
        f"{_versions(_usual(entry))}"
    )


def _usual(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that contenders ran with, if nothing else is said."""
    return next((one["versions"] for one in entry["contenders"].values() if "versions" in one), {})


def _apart(entry: Mapping[str, Any]) -> str:
    usual, parts = _usual(entry), []
    for name, one in entry["contenders"].items():
        own = {
            key: value for key, value in one.get("versions", {}).items() if usual.get(key) != value
        }
        if own:
            parts.append(f"{name} ran with {_versions(own)}")
    return f" {'; '.join(parts)}." if parts else ""


def _versions(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _table(lines: list[Line], said: Mapping[str, Contender], ours: Line | None, work: Work) -> str:
    rows = [
        "| way | runs | wall | CPU | peak | rows/s | time / ours | peak / ours | "
        f"{work.metric} | agrees |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        if line.error:
            rows.append(f"| {line.name} | failed: {_cell(line.error)} | | | | | | | | |")
            continue
        mark = "~" if line.extrapolated else ""
        beside = ours is not None and not ours.error
        cells = [
            line.name,
            str(line.runs),
            mark + _seconds(line.wall) + (f" ({_seconds(line.later)} later)" if line.later else ""),
            mark + _seconds(line.cpu),
            format_bytes(line.peak),
            f"{mark}{line.rows_per_s:,.0f}",
            f"{mark}{line.wall / ours.wall:.2f}" if beside else "",
            f"{line.peak / ours.peak:.2f}" if beside else "",
            "" if line.score is None else f"{line.score:.4f}",
            _agreement(line, said.get(line.name)),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    notes = [
        f"\\~ {line.name}: measured on the first {line.taken:,} rows, and multiplied; its peak is of "
        "those alone."
        for line in lines
        if line.extrapolated
    ]
    fewer = [line for line in lines if 0 < line.runs < max(other.runs for other in lines)]
    if fewer:
        notes.append(f"Fewer runs of what is slow: {', '.join(line.name for line in fewer)}.")
    return "\n".join(rows) + "\n" + "".join(f"\n{note}\n" for note in notes)


def _agreement(line: Line, contender: Contender | None) -> str:
    if contender is None or line.name == OURS:
        return ""
    if line.disagrees:
        text = f"**no**: {line.disagrees}"
    elif line.score is None and line.distance is None:
        text = "not compared"
    else:
        text = "yes"
        if line.score is not None:
            text += f", score within {contender.score_tolerance:g}"
        if contender.coef_tolerance is not None and line.distance is not None:
            text += f", coefficients within {contender.coef_tolerance:g} ({line.distance:.1g})"
    return text + (f"; {contender.different}" if contender.different else "")


def _floor(entry: Mapping[str, Any], lines: Mapping[str, Line]) -> str:
    floor = floor_of(entry, lines)
    if floor is None:
        failed = [
            f"{name}: {_cell(lines[name].error)}"
            for name in (DECODE, MODEL)
            if name in lines and lines[name].error
        ]
        return f"Not measured: {'; '.join(failed)}.\n" if failed else ""
    text = (
        f"Floor: {_seconds(floor.seconds)}, the longer of reading ({_seconds(floor.decode_cpu)} of "
        f"CPU over {floor.cores} cores) and the model ({_seconds(floor.model_cpu)} of CPU)."
    )
    ours = lines.get(OURS)
    if ours is not None and not ours.error:
        text += f" Ours is {ours.wall / floor.seconds:.2f} times that."
    return text + "\n"


def _reaches(found: list[Outcome]) -> str:
    if not found:
        return ""
    rows = ["| reach | wanted | found | met |", "|---|---|---|---|"]
    for one in found:
        sign = "≥" if one.reach.at_least else "≤"
        met = {True: "yes", False: "**no**", None: "not measured"}[one.met]
        shown = "" if one.found is None else f"{one.found:.3g}"
        rows.append(f"| {one.reach.title} | {sign} {one.reach.wanted:g} | {shown} | {met} |")
    return "\n".join(rows) + "\n"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
