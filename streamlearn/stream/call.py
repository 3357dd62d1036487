"""One call inside a memory budget: what it holds, what it may hold, and who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from streamlearn.errors import MemoryBudgetError
from streamlearn.plan.memory import MemoryPlan
from streamlearn.stream.budget import resolve_budget
from streamlearn.stream.events import Listener
from streamlearn.stream.governor import AMPLE, Governor
from streamlearn.stream.hard_limit import hard_limit as keep_to
from streamlearn.stream.probe import Probe, make_probe
from streamlearn.stream.reclaim import lean_arrow, trim_malloc, unmap_libraries
from streamlearn.stream.timeline import Recorder

__all__ = ["Call", "bounded"]

T = TypeVar("T")

_LIBRARY_BYTES = 32_000_000
_COMES_BACK = 0.5
"""Of the library pages given back, what work needs again (measured: 0.41 to 0.48)."""


class Call:
    """A call that keeps to a budget; made by `bounded`."""

    def __init__(
        self,
        probe: Probe,
        stack: ExitStack,
        recorder: Recorder,
        budget: str | int | None,
        *,
        hard_limit: bool,
    ) -> None:
        self.recorder = recorder
        self._probe = probe
        self._stack = stack
        self._budget = budget
        self._hard_limit = hard_limit
        self._entry = probe.rss()

    def plan(self, make: Callable[[int, int, int], T]) -> T:
        """Plan with what the process holds now.

        Memory that need not be held is given back first where the budget is not ample, and in any
        case before anything is refused. A budget such as "+300MB" is above what the process held
        when the call came.

        Parameters
        ----------
        make : callable
            Takes the budget, what the process holds, and what it will hold of libraries, in bytes.

        Raises
        ------
        MemoryBudgetError
            If ``make`` finds that it does not fit.
        """
        try:
            reserved = self._probe.rss()
            limit = resolve_budget(self._budget, self._entry)
            if limit < AMPLE * reserved:
                raise MemoryBudgetError  # noqa: TRY301 - not ample: as if it did not fit
            found = make(limit, reserved, _LIBRARY_BYTES)
        except MemoryBudgetError:
            trim_malloc()
            mapped = self._probe.read().mapped
            unmap_libraries()
            reserved = self._probe.rss()
            limit = resolve_budget(self._budget, min(self._entry, reserved))
            found = make(limit, reserved, max(_LIBRARY_BYTES, int(_COMES_BACK * mapped)))
        self._probe.reset()
        if self._hard_limit:
            self._stack.enter_context(keep_to(limit, reserved))
        return found

    def governor(self, memory: MemoryPlan) -> Governor:
        """Return who watches the memory from here on."""
        return Governor(
            limit_bytes=memory.limit_bytes,
            chunk_rows=memory.chunk_rows,
            probe=self._probe,
            emit=self.recorder,
            lag=2 * memory.readers + 2,
        )


@contextmanager
def bounded(
    budget: str | int | None,
    *,
    hard_limit: bool = False,
    listeners: Sequence[Listener] = (),
    jemalloc: bool = True,
) -> Iterator[Call]:
    """Do something inside a memory budget.

    Parameters
    ----------
    jemalloc : bool
        Whether Arrow takes its jemalloc pool, which holds least beyond what is in use, but gives
        nothing back when it is asked to (measured).
    """
    probe = make_probe()
    try:
        with ExitStack() as stack:
            if jemalloc:
                stack.enter_context(lean_arrow())
            stack.enter_context(_one_blas_thread())
            recorder = Recorder(listeners)
            yield Call(probe, stack, recorder, budget, hard_limit=hard_limit)
    finally:
        probe.close()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """One BLAS thread: the same bits on any machine, and no fight with the readers."""
    import sklearn.linear_model  # noqa: F401 - loads the libraries that are to be limited
    from threadpoolctl import ThreadpoolController

    with ThreadpoolController().limit(limits=1):
        yield
