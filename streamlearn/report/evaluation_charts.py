"""Charts of an evaluation: curves, residuals, and the main metric along the stream."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streamlearn.report.canvas import (
    GRID,
    INK,
    LIMIT,
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
from streamlearn.report.units import unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from streamlearn.score.drift import Drift
    from streamlearn.score.residuals import Residuals

__all__ = ["curve_charts", "drift_chart", "residual_charts"]

_COLORS = (RESIDENT, PEAK, SCORE, PROJECTED, LIMIT, RESERVED)
_MOST_LINES = len(_COLORS)
_SIZE = {"width": 4.6, "height": 3.4}
_DIAGONAL = ("true positive rate", "share that came true", "share of positives")
"""Of curves whose diagonal says something: no better than chance, or well calibrated."""


def curve_charts(curves: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Draw the curves of a classifier; those with the same axes in one chart.

    Parameters
    ----------
    curves : mapping of str to Curve
        Each has ``x``, ``y``, ``x_label``, ``y_label``, and may have ``bound``, ``note`` and
        ``weights`` (weight of rows of each point, for calibration).

    Returns
    -------
    list of (title, SVG, note)
    """
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for name, curve in _flat(curves):
        groups.setdefault((curve.x_label, curve.y_label), {})[name] = curve
    return [_curves(group) for group in groups.values()]


