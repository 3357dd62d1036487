"""The files that are read while others are written."""

from __future__ import annotations

import os

from streamlearn.source.dataset import Dataset
from streamlearn.source.library.arrays import ArraySource
from streamlearn.source.library.tables import TableSource

__all__ = ["stored_bytes", "stored_paths"]


def stored_paths(data: Dataset) -> list[str]:
    """Return the files and stores that are read; none for what is in memory."""
    in_memory = {"array": ArraySource, "table": TableSource}
    paths = dict.fromkeys(fragment.path for fragment in data.fragments)
    return [
        path
        for path in paths
        if not (path in in_memory and isinstance(data.source, in_memory[path]))
        and os.path.exists(path)
    ]


def stored_bytes(data: Dataset) -> int:
    """Return the bytes of these files and stores."""
    total = 0
    for path in stored_paths(data):
        inside = [
            os.path.join(folder, file) for folder, _, files in os.walk(path) for file in files
        ]
        total += sum(os.stat(file).st_size for file in inside or [path])
    return total
