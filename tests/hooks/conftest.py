"""Connections to the small servers, and a clock that does not wait."""

from __future__ import annotations

import pytest

from tests.http.certificates import certificate
from tests.http.clock import clock
from tests.http.connections import connect

__all__ = ["certificate", "clock", "connect"]


class Naps:
    """Stands in for time.sleep: remembers, and returns at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()
