"""Run the notebooks at full size and keep their outputs: `make notebooks`.

Outputs are written back without what differs from run to run for no reason: times of cells,
versions of the kernel. Real data, where it is at hand, is named by TAXI_DATA and OCEAN_DATA.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
REAL = HERE.parents[1] / "shared" / "data"
PLACES = {"TAXI_DATA": REAL / "green", "OCEAN_DATA": REAL / "ocean_zarr" / "cube-5-100-200.zarr"}


def run(path: Path) -> None:
    """Run a notebook in a folder of its own, and write it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as scratch:
        # Of the kernel, which inherits it: what the notebook makes goes with the folder.
        os.environ["TMPDIR"] = scratch
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": scratch}},
            record_timing=False,
        )
        client.execute()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = {}
    nbformat.write(notebook, path)


def main(names: list[str]) -> None:
    """Run those named, or all."""
    for name, place in PLACES.items():
        if place.exists():
            os.environ.setdefault(name, str(place))
    chosen = [HERE / name for name in names] or sorted(HERE.glob("*.ipynb"))
    for path in chosen:
        began = time.perf_counter()
        run(path)
        print(f"{path.name}: {time.perf_counter() - began:.0f} s, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
