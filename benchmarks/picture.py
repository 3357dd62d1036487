"""Draw a run's memory for the README: ``python -m benchmarks.picture RUN OUT.svg``.

The picture in ``docs/`` is of the run that ``make demo`` leaves.
"""

from __future__ import annotations

from pathlib import Path

import click

import streamlearn as sl
from streamlearn.report.charts import memory_chart


@click.command()
@click.argument("run")
@click.argument("out", type=click.Path(path_type=Path))
def main(run: str, out: Path) -> None:
    """Write the memory chart of the folder RUN to OUT."""
    # A middle grey for the ink: legible on light pages and on dark ones.
    svg = memory_chart(sl.load(run).memory).replace("<svg ", '<svg color="#7a828a" ', 1)
    out.write_text(svg.replace("background:none", "background:none;color:#7a828a", 1))


if __name__ == "__main__":
    main()
