"""Charts of a result, as SVG that takes its colours from the page it stands in.

Matplotlib draws with stand-in colours; the SVG gets CSS variables in their place, each with a
middle tone for pages that set none, so that one picture is legible on light and on dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import accumulate, count
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

from streamlearn.sizes import format_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from streamlearn.stream.epochs import EpochRecord
    from streamlearn.stream.timeline import MemoryReport, Sample

__all__ = ["learning_curve", "memory_chart"]

_INK, _GRID, _RESIDENT, _PEAK = "#010203", "#010204", "#010205", "#010206"
_LIMIT, _PROJECTED, _RESERVED, _SCORE = "#010207", "#010208", "#010209", "#01020a"
_MAPPED = "#01020b"
_PAINT = {
    _INK: "currentColor",
    _GRID: "var(--sl-grid, rgba(128, 128, 128, 0.3))",
    _RESIDENT: "var(--sl-resident, #3f86c9)",
    _PEAK: "var(--sl-peak, #d0702c)",
    _LIMIT: "var(--sl-limit, #d9483b)",
    _PROJECTED: "var(--sl-projected, #8a6fc7)",
    _RESERVED: "var(--sl-reserved, #7f8992)",
    _SCORE: "var(--sl-score, #2b9a72)",
    _MAPPED: "var(--sl-mapped, #5fb0a8)",
}
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _INK,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "lines.linewidth": 1.3,
    "svg.fonttype": "none",
    "text.color": _INK,
    # A name with dollar signs is a name, not a formula.
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_MOST_POINTS = 400
_MOST_MARKERS = 60
_MOST_EPOCH_LINES = 30
_SAME_LOSS = {"squared error": "mse", "log loss": "log_loss"}
"""The held-out score in the unit of a progressive loss."""
_LOSS_UNITS = {
    "squared error": "target units²",
    "log loss": "nats per row",
    "error rate": "share of rows",
}
_SCORE_LABELS = {"accuracy": "accuracy (share of rows)", "r2": "R² (no unit)"}
_numbers = count(1)


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
    with _figure(panels=2) as (figure, panels):
        samples = _thin_samples(memory.timeline)
        _draw_memory(panels[0], memory, samples)
        _draw_chunks(panels[1], samples)
        panels[-1].set_xlabel("rows read, over all passes (rows)")
        _rows_axis(panels[-1].xaxis)
        return _svg(figure, label)


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
    with _figure(panels=1 if score is None else 2) as (figure, panels):
        ends = list(accumulate(record.rows for record in history))
        _draw_loss(panels[0], history, ends)
        if score is not None:
            _draw_score(panels[1], history, ends, score)
        panels[-1].set_xlabel("rows learned, over all epochs (rows)")
        _rows_axis(panels[-1].xaxis)
        return _svg(figure, label)


@contextmanager
def _figure(panels: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """Give an empty figure with one or two panels, and free it at the end."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(6.0, 2.5 + 1.1 * (panels - 1)), layout="constrained")
        figure.patch.set_alpha(0.0)
        ratios = [2.4, 1.0][:panels]
        grid = figure.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=ratios)
        axes = [row[0] for row in grid]
        for panel in axes:
            panel.patch.set_alpha(0.0)
        try:
            yield figure, axes
        finally:
            figure.clear()


