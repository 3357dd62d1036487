"""A value with its interval as places on a strip, drawn by the page without a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlearn.score.bootstrap import Interval

__all__ = ["Scale", "Strip", "number", "span", "with_interval"]


@dataclass(frozen=True)
class Strip:
    """Places in percent of the strip's width."""

    dot: float
    start: float
    """Of the interval."""
    width: float
    at: float | None
    """Of a line to compare with."""
    tone: str = ""
    """"better" or "worse" where the value is clearly so."""


@dataclass(frozen=True)
class Scale:
    """What the two ends of strips stand for, so that they can be compared."""

    low: float
    high: float
    at: float | None = None
    """A value to compare with, which all strips mark."""

    @classmethod
    def over(cls, values: Iterable[float], at: float | None = None) -> Scale:
        """Return the scale that shows all values, and some room beside them.

        Examples
        --------
        >>> Scale.over([0.0, 10.0])
        Scale(low=-0.5, high=10.5, at=None)
        """
        known = [value for value in values if math.isfinite(value)]
        known += [] if at is None or not math.isfinite(at) else [at]
        low, high = min(known, default=0.0), max(known, default=1.0)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
        return cls(low - room, high + room, at)

    @classmethod
    def around_zero(cls, values: Iterable[float]) -> Scale:
        """Return the scale with zero in its middle."""
        reach = 1.05 * max((abs(value) for value in values if math.isfinite(value)), default=1.0)
        return cls(-(reach or 1.0), reach or 1.0, 0.0)

    def place(self, value: float) -> float:
        """Return where a value stands, in percent; beyond the ends is at the end."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 1)

    def strip(self, value: float, interval: Interval | None, tone: str = "") -> Strip | None:
        """Place a value and its interval; None for a value that is no finite number.

        Examples
        --------
        >>> Scale(0.0, 10.0, at=5.0).strip(2.0, None)
        Strip(dot=20.0, start=20.0, width=0.0, at=50.0, tone='')
        """
        if not math.isfinite(value):
            return None
        low, high = (value, value) if interval is None else (interval.low, interval.high)
        start = self.place(low)
        return Strip(
            self.place(value),
            start,
            round(self.place(high) - start, 1),
            None if self.at is None else self.place(self.at),
            tone,
        )


def number(value: float, apart: float | None = None) -> str:
    """Write a number with the digits that mean something.

    Parameters
    ----------
    value : float
    apart : float, optional
        How far it may be off: two digits of that are written. By default six digits of the value.

    Examples
    --------
    >>> number(1234.56789), number(1234.56789, 30.0), number(0.8378, 0.0013), number(0.0)
    ('1,234.57', '1,235', '0.8378', '0')
    """
    if not math.isfinite(value):
        return "none" if math.isnan(value) else str(value)
    if not apart or not math.isfinite(apart):
        text = f"{value:,.6g}"
        return f"{value:.6g}" if "e" in text else text
    digits = max(0, 1 - math.floor(math.log10(apart)))
    if digits > 8 or abs(value) >= 1e9:
        return f"{value:.6g}"
    return f"{value:,.{digits}f}"


def span(interval: Interval | None) -> str:
    """Write an interval, with the digits that its width leaves.

    Examples
    --------
    >>> span(None)
    ''
    """
    if interval is None:
        return ""
    apart = (interval.high - interval.low) / 2
    return f"{number(interval.low, apart)} to {number(interval.high, apart)}"


def with_interval(value: float, interval: Interval | None) -> str:
    """Write a value with as many digits as its interval has."""
    return number(value, None if interval is None else (interval.high - interval.low) / 2)
