"""The pages of the notebooks: their text, code and kept outputs, as the site's own markdown.

Nothing is run while the site is built: `make notebooks` runs them and keeps the outputs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


def page(name: str) -> str:
    """Return a notebook as markdown that MyST reads."""
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else _fenced("python", text))
        parts += [_output(output) for output in cell.get("outputs", ())]
    return "\n\n".join(part for part in parts if part) + "\n"


def _output(output: dict) -> str:
    """Return what a cell gave, in the richest of its forms."""
    if output["output_type"] == "stream":
        return _fenced("text", "".join(output["text"]))
    data = {kind: "".join(value) for kind, value in output.get("data", {}).items()}
    if "text/html" in data:
        return _fenced("{raw} html", f'<div class="cell-output">{data["text/html"]}</div>')
    if "image/png" in data:
        source = "data:image/png;base64," + data["image/png"].replace("\n", "")
        picture = f'<img class="cell-output" alt="{data["text/plain"][1:-1]}" src="{source}">'
        return _fenced("{raw} html", picture)
    return _fenced("text", data.get("text/plain", ""))


def _fenced(kind: str, text: str) -> str:
    """Put text in a fence longer than any in it."""
    longest = max(
        (len(ticks) for ticks in re.findall(r"^\s*(`{3,})", text, re.MULTILINE)), default=2
    )
    fence = "`" * (longest + 1)
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}"
