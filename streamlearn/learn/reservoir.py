"""Rows drawn at random: those whose numbers have the smallest hashes.

Which rows these are depends on the seed and the row numbers alone: not on chunks, threads, or
which rows a stretch is merged with.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block, concat_blocks
from streamlearn.errors import UnsupportedEstimatorError
from streamlearn.mixing import mixed
from streamlearn.prepare.frame import numbers, to_frame

__all__ = ["LandmarkSample", "RowReservoir", "SampleFit", "row_hash"]

_SPARE = 1.25
"""How many times its size a reservoir holds before it is cut down."""


def row_hash(rows: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a hash of each row number, all of them different.

    Notes
    -----
    SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA
    2014), as for held-out rows, but with another start: a sample of the rows that are not held
    out must not be the share next to those that are.
    """
    with np.errstate(over="ignore"):
        z = rows.astype(np.uint64) + np.uint64(seed % 2**64) * np.uint64(0xA0761D6478BD642F)
        z = (z ^ np.uint64(0xE7037ED1A0B428DB)) * np.uint64(0x9E3779B97F4A7C15)
        return mixed(z)


class RowReservoir:
    """A uniform sample of rows without replacement, with all that belongs to them.

    Parameters
    ----------
    size : int
        Rows to keep; all of them where there are fewer.
    seed : int

    Examples
    --------
    >>> one, two = RowReservoir(3, seed=0), RowReservoir(3, seed=0)
    >>> one.add(np.arange(50), np.arange(50.0)[:, None])
    >>> two.add(np.arange(50, 100), np.arange(50, 100.0)[:, None])
    >>> one.merge(two)
    >>> rows, X, y, weight = one.sample()
    >>> bool((X[:, 0] == rows).all()), len(rows), one.seen
    (True, 3, 100)
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seen = 0
        """Rows offered."""
        self._seed = seed
        self._limit = np.uint64(2**64 - 1)
        self._held = 0
        self._parts: list[tuple[NDArray[np.int64], Block, Any, Any]] = []

    def add(self, rows: NDArray[np.int64], X: Block, y: Any = None, weight: Any = None) -> None:
        """Offer the rows of a block, by their numbers in the source."""
        self.seen += len(rows)
        taken = np.flatnonzero(row_hash(rows, self._seed) <= self._limit)
        if len(taken):
            held = (rows[taken], _take(X, taken), _take(y, taken), _take(weight, taken))
            self._parts.append(held)
            self._held += len(taken)
        self._bound()

    def merge(self, other: RowReservoir) -> None:
        """Take in the sample of other rows."""
        self.seen += other.seen
        self._parts += other._parts
        self._held += other._held
        self._limit = min(self._limit, other._limit)
        self._bound()

    def sample(self) -> tuple[NDArray[np.int64], Block, Any, Any]:
        """Return row numbers, rows, target and weight of the sample, by row number."""
        self._shrink()
        rows, X, y, weight = self._parts[0]
        order = np.argsort(rows, kind="stable")
        return rows[order], _take(X, order), _take(y, order), _take(weight, order)

    def _bound(self) -> None:
        """Cut down, once it pays, what is held."""
        if self._held > _SPARE * self.size:
            self._shrink()

    def _shrink(self) -> None:
        """Put what is held into one part, and keep the smallest hashes of it."""
        if len(self._parts) > 1:
            where, X, y, weight = zip(*self._parts, strict=True)
            self._parts = [(np.concatenate(where), _concat(X), _concat(y), _concat(weight))]
            del X, y, weight
        if self._held <= self.size:
            return
        rows, X, y, weight = self._parts[0]
        hashes = row_hash(rows, self._seed)
        kept = np.sort(np.argpartition(hashes, self.size - 1)[: self.size])
        self._parts = [(rows[kept], _take(X, kept), _take(y, kept), _take(weight, kept))]
        self._held = self.size
        self._limit = hashes[kept].max()


def _take(part: Any, taken: NDArray[np.intp]) -> Any:
    """Copy rows of a block of any kind."""
    if part is None:
        return None
    if isinstance(part, pa.RecordBatch):
        return part.take(pa.array(taken))
    if hasattr(part, "iloc"):
        return part.iloc[taken]
    return [part[index] for index in taken] if isinstance(part, list) else part[taken]


def _concat(parts: tuple[Any, ...]) -> Any:
    if parts[0] is None:
        return None
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    return concat_blocks(parts)


class SampleFit:
    """Fits any transformer, on a sample of the rows: not exact, and made for where nothing else is.

    Parameters
    ----------
    estimator : transformer
    rows : int
        Rows to fit it on.
    seed : int
    """

    takes_sparse = True
    """A sparse block is sampled as it is."""

    def __init__(self, estimator: Any, rows: int = 100_000, seed: int = 0) -> None:
        self.needs_target = _requires_target(estimator)
        """Whether the estimator cannot be fitted without ``y``."""
        self._reservoir = RowReservoir(rows, seed)
        self._rows: NDArray[np.int64] | None = None

    @property
    def rows_seen(self) -> int:
        """Rows the sample was drawn from."""
        return self._reservoir.seen

    @property
    def rows_sampled(self) -> int:
        """Rows the estimator is fitted on."""
        return min(self._reservoir.seen, self._reservoir.size)

    def note_rows(self, rows: NDArray[np.int64]) -> None:
        """See `Numbered.note_rows`."""
        self._rows = rows

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        assert self._rows is not None
        self._reservoir.add(self._rows, X, y, sample_weight)

    def merge(self, other: SampleFit) -> None:
        """See `Accumulator.merge`."""
        self._reservoir.merge(other._reservoir)

    def planned_bytes(self, columns: int, rows: int) -> int:
        """See `Sized`: the sample, and as much again twice while it is cut down; texts take more."""
        return min(3 * self._reservoir.size + 8192, rows) * (8 * columns + 24)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: scikit-learn fits the rows of the sample."""
        _, X, y, weight = self._reservoir.sample()
        known = {} if weight is None else {"sample_weight": weight}
        estimator.fit(_as_seen(X, sample), y, **known)


