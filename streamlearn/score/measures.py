"""What is measured of each model, of all rows and of groups of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from streamlearn.score.base import Score, Statistic
from streamlearn.score.binned import Binned
from streamlearn.score.bootstrap import NO_INTERVAL, PIECE_BYTES
from streamlearn.score.calibration import Calibration
from streamlearn.score.exact import ExactMedianError, ExactRanking
from streamlearn.score.median import MedianError
from streamlearn.score.named import Named
from streamlearn.score.names import Asked
from streamlearn.score.rank_bins import RankBins
from streamlearn.score.ranking import Ranking
from streamlearn.score.scores import Scores
from streamlearn.score.tally import Tally, share_of, tally_bytes

__all__ = ["Measures"]

_BUCKETS = 512
_SLICE_BUCKETS = 128
_WHOLE_BYTES = 1 << 20
"""Of the states of one statistic in all buckets: they are gone through for every block."""
_SLICE_BYTES = 16 << 20
_MOST_BYTES = 64 << 20
"""Of the states of one statistic in the slices of one column; more is not sliced."""
_EXACT_BYTES = 24 << 20
_COARSER = 8


@dataclass(frozen=True)
class Measures:
    """Metrics of a model, and what they are of groups.

    A state that is too large to have one for each of many groups has a smaller one there: ranks in
    512 bins, median errors in bins 19 % wide. All rows have the large one.

    Parameters
    ----------
    kind : {"classifier", "regressor", "clusterer"}
    parts : callable
        Returns statistics, and scores that keep states of their own; anew for each model. Of
        some metrics alone, where it is given their names.
    asked : sequence of Asked
        By which names, and with which sign, metrics are reported.
    classes : array of shape (n_classes,) or None
    main : str
        Name of the metric that drift and the worst slices go by.
    greater_is_better : bool
        Of that metric.
    """

    kind: str
    parts: Callable[..., Sequence[Statistic | Score]]
    asked: Sequence[Asked]
    classes: NDArray[Any] | None
    main: str
    greater_is_better: bool
    grouped: tuple[Named, ...] = field(init=False)
    """Statistics that groups have."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grouped", self._named(self.parts()))

    def _named(self, parts: Sequence[Statistic | Score]) -> tuple[Named, ...]:
        """Return what groups have of some parts, without what nobody asked for."""
        found = [_of_groups(part) for part in parts]
        named = [Named(part, self.asked) for part in found if part is not None]
        return tuple(part for part in named if part.names)

    @property
    def names(self) -> list[str]:
        """Of the metrics, in the order in which they were asked for."""
        return [item.asked for item in self.asked]

    def apart(self) -> Scores:
        """Return what is kept of all rows only, empty."""
        return Scores([part for part in self.parts() if self._is_apart(part)], None)

    def _is_apart(self, part: Statistic | Score) -> bool:
        wanted = any(item.name in part.names for item in self.asked)  # type: ignore[union-attr]
        # The curve of calibration is drawn of all rows, whether its error was asked for or not.
        return _of_groups(part) is not part or not wanted or isinstance(part, Calibration)

    def tally(self) -> Tally:
        """Return the empty states of all rows, in buckets."""
        return Tally(*self._whole())

    def _whole(self) -> tuple[list[Named], list[int]]:
        """Return what all rows have in buckets: not what is apart, unless it can be drawn."""
        shares = [_share(item, _BUCKETS, _WHOLE_BYTES) for item in self.grouped]
        kept = [
            (item, share)
            for item, share in zip(self.grouped, shares, strict=True)
            if share > 1 or not isinstance(item.inner, MedianError | RankBins)
        ]
        return [item for item, _ in kept], [share for _, share in kept]

    def slices(self, most: int) -> Tally:
        """Return the empty states of slices, in buckets."""
        return Tally(*self._sliced(most), most, _SLICE_BYTES)

    def _sliced(self, slices: int) -> tuple[list[Named], list[int]]:
        kept = [item for item in self.grouped if 8 * item.size * slices <= _MOST_BYTES]
        return kept, [_share(item, _SLICE_BUCKETS, _SLICE_BYTES) for item in kept]

    def not_sliced(self, slices: int) -> list[str]:
        """Return the metrics that so many slices cannot have."""
        kept = {name for item in self._sliced(slices)[0] for name in item.names}
        return [name for name in self.names if name not in kept]

    def whole_bytes(self) -> int:
        """Return what all rows of a model hold, a block's states included."""
        apart = sum(
            16 * part.size if hasattr(part, "size") else _EXACT_BYTES
            for part in self.parts()
            if self._is_apart(part)
        )
        return 2 * tally_bytes(*self._whole(), 1, _WHOLE_BYTES) + apart

    def drawing_bytes(self, draws: int) -> int:
        """Return what drawing holds, when all rows are in."""
        drawn = [
            # The weights of whole and slices; states, and what values are made of on the way.
            16 * draws * share + 6 * min(PIECE_BYTES, 8 * draws * item.size)
            for item, share in zip(*self._whole(), strict=True)
            if share > 1
        ]
        return max(drawn, default=0)

    def slice_bytes(self, slices: int) -> int:
        """Return what the states of as many slices hold at most."""
        return tally_bytes(*self._sliced(slices), slices, _SLICE_BYTES)

    def segments(self, wanted: int) -> int:
        """Return the segments along the stream that the main metric can have."""
        part = self._main()
        fitting = _WHOLE_BYTES // (8 * part.size) if part is not None else 0
        return min(wanted, fitting) if fitting > 1 else 0

    def along(self, segments: int) -> Tally:
        """Return the empty states of the segments."""
        part = self._main()
        return Tally([part] if part is not None else [], [1] if part is not None else [], segments)

    def _main(self) -> Named | None:
        (own,) = [item.name for item in self.asked if item.asked == self.main]
        return next(
            (item for item in self._named(self.parts([own])) if self.main in item.names), None
        )


def _of_groups(part: Statistic | Score) -> Statistic | None:
    """Return the statistic that groups have in the place of one; itself, where it is small."""
    if isinstance(part, Ranking | ExactRanking):
        return RankBins(part.classes, part.names)
    if isinstance(part, MedianError | ExactMedianError):
        return MedianError(part.outputs, _COARSER)
    return part if hasattr(part, "states") else None  # type: ignore[return-value]


def _share(statistic: Named, most: int, allowance_bytes: int) -> int:
    """Return the buckets of a statistic to begin with; one where there are no draws of it."""
    inner = statistic.inner
    if isinstance(inner, Binned) or all(name in NO_INTERVAL for name in inner.names):
        return 1
    return share_of(statistic.size, 1, most, allowance_bytes)
