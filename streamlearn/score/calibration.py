"""How often what a classifier holds likely comes true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamlearn.errors import CellError
from streamlearn.score.base import Answers
from streamlearn.score.labels import truth_places
from streamlearn.score.sums import Additive, group_sums, weights_of

__all__ = ["Calibration"]

Floats = NDArray[np.float64]


class Calibration(Additive):
    """The expected calibration error, and the reliability curve it sums up.

    Probabilities fall into bins of equal width. Of two classes they are those of the second; of
    more, those of the class that is likeliest, and what comes true is that it is the right one.
    A state is three sums a bin: 24 bins bytes a group.

    Parameters
    ----------
    classes : array of shape (n_classes,)
        The model's classes, sorted.
    bins : int

    References
    ----------
    Naeini, Cooper, Hauskrecht: Obtaining well calibrated probabilities using Bayesian binning.
    AAAI 2015, 2901-2907.

    Examples
    --------
    >>> statistic = Calibration(np.array([0, 1]), bins=2)
    >>> chances = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]])
    >>> y, one = np.array([0, 0, 1, 0]), np.zeros(4, dtype=np.intp)
    >>> state = statistic.states(y, Answers(y, chances), None, one, 1)
    >>> round(float(statistic.values(state)["calibration_error"][0]), 4)
    0.3
    """

    names = ("calibration_error",)

    def __init__(self, classes: NDArray[Any], bins: int = 15) -> None:
        self.classes = classes
        self.bins = bins
        self.size = 3 * bins
        self._edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]

    def states(
        self, y: NDArray[Any], answers: Answers, weight: Any, groups: NDArray[np.intp], count: int
    ) -> Floats:
        """See `streamlearn.score.base.Statistic.states`.

        Raises
        ------
        DataError
            If a label is none of the model's classes, or a probability NaN.
        """
        out = np.zeros((count, 3, self.bins))
        chances = answers.probabilities
        if len(y) and chances is not None:
            ones = weights_of(weight, len(y))
            truth = truth_places(y, answers, self.classes)
            if len(self.classes) == 2:
                likely, came = np.asarray(chances[:, 1], dtype=np.float64), truth == 1
            else:
                said = chances.argmax(axis=1)
                likely = np.asarray(chances[np.arange(len(y)), said], dtype=np.float64)
                came = truth == said
            if np.isnan(likely).any():
                row = int(np.isnan(likely).argmax())
                raise CellError(row, "target", "a probability is NaN; mend the model")
            cells = groups * self.bins + np.searchsorted(self._edges, likely)
            for at, weights in enumerate((ones, ones * likely, ones * came)):
                found = group_sums(weights, cells, max(2, count * self.bins))
                out[:, at] = found[: count * self.bins].reshape(count, self.bins)
        return out.reshape(count, self.size)

    def reliability(self, state: Floats) -> tuple[Floats, Floats, Floats]:
        """Return mean probability, share that came true, and weight, of each bin with rows.

        Parameters
        ----------
        state : array of float, shape (1, size)
        """
        weight, likely, came = state.reshape(3, self.bins)
        used = weight > 0
        return likely[used] / weight[used], came[used] / weight[used], weight[used]

    def values(self, states: Floats) -> Mapping[str, Floats]:
        """See `streamlearn.score.base.Statistic.values`."""
        weight, likely, came = np.moveaxis(states.reshape(-1, 3, self.bins), 1, 0)
        total = weight.sum(axis=1)
        apart = np.abs(likely - came).sum(axis=1)
        error = np.divide(apart, total, out=np.full(len(total), np.nan), where=total > 0)
        return {"calibration_error": error}
