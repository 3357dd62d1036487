"""Quantiles of columns, whose gaps may be filled when they are known already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from streamlearn.learn.interpolation import interpolate, neighbours
from streamlearn.learn.order import OrderStatistics

__all__ = ["MEDIAN", "Ask", "Quantiles"]

Ask = tuple[NDArray[np.float64], str]
"""Shares of the values, and the definition of a quantile by its name in NumPy."""

MEDIAN: Ask = (np.array([0.5]), "median")


class Quantiles:
    """Exact quantiles of columns, NaN left out; also of columns whose gaps are filled later.

    If a column of ``n`` values has ``m`` gaps, the value of rank ``t`` with the gaps filled by
    ``v`` lies next to ``v`` or is one of two values known before: ``max(x[t - m], min(x[t], v))``,
    where ranks below 0 and beyond ``n - 1`` stand for the infinities. So both are asked for.

    Parameters
    ----------
    columns : int
    dtype : dtype

    Examples
    --------
    >>> found = Quantiles(1, np.float64)
    >>> found.order.add(np.array([[1.0], [4.0], [np.nan], [2.0]]))
    >>> ask = (np.array([0.5]), "linear")
    >>> found.refine(lambda count: [ask])
    False
    >>> found.at(0, ask)
    array([2.])
    >>> found.fill(np.array([9.0]), np.array([0]))
    >>> found.at(0, ask)
    array([3.])
    """

    def __init__(self, columns: int, dtype: DTypeLike) -> None:
        self.order = OrderStatistics(columns, dtype)
        self.columns = np.arange(columns)
        """Columns that are left, once filled."""
        self._fill: NDArray[Any] | None = None
        self._asked = False

    def refine(
        self, asks: Callable[[int], Sequence[Ask]], *, ahead: bool = True, sketch: bool = False
    ) -> bool:
        """Take stock after a pass; return whether one more is needed.

        Parameters
        ----------
        asks : callable
            Returns what is asked of a column, by its number.
        ahead : bool
            Gaps may be filled later.
        sketch : bool
            One pass, and quantiles that are near.
        """
        order = self.order
        order.settle()
        if not self._asked:
            self._asked = True
            order.want(
                [
                    self._ranks(asks(column), int(count), int(order.missing[column]) * ahead)
                    for column, count in enumerate(order.count)
                ]
            )
        return order.refine(sketch=sketch)

    @staticmethod
    def _ranks(asks: Sequence[Ask], count: int, missing: int) -> NDArray[np.int64]:
        found = [np.empty(0, dtype=np.int64)]
        for shares, method in asks:
            if count:
                found.extend(neighbours(count, shares, method)[:2])
            if missing:
                for ranks in neighbours(count + missing, shares, method)[:2]:
                    found.extend([ranks, ranks - missing])
        ranks = np.concatenate(found)
        return ranks[(ranks >= 0) & (ranks < count)]

    def fill(self, values: NDArray[Any], kept: NDArray[np.intp]) -> None:
        """Fill the gaps of each column; only some columns are kept."""
        self._fill = values.astype(self.order.dtype)
        self.columns = kept

    def at(self, column: int, ask: Ask) -> NDArray[Any]:
        """Return quantiles of a column, by its number among those that are left."""
        shares, method = ask
        given = int(self.columns[column])
        count, missing = int(self.order.count[given]), int(self.order.missing[given])
        total = count if self._fill is None else count + missing
        if not total:
            return np.full(len(shares), np.nan, self.order.dtype)
        below, above, part = neighbours(total, shares, method)
        return interpolate(self._values(given, below), self._values(given, above), part)

    def extremes(self, column: int) -> tuple[Any, Any]:
        """Return the smallest and the largest value of a column, by its number among those left."""
        given = int(self.columns[column])
        fill = None
        if self._fill is not None and self.order.missing[given]:
            fill = self._fill[given]
            if not self.order.count[given]:
                return fill, fill
        low, high = self.order.extremes(given)
        return (low, high) if fill is None else (min(low, fill), max(high, fill))

    def median(self, column: int) -> Any:
        """Return the median of a column, which was asked for, in its own type."""
        return self.at(column, MEDIAN)[0]

    def _values(self, column: int, ranks: NDArray[np.int64]) -> NDArray[Any]:
        missing = int(self.order.missing[column])
        if self._fill is None or not missing:
            return self.order.values(column, ranks)
        low = self._or_infinity(column, ranks - missing)
        high = self._or_infinity(column, ranks)
        return np.asarray(np.maximum(low, np.minimum(high, self._fill[column])))

    def _or_infinity(self, column: int, ranks: NDArray[np.int64]) -> NDArray[Any]:
        count = int(self.order.count[column])
        found = np.full(len(ranks), np.inf, self.order.dtype)
        found[ranks < 0] = -np.inf
        there = (ranks >= 0) & (ranks < count)
        found[there] = self.order.values(column, ranks[there])
        return found
