"""Signs of life, timed by the guard's own clock: other clocks, and what was before it looked, prove nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any


class Signs:
    """How long each sign of life has not changed, and how long each state of things has lasted.

    :param clock: returns seconds that never go backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Hashable, tuple[Any, float]] = {}
        self._asked: set[Hashable] = set()

    def unchanged(self, name: Hashable, value: Any) -> float:
        """For how many seconds the value has been seen unchanged; 0 when it is new.

        :param name: whose value it is.
        :param value: anything that changes while its owner lives.
        """
        now = self._clock()
        self._asked.add(name)
        before = self._seen.get(name)
        if before is None or before[0] != value:
            self._seen[name] = (value, now)
            return 0.0
        return now - before[1]

    def end_look(self) -> None:
        """Forget what was not asked about since the last look: it is over, and would count anew."""
        for name in self._seen.keys() - self._asked:
            del self._seen[name]
        self._asked.clear()

    def start_over(self) -> None:
        """Count anew: for a while nothing could be seen, so that nothing can be said to have been silent."""
        self._seen.clear()
