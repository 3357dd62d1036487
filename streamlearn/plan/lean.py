"""One reading of data that has to fit: as it is, or by way of the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TypeVar

from streamlearn.errors import MemoryBudgetError
from streamlearn.plan.memory import Demand, MemoryPlan, plan_memory

__all__ = ["plan_reading"]


class _Leaning(Protocol):
    def lean(self, scratch_dir: str | None) -> Self: ...


T = TypeVar("T", bound=_Leaning)


def plan_reading(
    data: T,
    demands: Callable[[T], Sequence[Demand]],
    scratch_dir: str | None,
    **options: Any,
) -> tuple[T, MemoryPlan]:
    """Plan the memory; where it does not do, with the data read by way of the disk.

    Parameters
    ----------
    data : Dataset, or what else has `lean`
    demands : callable
        Returns what reading the data so would hold.
    **options
        Of `streamlearn.plan.memory.plan_memory`.

    Returns
    -------
    data
        As it is to be read.
    plan : MemoryPlan

    Raises
    ------
    MemoryBudgetError
    """
    try:
        return data, plan_memory(demands(data), **options)
    except MemoryBudgetError:
        lean = data.lean(scratch_dir)
        return lean, plan_memory(demands(lean), **options)
