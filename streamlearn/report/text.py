"""The result as plain text, for the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from streamlearn.report.coefficients import final_step
from streamlearn.sizes import format_bytes, format_rows, format_seconds

if TYPE_CHECKING:
    from streamlearn.result import Result

__all__ = ["result_summary"]


def result_summary(result: Result) -> str:
    """Write a result as a few aligned lines.

    Parameters
    ----------
    result : Result

    Returns
    -------
    str
        No markup, no trailing newline.
    """
    lines = [
        ("estimator", _estimator(result)),
        ("rows", _rows(result)),
        ("epochs", _epochs(result)),
        ("held-out", _scores(result)),
        ("memory", _memory(result)),
        ("time", _time(result)),
        *(("warning", " ".join(text.split())) for text in result.warnings),
        *_places(result),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def _estimator(result: Result) -> str:
    whole, model = type(result.estimator).__name__, type(final_step(result.estimator)).__name__
    return whole if final_step(result.estimator) is result.estimator else f"{model} in a {whole}"


def _rows(result: Result) -> str:
    rows = result.rows
    return (
        f"{format_rows(rows.read)} read = {format_rows(rows.learned)} learned"
        f" + {format_rows(rows.held_out)} held out + {format_rows(rows.filtered)} filtered"
        + (f" + {format_rows(rows.missing)} with a missing value" if rows.missing else "")
        + f" + {format_rows(rows.rejected)} rejected"
    )


def _epochs(result: Result) -> str:
    if not result.history:
        return "none: no model was learned in order"
    last = result.history[-1]
    loss = "no loss recorded" if last.loss is None else f"{last.loss_name} {last.loss:.6g}"
    return f"{len(result.history)} of {result.plan.epochs}, {loss} in the last"


def _scores(result: Result) -> str:
    if not result.scores:
        return "no score: no rows were held out" if not result.rows.held_out else "no score"
    return ", ".join(f"{name} {value:.6g}" for name, value in result.scores.items())


def _memory(result: Result) -> str:
    memory = result.memory
    outcome = "within" if memory.within else "EXCEEDED"
    source = "" if memory.exact else ", the highest sample, not the kernel's mark"
    return (
        f"measured {format_bytes(memory.measured_bytes)} of limit "
        f"{format_bytes(memory.limit_bytes)} ({outcome}{source}), "
        f"projected {format_bytes(memory.projected_bytes)}, "
        f"reserved {format_bytes(memory.reserved_bytes)}"
    )


def _time(result: Result) -> str:
    learned = sum(record.rows for record in result.history)
    seconds = sum(record.seconds for record in result.history)
    text = format_seconds(result.seconds)
    if learned and seconds > 0:
        text += f", learned {format_rows(round(learned / seconds))} rows/s"
    elif result.seconds > 0:
        read = sum(item.rows * item.times for item in result.plan.passes)
        text += f", read {format_rows(round(read / result.seconds))} rows/s"
    return text


def _places(result: Result) -> list[tuple[str, str]]:
    if result.path is None:
        return [("run", "not saved")]
    return [("run", result.path), ("report", os.path.join(result.path, "report.html"))]
