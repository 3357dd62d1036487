"""The notebooks run, at a small size; and what is kept of a run at full size may be shown."""

from __future__ import annotations

import getpass
import json
import re
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
PLACES = re.compile(r"(?<![\w.<:/])/(?:home|root|tmp|var|work|Users|private|mnt|opt|usr)/")
"""Folders of the machine they ran on; not "</var" or "https://a/opt"."""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@every
def test_every_cell_runs(path, tmp_path, monkeypatch):
    from matplotlib import pyplot as plt

    monkeypatch.setenv("NOTEBOOK_ROWS", "50_000")
    for real in ("TAXI_DATA", "OCEAN_DATA"):
        monkeypatch.delenv(real, raising=False)
    monkeypatch.setitem(sys.modules, "dask_ml", None)  # slow to import, and of a peer's alone
    monkeypatch.chdir(tmp_path)  # they go elsewhere themselves; this brings us back
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(plt, "show", lambda: None)
    names: dict[str, object] = {"__name__": "__main__"}
    backend = mpl.get_backend()
    mpl.use("agg")
    try:
        for number, cell in enumerate(cells_of(path)):
            code = compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")
            exec(code, names)
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    finally:
        plt.close("all")
        mpl.use(backend)
    if "result" in names:
        assert names["result"].memory.within
    for run in (*names.get("runs", {}).values(), *names.get("others", {}).values()):
        assert run.exit_code == 0, run.errors[-2000:]


@every
def test_what_is_kept_has_outputs_and_no_errors(path):
    cells = cells_of(path)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) / 2
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs) or path.stem[:2] == "01"


@every
def test_what_is_kept_names_no_place_and_is_small(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 500_000
    shown = [
        "".join(value)
        for cell in cells_of(path)
        for output in cell["outputs"]
        for kind, value in [("text", output.get("text", "")), *output.get("data", {}).items()]
        if not kind.startswith("image/")
    ]
    for part in shown:
        found = PLACES.search(part)
        assert not found, part[max(0, found.start() - 80) : found.end() + 40]
        assert getpass.getuser() == "root" or getpass.getuser() not in part


def test_every_notebook_has_its_page():
    pages = {path.stem for path in (NOTEBOOKS[0].parents[1] / "docs" / "notebooks").glob("*.md")}
    index = (NOTEBOOKS[0].parents[1] / "docs" / "index.md").read_text(encoding="utf-8")
    assert pages == {path.stem for path in NOTEBOOKS}
    for name in pages:
        assert f"notebooks/{name}\n" in index
