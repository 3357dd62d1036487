"""Charts of a fit: memory, and what was learned, over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

from streamlearn.report.canvas import (
    GRID,
    INK,
    LIMIT,
    MAPPED,
    MOST_POINTS,
    PEAK,
    PROJECTED,
    RESERVED,
    RESIDENT,
    SCORE,
    legend,
    note,
    panels_of,
    rows_axis,
    svg,
    thin,
)
from streamlearn.report.units import loss_unit, unit_of
from streamlearn.sizes import format_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from streamlearn.stream.epochs import EpochRecord
    from streamlearn.stream.timeline import MemoryReport, Sample

__all__ = ["learning_curve", "memory_chart"]

_MOST_MARKERS = 60
_MOST_EPOCH_LINES = 30
_SAME_LOSS = {"squared error": "mse", "log loss": "log_loss"}
"""The held-out score in the unit of a progressive loss."""


def memory_chart(memory: MemoryReport) -> str:
    """Draw resident memory over the rows read, against the limit, as SVG.

    Parameters
    ----------
    memory : MemoryReport

    Returns
    -------
    str
        One ``<svg>`` element, with ids that no other chart has. A second panel shows the chunk
        size.
    """
    label = (
        f"Memory over the rows read: measured {format_bytes(memory.measured_bytes)} "
        f"of a limit of {format_bytes(memory.limit_bytes)}"
    )
    with panels_of(panels=2) as (figure, panels):
        samples = _thin_samples(memory.timeline)
        _draw_memory(panels[0], memory, samples)
        _draw_chunks(panels[1], samples)
        panels[-1].set_xlabel("rows read, over all passes (rows)")
        rows_axis(panels[-1].xaxis)
        return svg(figure, label)


def learning_curve(history: Sequence[EpochRecord]) -> str:
    """Draw the loss over the rows learned, and the held-out score of each epoch, as SVG.

    Parameters
    ----------
    history : sequence of EpochRecord

    Returns
    -------
    str
        One ``<svg>`` element, with ids that no other chart has. A second panel shows the score
        of the held-out rows where there are any.
    """
    score = _main_score(history)
    label = f"Learning curve over {len(history)} epoch(s)"
    with panels_of(panels=1 if score is None else 2) as (figure, panels):
        ends = list(accumulate(record.rows for record in history))
        _draw_loss(panels[0], history, ends)
        if score is not None:
            _draw_score(panels[1], history, ends, score)
        panels[-1].set_xlabel("rows learned, over all epochs (rows)")
        rows_axis(panels[-1].xaxis)
        return svg(figure, label)


def _draw_memory(axes: Axes, memory: MemoryReport, samples: Sequence[Sample]) -> None:
    x = [item.rows for item in samples]
    marker = "o" if len(samples) == 1 else ""
    lines = [
        (memory.limit_bytes, "limit", LIMIT, "-"),
        (memory.projected_bytes, "projected", PROJECTED, "--"),
        (memory.reserved_bytes, "reserved", RESERVED, ":"),
    ]
    for size, name, color, style in lines:
        axes.axhline(size / 1e6, color=color, linestyle=style, label=f"{name} {format_bytes(size)}")
    if samples:
        peaks = [item.peak_bytes / 1e6 for item in samples]
        resident = [item.rss_bytes / 1e6 for item in samples]
        own = [(item.rss_bytes - item.mapped_bytes) / 1e6 for item in samples]
        axes.fill_between(x, own, color=RESIDENT, alpha=0.25, linewidth=0, label="its own")
        if any(item.mapped_bytes for item in samples):
            axes.fill_between(
                x, own, resident, color=MAPPED, alpha=0.45, linewidth=0, label="pages of files"
            )
        # The peak lies underneath and wider, as both are often the same.
        axes.plot(x, peaks, color=PEAK, linewidth=3.0, marker=marker, ms=7, label="chunk's peak")
        axes.plot(x, resident, color=RESIDENT, marker=marker, ms=4, label="resident")
    else:
        note(axes, "no sample was taken")
    given = [rows for item in memory.reclaimed for rows in item.get("rows", ())]
    resized = [item["rows"] for item in memory.resizes]
    for places, marker, what in ((resized, "^", "chunk resized"), (given, "v", "given back")):
        if places:
            axes.plot(
                places,
                [0.02 if marker == "^" else 0.06] * len(places),
                color=INK,
                linestyle="",
                marker=marker,
                ms=4,
                label=what,
                transform=axes.get_xaxis_transform(),
            )
    highest = max(memory.limit_bytes, memory.measured_bytes, memory.projected_bytes)
    axes.set_ylim(0, max(1.0, highest / 1e6 * 1.06))
    axes.set_ylabel("memory (MB)")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    legend(axes)


def _draw_chunks(axes: Axes, samples: Sequence[Sample]) -> None:
    axes.step(
        [item.rows for item in samples],
        [item.chunk_rows for item in samples],
        where="post",
        color=RESIDENT,
        marker="o" if len(samples) == 1 else "",
    )
    axes.set_ylim(0, 1.15 * max((item.chunk_rows for item in samples), default=1))
    axes.set_ylabel("chunk (rows)")
    rows_axis(axes.yaxis)


def _draw_loss(axes: Axes, history: Sequence[EpochRecord], ends: Sequence[int]) -> None:
    name = history[-1].loss_name if history else "loss"
    batches = thin([point for record in history for point in record.curve if isfinite(point[1])])
    epochs = _finite(ends, [record.loss for record in history])
    held = _finite(ends, [_held_out_loss(record) for record in history])
    drawn = [value for points in (batches, epochs, held) for _, value in points]
    if batches:
        marker = "." if len(batches) <= _MOST_MARKERS else ""
        axes.plot(
            *zip(*batches, strict=True),
            color=RESIDENT,
            linewidth=0.9,
            alpha=0.7,
            marker=marker,
            label="batch, before it was learned",
        )
    if epochs:
        axes.plot(*zip(*epochs, strict=True), **_dots(epochs, PEAK, "o"), label="mean of the epoch")
    if held:
        axes.plot(*zip(*held, strict=True), **_dots(held, SCORE, "s"), label="held-out rows")
    if drawn:
        legend(axes)
    else:
        note(axes, "no loss was recorded" if history else "no epoch was run")
    logarithmic = _spread(drawn)
    if logarithmic:
        axes.set_yscale("log")
        # The formatter of log axes writes TeX, which stands raw where formulas are not drawn.
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    unit = ", ".join(part for part in (loss_unit(name), "log scale" * logarithmic) if part)
    axes.set_ylabel(f"{name or 'loss'}\n({unit})")
    _epoch_lines(axes, ends)


def _draw_score(
    axes: Axes, history: Sequence[EpochRecord], ends: Sequence[int], score: str
) -> None:
    points = _finite(ends, [(record.held_out or {}).get(score) for record in history])
    if points:
        axes.plot(*zip(*points, strict=True), **_dots(points, SCORE, "s"))
    else:
        note(axes, "no score is a finite number")
    axes.set_ylabel(f"{'R²' if score == 'r2' else score}\n({unit_of(score)})")
    _epoch_lines(axes, ends)


def _main_score(history: Sequence[EpochRecord]) -> str | None:
    """Name the held-out score that tells most by itself."""
    known = [name for record in history for name in record.held_out or {}]
    return next((name for name in ("accuracy", "r2") if name in known), known[0] if known else None)


def _held_out_loss(record: EpochRecord) -> float | None:
    """Return the held-out score that compares with the progressive loss."""
    scores = record.held_out or {}
    if record.loss_name == "error rate" and "accuracy" in scores:
        return 1.0 - scores["accuracy"]
    return scores.get(_SAME_LOSS.get(record.loss_name, ""))


def _dots(points: Sequence[Any], color: str, marker: str) -> dict[str, Any]:
    return {
        "color": color,
        "marker": marker if len(points) <= _MOST_MARKERS else "",
        "markersize": 4,
        "linewidth": 1.1,
    }


def _finite(x: Sequence[int], y: Sequence[float | None]) -> list[tuple[int, float]]:
    pairs = zip(x, y, strict=True)
    return thin([(at, value) for at, value in pairs if value is not None and isfinite(value)])


def _spread(values: Sequence[float]) -> bool:
    """Say whether a linear axis would show the first few values only."""
    return bool(values) and min(values) > 0 and max(values) > 50 * median(values)


def _epoch_lines(axes: Axes, ends: Sequence[int]) -> None:
    if 1 < len(ends) <= _MOST_EPOCH_LINES:
        for end in ends[:-1]:
            axes.axvline(end, color=GRID, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0.5)
    axes.grid(visible=False, axis="x")


def _thin_samples(timeline: Sequence[Sample]) -> list[Sample]:
    """Keep the highest sample of each stretch, as it is the highest that counts."""
    step = -(-len(timeline) // MOST_POINTS) or 1
    parts = (timeline[start : start + step] for start in range(0, len(timeline), step))
    return [max(part, key=lambda item: item.peak_bytes) for part in parts]
