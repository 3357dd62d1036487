"""Gates: what a model has to reach, as text, and whether it did."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from streamlearn.errors import UsageError
from streamlearn.score.bootstrap import Interval

__all__ = ["Gate", "GateResult", "judged", "parse_gate"]

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GATE = re.compile(
    rf"\s*(?P<metric>[A-Za-z_]\w*)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>{_NUMBER})"
    r"(?:\s+where\s+(?P<column>\"[^\"]+\"|[^\s=\"']+)\s*==\s*"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"']+))?\s*",
    re.IGNORECASE,
)
_ALIASES = {"auc": "roc_auc"}


@dataclass(frozen=True)
class Gate:
    """A limit that a metric has to keep, on all rows or on those where a column has a value."""

    text: str
    metric: str
    sign: str
    limit: float
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class GateResult:
    """What became of a gate."""

    gate: str
    """As it was written."""
    metric: str
    passed: bool
    value: float
    """Of the metric; NaN, which never passes, where there is none."""
    limit: float
    interval: Interval | None
    rows: int
    """Rows that the value is from."""

    def __str__(self) -> str:
        if not self.rows:
            return f"FAILED  {self.gate}: there is no such row"
        low_high = f" [{self.interval.low:.6g}, {self.interval.high:.6g}]" if self.interval else ""
        return (
            f"{'passed' if self.passed else 'FAILED'}  {self.gate}: {self.metric} is "
            f"{self.value:.6g}{low_high} on {self.rows:,} rows"
        )


def parse_gate(text: str) -> Gate:
    """Read ``METRIC <= NUMBER``, with ``where COLUMN == VALUE`` if only some rows are meant.

    The comparison is one of <=, >=, <, >. Quotes go around values and columns with spaces.

    Raises
    ------
    UsageError
        If it reads otherwise.

    Examples
    --------
    >>> parse_gate("rmse <= 6.5").limit
    6.5
    >>> gate = parse_gate("auc >= 0.8 where PULocationID == 74")
    >>> gate.metric, gate.column, gate.value
    ('roc_auc', 'PULocationID', '74')
    """
    found = _GATE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"the requirement {text!r} cannot be read: write it as METRIC <= NUMBER, or "
            "METRIC >= NUMBER where COLUMN == VALUE (comparisons: <=, >=, <, >; quotes around "
            "what has spaces)"
        )
    metric = found["metric"]
    column, value = found["column"], found["value"]
    return Gate(
        text.strip(),
        _ALIASES.get(metric, metric),
        found["sign"],
        float(found["limit"]),
        None if column is None else column.strip('"'),
        None if value is None else (value[1:-1] if value[0] in "\"'" else value),
    )


def judged(gate: Gate, value: float, interval: Interval | None, rows: int) -> GateResult:
    """Hold a value against a gate; NaN fails.

    Examples
    --------
    >>> print(judged(parse_gate("rmse <= 6.5"), 7.0, Interval(6.8, 7.2), 1000))
    FAILED  rmse <= 6.5: rmse is 7 [6.8, 7.2] on 1,000 rows
    """
    passed = not math.isnan(value) and _SIGNS[gate.sign](value, gate.limit)
    return GateResult(gate.text, gate.metric, passed, value, gate.limit, interval, rows)
