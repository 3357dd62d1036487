"""The pages: what they show runs, what they link to is there, and nothing public is missing."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import click
import pytest

import streamlearn
import streamlearn.testing
from streamlearn import errors
from streamlearn.cli.main import cli
from streamlearn.generate import generate_taxi

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(
    r"(?:<!-- run(?P<how>[^>]*) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
SMALLER = {"10M": "60k", "1M": "20k"}
"""Rows of the pages, and of the tests."""
QUICK = ("README.md", "quickstart.md")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int
    how: str | None
    """What the comment before it says of running it: None if it is not run."""

    @property
    def exit_code(self) -> int:
        found = re.search(r"exit=(\d+)", self.how or "")
        return int(found.group(1)) if found else 0

    @property
    def file(self) -> str | None:
        found = re.search(r"file=(\S+)", self.how or "")
        return found.group(1) if found else None


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        how = found.group("how")
        if page == README:
            how = "" if line < text.count("\n", 0, text.index("## What holds")) else None
        yield Block(found.group("language") or "sh", dedent(found.group("text")), line, how)


def program(page: Path) -> str:
    """Return a script that runs what a page shows, in order, in one shell."""
    parts = [
        "set -e",
        f"streamlearn() {{ '{sys.executable}' -W error::DeprecationWarning -m streamlearn \"$@\"; }}",
        'expect() { code=0; wanted=$1; shift; "$@" || code=$?; [ $code = $wanted ]; }',
    ]
    python: list[str] = []

    def end_python() -> None:
        if python:
            script = "\n".join(python)
            parts.append(f"'{sys.executable}' - <<'END_OF_PYTHON'\n{script}\nEND_OF_PYTHON")
            python.clear()

    shown = [block for block in blocks(page) if block.how is not None]
    for number, block in enumerate(shown):
        text = block.text
        for rows, fewer in SMALLER.items():
            text = re.sub(rf"(?<=--rows ){rows}\b", fewer, text)
        if block.language == "python" and block.file is None:
            python.append(text)
            continue
        if not any(later.language == "python" and later.file is None for later in shown[number:]):
            end_python()
        if block.file is not None:
            parts.append(f"cat > {block.file} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")
        elif python:
            # One process for all Python of a page, whose names outlive the shell between them.
            python.append(_called(block, text))
        else:
            parts.append(_shell(block, text))
    end_python()
    return "\n".join(parts)


def _shell(block: Block, text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("pip install")]
    return (f"expect {block.exit_code} " if block.exit_code else "") + "\n".join(lines)


def _called(block: Block, text: str) -> str:
    setup = f"streamlearn() {{ '{sys.executable}' -m streamlearn \"$@\"; }}\n"
    return (
        "import subprocess\n"
        f"_ended = subprocess.run(['sh', '-ec', {setup + text!r}]).returncode\n"
        f"assert _ended == {block.exit_code}, _ended\n"
    )


@pytest.fixture(scope="module")
def trips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    generate_taxi(folder / "trips", 40_000)
    return folder / "trips"


def run(page: Path, folder: Path) -> None:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    found = subprocess.run(
        ["sh", "-c", program(page)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, f"{page.name}\n{found.stdout[-2000:]}\n{found.stderr[-4000:]}"


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "quickstart.md"], ids=lambda p: p.name)
def test_a_new_user_may_copy_what_they_read(page, tmp_path):
    run(page, tmp_path)


GUIDES = [
    page
    for page in PAGES
    if page.name not in QUICK and any(block.how is not None for block in blocks(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_guide_runs(page, trips, tmp_path):
    shutil.copytree(trips, tmp_path / "trips")
    run(page, tmp_path)


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_python_on_a_page_compiles(page):
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text, f"{page.name}, line {block.line}")


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_commands_on_a_page_have_the_options_they_are_given(page):
    context = click.Context(cli, info_name="streamlearn")
    for block in blocks(page):
        if block.language not in ("sh", "bash", "console"):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = line.split()
            if words[:1] != ["streamlearn"] or words[1] == "COMMAND":
                continue
            command = cli.get_command(context, words[1])
            assert command is not None, f"{page.name}, line {block.line}: {words[1]}"
            known = {flag for option in command.params for flag in option.opts}
            given = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)}
            assert given <= known | {"--help"}, f"{page.name}, line {block.line}: {given - known}"


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path = target.partition("#")[0]
            assert not path or (page.parent / path).exists(), f"{page.name} links to {target}"


def test_every_page_is_reached_from_the_first():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(?:.* <)?([\w-]+)>?$", index, re.MULTILINE))
    there = {page.stem for page in PAGES} - {"index", "404"}
    assert there <= listed, there - listed


@pytest.fixture(scope="module")
def reference():
    place = ROOT / "docs" / "reference.py"
    spec = importlib.util.spec_from_file_location("docs_reference", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference(reference):
    for name in streamlearn.__all__:
        thing = getattr(streamlearn, name)
        if not name.startswith("__") and not (
            isinstance(thing, type) and issubclass(thing, BaseException)
        ):
            assert f"streamlearn.{name}\n" in reference.names(), name
    for name in streamlearn.testing.__all__:
        assert f"streamlearn.testing.{name}\n" in reference.laws(), name
    for name in errors.__all__:
        assert f"streamlearn.errors.{name}\n" in reference.exceptions(), name


def test_every_public_name_has_a_docstring(reference):
    for module in (streamlearn, streamlearn.testing):
        for name in reference.public(module):
            assert getattr(module, name).__doc__, name


def test_every_command_and_option_is_in_the_reference(reference):
    page = reference.commands()
    context = click.Context(cli, info_name="streamlearn")
    for name in cli.list_commands(context):
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for option in cli.get_command(context, name).params:
            flags = option.opts if isinstance(option, click.Option) else []
            assert all(f"`{flag}`" in section for flag in flags), (name, flags)


def test_the_pages_ask_for_the_reference():
    asked = "".join((ROOT / "docs" / name).read_text() for name in ("api.md", "cli.md"))
    for mark in ("names", "laws", "exceptions", "commands"):
        assert f"<!-- {mark} -->" in asked


def test_the_docs_extra_is_kept_apart():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {re.split(r"[\W]", name)[0] for name in extras["docs"]}
    assert "sphinx" in named
    assert not named & {re.split(r"[\W]", name)[0] for name in extras["dev"]}
