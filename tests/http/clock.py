"""A clock for deadlines that passes by sleeping only."""

from __future__ import annotations

import pytest


class Clock:
    """Time that passes by sleeping only, and remembers each pause."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that deadlines are measured with."""
    made = Clock()
    monkeypatch.setattr("airflow_cd.http.retry.time", made)
    return made
