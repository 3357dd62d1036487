"""The pages: what they show runs, what they link to is there, and nothing public is missing."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import pytest

import streamlearn
import streamlearn.testing
from streamlearn import errors
from streamlearn.cli.main import cli, main
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

    exit_code: int
    file: str | None
    """Where it is written, instead of being run."""


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        how = found.group("how")
        if page == README:
            how = "" if line < text.count("\n", 0, text.index("## What holds")) else None
        code, file = re.search(r"exit=(\d+)", how or ""), re.search(r"file=(\S+)", how or "")
        yield Block(
            found.group("language") or "sh",
            dedent(found.group("text")),
            line,
            how,
            int(code.group(1)) if code else 0,
            file.group(1) if file else None,
        )


def run(pages: Iterable[Path], folder: Path, data: Path | None = None) -> None:
    """Run what pages show, each in order and in a folder of its own, in one fresh process."""
    played = []
    for page in pages:
        place = folder / page.stem
        place.mkdir()
        if data is not None:
            shutil.copytree(data, place / data.name)
        shown = [_played(block, page) for block in blocks(page) if block.how is not None]
        played.append({"folder": str(place), "blocks": shown})
    found = subprocess.run(
        [sys.executable, __file__],
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path)),
        input=json.dumps(played),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, f"{found.stdout[-2000:]}\n{found.stderr[-4000:]}"


def _played(block: Block, page: Path) -> dict[str, Any]:
    text = block.text
    for rows, fewer in SMALLER.items():
        text = re.sub(rf"(?<=--rows ){rows}\b", fewer, text)
    return {**asdict(block), "text": text, "name": f"{page.name}, line {block.line}"}


def play(shown: list[dict[str, Any]]) -> None:
    """Run blocks: commands are called, so that libraries are imported once."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in shown:
        if block["file"]:
            Path(block["file"]).write_text(block["text"])
        elif block["language"] == "python":
            exec(compile(block["text"], block["name"], "exec"), names)
        else:
            lines = block["text"].replace("\\\n", " ").splitlines()
            for words in map(shlex.split, lines):
                if words[:2] == ["pip", "install"]:
                    continue
                assert words[0] == "streamlearn", f"{block['name']}: {words[0]} is not run here"
                code = main(words[1:])
                assert code == block["exit_code"], f"{block['name']}: exit code {code}"


def test_a_new_user_may_copy_what_they_read(tmp_path):
    run([README, ROOT / "docs" / "quickstart.md"], tmp_path)


def test_the_guides_run(tmp_path):
    generate_taxi(tmp_path / "trips", 20_000)
    guides = [
        page
        for page in PAGES
        if page.name not in QUICK and any(block.how is not None for block in blocks(page))
    ]
    run(guides, tmp_path, tmp_path / "trips")


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


if __name__ == "__main__":
    for page in json.load(sys.stdin):
        os.chdir(page["folder"])
        sys.path[0] = page["folder"]
        play(page["blocks"])
