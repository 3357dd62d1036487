"""Slices: which part of the data a row belongs to, by the value of a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamlearn.chunk import Field
from streamlearn.errors import UsageError

__all__ = [
    "BinSlices",
    "ChosenSlices",
    "DateSlices",
    "FileSlices",
    "Slicer",
    "ValueSlices",
]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LONGEST = 200
_MISSING, _OTHER = 0, 1


class Slicer(Protocol):
    """Gives each row the code of its slice."""

    most: int
    """Slices there may be."""
    told: str
    """What they are, in words."""

    def codes(self, values: pa.Array) -> NDArray[np.intp]:
        """Return the slice of each row, from 0 on; -1 for none.

        Parameters
        ----------
        values : pyarrow.Array
            Of the column; row numbers in the source where files are the slices.
        """
        ...

    def names(self) -> list[str]:
        """Return the name of each slice known so far."""
        ...

    def order(self) -> list[int]:
        """Return the slices in the order in which to show them."""
        ...


class ValueSlices:
    """A slice for each value, the first ``most`` of them; further ones share ``"other"``.

    Nulls and NaN are ``"missing"``. Which values come first depends on the order of the rows
    alone.

    Examples
    --------
    >>> slicer = ValueSlices(most=2)
    >>> slicer.codes(pa.array(["b", "a", None, "c", "b"])).tolist()
    [2, 3, 0, 1, 2]
    >>> [slicer.names()[code] for code in slicer.order()]
    ['a', 'b', 'missing', 'other']
    """

    def __init__(self, most: int) -> None:
        self._values = most
        self.most = most + 2
        self.told = "values"
        self._known: dict[Any, int] = {}

    def codes(self, values: pa.Array) -> NDArray[np.intp]:
        """See `Slicer.codes`."""
        if pa.types.is_null(values.type):
            return np.full(len(values), _MISSING, np.intp)
        encoded = _encoded(values)
        table = [self._code(value) for value in encoded.dictionary.to_pylist()]
        places = encoded.indices.fill_null(len(table)).to_numpy(zero_copy_only=False)
        return np.asarray(np.array([*table, _MISSING], np.intp)[places])

    def _code(self, value: Any) -> int:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return _MISSING
        found = self._known.get(value)
        if found is None:
            if len(self._known) >= self._values:
                return _OTHER
            found = self._known[value] = len(self._known) + 2
        return found

    def names(self) -> list[str]:
        """See `Slicer.names`."""
        return ["missing", "other", *map(self._name, self._known)]

    def _name(self, value: Any) -> str:
        return _shown(value)

    def order(self) -> list[int]:
        """See `Slicer.order`: by value."""
        try:
            known = sorted(self._known.items())
        except TypeError:
            known = list(self._known.items())
        return [code for _, code in known] + [_MISSING, _OTHER]


class DateSlices(ValueSlices):
    """A slice for each year, month, day, weekday or hour of a point in time.

    Parameters
    ----------
    unit : {"year", "month", "day", "weekday", "hour"}
    most : int

    Examples
    --------
    >>> import datetime as dt
    >>> slicer = DateSlices("month", most=12)
    >>> days = pa.array([dt.date(2019, 3, 1), None, dt.date(2019, 3, 9)])
    >>> slicer.codes(days).tolist(), slicer.names()
    ([2, 0, 2], ['missing', 'other', '2019-03'])
    """

    def __init__(self, unit: str, most: int) -> None:
        super().__init__(most)
        self._unit = unit
        self.told = unit

    def codes(self, values: pa.Array) -> NDArray[np.intp]:
        """See `Slicer.codes`."""
        return super().codes(self._parts(values))

    def _parts(self, values: pa.Array) -> pa.Array:
        if self._unit == "weekday":
            return pc.day_of_week(values)
        if self._unit == "hour":
            return pc.hour(values)
        found = pc.year(values)
        for part in (pc.month, pc.day)[: ("year", "month", "day").index(self._unit)]:
            found = pc.add(pc.multiply(found, 100), part(values))
        return found

    def _name(self, value: Any) -> str:
        if self._unit == "weekday":
            return _WEEKDAYS[value]
        if self._unit == "hour":
            return f"{value:02d} h"
        if self._unit == "month":
            return f"{value // 100:04d}-{value % 100:02d}"
        if self._unit == "day":
            return f"{value // 10_000:04d}-{value // 100 % 100:02d}-{value % 100:02d}"
        return f"{value:04d}"


class BinSlices:
    """A slice for each bin of a number; bins are open on the left and closed on the right.

    Parameters
    ----------
    edges : array of shape (n_edges,)
        Inner edges, increasing; `BinSlices.of` takes them from a sample.

    Examples
    --------
    >>> slicer = BinSlices(np.array([1.0, 2.0]))
    >>> slicer.codes(pa.array([0.5, 1.0, 1.5, 9.0, None])).tolist()
    [1, 1, 2, 3, 0]
    >>> slicer.names()
    ['missing', '(-inf, 1]', '(1, 2]', '(2, inf)']
    """

    def __init__(self, edges: NDArray[np.float64], told: str = "bins") -> None:
        self.edges = edges
        self.most = len(edges) + 2
        self.told = told

    @classmethod
    def of(cls, sample: NDArray[np.float64], bins: int) -> BinSlices:
        """Cut at the quantiles of a sample; equal ones count once."""
        known = sample[~np.isnan(sample)]
        inner = np.arange(1, bins) / bins
        edges = np.unique(np.quantile(known, inner)) if len(known) else np.zeros(0)
        told = f"{bins} quantile bins, of {len(known):,} sampled rows"
        return cls(edges[np.isfinite(edges)], told)

    def codes(self, values: pa.Array) -> NDArray[np.intp]:
        """See `Slicer.codes`."""
        numbers = as_floats(values)
        found = np.searchsorted(self.edges, numbers, side="left") + 1
        return np.where(np.isnan(numbers), _MISSING, found).astype(np.intp)

    def names(self) -> list[str]:
        """See `Slicer.names`."""
        shown = ["-inf", *(f"{edge:.6g}" for edge in self.edges), "inf"]
        bins = [f"({low}, {high}]" for low, high in pairwise(shown)]
        bins[-1] = bins[-1][:-1] + ")"
        return ["missing", *bins]

    def order(self) -> list[int]:
        """See `Slicer.order`."""
        return [*range(1, self.most), _MISSING]


class FileSlices:
    """A slice for each file.

    Parameters
    ----------
    paths : sequence of str
        Of each fragment, in order.
    firsts : sequence of int
        Number of each fragment's first row.
    """

    def __init__(self, paths: Sequence[str], firsts: Sequence[int]) -> None:
        self._files = list(dict.fromkeys(paths))
        number = {path: at for at, path in enumerate(self._files)}
        self._of_fragment = np.array([number[path] for path in paths], np.intp)
        self._firsts = np.asarray(firsts, np.int64)
        self.most = len(self._files)
        self.told = "file"

    def codes(self, values: pa.Array) -> NDArray[np.intp]:
        """See `Slicer.codes`."""
        rows = values.to_numpy()
        places = np.searchsorted(self._firsts, rows, side="right") - 1
        return np.asarray(self._of_fragment[places])

    def names(self) -> list[str]:
        """See `Slicer.names`: without the folders, where that is clear."""
        short = [path.rstrip("/").rpartition("/")[2] for path in self._files]
        return short if len(set(short)) == len(short) else self._files

    def order(self) -> list[int]:
        """See `Slicer.order`."""
        return list(range(self.most))


class ChosenSlices:
    """A slice for each of some values; all other rows are in none.

    Parameters
    ----------
    field : Field
        The column.
    texts : sequence of str
        Values as text; of the column's type they have to make sense.

    Raises
    ------
    UsageError
        If a text is no value of that type.

    Examples
    --------
    >>> slicer = ChosenSlices(Field("zone", pa.int32()), ["74", "75"])
    >>> slicer.codes(pa.array([75, 3, None, 74], pa.int32())).tolist()
    [1, -1, -1, 0]
    """

    def __init__(self, field: Field, texts: Sequence[str]) -> None:
        self._values = pa.array([_value(field, text) for text in texts], field.type)
        self._texts = list(texts)
        self.most = len(self._texts)
        self.told = "chosen values"

    def codes(self, values: pa.Array) -> NDArray[np.intp]:
        """See `Slicer.codes`."""
        found = pc.index_in(values, self._values)
        return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), np.intp)

    def names(self) -> list[str]:
        """See `Slicer.names`."""
        return self._texts

    def order(self) -> list[int]:
        """See `Slicer.order`."""
        return list(range(self.most))


def as_floats(values: pa.Array) -> NDArray[np.float64]:
    """Return numbers as floats, nulls as NaN."""
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _encoded(values: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.dictionary_encode()


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _value(field: Field, text: str) -> Any:
    wrong = f"{text!r} is no value of the column {field.name!r}, which is {field.type}"
    if pa.types.is_boolean(field.type) and text.lower() not in ("true", "false", "1", "0"):
        raise UsageError(f"{wrong}: write true or false")
    for read in (_as_text, _as_number) if field.is_number else (_as_text,):
        try:
            return read(text).cast(field.type).as_py()
        except (pa.ArrowException, ValueError):
            continue
    raise UsageError(wrong)


def _as_text(text: str) -> pa.Scalar:
    return pa.scalar(text)


def _as_number(text: str) -> pa.Scalar:
    """As a float: what "74.0" of integers needs."""
    return pa.scalar(float(text))
