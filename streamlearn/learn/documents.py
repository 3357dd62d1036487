"""Fits TfidfTransformer: in how many documents each term occurs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.learn.base import column_names
from streamlearn.learn.replay import blank_like, matrix_of
from streamlearn.prepare.frame import matrix_dtype

__all__ = ["DocumentCounts", "document_weights"]


def document_weights(
    documents: NDArray[np.int64], rows: int, dtype: np.dtype[Any], *, smooth: bool
) -> NDArray[Any]:
    """Return the inverse document frequencies, by the operations scikit-learn rounds with.

    Parameters
    ----------
    documents : array of int, shape (terms,)
        Documents that each term is in.
    rows : int
        Documents in all.
    dtype : float dtype
    smooth : bool
        Count one more document that has every term.

    References
    ----------
    Manning, Raghavan, Schütze: Introduction to Information Retrieval. Cambridge University
    Press, 2008, section 6.2.

    Examples
    --------
    >>> document_weights(np.array([1, 3]), 3, np.dtype(float), smooth=True)
    array([1.69314718, 1.        ])
    """
    counts = documents.astype(dtype)
    counts += float(smooth)
    weights = np.full_like(counts, fill_value=rows + int(smooth), dtype=dtype)
    with np.errstate(divide="ignore"):
        weights /= counts
    np.log(weights, out=weights)
    weights += 1.0
    return weights


class DocumentCounts:
    """Fits `sklearn.feature_extraction.text.TfidfTransformer`.

    Parameters
    ----------
    estimator : TfidfTransformer
    """

    takes_sparse = True
    """A sparse block is learned by what it stores."""

    def __init__(self, estimator: Any) -> None:
        del estimator
        self._documents: NDArray[np.int64] | None = None
        self._rows = 0
        self._dtype: np.dtype[Any] = np.dtype(np.float64)

    @classmethod
    def counted(
        cls, estimator: Any, documents: NDArray[np.int64], rows: int, dtype: Any
    ) -> DocumentCounts:
        """Return the state of counts that a vectorizer before it has taken already."""
        found = cls(estimator)
        found._documents, found._rows = documents, rows
        found._dtype = np.dtype(np.float32 if np.dtype(dtype) == np.float32 else np.float64)
        return found

    def update(self, X: Block, y: Any, sample_weight: Any) -> None:
        """See `Accumulator.update`."""
        del y, sample_weight
        if hasattr(X, "indptr"):
            _refuse_nonfinite(X.data, X)
            # An entry that is stored counts, whatever it is: so it does in scikit-learn.
            documents = np.bincount(X.indices, minlength=X.shape[1])
            self._dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        else:
            matrix = matrix_of(X)
            _refuse_nonfinite(matrix, X)
            documents = np.count_nonzero(matrix, axis=0)
            self._dtype = matrix_dtype(X) if isinstance(X, pa.RecordBatch) else matrix.dtype
        self._rows += X.shape[0]
        counts = documents.astype(np.int64, copy=False)
        self._documents = counts if self._documents is None else self._documents + counts

    def merge(self, other: DocumentCounts) -> None:
        """See `Accumulator.merge`."""
        if other._documents is None:
            return
        if self._documents is None:
            self._documents, self._dtype = other._documents, other._dtype
        else:
            self._documents = self._documents + other._documents
        self._rows += other._rows

    def finish(self, estimator: Any, sample: Any) -> None:
        """See `Accumulator.finish`."""
        assert self._documents is not None
        if hasattr(sample, "indptr"):
            from scipy import sparse

            estimator.fit(sparse.csr_matrix((1, sample.shape[1]), dtype=sample.dtype))
        else:
            estimator.fit(blank_like(sample))
        if estimator.use_idf:
            estimator.idf_ = document_weights(
                self._documents, self._rows, self._dtype, smooth=estimator.smooth_idf
            )


def _refuse_nonfinite(values: NDArray[Any], X: Block) -> None:
    """Raise where a count is missing or infinite."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    if hasattr(X, "indptr"):
        at = int(bad.argmax())
        row, column = int(np.searchsorted(X.indptr, at, side="right")) - 1, str(X.indices[at])
        value = values[at]
    else:
        row, place = (int(part) for part in np.argwhere(bad)[0])
        column, value = column_names(X)[place], values[row, place]
    raise CellError(
        row,
        column,
        f"{value}, and TfidfTransformer takes finite counts; fill it with SimpleImputer, or leave "
        "such rows out with where=",
    )
