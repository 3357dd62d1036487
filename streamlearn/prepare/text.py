"""Texts as scikit-learn's vectorizers take them: one document after the other.

A vectorizer iterates over what it is given, and a frame iterates over the names of its columns. So a
table of one text column is taken as that column here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import Rows

__all__ = ["TextKernel", "column_name", "iterates", "refused", "texts_of"]


def texts_of(X: Block, vectorizer: Any) -> list[Any]:
    """Return the documents of a block.

    Parameters
    ----------
    X : RecordBatch or frame of one column, Series, list, array of one dimension
    vectorizer : CountVectorizer, TfidfVectorizer, HashingVectorizer

    Raises
    ------
    CellError
        If a document is missing, or the column holds no texts.
    ValueError
        If there is more than one column.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> texts_of(pa.RecordBatch.from_pydict({"text": ["a cat", "a dog"]}), CountVectorizer())
    ['a cat', 'a dog']
    """
    name = type(vectorizer).__name__
    if getattr(X, "ndim", 1) == 2 or isinstance(X, pa.RecordBatch):
        if not isinstance(X, pa.RecordBatch) and not hasattr(X, "iloc"):
            raise ValueError(f"{name} takes one text column of a table, and not a matrix")
        if X.shape[1] != 1:
            raise ValueError(
                f"{name} takes one text column, and there are {X.shape[1]}; name it with "
                "features=, or give each column its own vectorizer in a ColumnTransformer"
            )
    column = column_name(X)
    texts: list[Any]
    if isinstance(X, pa.RecordBatch):
        found = X.column(0)
        if not _is_text(found.type) and not _takes_anything(vectorizer):
            raise CellError(
                None,
                column,
                f"{found.type} where {name} needs texts; leave the column out, or give it "
                "another step in a ColumnTransformer",
            )
        missing = found.is_null().to_numpy(zero_copy_only=False) if found.null_count else None
        texts = found.to_numpy(zero_copy_only=False).tolist()
    else:
        import pandas as pd

        found = X.iloc[:, 0] if getattr(X, "ndim", 1) == 2 else pd.Series(X, dtype=object)
        missing = found.isna().to_numpy()
        texts = found.tolist()
    if missing is not None and missing.any():
        raise CellError(
            int(missing.argmax()),
            column,
            f"a missing document, and {name} takes texts; leave such rows out with "
            "drop_missing=True, or put a text in their place with derive=",
        )
    return texts


def iterates(estimator: Any) -> bool:
    """Whether a transformer takes rows one after the other, and a frame for its columns' names."""
    from sklearn.feature_extraction import DictVectorizer, FeatureHasher
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    kinds = CountVectorizer | HashingVectorizer | DictVectorizer | FeatureHasher
    return isinstance(estimator, kinds)


def column_name(X: Block) -> str:
    """Return the name of a single column, "text" where it has none."""
    if isinstance(X, pa.RecordBatch):
        return str(X.schema.names[0])
    if hasattr(X, "columns"):
        return str(X.columns[0])
    name = getattr(X, "name", None)
    return "text" if name is None else str(name)


def _is_text(kind: pa.DataType) -> bool:
    kinds = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_null,
    )
    return any(is_kind(kind) for is_kind in kinds)


def _takes_anything(vectorizer: Any) -> bool:
    """Whether the user's own function decides what a document is, say a list of tokens."""
    own = (vectorizer.analyzer, vectorizer.preprocessor, vectorizer.tokenizer)
    return any(callable(function) for function in own)


def refused(error: Exception, text: Any, row: int, column: str) -> CellError:
    """Make the error for a document that the analyzer cannot take apart."""
    if isinstance(error, UnicodeDecodeError):
        return CellError(
            row,
            column,
            f"bytes that cannot be decoded: {error}; name the right encoding=, or use "
            "decode_error='replace'",
        )
    kind = type(text).__name__
    return CellError(row, column, f"a document ({kind}) that cannot be taken apart: {error}")


class TextKernel:
    """A text vectorizer's own ``transform``, given documents.

    Parameters
    ----------
    estimator : fitted CountVectorizer, TfidfVectorizer or HashingVectorizer
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        terms = getattr(estimator, "vocabulary_", None)
        width = len(terms) if terms is not None else getattr(estimator, "n_features", None)
        self.width: int | None = width

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        texts = texts_of(X, self._estimator)
        try:
            return self._estimator.transform(texts)
        except (ValueError, TypeError, AttributeError):
            self._refuse(texts, column_name(X))
            raise

    def _refuse(self, texts: list[Any], column: str) -> None:
        """Raise for the first document that cannot be taken apart, if there is one."""
        analyze = self._estimator.build_analyzer()
        for row, text in enumerate(texts):
            try:
                list(analyze(text))
            except (ValueError, TypeError, AttributeError) as error:
                raise refused(error, text, row, column) from error

    def nonzeros(self, counts: Sequence[Any]) -> int:
        """Return how many values are stored of the rows learned from."""
        return int(sum(count.sum() for count in counts))