def _draw_memory(axes: Axes, memory: MemoryReport, samples: Sequence[Sample]) -> None:
    x = [item.rows for item in samples]
    marker = "o" if len(samples) == 1 else ""
    lines = [
        (memory.limit_bytes, "limit", _LIMIT, "-"),
        (memory.projected_bytes, "projected", _PROJECTED, "--"),
        (memory.reserved_bytes, "reserved", _RESERVED, ":"),
    ]
    for size, name, color, style in lines:
        axes.axhline(size / 1e6, color=color, linestyle=style, label=f"{name} {format_bytes(size)}")
    if samples:
        peaks = [item.peak_bytes / 1e6 for item in samples]
        resident = [item.rss_bytes / 1e6 for item in samples]
        own = [(item.rss_bytes - item.mapped_bytes) / 1e6 for item in samples]
        axes.fill_between(x, own, color=_RESIDENT, alpha=0.25, linewidth=0, label="its own")
        if any(item.mapped_bytes for item in samples):
            axes.fill_between(
                x, own, resident, color=_MAPPED, alpha=0.45, linewidth=0, label="pages of files"
            )
        # The peak lies underneath and wider, as both are often the same.
        axes.plot(x, peaks, color=_PEAK, linewidth=3.0, marker=marker, ms=7, label="chunk's peak")
        axes.plot(x, resident, color=_RESIDENT, marker=marker, ms=4, label="resident")
    else:
        _note(axes, "no sample was taken")
    given = [rows for item in memory.reclaimed for rows in item.get("rows", ())]
    resized = [item["rows"] for item in memory.resizes]
    for places, marker, what in ((resized, "^", "chunk resized"), (given, "v", "given back")):
        if places:
            axes.plot(
                places,
                [0.02 if marker == "^" else 0.06] * len(places),
                color=_INK,
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
    _legend(axes)


def _draw_chunks(axes: Axes, samples: Sequence[Sample]) -> None:
    axes.step(
        [item.rows for item in samples],
        [item.chunk_rows for item in samples],
        where="post",
        color=_RESIDENT,
        marker="o" if len(samples) == 1 else "",
    )
    axes.set_ylim(0, 1.15 * max((item.chunk_rows for item in samples), default=1))
    axes.set_ylabel("chunk (rows)")
    _rows_axis(axes.yaxis)


def _draw_loss(axes: Axes, history: Sequence[EpochRecord], ends: Sequence[int]) -> None:
    name = history[-1].loss_name if history else "loss"
    batches = _thin([point for record in history for point in record.curve if isfinite(point[1])])
    epochs = _finite(ends, [record.loss for record in history])
    held = _finite(ends, [_held_out_loss(record) for record in history])
    drawn = [value for points in (batches, epochs, held) for _, value in points]
    if batches:
        marker = "." if len(batches) <= _MOST_MARKERS else ""
        axes.plot(
            *zip(*batches, strict=True),
            color=_RESIDENT,
            linewidth=0.9,
            alpha=0.7,
            marker=marker,
            label="batch, before it was learned",
        )
    if epochs:
        axes.plot(
            *zip(*epochs, strict=True), **_dots(epochs, _PEAK, "o"), label="mean of the epoch"
        )
    if held:
        axes.plot(*zip(*held, strict=True), **_dots(held, _SCORE, "s"), label="held-out rows")
    if drawn:
        _legend(axes)
    else:
        _note(axes, "no loss was recorded" if history else "no epoch was run")
    logarithmic = _spread(drawn)
    if logarithmic:
        axes.set_yscale("log")
        # The formatter of log axes writes TeX, which stands raw where formulas are not drawn.
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    unit = ", ".join(
        part for part in (_LOSS_UNITS.get(name, "no unit"), "log scale" * logarithmic) if part
    )
    axes.set_ylabel(f"{name or 'loss'}\n({unit})")
    _epoch_lines(axes, ends)


def _draw_score(
    axes: Axes, history: Sequence[EpochRecord], ends: Sequence[int], score: str
) -> None:
    points = _finite(ends, [(record.held_out or {}).get(score) for record in history])
    if points:
        axes.plot(*zip(*points, strict=True), **_dots(points, _SCORE, "s"))
    else:
        _note(axes, "no score is a finite number")
    label = _SCORE_LABELS.get(score, f"{score} (no unit)")
    axes.set_ylabel(label.replace(" (", "\n("))
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
    return _thin([(at, value) for at, value in pairs if value is not None and isfinite(value)])


def _spread(values: Sequence[float]) -> bool:
    """Say whether a linear axis would show the first few values only."""
    return bool(values) and min(values) > 0 and max(values) > 50 * median(values)


def _epoch_lines(axes: Axes, ends: Sequence[int]) -> None:
    if 1 < len(ends) <= _MOST_EPOCH_LINES:
        for end in ends[:-1]:
            axes.axvline(end, color=_GRID, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0.5)
    axes.grid(visible=False, axis="x")


def _note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    axes.set_xlim(0, 1)


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=3,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.6,
    )


def _rows_axis(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6 if axis.axis_name == "x" else 3, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short_rows(value)))


def _short_rows(rows: float) -> str:
    """Write rows so that ticks stay narrow: 1500 as 1,500, 250000 as 250k, 1.2e7 as 12M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(rows) >= size:
            return f"{rows / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{rows:,.0f}"


def _thin(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Keep at most `_MOST_POINTS`, evenly spread, the last one among them."""
    step = -(-len(points) // _MOST_POINTS) or 1
    return list(points[::-1][::step][::-1])


def _thin_samples(timeline: Sequence[Sample]) -> list[Sample]:
    """Keep the highest sample of each stretch, as it is the highest that counts."""
    step = -(-len(timeline) // _MOST_POINTS) or 1
    parts = (timeline[start : start + step] for start in range(0, len(timeline), step))
    return [max(part, key=lambda item: item.peak_bytes) for part in parts]


def _svg(figure: Figure, label: str) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    return _fit_page(buffer.getvalue(), label)


def _fit_page(text: str, label: str) -> str:
    """Make Matplotlib's file an element of a page: no prolog, own ids, the page's colours."""
    from html import escape

    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text[text.index("<svg") :]
    # A digest, too: a notebook shows charts of several sessions, each counting from one.
    prefix = f"sl{sha256(text.encode()).hexdigest()[:8]}-{next(_numbers)}-"
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))
    text = re.sub(
        r' id="([^"]*)"',
        lambda match: f' id="{prefix}{match[1]}"' if match[1] in used else "",
        text,
    )
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}", text)
    for stand_in, paint in _PAINT.items():
        text = text.replace(stand_in, paint)
    text = text.replace("'DejaVu Sans'", "system-ui, sans-serif")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    shown = escape(label)
    style = "display:block;width:100%;height:auto;background:none"
    text = text.replace("<svg", f'<svg role="img" aria-label="{shown}" style="{style}"', 1)
    return re.sub(r"\n\s*", "\n", text).strip()
