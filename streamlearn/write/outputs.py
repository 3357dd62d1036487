"""A model's answers as columns of a table, beside columns passed through and row numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Chunk, Field, Schema
from streamlearn.errors import UsageError
from streamlearn.write.layout import plain_type

__all__ = ["METHODS", "Outputs"]

METHODS = ("predict", "predict_proba", "decision_function", "transform")
ARRAYS = {
    "predict": "prediction",
    "predict_proba": "probability",
    "decision_function": "decision",
    "transform": "X",
}
"""What the answers of each method are called in a zarr store."""
ROW = "row"
_MOST_FILLED = 1_024
"""Columns of a sparse matrix that are filled with zeros to be written."""


class Outputs:
    """The columns of an output.

    Parameters
    ----------
    estimator : fitted estimator
    methods : sequence of str
        Of `METHODS`, in the order of their columns.
    passed : Schema
        Columns passed through.
    row_ids : bool
        Whether there is a column ``row``.

    Raises
    ------
    UsageError
        If the estimator lacks a method, or two columns have one name.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier().fit([[0], [1], [2]], ["no", "yes", "no"])
    >>> outputs = Outputs(model, ["predict", "predict_proba"], Schema(()), row_ids=True)
    >>> outputs.names
    ['row', 'prediction', 'probability_no', 'probability_yes']
    >>> chunk = Chunk(np.zeros((1, 1)), np.array([7]))
    >>> answers = outputs.ask(model, chunk.X)
    >>> answers["predict_proba"] = answers["predict_proba"].round(2)
    >>> outputs.batch(chunk, answers).to_pylist()
    [{'row': 7, 'prediction': 'no', 'probability_no': 0.67, 'probability_yes': 0.33}]
    """

    def __init__(
        self, estimator: Any, methods: Sequence[str], passed: Schema, *, row_ids: bool
    ) -> None:
        for method in methods:
            _require_method(estimator, method)
        self.methods = tuple(methods)
        self.passed = Schema(tuple(Field(field.name, plain_type(field.type)) for field in passed))
        self._row_ids = row_ids
        self._classes = getattr(estimator, "classes_", None)
        self._transformed = _names_of_transform(estimator) if "transform" in methods else None
        widths = {
            "predict": int(getattr(estimator, "n_outputs_", 1) or 1),
            "predict_proba": len(self._of_classes("probability")),
            "decision_function": max(1, _decisions(self._classes)),
            "transform": len(self._transformed or ()) or 1,
        }
        self._expected = {method: self._columns(method, widths[method]) for method in methods}
        _refuse_twice(self.names)

    @property
    def names(self) -> list[str]:
        """Names of the columns, as far as they are known before there is an answer."""
        return self._named(self._expected)

    def _named(self, answered: Mapping[str, Sequence[str]]) -> list[str]:
        own = [ROW] if self._row_ids else []
        return [*own, *self.passed.names, *(name for names in answered.values() for name in names)]

    @property
    def answer_columns(self) -> int:
        """How many columns the answers have, as far as is known."""
        return sum(map(len, self._expected.values()))

    def _columns(self, method: str, width: int) -> list[str]:
        """Name the columns of a method's answers."""
        if method == "predict":
            return _numbered("prediction", width)
        if method == "transform":
            known = self._transformed
            return known if known and len(known) == width else _numbered("transform", width, at=0)
        stem = ARRAYS[method]
        named = self._of_classes(stem)
        return named if width > 1 and len(named) == width else _numbered(stem, width)

    def _of_classes(self, stem: str) -> list[str]:
        classes = self._classes
        if classes is None:
            return [stem]
        if isinstance(classes, list):  # one array for each of several outputs
            texts = [f"{at}_{_text(each)}" for at, found in enumerate(classes) for each in found]
        else:
            texts = [_text(each) for each in np.asarray(classes)]
        return _distinct(f"{stem}_{text}" for text in texts)

    def ask(self, model: Any, X: Any) -> dict[str, Any]:
        """Return the model's answers by method; without a model, the prepared rows are one."""
        return {
            method: X if model is None else getattr(model, method)(X) for method in self.methods
        }

    def batch(self, chunk: Chunk, answers: Mapping[str, Any]) -> pa.RecordBatch:
        """Return the rows of a block as they are written.

        Parameters
        ----------
        chunk : Chunk
            With the columns passed through.
        answers : mapping of str to array
            As `ask` returns them.

        Raises
        ------
        UsageError
            If two columns have one name, or a sparse matrix is too wide.
        """
        found: list[pa.Array] = [pa.array(chunk.rows)] if self._row_ids else []
        found += [_passed(chunk.X, field) for field in self.passed]
        named: dict[str, list[str]] = {}
        for method, values in answers.items():
            columns = _columns_of(values)
            known = self._expected[method]
            same = len(known) == len(columns)
            named[method] = known if same else self._columns(method, len(columns))
            found += columns
        names = self._named(named)
        if named != self._expected:
            _refuse_twice(names)
            self._expected = named
        return pa.RecordBatch.from_arrays(found, names=names)

    def guess(self) -> pa.Schema:
        """Return the columns that no row at all would have."""
        labels = getattr(self._classes, "dtype", np.dtype(np.float64))
        label = pa.string() if labels.kind in "OUS" else pa.from_numpy_dtype(labels)
        answered = [
            pa.field(name, label if method == "predict" else pa.float64())
            for method, names in self._expected.items()
            for name in names
        ]
        own = [pa.field(ROW, pa.int64())] if self._row_ids else []
        return pa.schema([*own, *self.passed.to_arrow(), *answered])

    def arrays(self, schema: pa.Schema) -> dict[str, Schema]:
        """Return the same columns as arrays of a store: all answers of a method in one."""
        groups = {ROW: [ROW]} if self._row_ids else {}
        groups |= {name: [name] for name in self.passed.names}
        _refuse_twice([*groups, *(ARRAYS[method] for method in self._expected)])
        groups |= {ARRAYS[method]: names for method, names in self._expected.items()}
        fields = Schema.from_arrow(schema)
        return {array: fields.select(names) for array, names in groups.items()}


