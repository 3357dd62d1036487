"""An evaluation as HTML: a page for browsers, a fragment for notebooks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from streamlearn.report.charts import memory_chart
from streamlearn.report.evaluation import evaluation_content
from streamlearn.report.evaluation_charts import curve_charts, drift_chart, residual_charts
from streamlearn.report.template import render, safe

if TYPE_CHECKING:
    from streamlearn.evaluation import Evaluation

__all__ = ["evaluation_fragment", "evaluation_page"]


def evaluation_page(found: Evaluation, path: str | os.PathLike[str] | None = None) -> str:
    """Return an evaluation as a self-contained HTML page, and write it to a file if one is named.

    Parameters
    ----------
    found : Evaluation
    path : path, optional

    Returns
    -------
    str
        Needs no network and runs no script; below 2 MB.
    """
    html = render(
        "evaluation.html.j2",
        content=evaluation_content(found),
        curves=_charts(curve_charts(found.curves)),
        residuals=_charts(residual_charts(found.residuals)) if found.residuals else [],
        drift_chart=_drift(found),
        memory_chart=safe(memory_chart(found.memory)),
    )
    if path is not None:
        Path(path).write_text(html, encoding="utf-8")
    return html


def evaluation_fragment(found: Evaluation) -> str:
    """Return an evaluation as an HTML fragment for a notebook.

    Parameters
    ----------
    found : Evaluation

    Returns
    -------
    str
        One ``<div>`` with its styles on its elements: legible on light and dark, no network.
    """
    charts = _charts(curve_charts(found.curves)[:2])
    if found.residuals is not None:
        charts += _charts(residual_charts(found.residuals))
    return render(
        "evaluation_fragment.html.j2",
        content=evaluation_content(found),
        charts=charts,
        drift_chart=_drift(found) if found.drift is not None and found.drift.marked else "",
    )


def _charts(drawn: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [(title, safe(svg), note) for title, svg, note in drawn]


def _drift(found: Evaluation) -> str:
    if found.drift is None or len(found.drift.segments) < 2:
        return ""
    return safe(drift_chart(found.drift))
