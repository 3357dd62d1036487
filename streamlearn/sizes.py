"""Bytes, rows and seconds as people write and read them."""

from __future__ import annotations

import re

from streamlearn.errors import UsageError

__all__ = [
    "format_bytes",
    "format_rows",
    "format_seconds",
    "option_bytes",
    "parse_bytes",
    "parse_rows",
]

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_bytes(text: str | float) -> int:
    """Read a size such as ``"512MB"``, ``"2GiB"`` or a plain number of bytes.

    Parameters
    ----------
    text : str or int or float
        ``MB`` is 10**6 bytes and ``MiB`` 2**20, as in dask.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    UsageError
        If the text is not a size, or not above zero.

    Examples
    --------
    >>> parse_bytes("512MB"), parse_bytes("2GiB"), parse_bytes(1000)
    (512000000, 2147483648, 1000)
    """
    if isinstance(text, bool):
        raise UsageError(f"{text!r} is not a size in bytes; write for example '512MB' or '2GiB'")
    if isinstance(text, int | float):
        value = float(text)
    else:
        match = _SIZE.fullmatch(text) if isinstance(text, str) else None
        unit = match.group(2).lower() if match else None
        if match is None or unit not in _UNITS:
            raise UsageError(
                f"{text!r} is not a size in bytes; write for example '512MB' or '2GiB'"
            )
        value = float(match.group(1).replace("_", "")) * _UNITS[unit]
    if not 0 < value < 2**63:
        raise UsageError(f"a size in bytes must be above zero and below 8 EiB, not {text!r}")
    return int(value)


def parse_rows(text: str | int) -> int:
    """Read a number of rows such as ``"100_000"``, ``"100,000"``, ``"250k"`` or ``"10M"``.

    Raises
    ------
    UsageError
        If the text is not a whole number above zero.

    Examples
    --------
    >>> parse_rows("100_000"), parse_rows("10M"), parse_rows("2.5k")
    (100000, 10000000, 2500)
    """
    plain = str(text).strip().replace("_", "").replace(",", "").lower()
    factor = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}.get(plain[-1:], 1)
    try:
        value = float(plain[:-1] if factor > 1 else plain) * factor
    except ValueError:
        value = float("nan")
    if not value >= 1 or value != int(value):
        raise UsageError(f"{text!r} is not a number of rows; write for example 100_000 or 10M")
    return int(value)


def format_bytes(size: float) -> str:
    """Write bytes with three digits at most and a decimal unit.

    Examples
    --------
    >>> format_bytes(512_000_000), format_bytes(1_234_000), format_bytes(-1500), format_bytes(999)
    ('512 MB', '1.23 MB', '-1.5 kB', '999 B')
    """
    sign = "-" if size < 0 else ""
    value = abs(float(size))
    units = ["B", "kB", "MB", "GB", "TB", "PB"]
    index = 0
    while value >= 999.5 and index < len(units) - 1:
        value /= 1000
        index += 1
    digits = 0 if value >= 99.95 or index == 0 else 1 if value >= 9.995 else 2
    number = f"{value:.{digits}f}"
    return f"{sign}{number.rstrip('0').rstrip('.') if '.' in number else number} {units[index]}"


def option_bytes(size: float) -> str:
    """Write bytes as an option takes them, rounded up: to MB, and from 10 GB on to GB.

    Examples
    --------
    >>> option_bytes(472_300_000), option_bytes(1.948e12)
    ('473MB', '1948GB')
    """
    unit, name = (10**9, "GB") if size >= 10**10 else (10**6, "MB")
    return f"{-(-int(size) // unit)}{name}"


def format_rows(rows: int) -> str:
    """Write a number of rows with thousands set apart.

    Examples
    --------
    >>> format_rows(1234567)
    '1,234,567'
    """
    return f"{rows:,}"


def format_seconds(seconds: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> format_seconds(0.0213), format_seconds(3.21), format_seconds(75), format_seconds(3723)
    ('21 ms', '3.2 s', '1m 15s', '1h 02m')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m {int(seconds % 60):02d}s"
    return f"{int(seconds // 3600)}h {int(seconds % 3600 // 60):02d}m"
