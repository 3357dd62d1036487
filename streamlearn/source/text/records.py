"""Where records of delimited text end: at line ends outside quotes, as Arrow's parser sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Positions", "Records"]

Positions = NDArray[np.int64]
_LF, _CR = 10, 13


@dataclass(frozen=True)
class Records:
    r"""Finds records in a piece of text that begins with one.

    A quote opens only where a field begins, and one that is doubled inside quotes is a character.

    Examples
    --------
    >>> starts, ends = Records(",", '"').spans(b'a,"x\ny"\n\nb,5"\n')
    >>> starts, ends
    (array([0, 9]), array([ 8, 14]))
    """

    separator: str = ","
    quote: str | None = None
    skip_spaces: bool = False
    """Whether a quote opens behind spaces as well, and lines of blanks are no records."""
    blank: bytes = b" "
    _quoted: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    _spaced: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        quote = re.escape(self.quote or '"').encode()
        begins = rb"(?:\A|(?<=[" + re.escape(self.separator).encode() + rb"\n\r]))"
        text = rb"%b[^%b]*(?:%b%b[^%b]*)*(?:%b|\Z)" % ((quote,) * 6)
        spaces = b" *" if self.skip_spaces else b""
        object.__setattr__(self, "_quoted", re.compile(begins + spaces + b"(" + text + b")"))
        object.__setattr__(
            self, "_spaced", re.compile(begins + b"(?: +|(?=" + quote + b"))(" + text + b")?")
        )

    def cut(self, data: bytes) -> int:
        """Return where the last whole record ends, line end included; 0 where there is none."""
        if self.quote is None or self.quote.encode() not in data:
            at = data.rfind(b"\n")
            if at < 0:
                # The other half of a line end may follow the last byte.
                at = data.rfind(b"\r", 0, len(data) - 1)
            return at + 1
        ends = self._ends(data)
        if len(ends) and ends[-1] == len(data) and data.endswith(b"\r"):
            ends = ends[:-1]
        return int(ends[-1]) if len(ends) else 0

    def unclosed(self, data: bytes) -> int | None:
        """Return where a quote opens that does not close, if there is one."""
        if self.quote is None or self.quote.encode() not in data:
            return None
        opens, closes = self._quotes(data)
        return int(opens[-1]) if len(opens) and closes[-1] == len(data) else None

    def spans(self, data: bytes) -> tuple[Positions, Positions]:
        """Return where records begin and end (line end included); empty lines are none."""
        if not data:
            return np.array([], dtype=np.int64), np.array([], dtype=np.int64)
        ends = self._ends(data)
        if not len(ends) or ends[-1] < len(data):
            ends = np.append(ends, len(data))
        starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
        codes = np.frombuffer(data, dtype=np.uint8)
        lengths = ends - starts
        filled = (lengths > 2) | (
            (lengths > 0) & ~np.isin(codes[np.minimum(starts, len(data) - 1)], (_LF, _CR))
        )
        starts, ends = starts[filled], ends[filled]
        if self.skip_spaces:
            blank = self.blank + b"\r\n"
            pairs = zip(starts, ends, strict=True)
            filled = np.array(
                [bool(data[start:end].strip(blank)) for start, end in pairs], dtype=bool
            )
            starts, ends = starts[filled], ends[filled]
        return starts, ends

    def _ends(self, data: bytes) -> Positions:
        codes = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(codes == _LF)
        if b"\r" in data:
            alone = np.flatnonzero(codes == _CR)
            follows = codes[np.minimum(alone + 1, len(codes) - 1)]
            alone = alone[(follows != _LF) | (alone == len(codes) - 1)]
            ends = np.sort(np.concatenate([ends, alone]))
        if self.quote is not None and self.quote.encode() in data:
            opens, closes = self._quotes(data)
            if len(opens):
                last = np.searchsorted(opens, ends) - 1
                inside = (last >= 0) & (ends < closes[np.maximum(last, 0)])
                ends = ends[~inside]
        return ends + 1

    def _quotes(self, data: bytes) -> tuple[Positions, Positions]:
        """Return where quotes open and close; one that never closes ends behind the data."""
        codes = np.frombuffer(data, dtype=np.uint8)
        assert self.quote is not None
        quotes = np.flatnonzero(codes == ord(self.quote))
        opens, closes = quotes[0::2], quotes[1::2]
        if len(closes) < len(opens):
            closes = np.append(closes, len(data))
        before = codes[np.maximum(opens - 1, 0)]
        fair = (opens == 0) | np.isin(before, (ord(self.separator), _LF, _CR))
        # A doubled quote looks like one that closes and one that opens right behind it.
        fair[1:] |= opens[1:] - 1 == closes[:-1]
        if fair.all() and not self.skip_spaces:
            return opens, closes
        found = [match.span(1) for match in self._quoted.finditer(data)]
        spans = np.array(found, dtype=np.int64).reshape(-1, 2)
        opens, closes = spans[:, 0], spans[:, 1] - 1
        if len(opens) and spans[-1, 1] == len(data):
            # Closed by its last byte, or by nothing.
            match = data[opens[-1] :]
            inner = match[1:].replace(self.quote.encode() * 2, b"")
            if self.quote.encode() not in inner:
                closes = np.append(closes[:-1], len(data))
        return opens, closes

    def without_spaces(self, data: bytes) -> bytes:
        """Take away the spaces in front of fields, which are no part of them."""
        if self.quote is not None and self.quote.encode() in data:
            return self._spaced.sub(lambda match: match[1] or b"", data)
        for sign in (self.separator.encode(), b"\n", b"\r"):
            while sign + b" " in data:
                data = data.replace(sign + b" ", sign)
        return data.lstrip(b" ")
