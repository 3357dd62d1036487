"""How large the pages of a parquet column are: what a reader has to hold of it at once.

Footers do not say. Each page begins with a header in Thrift's compact protocol, whose first
fields are its kind and its two sizes (parquet-format, ``PageHeader``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["PageSizes", "page_sizes"]

_HEADER_BYTES = (256, 65_536)
_FEW_PAGES, _MOST_PAGES = 32, 10_000
"""Pages looked at from a column's first: a dictionary, what uses it, and what no longer does; of
texts, whose lengths may change at any page, all."""
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_2 = 0, 2, 3
_DETAILS = {_DATA_PAGE: 5, _DICTIONARY_PAGE: 7, _DATA_PAGE_2: 8}
"""Field of the header that a kind of page has its own details in; they begin with its values."""
_BOOLEANS = (1, 2)
_INTEGERS = (4, 5, 6)


@dataclass(frozen=True)
class PageSizes:
    """The largest pages of a stretch of a column, in bytes."""

    stored: int
    """Compressed."""
    decoded: int
    dictionary: int = 0
    """Of the dictionary, decoded."""
    value_bytes: float = 0.0
    """Mean length of a value in the page (or dictionary) where values are longest."""


def page_sizes(
    read: Callable[[int, int], bytes], start: int, stop: int, *, texts: bool = False
) -> PageSizes | None:
    """Walk the page headers of a column chunk.

    Parameters
    ----------
    read : callable
        Returns bytes of the file: how many, from where.
    start, stop : int
        Bytes of the file that the column chunk occupies.
    texts : bool
        Whether values vary in length.

    Returns
    -------
    PageSizes or None
        None where the headers cannot be made out.
    """
    if start < 0 or stop < start:
        return None
    stored = decoded = dictionary = 0
    longest = 0.0
    at = start
    for _ in range(_MOST_PAGES if texts else _FEW_PAGES):
        if at >= stop:
            break
        header = _read_header(read, at)
        if header is None:
            return None
        if header.kind == _DICTIONARY_PAGE:
            dictionary = max(dictionary, header.decoded)
        if header.values:
            longest = max(longest, header.decoded / header.values)
        stored, decoded = max(stored, header.stored), max(decoded, header.decoded)
        at += header.length + header.stored
    return PageSizes(stored, decoded, dictionary, longest)


@dataclass(frozen=True, slots=True)
class _Header:
    length: int
    kind: int
    decoded: int
    stored: int
    values: int


def _read_header(read: Callable[[int, int], bytes], at: int) -> _Header | None:
    for size in _HEADER_BYTES:
        data = read(size, at)
        try:
            return _parse_header(data)
        except IndexError:
            continue  # the header is longer than what was read
        except ValueError:
            return None
    return None


def _parse_header(data: bytes) -> _Header:
    reader = _Compact(data)
    found: dict[int, int] = {}
    values = field = 0
    while lead := reader.byte():
        field = field + (lead >> 4) if lead >> 4 else reader.signed()
        if lead & 15 == 5:
            found[field] = reader.signed()
        elif lead & 15 == 12 and field == _DETAILS.get(found.get(1, -1)):
            values = reader.first_number()
        else:
            reader.skip(lead & 15)
    try:
        kind, unpacked, packed = found[1], found[2], found[3]
    except KeyError as error:
        raise ValueError("no page header") from error
    if unpacked < 0 or packed < 0:
        raise ValueError("no page header")
    return _Header(reader.at, kind, unpacked, packed, max(0, values))


class _Compact:
    """The few things of Thrift's compact protocol that a page header needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            part = self.byte()
            value |= (part & 0x7F) << shift
            if not part & 0x80:
                return value
            shift += 7

    def signed(self) -> int:
        value = self.unsigned()
        return value >> 1 ^ -(value & 1)

    def first_number(self) -> int:
        """Pass over a struct; return its first field, where that is a number."""
        found = 0
        first = True
        while lead := self.byte():
            if not lead >> 4:
                self.signed()
            if first and lead == 0x15:
                found = self.signed()
            else:
                self.skip(lead & 15)
            first = False
        return found

    def skip(self, kind: int) -> None:
        """Pass over a value of a type: a number, bytes, a list or a struct."""
        if kind in _BOOLEANS:
            return
        if kind == 3:
            self.at += 1
        elif kind in _INTEGERS:
            self.unsigned()
        elif kind == 7:
            self.at += 8
        elif kind == 8:
            length = self.unsigned()
            self.at += length
        elif kind in (9, 10):
            lead = self.byte()
            count = lead >> 4 if lead >> 4 < 15 else self.unsigned()
            for _ in range(count):
                self.skip(lead & 15)
        elif kind == 12:
            while lead := self.byte():
                if not lead >> 4:
                    self.signed()
                self.skip(lead & 15)
        else:
            raise ValueError(f"type {kind} in a page header")
        if self.at > len(self._data):
            raise IndexError
