"""Work ahead in threads, results in order."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

__all__ = ["ahead", "ordered"]

T = TypeVar("T")
R = TypeVar("R")
_WAIT_S = 0.1


class _Stopped(Exception):  # noqa: N818 - a signal between threads, not an error
    """The consumer has gone."""


def ordered(
    tasks: Iterable[T],
    work: Callable[[T], Iterator[R]],
    *,
    threads: int,
    depth: int | None,
) -> Iterator[R]:
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
    done = object()

    def put(out: queue.Queue[Any], item: Any) -> None:
        while not stop.is_set():
            try:
                out.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return
        raise _Stopped

    def run(task: T, out: queue.Queue[Any]) -> None:
        try:
            iterator = work(task)
            close = getattr(iterator, "close", None)
            with closing(iterator) if close else _nothing(iterator):  # type: ignore[type-var]
                for item in iterator:
                    put(out, (item, None))
            put(out, (done, None))
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            try:
                put(out, (done, error))
            except _Stopped:
                return

    pool = ThreadPoolExecutor(threads, thread_name_prefix="streamlearn-read")
    waiting: deque[queue.Queue[Any]] = deque()
    remaining = iter(tasks)

    def take_up() -> None:
        for task in remaining:
            out: queue.Queue[Any] = queue.Queue(depth or 0)
            waiting.append(out)
            pool.submit(run, task, out)
            return

    try:
        for _ in range(threads + 1):
            take_up()
        while waiting:
            out = waiting.popleft()
            while True:
                item, error = out.get()
                if error is not None:
                    raise error
                if item is done:
                    break
                yield item
            take_up()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def ahead(
    items: Iterable[T], function: Callable[[T], R], *, threads: int, depth: int = 1
) -> Iterator[R]:
    """Apply a function to items in one thread, some ahead of the consumer, in order.

    Parameters
    ----------
    threads : int
        With 0, everything runs in the caller's thread.
    depth : int
        Results that may wait.
    """
    if threads <= 0:
        for item in items:
            yield function(item)
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="streamlearn-prepare")
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


class _nothing:  # noqa: N801 - stands in for contextlib.closing
    def __init__(self, value: Any) -> None:
        self._value = value

    def __enter__(self) -> Any:
        return self._value

    def __exit__(self, *error: object) -> None:
        return None
