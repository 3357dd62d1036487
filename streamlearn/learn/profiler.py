"""What the columns of some data are: an accumulator over its rows.

Two depths. In a pass of its own every row counts for everything. In the statistics pass of a
fit, where it must cost next to nothing, nulls and extrema are of all rows, and the rest is of a
sample of them; of more than 500 columns everything is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block, Field, Schema
from streamlearn.learn.distinct import Distinct, Known, sketch_sizes
from streamlearn.learn.extents import Extents
from streamlearn.learn.findings import find
from streamlearn.learn.moments import Moments
from streamlearn.learn.profile import Profile
from streamlearn.learn.row_sample import Bound, RowSample, rank_error, row_bytes, sample_rows
from streamlearn.learn.summary import Exact, summarize

__all__ = ["Profiler", "profile_bytes", "profilers"]

_MOST_TOUCHED = 500
"""Columns up to which a fit looks at all of their values, and not at a sample alone."""
_COLUMN_BYTES = 2_000
"""Of a column's profile, as objects of Python."""
_MOST_SKETCHED = 500
"""Columns up to which distinct values are counted one column at a time."""


def profilers(schema: Schema, target: Field | None, *, full: bool) -> Callable[[], Profiler]:
    """Return what makes empty profilers that will be merged."""
    bound = Bound()
    known = [Known() for _ in range(len(schema) + 1)]
    return lambda: Profiler(schema, target, full=full, bound=bound, known=known)


def profile_bytes(schema: Schema, *, full: bool) -> int:
    """Return the most that one profiler holds, what merging needs for a moment included."""
    counted, hashes = sketch_sizes(len(schema))
    sample = 5 * sample_rows(schema) * row_bytes(schema)
    sketches = len(schema) * (250 * counted + 24 * hashes)
    sketched = full and len(schema) <= _MOST_SKETCHED
    return int(sample + _COLUMN_BYTES * len(schema) + (sketches if sketched else 0))


