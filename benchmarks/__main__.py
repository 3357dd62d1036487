"""Streamlearn beside the ways people do it today: ``python -m benchmarks [WORKS]``.

Each contender runs in a fresh process, taking turns. After every run what was found is written to
OUT.json, and at the end, or when it is interrupted, to OUT.md and OUT.svg too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.chart import draw
from benchmarks.session import Session, read_found
from benchmarks.table import document
from benchmarks.work import Work
from benchmarks.works import WORKS
from streamlearn.errors import StreamlearnError, UsageError
from streamlearn.sizes import parse_bytes, parse_rows

_INTERRUPTED = 5
PEERS = sorted({item.peer for work in WORKS.values() for item in work.contenders if item.peer})


def _chosen(text: str) -> set[str] | None:
    if text == "all":
        return None
    names = {name.strip() for name in text.split(",")} - {"", "none"}
    unknown = sorted(names - set(PEERS))
    if unknown:
        raise click.BadParameter(
            f"no peer is called {', '.join(unknown)}; there are {', '.join(PEERS)}"
        )
    return names


def _pythons(texts: tuple[str, ...]) -> dict[str, str]:
    """Return interpreters by peer, from ``NAME=PATH`` of a venv or of its python."""
    found = {"": sys.executable}
    for text in texts:
        name, _, place = text.partition("=")
        if name not in PEERS or not place:
            raise click.BadParameter(f"{text!r} is not NAME=PATH; names are {', '.join(PEERS)}")
        path = Path(place).expanduser().absolute()
        python = path / "bin" / "python" if path.is_dir() else path
        if not python.exists():
            raise click.BadParameter(f"there is no interpreter at {python}")
        found[name] = os.fspath(python)
    return found


def _number(kind: str, text: str) -> int:
    try:
        return parse_rows(text) if kind == "rows" else parse_bytes(text)
    except (UsageError, ValueError) as error:
        raise click.BadParameter(str(error)) from None


def _publish(out: Path) -> None:
    found = read_found(out.with_suffix(".json"))
    if found:
        draw(found, WORKS, out.with_suffix(".svg"))
        out.with_suffix(".md").write_text(document(found, WORKS, out.name))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar=f"[{'|'.join(WORKS)}]...")
@click.option("--rows", default="10M", show_default=True, help="Text takes a fifth of them.")
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Of each way.")
@click.option("--budget", default="512MB", show_default=True, help="For streamlearn.")
@click.option("--peers", default="all", show_default=True, help=f"Of {', '.join(PEERS)}; or none.")
@click.option("--venv", multiple=True, metavar="NAME=PATH", help="The venv a peer runs in.")
@click.option("--timeout", default=900.0, show_default=True, help="Seconds of one run.")
@click.option("--out", default="docs/speed", show_default=True, type=click.Path(path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), help="Folder of data, to use again.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted session stopped.")
@click.option("--write-only", is_flag=True, help="Write OUT.md and OUT.svg from OUT.json.")
def main(
    names: tuple[str, ...],
    rows: str,
    runs: int,
    budget: str,
    peers: str,
    venv: tuple[str, ...],
    timeout: float,
    out: Path,
    keep: Path | None,
    resume: bool,
    write_only: bool,
) -> None:
    """Compare works, all by default, and write OUT.md, OUT.json and OUT.svg.

    Works that are not named stay in OUT as they were. A peer that is not installed or fails is
    shown with its error; those that need other packages than ours can have a venv of their own.
    """
    unknown = [name for name in names if name not in WORKS]
    if unknown:
        raise click.BadParameter(f"no work is called {unknown[0]!r}; there are {', '.join(WORKS)}")
    if write_only:
        _publish(out)
        return
    _number("bytes", budget)
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        session = Session(
            path=out.with_suffix(".json"),
            folder=folder.absolute(),
            rows=_number("rows", rows),
            runs=runs,
            budget=budget,
            peers=_chosen(peers),
            pythons=_pythons(venv),
            timeout_s=timeout,
            resume=resume,
            say=click.echo,
        )
        works = [WORKS[name] for name in names or WORKS]
        done = _run(session, works)
    _publish(out)
    if not done:
        click.echo("\ninterrupted; the same command with --resume goes on", err=True)
        sys.exit(_INTERRUPTED)


def _run(session: Session, works: list[Work]) -> bool:
    """Run works; return whether that came to its end."""
    try:
        session.run(works)
    except KeyboardInterrupt:
        return False
    except (OSError, StreamlearnError) as error:
        raise click.ClickException(f"{error}; --resume goes on with what is there") from None
    return True


if __name__ == "__main__":
    main()
