"""An estimator's own ``transform``, on a matrix made from columns without a frame between."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamlearn.chunk import Block
from streamlearn.errors import CellError
from streamlearn.prepare.base import EstimatorKernel, Rows, works_in_place
from streamlearn.prepare.frame import numbers
from streamlearn.prepare.operations import input_names, unusable

__all__ = ["MatrixKernel", "compile_matrix"]

_MAKE_FLOATS = (
    "BernoulliRBM",
    "FactorAnalysis",
    "FastICA",
    "GaussianRandomProjection",
    "IncrementalPCA",
    "LinearDiscriminantAnalysis",
    "MiniBatchNMF",
    "NMF",
    "Normalizer",
    "PCA",
    "PolynomialFeatures",
    "PowerTransformer",
    "QuantileTransformer",
    "SparseRandomProjection",
)
"""These make floats of whole numbers as soon as they are given them."""
_TAKE_FLOATS = (
    "AdditiveChi2Sampler",
    "Birch",
    "KMeans",
    "LatentDirichletAllocation",
    "MiniBatchDictionaryLearning",
    "MiniBatchKMeans",
    "MissingIndicator",
    "Nystroem",
    "PolynomialCountSketch",
    "RBFSampler",
    "SimpleImputer",
    "SkewedChi2Sampler",
    "SplineTransformer",
    "TruncatedSVD",
)
"""These may compute with whole numbers as such, and are given a matrix of floats only."""
_WIDTHS = ("_n_features_out", "n_output_features_", "n_features_out_")


class MatrixKernel:
    """A scikit-learn transformer that takes a matrix of numbers, given one.

    The matrix has the memory order that a frame's has, so that what linear algebra makes of it
    has the same bits.

    Parameters
    ----------
    estimator : fitted transformer
    """

    def __init__(self, estimator: Any) -> None:
        self.width = _width(estimator)
        self.columns_in = int(estimator.n_features_in_)
        self.sparse = bool(getattr(estimator, "sparse_output", False))
        self._makes_floats = type(estimator).__name__ in _MAKE_FLOATS
        self._works_in_place = works_in_place(estimator)
        self._names = input_names(estimator)
        self._whole = EstimatorKernel(estimator)
        self._estimator = _without_names(estimator)
        self._on_ours = self._estimator
        if hasattr(estimator, "copy"):
            # The matrix is ours: it may be worked on in place.
            self._on_ours = copy.copy(self._estimator)
            self._on_ours.copy = False

    def apply(self, X: Block, rows: Rows = None) -> Block:
        """See `streamlearn.prepare.base.Kernel.apply`."""
        if isinstance(X, pa.RecordBatch):
            if not self._takes(X):
                return self._whole.apply(X)
            return self._transform(self._on_ours, numbers(X))
        if not isinstance(X, np.ndarray):
            return self._whole.apply(X)
        return self._transform(self._estimator, X.copy() if self._works_in_place else X)

    def _takes(self, X: pa.RecordBatch) -> bool:
        floats = all(kind in (pa.float32(), pa.float64()) for kind in X.schema.types)
        return floats or (self._makes_floats and pa.float16() not in X.schema.types)

    def _transform(self, estimator: Any, matrix: NDArray[Any]) -> Block:
        try:
            return estimator.transform(matrix)
        except ValueError:
            self._refuse(matrix)
            raise

    def _refuse(self, matrix: NDArray[Any]) -> None:
        """Raise for the first cell that is missing, or infinite, where that is what it is about."""
        from sklearn.utils import get_tags

        if matrix.dtype.kind != "f":
            return
        takes_gaps = get_tags(self._estimator).input_tags.allow_nan
        bad = np.isinf(matrix) if takes_gaps else ~np.isfinite(matrix)
        if bad.any():
            row, column = (int(part) for part in np.argwhere(bad)[0])
            step = type(self._estimator).__name__
            raise CellError(row, self._names[column], unusable(matrix[row, column], step)) from None


def _without_names(estimator: Any) -> Any:
    """Return the same estimator, that does not warn of a matrix without column names."""
    bare = copy.copy(estimator)
    if "feature_names_in_" in vars(bare):
        del bare.feature_names_in_
    return bare


def _width(estimator: Any) -> int | None:
    from sklearn.base import OneToOneFeatureMixin

    for name in _WIDTHS:
        found = getattr(estimator, name, None)
        if found is not None:
            return int(found)
    return int(estimator.n_features_in_) if isinstance(estimator, OneToOneFeatureMixin) else None


def compile_matrix(estimator: Any) -> MatrixKernel | None:
    """Return the kernel of a fitted transformer that takes numbers only, and is scikit-learn's."""
    kind = type(estimator)
    known = kind.__name__ in _MAKE_FLOATS + _TAKE_FLOATS and kind.__module__.startswith("sklearn.")
    return MatrixKernel(estimator) if known and hasattr(estimator, "n_features_in_") else None
