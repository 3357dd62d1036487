"""Work ahead in threads, results in order."""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

__all__ = ["ahead", "ordered"]

T = TypeVar("T")
R = TypeVar("R")
_WAIT_S = 0.1


class _Stopped(Exception):  # noqa: N818 - a signal between threads, not an error
    """The consumer has gone."""


def _settings() -> Callable[[], None] | None:
    """Return what gives another thread scikit-learn's settings of this one: each has its own."""
    sklearn: Any = sys.modules.get("sklearn")
    if sklearn is None:
        return None
    return partial(sklearn.set_config, **sklearn.get_config())


def ordered(
    tasks: Iterable[T],
    work: Callable[[T], Iterator[R]],
    *,
    threads: int,
    depth: int | None,
    most: Callable[[], int | None] = lambda: None,
) -> Generator[R, None, None]:
    """Run ``work`` on each task in threads, and yield what they yield in the order of the tasks.

    Parameters
    ----------
    tasks : iterable
        Taken up at most ``threads`` ahead of the one being yielded.
    work : callable
        Returns an iterator of results.
    threads : int
        With 0, everything runs in the caller's thread.
    depth : int or None
        Results of one task that may wait; None: any number.
    most : callable
        Says how many tasks may be under way from now on; None: as many as there are threads.

    Yields
    ------
    Results, as if the tasks had run one after the other.

    Notes
    -----
    An error in a task is raised at its place. Closing the iterator stops all threads and waits
    for them.

    Examples
    --------
    >>> list(ordered([3, 1], lambda n: iter(range(n)), threads=2, depth=1))
    [0, 1, 2, 0]
    """
    if threads <= 0:
        for task in tasks:
            yield from work(task)
        return
    stop = threading.Event()
    pool = ThreadPoolExecutor(
        threads, thread_name_prefix="streamlearn-read", initializer=_settings()
    )
    lanes: deque[_Lane[R]] = deque()
    remaining = iter(tasks)

    def take_up() -> bool:
        for task in remaining:
            lanes.append(_Lane(depth, stop))
            pool.submit(lanes[-1].run, work, task)
            return True
        return False

    try:
        for _ in range(threads + 1):
            take_up()
        while lanes:
            yield from lanes.popleft()
            while len(lanes) < min(threads + 1, most() or threads + 1) and take_up():
                pass
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


class _Lane(Generic[R]):
    """Carries one task's results from its thread to the consumer."""

    def __init__(self, depth: int | None, stop: threading.Event) -> None:
        self._queue: queue.Queue[tuple[bool, Any]] = queue.Queue(depth or 0)
        self._stop = stop

    def run(self, work: Callable[[T], Iterator[R]], task: T) -> None:
        """Do the work, in the thread; every ending reaches the consumer, if it still listens."""
        iterator = None
        try:
            iterator = work(task)
            for item in iterator:
                self._put((False, item))
            self._put((True, None))
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            with suppress(_Stopped):
                self._put((True, error))
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _put(self, item: tuple[bool, Any]) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return
        raise _Stopped

    def __iter__(self) -> Iterator[R]:
        while True:
            ended, value = self._queue.get()
            if not ended:
                yield value
            elif value is not None:
                raise value
            else:
                return


def ahead(
    items: Iterable[T], function: Callable[[T], R], *, threads: int, depth: int = 1
) -> Generator[R, None, None]:
    """Apply a function to items in threads, some ahead of the consumer, results in order.

    Parameters
    ----------
    threads : int
        With 0, everything runs in the caller's thread.
    depth : int
        Results that may wait; with fewer than there are threads, some of them are idle.
    """
    if threads <= 0:
        for item in items:
            yield function(item)
        return
    pool = ThreadPoolExecutor(
        threads, thread_name_prefix="streamlearn-prepare", initializer=_settings()
    )
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
