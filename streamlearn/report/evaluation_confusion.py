"""A confusion matrix as a heat map of text; of many classes, those that are most confused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamlearn.report.facts import short
from streamlearn.sizes import format_rows

if TYPE_CHECKING:
    from streamlearn.score.judge import ConfusionMatrix

__all__ = ["Cell", "ConfusionTable", "confusion_table"]

_MOST_CLASSES = 12
_MOST_PAIRS = 10
_STRONGEST = 0.62
"""Opacity of a cell that holds all rows of its class: text on it has to stay legible."""


@dataclass(frozen=True)
class Cell:
    """Rows of one true class that were taken for one class."""

    rows: str
    share: str
    """Of the rows of the true class."""
    strength: float
    """Opacity of its colour, 0 to 1."""
    right: bool


@dataclass(frozen=True)
class ConfusionTable:
    """What is shown of a confusion matrix."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    """True class, and its cells."""
    note: str
    pairs: tuple[tuple[str, str, str, str], ...]
    """True class, predicted class, rows, share: the most frequent confusions."""
    unit: str
    """What is counted: rows, or weight of rows."""


def confusion_table(found: ConfusionMatrix, most: int = _MOST_CLASSES) -> ConfusionTable:
    """Return what is shown of a confusion matrix.

    Parameters
    ----------
    found : ConfusionMatrix
    most : int
        Classes shown; of more, those with most rows confused, and all others as one.
    """
    matrix, names = np.asarray(found.matrix, dtype=np.float64), list(found.classes)
    whole = bool((matrix == np.round(matrix)).all())
    pairs = _pairs(matrix, names, whole)
    note = ""
    if len(names) > most:
        note = (
            f"The {most} most confused of {len(names):,} classes are shown; all others are one. "
            "to_json() has the whole matrix."
        )
        matrix, names = _reduced(matrix, names, most)
    names = [short(name, 60) for name in names]
    totals = matrix.sum(axis=1)
    rows = tuple(
        (
            name,
            tuple(
                _cell(float(value), float(totals[at]), at == column, whole)
                for column, value in enumerate(matrix[at])
            ),
        )
        for at, name in enumerate(names)
    )
    return ConfusionTable(tuple(names), rows, note, pairs, "rows" if whole else "weight of rows")


def _cell(value: float, total: float, right: bool, whole: bool) -> Cell:
    share = value / total if total else 0.0
    return Cell(
        _count(value, whole),
        f"{100 * share:.1f} %" if value else "",
        round(_STRONGEST * share**0.6, 3) if share > 0 else 0.0,
        right,
    )


def _count(value: float, whole: bool) -> str:
    return format_rows(int(value)) if whole else f"{value:,.6g}"


def _reduced(
    matrix: NDArray[np.float64], names: list[str], most: int
) -> tuple[NDArray[np.float64], list[str]]:
    """Keep the classes with most rows confused, in their order; put the others together."""
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:most])
    group = np.full(len(names), most)
    group[kept] = np.arange(most)
    together = np.zeros((most + 1, most + 1))
    np.add.at(together, (group[:, None], group[None, :]), matrix)
    others = len(names) - most
    return together, [*(names[at] for at in kept), f"{others:,} others"]


def _pairs(
    matrix: NDArray[np.float64], names: list[str], whole: bool
) -> tuple[tuple[str, str, str, str], ...]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0.0)
    totals = matrix.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    return tuple(
        (
            short(names[at], 100),
            short(names[column], 100),
            _count(float(wrong[at, column]), whole),
            f"{100 * wrong[at, column] / totals[at]:.1f} %",
        )
        for at, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[at, column] > 0
    )
