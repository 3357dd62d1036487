"""The reference pages, from what they are about: the commands and the public names.

Needs neither sphinx nor the site, so that the tests can look at what it writes.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

import streamlearn
import streamlearn.testing
from streamlearn import errors
from streamlearn.cli.main import cli

__all__ = ["commands", "exceptions", "laws", "names", "public"]

_FEW = 2
"""An option that so many commands have at most is their own."""


def public(module: Any) -> list[str]:
    """Return the public names of a module."""
    return [name for name in module.__all__ if not name.startswith("__")]


def names() -> str:
    """Return the directives of what `import streamlearn` gives: functions, then classes."""
    found = [(name, getattr(streamlearn, name)) for name in public(streamlearn)]
    functions = [name for name, thing in found if not inspect.isclass(thing)]
    classes = [
        name
        for name, thing in found
        if inspect.isclass(thing) and not issubclass(thing, BaseException)
    ]
    return "\n".join(
        [
            "## Functions",
            *(_directive("autofunction", f"streamlearn.{name}") for name in functions),
            "## Classes",
            *(_directive("autoclass", f"streamlearn.{name}") for name in classes),
        ]
    )


def laws() -> str:
    """Return the directives of `streamlearn.testing`."""
    module = streamlearn.testing
    return "\n".join(
        _directive(
            "autoclass" if inspect.isclass(getattr(module, name)) else "autofunction",
            f"streamlearn.testing.{name}",
        )
        for name in public(module)
    )


def exceptions() -> str:
    """Return the directives of the errors, each with its exit code."""
    return "\n".join(_directive("autoexception", f"streamlearn.errors.{n}") for n in errors.__all__)


def _directive(kind: str, target: str) -> str:
    options = ":members:\n:member-order: bysource\n" if kind == "autoclass" else ""
    body = "".join(f"   {line}\n" for line in options.splitlines())
    return f"```{{eval-rst}}\n.. {kind}:: {target}\n{body}```\n"


def commands() -> str:
    """Return every command of the command line: its arguments, what it does, its options."""
    context = click.Context(cli, info_name="streamlearn")
    known = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    found = {name: command for name, command in known.items() if command is not None}
    uses = Counter(item.opts[-1] for command in found.values() for item in _options(command))
    parts = []
    for name, command in found.items():
        parts.append("\n".join(_command(command, click.Context(command, context, name), uses)))
    return "\n\n".join(parts)


def _options(command: click.Command) -> list[click.Option]:
    return [item for item in command.params if isinstance(item, click.Option)]


def _command(
    command: click.Command, context: click.Context, uses: Mapping[str, int]
) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {context.info_name}\n"
    yield f"```text\n{context.command_path} {usage}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    options = _options(command)
    own = [option for option in options if uses[option.opts[-1]] <= _FEW]
    shared = [option for option in options if uses[option.opts[-1]] > _FEW]
    for title, some in (("Its own options", own), ("Shared with other commands", shared)):
        if some:
            yield f"{title}:\n\n| option | default | |\n|---|---|---|"
            for option in some:
                yield f"| {_flags(option, context)} | {_default(option)} | {_meaning(option)} |"
            yield ""


def _flags(option: click.Option, context: click.Context) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return flags
    if isinstance(option.type, click.Choice):
        return f"{flags} {_code('NAME')}"
    return f"{flags} {_code(option.make_metavar(context).strip())}"


def _default(option: click.Option) -> str:
    shown = option.default
    if option.required:
        return "required"
    # Flags, and what is left open, have none worth a word.
    if option.is_flag or not isinstance(shown, str | int | float) or isinstance(shown, bool):
        return ""
    return _code(str(shown))


def _meaning(option: click.Option) -> str:
    text = " ".join((option.help or "").split()).replace("|", "\\|").replace("<", "&lt;")
    if isinstance(option.type, click.Choice):
        choices = ", ".join(f"`{choice}`" for choice in option.type.choices)
        return f"{text} One of {choices}.".strip()
    return text


def _code(text: str) -> str:
    """Put text in code, safe inside a table."""
    return "`" + text.replace("|", "\\|") + "`"