class LandmarkSample(SampleFit):
    """Fits `sklearn.kernel_approximation.Nystroem` on landmarks drawn from all rows.

    scikit-learn draws other rows for the same seed, from the same distribution; all rows are
    landmarks where ``n_components`` is that large, and then the fit is the one in memory.

    Parameters
    ----------
    estimator : Nystroem
    """

    def __init__(self, estimator: Any) -> None:
        if estimator.kernel == "precomputed":
            raise UnsupportedEstimatorError(
                "Nystroem(kernel='precomputed') cannot be fitted from chunks, whose rows have no "
                "kernel with all others; give the kernel by its name"
            )
        super().__init__(estimator, estimator.n_components, _seed(estimator.random_state))

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        super().update(X, None, None)

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`: the landmarks are all the rows scikit-learn gets to see."""
        rows, X, _, _ = self._reservoir.sample()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(_as_seen(X, sample))
        estimator.component_indices_ = rows[estimator.component_indices_]


def _requires_target(estimator: Any) -> bool:
    tags = getattr(estimator, "__sklearn_tags__", None)
    if tags is not None and tags().target_tags.required:
        return True
    target = inspect.signature(estimator.fit).parameters.get("y")
    return target is not None and target.default is inspect.Parameter.empty


def _seed(random_state: Any) -> int:
    """Return a number for any random state, without drawing from the caller's own."""
    from sklearn.utils import check_random_state

    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(copy.deepcopy(random_state)).randint(2**31 - 1))


def _as_seen(X: Block, sample: Any) -> Any:
    """Return sampled rows as the estimator would meet them in memory."""
    if not isinstance(X, pa.RecordBatch):
        return X
    return to_frame(X) if hasattr(sample, "iloc") else numbers(X)
