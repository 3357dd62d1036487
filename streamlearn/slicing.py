"""What to slice by, from what the user asked to what counts rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Field, Schema
from streamlearn.errors import UsageError
from streamlearn.plan.memory import Term
from streamlearn.score.gaps import Rates, positive_class
from streamlearn.score.gates import Gate, parse_gate
from streamlearn.score.judge import Sliced
from streamlearn.score.measures import Measures
from streamlearn.score.slice_by import SliceBy, parse_slice
from streamlearn.score.slices import (
    BinSlices,
    ChosenSlices,
    DateSlices,
    FileSlices,
    Slicer,
    ValueSlices,
    as_floats,
)
from streamlearn.score.tally import Tally, tally_bytes
from streamlearn.source.dataset import Dataset

__all__ = ["Slicing", "matrix_column"]

_SAMPLED_FRAGMENTS = 16
_SAMPLED_ROWS = 4_096
_MANY_VALUES = 20
"""Floats with more values than this in the sample are cut into bins where nothing is said."""
_PLAIN_BINS = 4
_RATE_BUCKETS = 128
_RATE_BYTES = 16 << 20


class Slicing:
    """Columns to slice by, groups to compare, and rows that gates are about.

    Edges of quantile bins come from a sample that is read beforehand: the first 4,096 rows of up
    to 16 fragments, evenly spaced over the data. So they are a function of what is stored alone,
    and near the quantiles of all rows only where these are alike everywhere; the rows that fall
    into each bin are counted exactly.

    Parameters
    ----------
    data : Dataset
    measures : Measures
    slices : int
        Values of a column that get a slice of their own.
    """

    def __init__(self, data: Dataset, measures: Measures, slices: int) -> None:
        self._data = data
        self._measures = measures
        self._slices = slices
        self._schema: Schema = data.schema if data.features.named else data.features
        self._tables: list[SliceBy] = []
        self._fair: list[str] = []
        self._positive: Any = None
        self.gates: list[Gate] = []

    def ask(
        self,
        slice_by: Sequence[str],
        fairness_by: Sequence[str],
        positive: Any,
        require: Sequence[str],
    ) -> None:
        """Note what is asked for.

        Raises
        ------
        SchemaError, UsageError
            If it cannot be.
        """
        texts = dict.fromkeys([*slice_by, *fairness_by])
        self._tables = [parse_slice(text, self._schema) for text in texts]
        self._fair = list(fairness_by)
        if fairness_by or positive is not None:
            if self._measures.classes is None:
                raise UsageError("fairness is asked of classifiers; this model predicts numbers")
            self._positive = positive_class(self._measures.classes, positive)
        self.gates = [parse_gate(text) for text in require]
        for column, values in self._chosen().items():
            ChosenSlices(self._field(column), values)

    def _field(self, column: str) -> Field:
        return self._schema[column]

    def _chosen(self) -> dict[str, list[str]]:
        """Return the values that gates are about, by column."""
        found: dict[str, list[str]] = {}
        for gate in self.gates:
            if gate.column is not None and gate.value is not None:
                values = found.setdefault(gate.column, [])
                if gate.value not in values:
                    values.append(gate.value)
        return found

    @property
    def columns(self) -> list[str]:
        """Columns that have to be read for it."""
        names = [item.column for item in self._tables if item.column]
        return list(dict.fromkeys([*names, *self._chosen()]))

    def terms(self) -> list[Term]:
        """Return what counting holds at most, for the memory plan."""
        found = []
        for item in self._tables:
            most = self._most(item)
            held = self._measures.slice_bytes(most)
            if item.text in self._fair:
                rates = [Rates(self._positive)]
                held += tally_bytes(rates, [_RATE_BUCKETS], most, _RATE_BYTES)
            found.append(Term(f"slices by {item.text!r} (at most {most:,})", held))
        for column, values in self._chosen().items():
            held = self._measures.slice_bytes(len(values))
            found.append(Term(f"gates on {column!r}", held))
        return found

    def _most(self, item: SliceBy) -> int:
        if item.unit == "bins":
            return item.bins + 1
        if item.unit == "file":
            return len({fragment.path for fragment in self._data.fragments})
        return self._slices + 2

    def make(self) -> list[Sliced]:
        """Return what counts, empty; reads the sample if bins are to be cut."""
        sample = _sample(self._data, [item.column for item in self._tables if self._numbers(item)])
        found = []
        for item in self._tables:
            slicer = self._slicer(item, sample)
            rates = None
            if item.text in self._fair:
                rates = Tally([Rates(self._positive)], [_RATE_BUCKETS], slicer.most, _RATE_BYTES)
            tally = self._measures.slices(slicer.most)
            found.append(Sliced(item.text, item.column, slicer, tally, rates))
        for column, values in self._chosen().items():
            chosen = ChosenSlices(self._field(column), values)
            tally = self._measures.slices(chosen.most)
            found.append(Sliced(column, column, chosen, tally, shown=False))
        return found

    def _numbers(self, item: SliceBy) -> bool:
        """Whether the sample decides how a column is cut."""
        if item.unit == "bins":
            return True
        kind = self._field(item.column).type if item.column else pa.null()
        return not item.unit and (pa.types.is_floating(kind) or pa.types.is_decimal(kind))

    def _slicer(self, item: SliceBy, sample: dict[str, NDArray[np.float64]]) -> Slicer:
        if item.unit == "file":
            fragments = self._data.fragments
            return FileSlices([f.path for f in fragments], [f.first for f in fragments])
        if item.unit == "bins":
            return BinSlices.of(sample[item.column], item.bins)
        if item.unit:
            return DateSlices(item.unit, self._slices)
        if item.column in sample:
            values = sample[item.column]
            if len(np.unique(values[~np.isnan(values)])) > _MANY_VALUES:
                return BinSlices.of(values, _PLAIN_BINS)
        return ValueSlices(self._slices)

    def notes(self, slicings: Sequence[Sliced]) -> Iterator[str]:
        """Say what is not as one would think of the slices."""
        for item in slicings:
            if not item.shown:
                continue
            names = item.slicer.names()
            other = names.index("other") if isinstance(item.slicer, ValueSlices) else -1
            if 0 <= other < len(item.tally) and item.tally.rows[other]:
                yield (
                    f"{item.by!r} has more than {self._slices:,} values: "
                    f"{item.tally.rows[other]:,} rows with further ones are in 'other'; slices= "
                    "or --slices takes more"
                )
            lacking = self._measures.not_sliced(item.slicer.most)
            if lacking:
                yield (
                    f"{', '.join(lacking)} would take too much memory for up to "
                    f"{item.slicer.most:,} slices by {item.by!r}; fewer, by slices= or --slices, "
                    "would do"
                )


def matrix_column(X: Any, at: int) -> pa.Array:
    """Return a column of a matrix, dense or sparse."""
    values = X[:, [at]].toarray()[:, 0] if hasattr(X, "toarray") else X[:, at]
    return pa.array(np.ascontiguousarray(values))


def _sample(data: Dataset, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Read the first rows of fragments spread over the data."""
    names = list(dict.fromkeys(columns))
    if not names:
        return {}
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    count = len(data.fragments)
    places = np.unique(np.linspace(0, max(0, count - 1), _SAMPLED_FRAGMENTS).astype(int))
    positions = {name: at for at, name in enumerate(data.features.names)}
    for place in places[:count].tolist():
        stream = data.read(data.fragments[place], names, _SAMPLED_ROWS, roles=False)
        with closing(stream) as chunks:
            for chunk in chunks:
                for name in names:
                    named = isinstance(chunk.X, pa.RecordBatch)
                    column = (
                        chunk.X.column(name) if named else matrix_column(chunk.X, positions[name])
                    )
                    found[name].append(as_floats(column))
                break
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in found.items()}