class Profiler:
    """Profiles all columns of a dataset, and its target.

    Parameters
    ----------
    schema : Schema
        Of the blocks that come.
    target : Field or None
        Where the target comes apart from the columns.
    full : bool
        Whether every row counts for everything.
    bound : Bound, optional
        One for all profilers that will be merged.
    known : list of Known, optional
        The same, for each column.

    Notes
    -----
    Extrema, nulls, distinct values and the sample do not depend on how rows are cut; means and
    deviations are rounded, and take blocks of fixed size.
    """

    def __init__(
        self,
        schema: Schema,
        target: Field | None = None,
        *,
        full: bool,
        bound: Bound | None = None,
        known: Sequence[Known] | None = None,
    ) -> None:
        if target is not None and pa.types.is_decimal(target.type):
            target = Field(target.name, pa.float64())
        self._fields = [*schema, *([target] if target is not None else [])]
        self._has_target = target is not None
        self._full = full
        # Merely to touch so many columns of short chunks would take longer than a fit may notice.
        self._only_sample = not full and len(self._fields) > _MOST_TOUCHED
        self.rows = 0
        self._nulls = np.zeros(len(self._fields), dtype=np.int64)
        self._extents = Extents([field.type for field in self._fields])
        self._sample = RowSample(sample_rows(Schema(tuple(schema), schema.named)), bound)
        self._numbers = [i for i, field in enumerate(self._fields) if _has_mean(field.type)]
        self._moments = Moments(len(self._numbers)) if full else None
        self._distinct: list[Distinct] = []
        if full and len(self._fields) <= _MOST_SKETCHED:
            sizes = sketch_sizes(len(self._fields))
            known = known or [Known() for _ in self._fields]
            self._distinct = [Distinct(*sizes, item) for item in known[: len(self._fields)]]

    def update(self, X: Block, y: Any, rows: NDArray[np.int64]) -> None:
        """Take in rows, however they are cut; ``rows`` are their numbers in the source."""
        self.rows += len(rows)
        others = [np.asarray(y)] if self._has_target and y is not None else []
        self._sample.add(X, others[0] if others else None, rows)
        if self._only_sample:
            return
        if isinstance(X, pa.RecordBatch):
            columns = [*X.columns, *others]
            self._extents.add(columns)
            nulls = [column.null_count for column in columns[: X.num_columns]]
            self._nulls[: X.num_columns] += np.array(nulls, dtype=np.int64)
        else:
            columns = [*X.T, *others]
            self._extents.add_matrix(X, others)
        for distinct, column in zip(self._distinct, columns, strict=False):
            distinct.add(_arrow(column))

    def update_block(self, X: Block, y: Any) -> None:
        """Take in a block of fixed size, for what is rounded block by block."""
        if self._moments is None or not self._numbers:
            return
        columns = [*(X.columns if isinstance(X, pa.RecordBatch) else X.T)]
        if self._has_target:
            columns.append(y)
        self._moments.add(_finite([columns[i] for i in self._numbers]).T)

    def merge(self, other: Profiler) -> None:
        """Take in the profile of the rows that come after."""
        self.rows += other.rows
        self._nulls += other._nulls
        self._extents.merge(other._extents)
        self._sample.merge(other._sample)
        if self._moments is not None and other._moments is not None:
            self._moments.merge(other._moments)
        for mine, theirs in zip(self._distinct, other._distinct, strict=True):
            mine.merge(theirs)

    def value(
        self,
        target: str | None = None,
        classes: tuple[list[Any], list[int]] | None = None,
    ) -> Profile:
        """Return the profile, with what it gives cause to think.

        Parameters
        ----------
        target : str, optional
            Name of the target among the columns, if it does not come apart from them.
        classes : (values, rows of each), optional
            Of the target, where they were counted and it is known to be a class.
        """
        if self._has_target:
            target = self._fields[-1].name
        X, y, row_numbers = self._sample.result()
        sample = self._sampled(X, y)
        whole = len(row_numbers) == self.rows
        extents, nulls, scale = self._extents, self._nulls, 1.0
        if self._only_sample:
            extents = Extents([field.type for field in self._fields])
            extents.add(sample)
            nulls = np.array([column.null_count for column in sample])
            scale = self.rows / max(1, len(row_numbers))
        moments = _moments_of(self._moments) if self._moments is not None else []
        of = dict(zip(self._numbers, moments, strict=False))
        summaries = []
        for i, item in enumerate(self._fields):
            exact = Exact(
                rows=self.rows,
                nulls=round(scale * int(nulls[i])),
                nans=round(scale * int(extents.nans[i])),
                infinite=round(scale * int(extents.infinite[i])),
                extent=extents.of(i),
                moments=of.get(i),
                distinct=self._distinct[i] if self._distinct else None,
                extent_is_exact=not self._only_sample,
            )
            summaries.append(summarize(item, exact, sample[i]))
        found = Profile(
            rows=self.rows,
            sampled_rows=len(row_numbers),
            rank_error=0.0 if whole else round(rank_error(len(row_numbers)), 6),
            columns=tuple(summaries),
            target=target,
            full=self._full,
            extremes_exact=whole or not self._only_sample,
        )
        return find(found, sample, classes)

    def _sampled(self, X: Any, y: Any) -> list[pa.Array]:
        """Return the sampled rows, column by column."""
        if X is None:
            return [pa.array([], field.type) for field in self._fields]
        columns = X.columns if isinstance(X, pa.RecordBatch) else list(X.T)
        arrays = [_arrow(column) for column in columns]
        return [*arrays, _arrow(y)] if self._has_target else arrays


def _has_mean(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(is_kind(kind) for is_kind in kinds)


def _arrow(column: Any) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return pa.array(np.ascontiguousarray(column))


def _finite(columns: list[Any]) -> NDArray[np.float64]:
    """Return columns as rows of float64, with NaN for what is missing or infinite."""
    out = np.empty((len(columns), len(columns[0])))
    for line, column in zip(out, columns, strict=True):
        if isinstance(column, pa.Array):
            if not pa.types.is_floating(column.type):
                column = column.cast(pa.float64(), safe=False)
            column = column.to_numpy(zero_copy_only=False)
        line[:] = column
    out[np.isinf(out)] = np.nan
    return out


def _moments_of(moments: Moments) -> list[tuple[float, float | None] | None]:
    """Return mean and sample standard deviation of each column."""
    found: list[tuple[float, float | None] | None] = []
    for count, mean, variance in zip(
        moments.count.tolist(), moments.mean.tolist(), moments.variance.tolist(), strict=True
    ):
        if not count:
            found.append(None)
        elif count < 2:
            found.append((mean, None))
        else:
            found.append((mean, float(np.sqrt(max(0.0, variance * count / (count - 1))))))
    return found
