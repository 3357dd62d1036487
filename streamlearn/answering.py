"""A fitted estimator made ready to answer blocks of rows: what judging and using it share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from streamlearn.chunk import Chunk, Schema
from streamlearn.errors import CellError, DataError, SchemaError, StreamlearnError, UsageError
from streamlearn.learn.peel import is_transformed_target
from streamlearn.plan.demands import answer_bytes, answer_rows
from streamlearn.plan.memory import Term
from streamlearn.prepare.base import Kernel
from streamlearn.prepare.compile import compile_transformer, widest_dense
from streamlearn.prepare.frame import numbers, to_frame
from streamlearn.source.base import ReaderCost
from streamlearn.source.dataset import Dataset
from streamlearn.source.values import missing_in_rows
from streamlearn.stream.stages import Stages
from streamlearn.stream.statistics import located

__all__ = ["Answerer"]

_BLOCK_ROWS = 16_384
_TRIED = 16
"""Single rows of a block, none of which can be answered: then it is not for the rows."""

T = TypeVar("T")


class Answerer:
    """A fitted estimator as compiled kernel and model, for the columns of some data.

    Parameters
    ----------
    estimator : fitted predictor, or fitted transformer
    data : Dataset

    Raises
    ------
    SchemaError
        If columns the estimator was fitted on are missing.
    UsageError
        If it is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from streamlearn.source.scan import scan
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> answerer = Answerer(LinearRegression().fit(X, X[:, 0]), scan(X))
    >>> answerer.names, answerer.block_rows
    (['0', '1'], 16384)
    >>> chunk = Chunk(X, np.arange(3))
    >>> answerer.answer(chunk, lambda model, X: model.predict(X)).round(6).tolist()
    [0.0, 2.0, 4.0]
    """

    def __init__(self, estimator: Any, data: Dataset) -> None:
        _require_fitted(estimator)
        self.estimator = estimator
        self.data = copy.copy(data)
        """The data, its features those that the estimator was fitted on."""
        self.names = self._fitted_columns()
        """Columns to read."""
        self.data.require(self.names)
        self.data.refuse_faults()
        features = self.data.features
        schema = features.select(self.names) if features.named else features
        self.kernel, self.model = _compile(estimator, schema)
        """Everything before the model, and the model: None of a transformer."""
        self.block_rows = answer_rows(self.model, _BLOCK_ROWS)
        """Rows to ask for at once: a function of the estimator alone, and so are the answers."""

    def _fitted_columns(self) -> list[str]:
        known = getattr(self.estimator, "feature_names_in_", None)
        names = self.data.features.names
        if not self.data.features.named:
            width = getattr(self.estimator, "n_features_in_", len(names))
            if known is not None or width != len(names):
                fitted_on = (
                    f"columns {', '.join(known)}" if known is not None else f"{width} columns"
                )
                raise SchemaError(
                    f"the model was fitted with {fitted_on}, and the data is an array of "
                    f"{len(names)} columns without names"
                )
            return names
        if known is None:
            width = getattr(self.estimator, "n_features_in_", len(names))
            if width != len(names):
                raise SchemaError(
                    f"the model was fitted with {width} columns without names, and the data has "
                    f"{len(names)} features: {', '.join(names)}; name those of the model, in its "
                    "order, with features= or --features"
                )
            return names
        missing = [name for name in known if name not in self.data.schema]
        if missing:
            raise SchemaError(
                f"the model was fitted with {', '.join(map(repr, missing))}, which the data lacks; "
                f"its columns are: {', '.join(self.data.schema.names)}"
            )
        self.data.features = self.data.schema.select(list(known))
        return list(known)

    def terms(self, cost: ReaderCost, ahead: int = 1, rows: int | None = None) -> tuple[Term, ...]:
        """Return what answering holds, for the memory plan.

        Parameters
        ----------
        cost : ReaderCost
            Of the columns that are read.
        ahead : int
            Blocks answered, or being answered, besides the one in use.
        rows : int, optional
            Of a block; by default `block_rows`.
        """
        rows, blocks = rows or self.block_rows, 1 + ahead
        return (
            Term("raw blocks", int(blocks * rows * cost.chunk_row_bytes)),
            Term("prepared blocks", int((1 + blocks) * rows * self._prepared_bytes())),
            Term("answers", blocks * answer_bytes(self.model, rows)),
        )

    def _prepared_bytes(self) -> float:
        """Return bytes of a row on its way through the kernel."""
        width = getattr(self.kernel, "width", None) or len(self.names)
        row = min(8.0 * width, 40.0 * len(self.names) + 64)
        return max(row, 8.0 * widest_dense(self.kernel))

    def answer(self, chunk: Chunk, ask: Callable[[Any, Any], T], stages: Stages | None = None) -> T:
        """Prepare a block of rows, and ask the model.

        Parameters
        ----------
        chunk : Chunk
            With the columns `names`, in their order.
        ask : callable
            Takes the model and the prepared block.
        stages : Stages, optional
            Where the time is entered.

        Raises
        ------
        DataError
            If a value cannot be taken; it says where the row, or else the block, is stored.
        """
        stages = stages or Stages()
        try:
            with stages.at("prepare"):
                X = self._prepared(chunk)
            with stages.at("model"):
                return ask(self.model, X)
        except CellError as error:
            raise located(error, self.data, chunk) from None
        except (ValueError, TypeError) as error:
            if isinstance(error, StreamlearnError):
                raise
            place = self.data.locate(int(chunk.rows[0]))
            raise DataError(
                f"the block that begins at {place} cannot be predicted: {error}"
            ) from error

    def faulty(self, chunk: Chunk, ask: Callable[[Any, Any], object]) -> dict[int, str]:
        """Find the rows of a block that cannot be answered, once the whole could not be.

        Gaps and infinities are looked for in the prepared rows; what remains is halved until the
        rows are found.

        Returns
        -------
        dict of int to str
            Why, by the number of the row in the source.

        Raises
        ------
        DataError
            If it is not for single rows that the block fails.
        """
        found: dict[int, str] = {}
        few = range(0, len(chunk), max(1, len(chunk) // _TRIED))
        if len(chunk) > _TRIED and all(self._fault(chunk.slice(at, at + 1), ask) for at in few):
            self.answer(chunk, ask)
        self._halve(self._without_gaps(chunk, ask, found), ask, found)
        return found

    def _fault(self, chunk: Chunk, ask: Callable[[Any, Any], object]) -> str | None:
        """Return why a block cannot be answered; None where it can."""
        try:
            ask(self.model, self._prepared(chunk))
        except UsageError:
            raise
        except (CellError, ValueError, TypeError) as error:
            return str(error).splitlines()[0] if str(error) else type(error).__name__
        return None

    def _without_gaps(
        self, chunk: Chunk, ask: Callable[[Any, Any], object], found: dict[int, str]
    ) -> Chunk:
        """Return the rows without those that fail for a gap, which `found` is told."""
        try:
            bad = missing_in_rows(self._prepared(chunk))
        except (CellError, ValueError, TypeError, AttributeError):
            return chunk
        if bad is None or not bad.any():
            return chunk
        at = int(np.argmax(bad))
        reason = self._fault(chunk.slice(at, at + 1), ask)
        if reason is None:
            return chunk
        found.update(dict.fromkeys(chunk.rows[bad].tolist(), reason))
        return chunk.keep(~bad)

    def _halve(
        self, chunk: Chunk, ask: Callable[[Any, Any], object], found: dict[int, str]
    ) -> None:
        if not len(chunk) or (reason := self._fault(chunk, ask)) is None:
            return
        if len(chunk) == 1:
            found[int(chunk.rows[0])] = reason
            return
        middle = len(chunk) // 2
        self._halve(chunk.slice(0, middle), ask, found)
        self._halve(chunk.slice(middle, len(chunk)), ask, found)

    def _prepared(self, chunk: Chunk) -> Any:
        X = chunk.X if self.kernel is None else self.kernel.apply(chunk.X)
        if self.model is None or not isinstance(X, pa.RecordBatch):
            return X
        plain = self.kernel is not None or not hasattr(self.model, "feature_names_in_")
        return numbers(X, order="C") if plain else to_frame(X)


def _require_fitted(estimator: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise UsageError(
            f"{estimator!r} is not a scikit-learn estimator; give a fitted one, what fit() "
            "returned, or the folder of a run"
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise UsageError(
            f"this {type(estimator).__name__} is not fitted; fit it first, or give a run"
        ) from None


def _compile(estimator: Any, schema: Schema) -> tuple[Kernel | None, Any]:
    """Split a fitted pipeline into kernel and model; any other predictor is all model."""
    from sklearn.pipeline import Pipeline

    if not hasattr(estimator, "predict"):
        return compile_transformer(estimator, schema), None
    if is_transformed_target(estimator) and type(estimator.regressor_) is Pipeline:
        kernel, last = _compile(estimator.regressor_, schema)
        short = copy.copy(estimator)
        short.regressor_ = last
        return kernel, short
    if type(estimator) is not Pipeline or len(estimator.steps) < 2:
        return None, estimator
    before = Pipeline(estimator.steps[:-1])
    return compile_transformer(before, schema), estimator.steps[-1][1]
