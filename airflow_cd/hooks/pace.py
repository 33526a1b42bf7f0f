"""Keeping to a vendor's rate limit before the vendor has to ask for it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Pace:
    """At most ``calls`` calls in ``seconds``, and ``concurrent`` at once, for all threads of this process."""

    def __init__(self, calls: int, seconds: float, concurrent: int) -> None:
        self._seconds = seconds
        self._starts: deque[float] = deque(maxlen=calls)
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(concurrent)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wait for a turn, and hold it while the call is under way."""
        with self._slots:
            with self._lock:
                now = time.monotonic()
                full = len(self._starts) == self._starts.maxlen
                start = max(now, self._starts[0] + self._seconds) if full else now
                self._starts.append(start)
            if start > now:
                time.sleep(start - now)
            yield


_paces: dict[str, Pace] = {}
_paces_lock = threading.Lock()


def pace_of(credential: str, calls: int, seconds: float, concurrent: int) -> Pace:
    """The one :class:`Pace` of a credential in this process, made when first asked for."""
    key = hashlib.sha256(credential.encode()).hexdigest()
    with _paces_lock:
        return _paces.setdefault(key, Pace(calls, seconds, concurrent))
