"""What a source has found out beside its data, remembered while it is watched.

Why a source has nothing of an instance takes a request or two more, often over a longer time than was read. A watch
looks every few seconds, perhaps for hours at a service that is quiet: whoever reads a source for it remembers the
answers (:func:`remembering`), and the source asks by way of :func:`once`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Found = TypeVar("Found")

KEPT = 300.0
"""Seconds after which it is asked for again."""

_MOST = 256


class Memory:
    """What one source has found out, each for :data:`KEPT` seconds.

    :param clock: the time in seconds, of any beginning; the process's by default.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[Hashable, tuple[float, Any]] = {}

    def once(self, key: Hashable, ask: Callable[[], Found]) -> Found:
        """What is remembered, or what asking for it gives now.

        :param key: of what is asked.
        :param ask: gives it; what it raises is not remembered.
        """
        asked, found = self._found.get(key, (-math.inf, None))
        now = self._clock()
        if now - asked < KEPT:
            return found  # type: ignore[no-any-return]
        answer = ask()
        if len(self._found) >= _MOST:
            self._found.clear()
        self._found[key] = now, answer
        return answer


_memory: ContextVar[Memory | None] = ContextVar("memory", default=None)


@contextmanager
def remembering(memory: Memory) -> Iterator[None]:
    """Let sources that are read inside, in this thread, remember.

    :param memory: of the one that is read.
    """
    token = _memory.set(memory)
    try:
        yield
    finally:
        _memory.reset(token)


def once(key: Hashable, ask: Callable[[], Found]) -> Found:
    """What is remembered where somebody remembers, else what asking gives.

    :param key: of what is asked, among all that the source asks.
    :param ask: as of :meth:`Memory.once`.
    """
    memory = _memory.get()
    return ask() if memory is None else memory.once(key, ask)
