"""Requests that never stop, as those of an application's users do not, and what became of each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

PAUSE = 0.02


@dataclass
class Load:
    """What was answered.

    :param answers: time and version of each answer; a failed request has its error for a version.
    """

    answers: list[tuple[float, str]] = field(default_factory=list)

    def since(self, moment: float) -> Counter[str]:
        """How often each version has answered since a moment of the monotonic clock."""
        return Counter(version for when, version in self.answers if when >= moment)

    @property
    def lost(self) -> list[str]:
        """Errors of the requests that were not answered."""
        return [version for _, version in self.answers if not version[:1].isdigit()]


@contextmanager
def load(url: str, workers: int = 2) -> Iterator[Load]:
    """Send requests while the block runs."""
    seen, over = Load(), threading.Event()

    def visit() -> None:
        with httpx.Client(timeout=10) as client:
            while not over.is_set():
                try:
                    answer = client.get(url)
                    what = answer.json()["version"] if answer.status_code == 200 else f"HTTP {answer.status_code}"
                except httpx.HTTPError as error:
                    what = type(error).__name__
                seen.answers.append((time.monotonic(), what))
                time.sleep(PAUSE)

    threads = [threading.Thread(target=visit) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
