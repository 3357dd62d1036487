"""How columns vary together: mean and scatter matrix, merged from blocks.

The scatter matrix of a block is taken about the block's own mean, and blocks merge as variances
do. Values are shifted by the first block's mean before anything is summed, so that columns of
10**9 ± 1 keep their digits. What scikit-learn gets from all rows at once by singular values
follows from this matrix alone, at the price of the small ones: a singular value that is the
share ``c`` of the largest is right to about ``1e-16 / c**2``.

References
----------
Chan, Golub, LeVeque: Algorithms for computing the sample variance: analysis and
recommendations. The American Statistician 37 (1983) 242-247.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scatter", "eigen"]

Matrix = NDArray[np.float64]


class Scatter:
    """Number of rows, mean of the columns, and their sum of products of deviations.

    Of the matrix only the lower triangle is kept up. Dense blocks are centred one by one;
    sparse ones add what they store, and are centred at the end.

    Parameters
    ----------
    columns : int

    Examples
    --------
    >>> one, two = Scatter(2), Scatter(2)
    >>> one.add(np.array([[1e9, 0.0], [1e9 + 2, 1.0]]))
    >>> two.add(np.array([[1e9 + 4, 5.0]]))
    >>> one.merge(two)
    >>> one.mean
    array([1.e+09, 2.e+00])
    >>> one.centred()
    array([[ 8.,  0.],
           [10., 14.]])
    """

    def __init__(self, columns: int) -> None:
        self.rows = 0
        """Rows taken in."""
        self._is_raw = False
        self._shift = np.zeros(columns)
        self._mean = np.zeros(columns)
        self._product: Matrix = np.zeros((columns, columns), order="F")

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each column."""
        return self._shift + self._mean

    def add(self, X: NDArray[Any]) -> None:
        """Take in a dense block of shape (rows, columns), all of it finite."""
        rows = len(X)
        if not rows:
            return
        if not self.rows:
            self._shift = np.asarray(X.mean(axis=0, dtype=np.float64))
        deviation = np.subtract(X, self._shift, dtype=np.float64)
        mean = deviation.sum(axis=0) / rows
        deviation -= mean
        # What rounding left of the mean, which is the mean of what is there now.
        rest = deviation.sum(axis=0) / rows
        self._join(rows, mean + rest)
        self._add_product(deviation)
        self._add_square(-float(rows), rest)

    def add_sparse(self, X: Any) -> None:
        """Take in a CSR block; costs what is stored."""
        rows, columns = X.shape
        if not rows:
            return
        self._is_raw = True
        X = X.astype(np.float64)
        total = np.bincount(X.indices, X.data, minlength=columns)
        self._mean = self._mean + (total / rows - self._mean) * (rows / (self.rows + rows))
        self.rows += rows
        product = (X.T @ X).tocoo()
        lower = product.row >= product.col
        self._product[product.row[lower], product.col[lower]] += product.data[lower]

    def merge(self, other: Scatter) -> None:
        """Take in the rows of another."""
        if not other.rows:
            return
        if not self.rows:
            self.__dict__.update(other.__dict__)
            return
        # The shifts are near each other, so their difference is exact or nearly so.
        mean = other._mean + (other._shift - self._shift)
        if self._is_raw:
            self._mean = self._mean + (mean - self._mean) * (other.rows / (self.rows + other.rows))
            self.rows += other.rows
        else:
            self._join(other.rows, mean)
        self._product += other._product

    def centred(self) -> Matrix:
        """Return the scatter matrix, of which the lower triangle counts; not a copy."""
        if self._is_raw:
            self._add_square(-float(self.rows), self._mean)
            self._is_raw = False
        return self._product

    def raw(self) -> Matrix:
        """Return the sum of products of the values themselves, lower triangle; a copy."""
        from scipy.linalg import blas

        copied = self._product.copy(order="F")
        if self._is_raw:
            return copied
        found: Matrix = blas.dsyr(self.rows, self.mean, lower=1, a=copied, overwrite_a=1)
        return found

    def _join(self, rows: int, mean: NDArray[np.float64]) -> None:
        """Move the mean towards that of more rows, and the product by what lies between."""
        total = self.rows + rows
        delta = mean - self._mean
        if self.rows:
            self._add_square(self.rows * (rows / total), delta)
            self._mean = self._mean + delta * (rows / total)
        else:
            self._mean = mean
        self.rows = total

    def _add_product(self, deviation: Matrix) -> None:
        from scipy.linalg import blas

        # BLAS works on columns in memory; the block is handed over as it lies, without a copy.
        a, trans = (deviation, 1) if deviation.flags.f_contiguous else (deviation.T, 0)
        self._product = blas.dsyrk(
            1.0, a, beta=1.0, c=self._product, trans=trans, lower=1, overwrite_c=1
        )

    def _add_square(self, factor: float, vector: NDArray[np.float64]) -> None:
        from scipy.linalg import blas

        self._product = blas.dsyr(factor, vector, lower=1, a=self._product, overwrite_a=1)


def eigen(matrix: Matrix) -> tuple[NDArray[np.float64], Matrix]:
    """Return eigenvalues, largest first and none negative, and vectors as rows.

    The sign of each vector makes its largest entry positive, as scikit-learn has it; of entries
    that are the largest but for rounding, the first decides, so that rounding never does.

    Parameters
    ----------
    matrix : array of shape (columns, columns)
        Symmetric, lower triangle; it is overwritten.

    Examples
    --------
    >>> values, vectors = eigen(np.array([[2.0, 0.0], [-1.0, 2.0]], order="F"))
    >>> values.round(9)
    array([3., 1.])
    >>> vectors.round(3)
    array([[ 0.707, -0.707],
           [ 0.707,  0.707]])
    """
    from scipy.linalg import eigh

    if not np.isfinite(np.diag(matrix)).all():
        raise ValueError("the squares of the values overflow; scale the columns first")
    values, vectors = eigh(matrix, lower=True, overwrite_a=True, check_finite=False, driver="evd")
    values, rows = np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors.T[::-1])
    size = np.abs(rows)
    first = (size >= size.max(axis=1, keepdims=True) * (1 - 1e-12)).argmax(axis=1)
    rows *= np.sign(rows[np.arange(len(rows)), first])[:, None]
    return values, rows
