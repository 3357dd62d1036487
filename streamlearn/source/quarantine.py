"""Rows set aside because they cannot be used: which, where, and why."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import DataError
from streamlearn.source.base import Fragment, Rejected

__all__ = ["Quarantine"]

_FIRST = 100
_MOST_ROWS = 5_000_000
_NO_ROWS = np.empty(0, np.int64)


class Quarantine:
    """What one screening of the data has found.

    Later passes leave out exactly these rows, so that every pass sees the same ones. Records go
    to a temporary file as they come; in memory are the row numbers and the first hundred records.

    Parameters
    ----------
    folder : path, optional
        Where to keep the records; the system's temporary folder by default.

    Examples
    --------
    >>> part = Fragment(0, "a.parquet", 0, 0, 100)
    >>> found = Quarantine()
    >>> found.add(part, [Rejected("a.parquet", 0, 7, 1, "the target is missing", "y")])
    >>> found.count, found.rows_of(part).tolist(), found.holds(part)
    (1, [7], False)
    """

    def __init__(self, folder: str | None = None) -> None:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._spool = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115 - lives as long as this
        weakref.finalize(self, self._spool.close)
        self._whole: set[int] = set()
        self._rows: dict[int, NDArray[np.int64]] = {}
        self.first: list[Rejected] = []
        """The first records."""
        self.reasons: Counter[str] = Counter()
        """Rows by reason."""
        self.count = 0
        """Rows set aside."""

    def add(self, fragment: Fragment, found: Sequence[Rejected]) -> None:
        """Set rows of a fragment aside; one record for all of its rows sets the whole aside.

        Raises
        ------
        DataError
            If there are more than five million such rows: then it is no accident.
        """
        if not found:
            return
        if found[0].rows == fragment.rows and fragment.rows > 1:
            self._whole.add(fragment.index)
        else:
            self._rows[fragment.index] = np.unique(
                np.concatenate([np.arange(item.row, item.row + item.rows) for item in found])
            )
            if len(self._rows[fragment.index]) == fragment.rows:
                self._whole.add(fragment.index)
        self.record(found)
        held = sum(len(rows) for rows in self._rows.values())
        if held > _MOST_ROWS:
            reason, times = self.reasons.most_common(1)[0]
            raise DataError(
                f"{held:,} rows cannot be used, most of them ({times:,}) because: {reason}; that "
                "is no accident: mend the data, or leave such rows out with where="
            )

    def record(self, found: Sequence[Rejected]) -> None:
        """Count and list rows, without a say in what is read: they were found after reading."""
        known: set[int] = set()
        for item in found:
            self._spool.write(json.dumps(asdict(item)) + "\n")
            if len(self.first) < _FIRST:
                self.first.append(item)
            if item.row not in known:
                known.add(item.row)
                self.count += item.rows
                self.reasons[_kind(item)] += item.rows

    def holds(self, fragment: Fragment) -> bool:
        """Whether the whole fragment is set aside."""
        return fragment.index in self._whole

    def rows_of(self, fragment: Fragment) -> NDArray[np.int64]:
        """Numbers of the rows of a fragment that are set aside, increasing."""
        return self._rows.get(fragment.index, _NO_ROWS)

    def save(self, path: Path) -> None:
        """Write all records, one JSON object a line."""
        self._spool.seek(0)
        with path.open("w", encoding="utf-8") as out:
            shutil.copyfileobj(self._spool, out)
        self._spool.seek(0, 2)

    def told(self) -> str:
        """Say in a line how many rows were set aside, and why."""
        common = self.reasons.most_common(3)
        parts = [f"{rows:,}: {reason}" for reason, rows in common]
        more = self.count - sum(rows for _, rows in common)
        if more:
            parts.append(f"{more:,} for other reasons")
        return f"{self.count:,} rows cannot be used and are left out ({'; '.join(parts)})"

    def summary(self) -> dict[str, Any]:
        """Return what a report says of it."""
        return {
            "rows": self.count,
            "reasons": dict(self.reasons.most_common(20)),
            "first": [asdict(item) for item in self.first],
        }


def _kind(item: Rejected) -> str:
    return f"column {item.column!r}: {item.reason}" if item.column else item.reason
