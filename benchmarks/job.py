"""What a contender is told, and how its process answers.

Contenders run under interpreters of their own, so this file and `program` import the standard
library, numpy and pyarrow only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One run of one contender."""

    program: str
    """Module under ``benchmarks.contenders``."""
    folder: str
    """Where the rows to learn from are."""
    held: str
    """Where the rows to score on are: parquet, of the same columns."""
    out: str
    """Empty folder for what the contender writes."""
    rows: int
    """How many rows to take, from the first on."""
    budget: str
    epochs: int = 1
    target: str = "label"
    metric: str = "accuracy"
    """Or ``rmse``."""

    def dumps(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def loads(text: str) -> Job:
        """Read what `dumps` wrote."""
        return Job(**json.loads(text))
