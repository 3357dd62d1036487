"""Parts of dates and times as numbers: a transformer for scikit-learn, and its kernel."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from streamlearn.chunk import Block
from streamlearn.errors import CellError, UsageError
from streamlearn.prepare.base import Rows

__all__ = ["DateFeatures", "DatesKernel"]

PARTS = (
    "year",
    "month",
    "day",
    "day_of_week",
    "hour",
    "minute_of_day",
    "is_weekend",
    "elapsed",
)
_CYCLES = {"month": (1, 12), "day_of_week": (0, 7), "hour": (0, 24), "minute_of_day": (0, 1440)}


class DateFeatures(TransformerMixin, BaseEstimator):
    """Turn date columns into numbers.

    Stateless: it learns nothing from the rows. Times with a zone are taken in that zone.

    Parameters
    ----------
    parts : tuple of str
        Any of ``year``, ``month`` (1 to 12), ``day`` (of the month), ``day_of_week`` (Monday is
        0), ``hour``, ``minute_of_day``, ``is_weekend`` (0 or 1), ``elapsed`` (days and their
        fractions since 1970-01-01, in UTC where the time has a zone).
    cyclic : bool, default False
        Give month, day_of_week, hour and minute_of_day as sine and cosine of their cycle.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : array of str, shape (n_features_in_,)
        Where fitted on a frame.

    Notes
    -----
    Arrow, which does the work, knows no daylight saving after 2037.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"when": pd.to_datetime(["2023-01-07 13:30"])})
    >>> dates = DateFeatures(parts=("day_of_week", "hour", "is_weekend")).fit(frame)
    >>> dates.transform(frame)
    array([[ 5., 13.,  1.]])
    >>> dates.get_feature_names_out().tolist()
    ['when_day_of_week', 'when_hour', 'when_is_weekend']
    """

    def __init__(
        self,
        parts: tuple[str, ...] = ("month", "day_of_week", "hour", "minute_of_day"),
        *,
        cyclic: bool = False,
    ) -> None:
        self.parts = parts
        self.cyclic = cyclic

    def fit(self, X: Any, y: Any = None) -> Self:
        """Take the names of the columns.

        Raises
        ------
        UsageError
            If a part is unknown.
        """
        del y
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            raise UsageError(f"parts must be some of {', '.join(PARTS)}, not {self.parts!r}")
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the parts.

        Parameters
        ----------
        X : frame or array of datetimes, shape (rows, columns)

        Returns
        -------
        array of float64, shape (rows, columns x parts)
            NaN where the date is missing.
        """
        import pandas as pd

        validate_data(self, X, reset=False, skip_check_array=True)
        frame = X if hasattr(X, "iloc") else pd.DataFrame(np.asarray(X))
        columns = [
            pa.array(pd.to_datetime(frame.iloc[:, index]), from_pandas=True)
            for index in range(frame.shape[1])
        ]
        out = np.empty((len(frame), len(self.get_feature_names_out(list(frame.columns)))))
        _write_parts(columns, list(frame.columns), self.parts, out, cyclic=self.cyclic)
        return out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return ``column_part`` for each output column."""
        names = input_features
        if names is None:
            names = getattr(
                self, "feature_names_in_", [f"x{index}" for index in range(self.n_features_in_)]
            )
        ends = [end for part in self.parts for end in _endings(part, cyclic=self.cyclic)]
        return np.asarray([f"{name}_{end}" for name in names for end in ends], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        return tags


class DatesKernel:
    """`DateFeatures` straight from Arrow columns."""

    def __init__(self, estimator: DateFeatures) -> None:
        self._estimator = estimator
        self.width: int | None = len(estimator.get_feature_names_out())

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if not isinstance(X, pa.RecordBatch):
            return self._estimator.transform(X)
        out = np.empty((X.num_rows, self.width or 0))
        self.write(X, out)
        return out

    def output_dtype(self, X: Block) -> np.dtype[Any]:
        """See `streamlearn.prepare.base.Writes.output_dtype`."""
        return np.dtype(np.float64)

    def write(self, X: Block, out: NDArray[Any]) -> None:
        """See `streamlearn.prepare.base.Writes.write`."""
        if not isinstance(X, pa.RecordBatch):
            out[:] = self._estimator.transform(X)
            return
        step = self._estimator
        _write_parts(list(X.columns), X.schema.names, step.parts, out, cyclic=step.cyclic)


def _endings(part: str, *, cyclic: bool) -> list[str]:
    return [f"{part}_sin", f"{part}_cos"] if cyclic and part in _CYCLES else [part]


def _write_parts(
    columns: list[pa.Array],
    names: list[Any],
    parts: tuple[str, ...],
    out: NDArray[Any],
    *,
    cyclic: bool,
) -> None:
    place = 0
    for name, column in zip(names, columns, strict=True):
        if pa.types.is_null(column.type):
            column = column.cast(pa.timestamp("us"))
        if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
            raise CellError(None, str(name), f"{column.type} where DateFeatures needs dates")
        for part in parts:
            values = _numbers(column, part)
            if cyclic and part in _CYCLES:
                first, length = _CYCLES[part]
                angle = (values - first) * (2 * np.pi / length)
                out[:, place], out[:, place + 1] = np.sin(angle), np.cos(angle)
                place += 2
            else:
                out[:, place] = values
                place += 1


def _numbers(column: pa.Array, part: str) -> NDArray[np.float64]:
    if pa.types.is_date(column.type) and part in ("hour", "minute_of_day"):
        column = column.cast(pa.timestamp("s"))
    if part == "elapsed":
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("s"))
        ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        whole = column.cast(pa.int64()).cast(pa.float64(), safe=False)
        return _float(whole) / (86_400 * ticks)
    if part == "minute_of_day":
        values = _float(pc.hour(column)) * 60 + _float(pc.minute(column))
    elif part == "is_weekend":
        day = _float(pc.day_of_week(column))
        values = np.where(np.isnan(day), np.nan, (day >= 5).astype(np.float64))
    else:
        values = _float(getattr(pc, part)(column))
    return values


def _float(values: pa.Array) -> NDArray[np.float64]:
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
