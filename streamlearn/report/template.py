"""Templates, filled with finished values."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["headings", "render", "safe"]

_SECTION = re.compile(r'<section id="([^"]+)">\s*<h2>(.*?)</h2>', re.DOTALL)


def render(template: str, **values: Any) -> str:
    """Fill a template of this folder; text is escaped.

    Parameters
    ----------
    template : str
        Name of a file in ``templates``.
    **values
        What it shows.
    """
    return _environment().get_template(template).render(**values)


def safe(html: str) -> Markup:
    """Mark what Matplotlib, scikit-learn or a template has escaped."""
    from markupsafe import Markup

    return Markup(html)  # noqa: S704 - all of them escape the text they are given


def headings(html: str) -> list[tuple[str, Markup]]:
    """Return place and name of each section of a page.

    Examples
    --------
    >>> headings('<section id="rows"><h2>Rows</h2></section>')
    [('rows', Markup('Rows'))]
    """
    return [(place, safe(name)) for place, name in _SECTION.findall(html)]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        autoescape=True,
        loader=PackageLoader("streamlearn.report"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    found.globals["headings"] = headings
    return found
