"""Keeping to a service's rate limit before the service has to enforce it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class RateLimiter:
    """Limits the calls of all threads of this process.

    :param calls: the most calls that begin within ``seconds``.
    :param seconds: the length of that period.
    :param concurrent: the most calls at the same time.
    """

    def __init__(self, calls: int, seconds: float, concurrent: int) -> None:
        self._seconds = seconds
        self._starts: deque[float] = deque(maxlen=calls)
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(concurrent)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and hold it during the call."""
        with self._slots:
            with self._lock:
                now = time.monotonic()
                full = len(self._starts) == self._starts.maxlen
                start = max(now, self._starts[0] + self._seconds) if full else now
                self._starts.append(start)
            if start > now:
                time.sleep(start - now)
            yield


def paced(calls_per_second: float) -> tuple[int, float]:
    """Calls and seconds of a :class:`RateLimiter` that lets no more begin than a rate allows.

    :param calls_per_second: above 0; of one that is no whole number the calls are spread evenly.
    """
    if calls_per_second.is_integer():
        return int(calls_per_second), 1.0
    return 1, 1.0 / calls_per_second


_limiters: dict[str, RateLimiter] = {}
_limiters_lock = threading.Lock()


def limiter_of(credential: str, calls: int, seconds: float, concurrent: int) -> RateLimiter:
    """Return the one :class:`RateLimiter` of a credential in this process, made when first asked for.

    :param credential: whatever the service counts calls by; kept as its digest.
    :param calls: as of :class:`RateLimiter`; so are the others.
    :param seconds: the length of the period.
    :param concurrent: the most calls at the same time.
    """
    key = hashlib.sha256(credential.encode()).hexdigest()
    with _limiters_lock:
        return _limiters.setdefault(key, RateLimiter(calls, seconds, concurrent))
