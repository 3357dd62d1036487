"""What is known of slices: a table for each column sliced by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from streamlearn.score.bootstrap import Interval

__all__ = ["Slice", "SliceTable"]


@dataclass(frozen=True)
class Slice:
    """The rows where a column has a value."""

    name: str
    rows: int
    weight: float
    metrics: Mapping[str, float]
    bounds: Mapping[str, float]
    """Largest error of the metrics that are not exact: ranks are in coarser bins here."""
    intervals: Mapping[str, Interval]


@dataclass(frozen=True)
class SliceTable:
    """The slices of a column.

    Every row is in one of them: nulls are in ``"missing"``, and values beyond the first so many
    in ``"other"``.
    """

    by: str
    """As it was asked for: ``"zone"``, ``"distance:4"``, ``"pickup:month"``, ``"file"``."""
    column: str
    told: str
    """What the slices are: values, quantile bins, months, files."""
    slices: tuple[Slice, ...]
    """By value; those without rows are left out."""

    def __getitem__(self, name: str) -> Slice:
        found = next((item for item in self.slices if item.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def __len__(self) -> int:
        return len(self.slices)

    def worst(
        self, metric: str, *, greater_is_better: bool, least_rows: int = 1, count: int = 5
    ) -> tuple[Slice, ...]:
        """Return the slices in which a metric is worst, worst first.

        Parameters
        ----------
        metric : str
        greater_is_better : bool
        least_rows : int
            Slices of fewer rows are left out: the worst of many small ones is noise.
        count : int

        Examples
        --------
        >>> table = SliceTable("a", "a", "values", tuple(
        ...     Slice(name, rows, rows, {"rmse": value}, {}, {})
        ...     for name, rows, value in [("x", 50, 1.0), ("y", 60, 3.0), ("z", 2, 9.0)]
        ... ))
        >>> [s.name for s in table.worst("rmse", greater_is_better=False, least_rows=30)]
        ['y', 'x']
        """
        known = [
            item
            for item in self.slices
            if item.rows >= least_rows and not math.isnan(item.metrics.get(metric, math.nan))
        ]
        known.sort(key=lambda item: item.metrics[metric], reverse=not greater_is_better)
        return tuple(known[:count])