def _require_method(estimator: Any, method: str) -> None:
    if method not in METHODS:
        raise UsageError(f"method={method!r} is none of {', '.join(map(repr, METHODS))}")
    if hasattr(estimator, method):
        return
    last = getattr(estimator, "_final_estimator", estimator)
    there = [repr(name) for name in METHODS if hasattr(estimator, name)]
    raise UsageError(
        f"this {type(last).__name__} has no {method}"
        + (f"; it has {', '.join(there)}" if there else " and none of the others")
    )


def _names_of_transform(estimator: Any) -> list[str] | None:
    try:
        return [_text(name) for name in estimator.get_feature_names_out()]
    except (AttributeError, TypeError, ValueError):  # not every transformer names its columns
        return None


def _decisions(classes: Any) -> int:
    known = classes is not None and not isinstance(classes, list) and len(classes) > 2
    return len(classes) if known else 1


def _numbered(stem: str, width: int, at: int = 1) -> list[str]:
    return [stem] if width <= at else [f"{stem}_{number}" for number in range(width)]


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _distinct(names: Iterable[str]) -> list[str]:
    """Give names that stand more than once a number, from the second on.

    Examples
    --------
    >>> _distinct(["a", "a", "a_2"])
    ['a', 'a_3', 'a_2']
    """
    wanted = list(names)
    taken, found = set(wanted), set[str]()
    out = []
    for name in wanted:
        at = 2
        new = name
        while new in found or (new != name and new in taken):
            new, at = f"{name}_{at}", at + 1
        found.add(new)
        out.append(new)
    return out


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise UsageError(
            f"two columns of the output would be called {twice[0]!r}: one that is passed through "
            "and one of the answers; leave it out of columns= or --columns, or give it another "
            "name with derive= or --derive"
        )


def _passed(X: Any, field: Field) -> pa.Array:
    if not isinstance(X, pa.RecordBatch):
        return pa.array(np.ascontiguousarray(X[:, int(field.name)]))
    column = X.column(field.name)
    return column if column.type == field.type else column.cast(field.type)


def _columns_of(values: Any) -> list[pa.Array]:
    """Return a method's answers column by column."""
    if isinstance(values, pa.RecordBatch):
        return list(values.columns)
    if hasattr(values, "iloc"):
        frame = values.to_frame() if values.ndim == 1 else values
        return list(pa.RecordBatch.from_pandas(frame, preserve_index=False).columns)
    if isinstance(values, list):
        return [column for each in values for column in _columns_of(np.asarray(each))]
    if hasattr(values, "tocsr"):
        if values.shape[1] > _MOST_FILLED:
            raise UsageError(
                f"the output is a sparse matrix of {values.shape[1]:,} columns; filled with zeros, "
                f"no more than {_MOST_FILLED:,} are written: put a TruncatedSVD or SelectKBest "
                "behind, or keep it as it is with estimator.transform and scipy.sparse.save_npz"
            )
        values = values.toarray()
    array = np.asarray(values)
    if array.ndim == 1:
        return [_array(array)]
    by_column = np.asfortranarray(array)
    return [_array(by_column[:, at]) for at in range(array.shape[1])]


def _array(values: NDArray[Any]) -> pa.Array:
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    found = pa.array(values, from_pandas=values.dtype.kind == "O")
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found
