"""A fit as HTML: a fragment for notebooks, a page for browsers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

from streamlearn.report.charts import learning_curve, memory_chart
from streamlearn.report.content import content_of
from streamlearn.report.template import render, safe

if TYPE_CHECKING:
    from streamlearn.result import Result

__all__ = ["result_fragment", "write_report"]

_MOST_DRAWING = 600_000
"""Characters of scikit-learn's drawing: a page with more would be slow to open."""


def result_fragment(result: Result) -> str:
    """Return a result as an HTML fragment for a notebook.

    Parameters
    ----------
    result : Result

    Returns
    -------
    str
        One ``<div>`` with its styles on its elements: legible on light and dark, no network.
    """
    return _filled("fragment.html.j2", result, _drawing(result.estimator))


def write_report(result: Result, file: BinaryIO) -> None:
    """Write a result as a self-contained HTML page.

    Parameters
    ----------
    result : Result
    file : binary file
        Open for writing. The page needs no network and runs no script.
    """
    file.write(_filled("report.html.j2", result, _still(_drawing(result.estimator))).encode())


def _filled(template: str, result: Result, drawing: str) -> str:
    return render(
        template,
        content=content_of(result),
        drawing=safe(drawing),
        learning_chart=safe(learning_curve(result.history)) if result.history else "",
        memory_chart=safe(memory_chart(result.memory)),
    )


def _drawing(estimator: Any) -> str:
    """Return the pipeline as scikit-learn draws it; nothing where that is too large."""
    from sklearn.utils import estimator_html_repr

    html = str(estimator_html_repr(estimator))
    return html if len(html) <= _MOST_DRAWING else ""


def _still(html: str) -> str:
    """Take the scripts out: the page forbids them, and CSS does all that is needed."""
    html = re.sub(r"<script\b.*?</script\s*>", "", html, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r'\son[a-z]+="[^"]*"', "", html)
