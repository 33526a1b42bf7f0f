"""A log source whose records can be found only some time after they were logged, on a clock of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from airflow_cd.verification.samples import LogSample, Window
from tests.verification.shop_logs import START


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += timedelta(seconds=seconds)

    def since(self, start: datetime = START) -> float:
        """Seconds that have passed."""
        return (self.now - start).total_seconds()


class LateLogs:
    """Hands out the records that can be found by now.

    :param lag: seconds until a record can be found, from its row.
    :param reports: whether it says when it received a record, and gives ids.
    :param indexing: seconds that a record needs to be found once it is received.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        clock: Clock,
        lag: Callable[[Any], float],
        *,
        reports: bool = False,
        indexing: float = 0.0,
        name: str = "logs",
        delay: float = 1.0,
    ) -> None:
        self.name = name
        self.delay = timedelta(seconds=delay)
        self.read_rows = 0
        self.windows: list[Window] = []
        self._clock = clock
        lags = pd.to_timedelta([lag(row) for row in frame.itertuples()], unit="s")
        received = frame["time"] + lags
        self._frame = frame.assign(
            received=received,
            found=received + timedelta(seconds=indexing),
            id=[f"{number:x}" for number in itertools.islice(itertools.count(1000), len(frame))],
        )
        self._columns = ["time", "instance", "message", *(["id", "received"] if reports else [])]

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        rows = self._frame
        inside = (rows["time"] >= window.since) & (rows["time"] < window.until) & rows["instance"].isin(list(instances))
        found = rows[inside & (rows["found"] <= self._clock())][self._columns]
        self.read_rows += len(found)
        self.windows.append(window)
        return LogSample(found, f"query of {self.name}")
