"""The ``streamlearn`` command."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import click

from streamlearn import __version__
from streamlearn.errors import StreamlearnError

__all__ = ["main", "run"]

_COMMANDS = ("convert", "evaluate", "explain", "fit", "generate", "inspect", "predict")
_INTERRUPTED = 5


class _Commands(click.Group):
    """Loads a command's file only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"streamlearn.cli.{cmd_name}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="streamlearn")
def cli() -> None:
    """Fit scikit-learn pipelines on data larger than memory, inside a memory budget.

    Exit codes: 0 done, 2 usage, 3 over budget, 4 bad data, 5 interrupted, 1 anything else.
    """


def _interrupt_once(number: int, frame: object) -> None:
    """End the run; further signals do not disturb it while it cleans up."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    Errors that the user can mend are printed without a stack trace; ``--debug`` shows it.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    # What scikit-learn warns of on the way is not for who typed a command.
    warnings.filterwarnings("ignore", module="sklearn")
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt_once)
    try:
        result: Any = cli.main(arguments, prog_name="streamlearn", standalone_mode=False)
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except click.ClickException as error:
        error.show()
        return int(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; nothing of it was kept", err=True)
        return _INTERRUPTED
    except StreamlearnError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {place}{error.strerror or error}", err=True)
        return 1
    except Exception as error:
        if debug:
            raise
        click.echo(
            f"error: {type(error).__name__}: {error}\n"
            "this is a fault of streamlearn's; --debug shows where it arose",
            err=True,
        )
        return 1
    return result if isinstance(result, int) else 0


def run() -> None:
    """Entry point of the installed command."""
    sys.exit(main())
