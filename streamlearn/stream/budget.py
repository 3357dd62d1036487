"""The memory budget as people say it, in bytes."""

from __future__ import annotations

import logging
from pathlib import Path

from streamlearn.errors import UsageError
from streamlearn.sizes import format_bytes, parse_bytes

__all__ = ["available_bytes", "cgroup_limit", "resolve_budget"]

log = logging.getLogger("streamlearn")
_NO_LIMIT = 2**60


def cgroup_limit(root: Path = Path("/")) -> int | None:
    """Return the tightest memory limit of the control groups this process is in, or None.

    Version 1 and 2, nested: the group's own limit and those of all above it bind. Inside a
    container the group's folder may be the mount itself.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are found.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        number, names, group = line.split(":", 2)
        if number == "0" and not names:
            base, files = root / "sys/fs/cgroup", ["memory.max", "memory.high"]
        elif "memory" in names.split(","):
            base, files = root / "sys/fs/cgroup/memory", ["memory.limit_in_bytes"]
        else:
            continue
        folder = base / group.strip("/")
        if not folder.is_dir():
            folder = base
        while True:
            limits += [_read_limit(folder / name) for name in files]
            if folder == base:
                break
            folder = folder.parent
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None)


def _read_limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def available_bytes(reserved_bytes: int) -> int:
    """Return what this process may hold: its container's limit, or its memory plus what is free."""
    import psutil

    room = int(psutil.virtual_memory().available) + reserved_bytes
    limit = cgroup_limit()
    return room if limit is None else min(room, limit)


def resolve_budget(budget: str | int | None, reserved_bytes: int) -> int:
    """Return a budget in bytes.

    Parameters
    ----------
    budget : str or int or None
        ``"512MB"``, ``"2GiB"`` or bytes; ``"auto"`` (or None) for half of what is available;
        ``"50%"`` for a share of it; ``"+300MB"`` above what the process holds already. The
        limit of a container binds a larger budget.
    reserved_bytes : int
        What the process holds now.

    Raises
    ------
    MemoryBudgetError
        If the process holds more than the budget already.
    UsageError
        If the budget cannot be read.

    Examples
    --------
    >>> resolve_budget("512MB", 100), resolve_budget("+1MB", 2_000_000)
    (512000000, 3000000)
    """
    if budget is None or budget == "auto":
        limit = max(available_bytes(reserved_bytes) // 2, reserved_bytes + 1)
    elif isinstance(budget, str) and budget.strip().endswith("%"):
        try:
            share = float(budget.strip()[:-1])
        except ValueError:
            share = -1.0
        if not 0 < share <= 100:
            raise UsageError(f"{budget!r} is not a share of memory; write for example '50%'")
        limit = int(available_bytes(reserved_bytes) * share / 100)
    elif isinstance(budget, str) and budget.strip().startswith("+"):
        limit = reserved_bytes + parse_bytes(budget.strip()[1:])
    else:
        limit = parse_bytes(budget)
    bound = cgroup_limit()
    if bound is not None and bound < limit:
        # The kernel rounds to pages.
        log.log(
            logging.WARNING if bound < 0.999 * limit else logging.DEBUG,
            "the memory budget of %s is more than this container may hold; its limit of %s binds",
            format_bytes(limit),
            format_bytes(bound),
        )
        limit = bound
    return limit