def _flat(curves: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return curves by name; of several classes, one after the other."""
    found = []
    for name, curve in curves.items():
        if isinstance(curve, Mapping):
            found += [(f"{name}, {of}", item) for of, item in curve.items()]
        elif isinstance(curve, list | tuple):
            found += [(f"{name} {at}", item) for at, item in enumerate(curve, 1)]
        elif curve is not None:
            found.append((name, curve))
    return found


def _curves(group: Mapping[str, Any]) -> tuple[str, str, str]:
    first = next(iter(group.values()))
    title = first.name if len({curve.name for curve in group.values()}) == 1 else first.y_label
    weights = getattr(first, "weights", None) if len(group) == 1 else None
    counted = weights is not None and len(weights) > 0
    with panels_of(2 if counted else 1, **_SIZE, second=0.8) as (figure, panels):
        axes = panels[0]
        _guide(axes, first)
        shown = list(group.items())[:_MOST_LINES]
        for (name, curve), color in zip(shown, _COLORS, strict=False):
            points = thin(list(zip(_list(curve.x), _list(curve.y), strict=True)))
            marker = "o" if len(points) <= 30 else ""
            label = name if len(group) > 1 else None
            x, y = zip(*points, strict=True) if points else ((), ())
            axes.plot(x, y, color=color, marker=marker, markersize=3.5, label=label)
        if first.y_label != "lift":
            axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylabel(first.y_label)
        if len(group) > 1:
            legend(axes, 2)
        if counted:
            _counts(panels[1], _list(first.x), _list(weights))
        panels[-1].set_xlabel(first.x_label)
        drawn = svg(figure, f"{title}: {first.y_label} against {first.x_label}")
    return f"{title[:1].upper()}{title[1:]}", drawn, _told(group)


def _guide(axes: Axes, curve: Any) -> None:
    style: dict[str, Any] = {"color": INK, "linewidth": 0.8, "alpha": 0.5, "linestyle": (0, (4, 3))}
    if curve.y_label in _DIAGONAL:
        axes.plot([0, 1], [0, 1], **style)
    elif curve.y_label == "lift":
        axes.axhline(1.0, **style)
    elif curve.y_label == "precision" and len(curve.y):
        axes.axhline(float(curve.y[-1]), **style)


def _counts(axes: Axes, x: Sequence[float], weights: Sequence[float]) -> None:
    axes.bar(x, weights, width=0.7 / max(10, len(x)), color=RESIDENT, alpha=0.7)
    axes.set_ylabel("rows")
    rows_axis(axes.yaxis)


def _told(group: Mapping[str, Any]) -> str:
    parts = [f"The first {_MOST_LINES} of {len(group):,} are drawn"] * (len(group) > _MOST_LINES)
    bound = max((float(getattr(curve, "bound", 0.0) or 0.0) for curve in group.values()), default=0)
    if bound > 0:
        parts.append(f"a point may be off by {bound:.1g} at most")
    parts += dict.fromkeys(
        str(curve.note) for curve in group.values() if getattr(curve, "note", "")
    )
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def drift_chart(drift: Drift) -> str:
    """Draw the metric of each stretch of rows, with the band of chance, as SVG.

    Parameters
    ----------
    drift : Drift
    """
    with panels_of(1, height=2.6) as (figure, panels):
        axes = panels[0]
        known = [item for item in drift.segments if math.isfinite(item.value)]
        shown = thin(known)
        middle = [(item.first + item.last) / 2 for item in shown]
        low, high = [item.low for item in shown], [item.high for item in shown]
        axes.fill_between(
            middle, low, high, color=RESIDENT, alpha=0.18, linewidth=0, label="chance"
        )
        axes.axhline(drift.whole, color=RESERVED, linewidth=0.9, linestyle="--", label="all rows")
        axes.plot(
            middle,
            [item.value for item in shown],
            color=RESIDENT,
            marker="o",
            markersize=3,
            linewidth=1.0,
            label="stretch of rows",
        )
        marked = [item for item in known if item.marked]
        if marked:
            axes.plot(
                [(item.first + item.last) / 2 for item in marked],
                [item.value for item in marked],
                color=LIMIT,
                linestyle="",
                marker="D",
                markersize=5,
                label="beyond chance",
            )
        if not known:
            note(axes, "no stretch has a value")
        axes.set_ylabel(f"{drift.metric}\n({unit_of(drift.metric)})")
        axes.set_xlabel("row of the data (rows)")
        rows_axis(axes.xaxis)
        legend(axes, 4)
        label = f"{drift.metric} along the stream: {len(drift.marked)} marks"
        return svg(figure, label)


def residual_charts(residuals: Residuals) -> list[tuple[str, str, str]]:
    """Draw where a regressor is wrong.

    Parameters
    ----------
    residuals : Residuals

    Returns
    -------
    list of (title, SVG, note)
    """
    return [_histogram(residuals), _truth(residuals)]


def _histogram(residuals: Residuals) -> tuple[str, str, str]:
    edges = list(residuals.edges)
    step = edges[1] - edges[0] if len(edges) > 1 else 1.0
    # The outermost bars are open; they are drawn as wide as the others, and said to be open.
    ends = [edges[0] - step, *edges, edges[-1] + step]
    total = sum(residuals.weights) or 1.0
    heights = [100 * weight / total for weight in residuals.weights]
    with panels_of(1, **_SIZE) as (figure, panels):
        axes = panels[0]
        axes.stairs(heights[1:-1], edges, fill=True, color=RESIDENT, alpha=0.75)
        axes.stairs(heights[:1], ends[:2], fill=True, color=PEAK, alpha=0.75)
        axes.stairs(heights[-1:], ends[-2:], fill=True, color=PEAK, alpha=0.75)
        axes.axvline(0, color=INK, linewidth=0.8, alpha=0.5, linestyle=(0, (4, 3)))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("truth minus prediction (target units)")
        axes.set_ylabel("share of rows (%)")
        drawn = svg(figure, "Histogram of the errors")
    beyond = 100 * (residuals.weights[0] + residuals.weights[-1]) / total
    return (
        "Errors",
        drawn,
        f"The outermost bars hold all larger errors: {beyond:.2g} % of the rows.",
    )


def _truth(residuals: Residuals) -> tuple[str, str, str]:
    bins = [item for item in residuals.bins if math.isfinite(item.mean_true)]
    with panels_of(1, **_SIZE) as (figure, panels):
        axes = panels[0]
        x = [item.mean_predicted for item in bins]
        y = [item.mean_true for item in bins]
        if bins:
            ends = [min(x), max(x)]
            axes.plot(
                ends,
                ends,
                color=INK,
                linewidth=0.8,
                alpha=0.5,
                linestyle=(0, (4, 3)),
                label="equal",
            )
            axes.errorbar(
                x,
                y,
                yerr=[item.rmse for item in bins],
                color=RESIDENT,
                ecolor=GRID,
                elinewidth=2.2,
                marker="o",
                markersize=3.5,
                linewidth=1.0,
                label="mean, ± rmse",
            )
            legend(axes, 2)
        else:
            note(axes, "no row was scored")
        axes.set_xlabel("mean prediction (target units)")
        axes.set_ylabel("mean truth (target units)")
        drawn = svg(figure, "Mean truth against mean prediction")
    return "Prediction against truth", drawn, "Bins by prediction, of about as many rows each."


def _list(values: Any) -> list[float]:
    return values.tolist() if hasattr(values, "tolist") else list(values)
