"""Finishing by replay: scikit-learn fits a tiny frame, and the statistics are set over it.

Names, dtypes and private bookkeeping are then scikit-learn's own doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.prepare.frame import numbers

__all__ = ["blank_like", "fit_quietly", "frame_like", "matrix_of"]


def matrix_of(X: Block) -> NDArray[Any]:
    """Return a block as dense floats of shape (rows, columns), whatever kind it is.

    The order in memory, and with it the bits of a sum, does not depend on how an array was cut.
    """
    if hasattr(X, "toarray"):
        X = X.toarray()
    elif hasattr(X, "iloc"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        X = np.ascontiguousarray(X)
    return numbers(X)


def frame_like(sample: Any, values: NDArray[Any]) -> Any:
    """Return values of shape (rows, columns) as what ``sample`` is: a frame of its names, or an array."""
    if hasattr(sample, "iloc"):
        import pandas as pd

        return pd.DataFrame(values, columns=sample.columns)
    return values


def blank_like(sample: Any) -> Any:
    """Return two rows of zeros with the sample's names, sparse where it is."""
    if hasattr(sample, "indptr"):
        from scipy import sparse

        return sparse.csr_matrix((2, sample.shape[1]), dtype=sample.dtype)
    return frame_like(sample, np.zeros((2, sample.shape[1])))


def fit_quietly(estimator: Any, stand_in: Any) -> None:
    """Fit an estimator on rows that stand in for others, whose lacks say nothing about those."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(stand_in)


def table_like(sample: Any, columns: Sequence[pa.Array]) -> Any:
    """Return columns of any type, cut to one length by repetition, as what ``sample`` is."""
    longest = max(len(column) for column in columns)
    arrays = [
        column
        if len(column) == longest
        else column.take(pa.array(np.arange(longest) % len(column)))
        for column in columns
    ]
    frame = pa.RecordBatch.from_arrays(
        arrays, names=[str(i) for i in range(len(arrays))]
    ).to_pandas()
    if hasattr(sample, "iloc"):
        frame.columns = sample.columns
        return frame
    return np.asarray(frame.to_numpy(), dtype=sample.dtype)
