"""What charts are drawn on: SVG that takes its colours from the page it stands in.

Matplotlib draws with stand-in colours; the SVG gets CSS variables in their place, each with a
middle tone for pages that set none, so that one picture is legible on light and on dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GRID",
    "INK",
    "LIMIT",
    "MAPPED",
    "MOST_POINTS",
    "PEAK",
    "PROJECTED",
    "RESERVED",
    "RESIDENT",
    "SCORE",
    "legend",
    "note",
    "panels_of",
    "rows_axis",
    "svg",
    "thin",
]

T = TypeVar("T")

INK, GRID, RESIDENT, PEAK = "#010203", "#010204", "#010205", "#010206"
LIMIT, PROJECTED, RESERVED, SCORE = "#010207", "#010208", "#010209", "#01020a"
MAPPED = "#01020b"
_PAINT = {
    INK: "currentColor",
    GRID: "var(--sl-grid, rgba(128, 128, 128, 0.3))",
    RESIDENT: "var(--sl-resident, #3f86c9)",
    PEAK: "var(--sl-peak, #d0702c)",
    LIMIT: "var(--sl-limit, #d9483b)",
    PROJECTED: "var(--sl-projected, #8a6fc7)",
    RESERVED: "var(--sl-reserved, #7f8992)",
    SCORE: "var(--sl-score, #2b9a72)",
    MAPPED: "var(--sl-mapped, #5fb0a8)",
}
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.3,
    "svg.fonttype": "none",
    "text.color": INK,
    # A name with dollar signs is a name, not a formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
MOST_POINTS = 400
_numbers = count(1)


@contextmanager
def panels_of(
    panels: int, *, width: float = 6.0, height: float = 2.5, second: float = 1.1
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Give an empty figure with one or two panels above each other, and free it at the end.

    Parameters
    ----------
    panels : int
    width, height : float
        In inches, of one panel with its labels.
    second : float
        Height that the second panel adds, in inches.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height + second * (panels - 1)), layout="constrained")
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


def note(axes: Axes, text: str) -> None:
    """Write a sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    axes.set_xlim(0, 1)


def legend(axes: Axes, columns: int = 3) -> None:
    """Name the lines above a panel."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.6,
    )


def rows_axis(axis: Any) -> None:
    """Write ticks of an axis as numbers of rows."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6 if axis.axis_name == "x" else 3, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short_rows(value)))


def _short_rows(rows: float) -> str:
    """Write rows so that ticks stay narrow: 1500 as 1,500, 250000 as 250k, 1.2e7 as 12M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(rows) >= size:
            return f"{rows / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{rows:,.0f}"


def thin(points: Sequence[T]) -> list[T]:
    """Keep at most `MOST_POINTS`, evenly spread, the last one among them."""
    step = -(-len(points) // MOST_POINTS) or 1
    return list(points[::-1][::step][::-1])


def svg(figure: Figure, label: str) -> str:
    """Return a figure as one ``<svg>`` element, with ids that no other chart has.

    Parameters
    ----------
    figure : Figure
    label : str
        What it shows, for those who cannot see it.
    """
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
