"""The site: `make docs`. Nothing is fetched while it is built, or when it is read."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import notebook
import reference

from streamlearn import __version__

project = "streamlearn"
author = "the streamlearn developers"
copyright = author  # noqa: A001 - sphinx's name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["README.md"]
suppress_warnings = [
    "ref.python",  # the "rows" of a shape are taken for an attribute of that name
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"  # the docstrings have the types, in words
autodoc_preserve_defaults = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"streamlearn {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00677d", "color-brand-content": "#00677d"},
    "dark_css_variables": {"color-brand-primary": "#5fc4dc", "color-brand-content": "#5fc4dc"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"


_LATER = ("evaluating", "prediction", "speed")
"""Pages that are listed once they are there: speed.md is written by `python -m benchmarks`."""


def _fill(app, docname, source):
    """Write the reference where a page asks for it, and the pages of the notebooks."""
    del app
    parts = {
        "<!-- commands -->": ("cli", reference.commands),
        "<!-- names -->": ("api", reference.names),
        "<!-- laws -->": ("api", reference.laws),
        "<!-- exceptions -->": ("api", reference.exceptions),
    }
    if docname == "index":
        for name in _LATER:
            if not (Path(__file__).parent / f"{name}.md").exists():
                source[0] = source[0].replace(f"\n{name}\n", "\n")
    if docname.startswith("notebooks/"):
        source[0] = notebook.page(docname.removeprefix("notebooks/"))
    for mark, (page, write) in parts.items():
        if docname == page:
            source[0] = source[0].replace(mark, write())


def _escape(app, what, name, thing, options, lines):
    """Keep ``n_features_in_`` in a docstring from being taken for a link."""
    del app, what, name, thing, options
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``|`.*?`_*)", line)
        parts[::2] = [re.sub(r"(?<=\w)_(?=[^\w`]|$)", r"\\_", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def _sign(app, what, name, thing, options, signature, returned):
    """Leave out the signature of classes that are not for users to call."""
    del app, name, options
    if what == "class" and "Parameters\n" not in (inspect.getdoc(thing) or ""):
        return "", None
    return signature, returned


def setup(app):
    """Let sphinx call what is above."""
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _escape, priority=900)
    app.connect("autodoc-process-signature", _sign)
