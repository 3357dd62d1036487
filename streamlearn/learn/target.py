"""The target: its classes and their counts, or its range; and whether it drifts along the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.errors import CellError, DataError
from streamlearn.learn.counts import ValueCounts
from streamlearn.learn.moments import Moments

__all__ = ["TargetProfile"]

_SEGMENTS = 64
_DRIFT_SHARE = 0.1
_MOST_CLASSES = 100_000
_MOST_FOR_DRIFT = 1_000
"""Classes up to which they are counted by stretches too."""


class TargetProfile:
    """What the statistics pass learns of the target.

    Parameters
    ----------
    classes : bool
        Whether the target is a class (a classifier learns it) or a number.
    rows : int
        Rows of the source, to cut it into 64 segments for the drift check.
    """

    def __init__(self, *, classes: bool, rows: int) -> None:
        self._is_class = classes
        self._rows = max(1, rows)
        self._counts = ValueCounts()
        self._moments = Moments(1)
        self._segments: list[Any] = [None] * _SEGMENTS
        self.rows = 0
        """Rows seen."""

    @property
    def is_class(self) -> bool:
        """Whether the target is a class, and not a number."""
        return self._is_class

    def update(self, y: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Take in the target of a block; ``rows`` are their numbers in the source."""
        self.rows += len(y)
        segments = rows * _SEGMENTS // self._rows
        bounds = np.flatnonzero(np.diff(segments)) + 1
        for part, first in zip(np.split(y, bounds), [0, *bounds], strict=True):
            self._update_segment(int(segments[first]), part)

    def _update_segment(self, segment: int, y: NDArray[Any]) -> None:
        if not self._is_class:
            values = y.astype(np.float64)[:, None]
            if self._segments[segment] is None:
                self._segments[segment] = Moments(1)
            self._segments[segment].add(values)
            self._moments.add(values)
            return
        if y.dtype.kind == "f":
            bad = y != np.floor(y)
            if bad.any():
                at = int(bad.argmax())
                raise CellError(
                    at,
                    "target",
                    f"{y[at]} has a fraction; a classifier learns classes: use a regressor, "
                    "or compute the class with derive=",
                )
        column = pa.array(y)
        self._counts.add(column)
        if len(self._counts) > _MOST_FOR_DRIFT:
            self._segments = [None] * _SEGMENTS
        else:
            if self._segments[segment] is None:
                self._segments[segment] = ValueCounts()
            self._segments[segment].add(column)
        self._check_classes()

    def _check_classes(self) -> None:
        if len(self._counts) > _MOST_CLASSES:
            raise DataError(
                f"the target has more than {_MOST_CLASSES:,} distinct values in "
                f"{self.rows:,} rows; it does not look like a class: use a regressor"
            )

    def merge(self, other: TargetProfile) -> None:
        """Take in the profile of the rows that come after."""
        self.rows += other.rows
        self._counts.merge(other._counts)
        self._check_classes()
        self._moments.merge(other._moments)
        for index, theirs in enumerate(other._segments):
            if self._segments[index] is None:
                self._segments[index] = theirs
            elif theirs is not None:
                self._segments[index].merge(theirs)

    def classes(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the sorted classes, as `numpy.unique` would, and the rows of each."""
        values, counts = self._counts.result()
        found = np.asarray(values.to_numpy(zero_copy_only=False))
        # unique once more: 0.0 and -0.0 are one class
        classes, place = np.unique(found, return_inverse=True)
        return classes, np.bincount(place, weights=counts).astype(np.int64)

    def class_weights(self) -> dict[Any, float]:
        """Return scikit-learn's "balanced" weight of each class: rows / (classes x rows of it)."""
        found, counts = self.classes()
        share = counts.sum() / (len(found) * counts.astype(np.float64))
        return {value: float(weight) for value, weight in zip(found.tolist(), share, strict=True)}

    def mean(self) -> float:
        """Return the mean of a numeric target."""
        return float(self._moments.mean[0])

    def variance(self) -> float:
        """Return the population variance of a numeric target."""
        return float(self._moments.variance[0])

    def check(self) -> None:
        """Refuse a target that teaches nothing.

        Raises
        ------
        DataError
            If all rows have the same target.
        """
        if self._is_class:
            found, _ = self.classes()
            self._check_classes()
            if len(found) < 2:
                shown = repr(found[0].item() if hasattr(found[0], "item") else found[0])
                raise DataError(
                    f"the target is {shown} in all {self.rows:,} rows; a classifier needs at "
                    "least two classes: check target= and where="
                )
        elif self.rows > 1 and self.variance() == 0:
            raise DataError(
                f"the target is {self.mean():g} in all {self.rows:,} rows; there is nothing to "
                "learn: check target= and where="
            )

    def drift(self) -> float:
        """Return how much of the target's variation lies between 64 stretches of the data, 0 to 1.

        For numbers the correlation ratio (between-group share of the variance), for classes
        its counterpart over class indicators.
        """
        if not self._is_class:
            total = self.variance() * self.rows
            between = sum(
                float(part.count[0]) * (float(part.mean[0]) - self.mean()) ** 2
                for part in self._segments
                if part is not None
            )
            return between / total if total > 0 else 0.0
        found, counts = self.classes()
        if len(found) > _MOST_FOR_DRIFT:
            return 0.0  # the stretches' counts were not kept
        position = {value: index for index, value in enumerate(found.tolist())}
        share = counts / counts.sum()
        total = float(counts.sum() * (1 - (share**2).sum()))
        between = 0.0
        for part in self._segments:
            if part is None:
                continue
            values, times = part.result()
            here = np.zeros(len(found))
            here[[position[value] for value in values.to_pylist()]] = times
            rows = here.sum()
            between += float(rows * ((here / rows - share) ** 2).sum())
        return between / total if total > 0 else 0.0

    def drifts(self) -> bool:
        """Whether order matters so much that learning without shuffling is a risk."""
        return self.rows >= 1000 and self.drift() > _DRIFT_SHARE
