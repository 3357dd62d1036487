"""Numbers to where they stand among a column's quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.prepare.elementwise import ElementwiseKernel
from streamlearn.prepare.operations import column_by_column, input_names, refuse_infinite

__all__ = ["compile_quantiles"]

_NEAR_BOUNDS = 1e-7
"""How near to a bound scikit-learn counts a number as the bound, before the normal's quantiles."""


class QuantileMap:
    """A fitted QuantileTransformer, column by column.

    Interpolation looks for each number among the quantiles. It is several times faster for
    numbers in order, and gives the same bits: so they are sorted, and put back.
    """

    def __init__(self, estimator: Any) -> None:
        self._quantiles = np.asarray(estimator.quantiles_)
        self._references = np.asarray(estimator.references_)
        self._normal = estimator.output_distribution == "normal"

    def change(self, values: NDArray[Any], column: int) -> NDArray[Any]:
        """Return the place of each number; NaN stays."""
        quantiles = self._quantiles[:, column]
        low, high = quantiles[0], quantiles[-1]
        near = _NEAR_BOUNDS
        at_low = values - near < low if self._normal else values == low
        at_high = values + near > high if self._normal else values == high
        order = np.argsort(values)
        ordered = values[order]
        # From below and from above: where quantiles repeat, the mean of both ends is meant.
        upward = np.interp(ordered, quantiles, self._references)
        downward = np.interp(-ordered[::-1], -quantiles[::-1], -self._references[::-1])[::-1]
        out = np.empty_like(values)
        out[order] = 0.5 * (upward - downward)
        out[at_high] = 1
        out[at_low] = 0
        return _to_normal(out) if self._normal else out


def _to_normal(shares: NDArray[Any]) -> NDArray[Any]:
    from scipy import stats

    lowest = stats.norm.ppf(_NEAR_BOUNDS - np.spacing(1))
    highest = stats.norm.ppf(1 - (_NEAR_BOUNDS - np.spacing(1)))
    found: NDArray[Any] = np.clip(stats.norm.ppf(shares), lowest, highest)
    return found


def compile_quantiles(estimator: Any) -> ElementwiseKernel:
    """Return the kernel of a fitted QuantileTransformer."""
    check = refuse_infinite(input_names(estimator), type(estimator).__name__)
    change = column_by_column(QuantileMap(estimator).change)
    columns = int(estimator.n_features_in_)
    return ElementwiseKernel([check, change], columns, estimators=[estimator])
