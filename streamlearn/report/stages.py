"""Where the time went: a run's stages as a table, which of them limits, and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamlearn.sizes import format_seconds

if TYPE_CHECKING:
    from streamlearn.stream.stages import StageTime

__all__ = ["StageRow", "limiting", "stage_rows", "stage_text"]

_WHAT = {
    "decode": "chunks read and decoded",
    "statistics": "preprocessing learned, columns profiled",
    "prepare": "rows turned into the model's matrix",
    "scratch": "prepared rows written to disk and read back",
    "model": "the model learned, or answered",
    "score": "answers scored",
    "write": "output written",
    "wait": "the caller's thread waited for the others",
}
_HELP = {
    "decode": "leave out columns that are not used (features=), convert the data to a format that "
    "decodes faster (streamlearn convert, compression lz4 or none), or use more threads",
    "statistics": "fewer columns, or steps that learn nothing (a hashing encoder)",
    "prepare": "steps without a compiled kernel (docs/preprocessing.md) cost most; where a fit has "
    "several epochs, cache=True keeps prepared rows between them",
    "scratch": "a faster disk for scratch_dir, or cache=False",
    "model": "this is the estimator's own partial_fit or predict: a larger batch_size, fewer "
    "epochs, fewer output columns, or a cheaper model",
    "score": "fewer metrics or slices",
    "write": "a cheaper compression, fewer columns, or a faster disk",
    "disk": "a faster disk, or nothing else running beside it",
}
_MUCH = 0.7
_SHORT_S = 2.0


@dataclass(frozen=True)
class StageRow:
    """One stage, as shown."""

    name: str
    what: str
    wall: str
    cpu: str
    share: float
    """Of the processor time of all stages."""


def stage_rows(stages: Sequence[StageTime]) -> tuple[StageRow, ...]:
    """Return the rows of the table, in the order of the data's way."""
    total = sum(item.cpu_s for item in stages) or 1.0
    return tuple(
        StageRow(
            item.stage,
            _WHAT.get(item.stage, ""),
            format_seconds(item.wall_s),
            format_seconds(item.cpu_s),
            item.cpu_s / total,
        )
        for item in stages
    )


def limiting(stages: Sequence[StageTime], seconds: float) -> tuple[str, str]:
    """Return the stage that limits, and what would help; both empty where nothing is known.

    The caller's thread learns: where it hardly waits, that is the limit. Where it waits, the
    stage of most processor time is; where all of them together used little of it, the disk. Of a
    run of a second or two nothing is said: most of it was planning.
    """
    times = {item.stage: item for item in stages}
    work = {name: item.cpu_s for name, item in times.items() if name != "wait"}
    if not work or seconds < _SHORT_S:
        return "", ""
    waited = times["wait"].wall_s if "wait" in times else 0.0
    own = sum(times[name].wall_s for name in ("model", "score") if name in times)
    if sum(work.values()) < _MUCH * seconds and own < _MUCH * seconds:
        name = "disk"
    elif own > _MUCH * (own + waited) and own > 0.5 * seconds:
        name = "model" if work.get("model", 0.0) >= work.get("score", 0.0) else "score"
    else:
        name = max(work, key=lambda stage: work[stage])
    return name, _HELP[name]


def stage_text(stages: Sequence[StageTime], seconds: float) -> str:
    """Write the table for a terminal.

    Parameters
    ----------
    stages : sequence of StageTime
    seconds : float
        Of the whole run.
    """
    rows = stage_rows(stages)
    if not rows:
        return "no stage was timed"
    lines = [f"{'stage':<10}  {'wall':>8}  {'cpu':>8}  share"]
    lines += [
        f"{row.name:<10}  {row.wall:>8}  {row.cpu:>8}  {row.share:>5.0%}  {row.what}"
        for row in rows
    ]
    name, text = limiting(stages, seconds)
    if name:
        lines.append(f"limited by {name}: {text}")
    return "\n".join(lines)
