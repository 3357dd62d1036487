"""Whether prepared rows are kept on disk between epochs: seconds saved against seconds spent."""

from __future__ import annotations

from dataclasses import dataclass

from streamlearn.errors import UsageError
from streamlearn.sizes import format_bytes

__all__ = ["Cache", "plan_cache"]

_DECODE_BPS = 0.9e9
_PREPARE_BPS = {"dense": 2.0e9, "sparse": 0.7e9, "text": 0.05e9}
"""Bytes a second of decoding raw columns, and of making prepared rows (measured, one core)."""
_WRITE_BPS = 0.8e9
_READ_BPS = 1.2e9
"""Of scratch files: less than a page cache gives, more than a slow disk does."""
_LEAST_S = 0.5
"""Saved, that are worth telling of."""
_SHARE_OF_FREE = 0.5
"""Of the free disk, that is taken without being asked to."""


@dataclass(frozen=True)
class Cache:
    """Prepared rows kept on disk."""

    size_bytes: int
    saved_s: float
    """Projected; below zero where it was asked for although it does not pay."""


def plan_cache(
    *,
    rows: int,
    raw_row_bytes: float,
    row_bytes: float,
    kind: str,
    epochs: int,
    free_bytes: int,
    wanted: bool | None = None,
) -> Cache | None:
    """Decide whether to keep prepared rows.

    Parameters
    ----------
    rows : int
    raw_row_bytes, row_bytes : float
        Bytes of a row decoded, and prepared.
    kind : {"dense", "sparse", "text"}
        Of the preparing.
    epochs : int
    free_bytes : int
        Of the disk.
    wanted : bool or None
        What the user said; None: where it saves time, and the disk has twice the room.

    Raises
    ------
    UsageError
        If it was asked for and the disk has no room.

    Examples
    --------
    >>> plan_cache(rows=10**7, raw_row_bytes=116, row_bytes=112, kind="dense", epochs=1,
    ...            free_bytes=10**12) is None
    True
    >>> plan_cache(rows=10**7, raw_row_bytes=116, row_bytes=112, kind="dense", epochs=5,
    ...            free_bytes=10**12).size_bytes
    1360000000
    """
    if wanted is False or epochs < 2:
        return None
    kept = row_bytes + 24  # number, target and weight of the row
    again = raw_row_bytes / _DECODE_BPS + row_bytes / _PREPARE_BPS[kind]
    spent = kept / _WRITE_BPS + (epochs - 1) * kept / _READ_BPS
    found = Cache(int(rows * kept), rows * ((epochs - 1) * again - spent))
    if wanted and found.size_bytes > free_bytes:
        raise UsageError(
            f"cache=True keeps {format_bytes(found.size_bytes)} of rows on disk, but where scratch "
            f"is kept there are {format_bytes(free_bytes)} free; name another folder with "
            "scratch_dir= or --scratch-dir, or do without --cache"
        )
    if wanted is None and (
        found.saved_s < _LEAST_S or found.size_bytes > _SHARE_OF_FREE * free_bytes
    ):
        return None
    return found
