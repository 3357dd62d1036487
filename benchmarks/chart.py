"""What was found as a picture: seconds of each way, a panel a work, the floor as a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import floor_of, lines_of
from benchmarks.work import DECODE, MODEL, OURS, Work

__all__ = ["draw"]

_OURS, _THEIRS, _INK = "#2a78b5", "#b8bec5", "#7a828a"


def draw(found: Mapping[str, Any], works: Mapping[str, Work], path: Path) -> None:
    """Write the picture of what a session wrote, as SVG.

    Works whose every way failed are left out; without any, no file is written.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    panels = []
    for name in works:
        if name in found:
            lines = lines_of(found[name])
            shown = [
                line
                for line in lines.values()
                if not line.error and line.name not in (DECODE, MODEL)
            ]
            if shown:
                panels.append((name, shown, floor_of(found[name], lines)))
    if not panels:
        return
    # The same numbers give the same file. A middle grey is legible on light pages and dark ones.
    style = {
        "svg.hashsalt": "streamlearn",
        "font.size": 9,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
        "axes.edgecolor": _INK,
    }
    with mpl.rc_context(style):
        heights = [len(shown) + 1.6 for _, shown, _ in panels]
        figure, axes = plt.subplots(
            len(panels),
            figsize=(8, 0.28 * sum(heights)),
            height_ratios=heights,
            squeeze=False,
            layout="constrained",
        )
        for axis, (name, shown, floor) in zip(axes[:, 0], panels, strict=True):
            seconds = None if floor is None else floor.seconds
            _panel(axis, name, shown, seconds, by_rows=bool(works[name].sizes))
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)


def _panel(axis: Any, name: str, shown: list[Any], floor: float | None, by_rows: bool) -> None:
    names = [line.name + (" (extrapolated)" if line.extrapolated else "") for line in shown]
    each = "s" if not by_rows else "s per million rows"
    walls = [1e6 / line.rows_per_s if by_rows else line.wall for line in shown]
    colours = [_OURS if line.name.startswith(OURS) else _THEIRS for line in shown]
    bars = axis.barh(names, walls, color=colours)
    axis.bar_label(bars, [f" {wall:.3g} {each}" for wall in walls], color=_INK)
    if floor is not None:
        axis.axvline(floor, color=_INK, linestyle=":", linewidth=1)
    axis.margins(x=0.15)
    axis.invert_yaxis()
    axis.set_title(name + (" (dotted: the floor)" if floor is not None else ""), loc="left")
    axis.spines[["top", "right"]].set_visible(False)
