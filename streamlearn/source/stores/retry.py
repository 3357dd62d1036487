"""What is tried again, how long is waited, and when no more is tried: for stores over a network."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from streamlearn.errors import SourceError

__all__ = ["Breaker", "NoAnswerError", "Patience", "is_transient"]

T = TypeVar("T")

_LOG = logging.getLogger("streamlearn")
_LASTING = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)
_ASK_AGAIN = (408, 429)
"""HTTP statuses below 500 that mean: later."""


class NoAnswerError(SourceError):
    """A store did not answer, however often it was asked."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how long is waited between.

    Examples
    --------
    >>> patience = Patience(first_s=1.0)
    >>> [round(patience.wait_s(failure, "a.parquet"), 1) for failure in (1, 2, 3)]
    [0.9, 2.3, 4.4]
    """

    tries: int = 4
    first_s: float = 0.5
    """Waited after the first failure; twice as long after each further one."""
    longest_s: float = 20.0
    most_failures: int = 8
    """Failures one after the other, over all threads, after which a store is given up."""
    rest_s: float = 60.0
    """After which a store that was given up is asked again."""
    wait: Callable[[float], None] = time.sleep

    def wait_s(self, failures: int, what: str) -> float:
        """Return seconds to wait after so many failures.

        Between 3/4 and 5/4 of the doubling time, so that readers that failed together do not come
        back together; which it is depends on what is read, and is the same in every run.
        """
        share = 0.75 + zlib.crc32(f"{what} {failures}".encode()) / 2**33
        return float(min(self.longest_s, self.first_s * 2 ** (failures - 1) * share))


@dataclass
class Breaker:
    """Counts failures of one store over all threads, and ends it when they do not end.

    Parameters
    ----------
    store : str
        Name, for messages.
    patience : Patience
    """

    store: str
    patience: Patience = Patience()
    _failures: int = 0
    _failed_at: float = 0.0
    _answered: int = 0
    _last: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[type[Breaker], tuple[str, Patience]]:
        return Breaker, (self.store, self.patience)

    def call(self, what: str, ask: Callable[[], T]) -> T:
        """Ask until there is an answer.

        Parameters
        ----------
        what : str
            File and bytes, for messages.
        ask : callable

        Raises
        ------
        NoAnswerError
            If it failed too often, or everything of this store does.
        Exception
            What is no passing trouble, at once and as it is.
        """
        failures = 0
        while True:
            self._check(what)
            try:
                found = ask()
            except Exception as error:
                if not is_transient(error):
                    raise
                failures += 1
                shown = _shown(error)
                self._failed(shown)
                if failures >= self.patience.tries:
                    raise NoAnswerError(
                        f"{what}: cannot be read from {self.store}: {shown} (tried {failures} "
                        f"times; {self._so_far()}); check the network and the store, and run again"
                    ) from error
                self._check(what)
                wait_s = self.patience.wait_s(failures, what)
                _LOG.warning(
                    "%s: %s; trying again in %.1f s (try %d of %d)",
                    *(what, shown, wait_s, failures + 1, self.patience.tries),
                )
                self.patience.wait(wait_s)
            else:
                with self._lock:
                    self._failures = 0
                    self._answered += 1
                return found

    def _failed(self, shown: str) -> None:
        with self._lock:
            self._failures += 1
            self._failed_at = time.monotonic()
            self._last = shown

    def _check(self, what: str) -> None:
        with self._lock:
            if time.monotonic() - self._failed_at >= self.patience.rest_s:
                self._failures = 0
            failures, last = self._failures, self._last
        if failures >= self.patience.most_failures:
            raise NoAnswerError(
                f"{what}: {self.store} is given up after {failures} failures one after the other, "
                f"the last of them: {last} ({self._so_far()}); check the network and the store, "
                "and run again"
            )

    def _so_far(self) -> str:
        answered = self._answered
        return f"{answered:,} request{'' if answered == 1 else 's'} before had been answered"


def is_transient(error: BaseException) -> bool:
    """Whether the same request may be answered later: time-outs, resets, HTTP 429 and 5xx.

    Examples
    --------
    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError())
    (True, False)
    """
    if isinstance(error, _LASTING):
        # fsspec says "not found" of whatever went wrong while HTTP was asked for a file's size.
        cause = error.__cause__
        return cause is not None and is_transient(cause)
    status = getattr(error, "status", None)
    if isinstance(status, int) and status >= 300:
        return status in _ASK_AGAIN or status >= 500
    # What aiohttp says of broken connections and answers cut short is no OSError.
    return isinstance(error, OSError) or type(error).__module__.startswith("aiohttp.client_exc")


def _shown(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    status = getattr(error, "status", None)
    if isinstance(status, int) and status >= 300:
        return f"HTTP status {status} {getattr(error, 'message', '')}".rstrip()
    return f"{type(error).__name__}: {error}".rstrip(": ")
