"""Columns that the names of directories hold: ``year=2023/city=a%20b``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

__all__ = ["hive_types", "hive_values"]


def hive_values(file: str) -> dict[str, str | None]:
    """Return the columns that a path holds.

    Examples
    --------
    >>> hive_values("trips/year=2023/city=a%20b/part.parquet")
    {'year': '2023', 'city': 'a b'}
    """
    values: dict[str, str | None] = {}
    for part in Path(file).parent.parts:
        name, sign, value = part.partition("=")
        if sign and name:
            values[name] = None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
    return values


def hive_types(partitions: Iterable[Mapping[str, str | None]]) -> dict[str, pa.DataType]:
    """Return the type of each such column: int64 where all are whole numbers, else string."""
    types: dict[str, pa.DataType] = {}
    for values in partitions:
        for name, value in values.items():
            whole = value is None or value.lstrip("-").isdigit()
            if types.setdefault(name, pa.int64()) == pa.int64() and not whole:
                types[name] = pa.string()
    return types
