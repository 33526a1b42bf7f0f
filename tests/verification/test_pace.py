"""The rhythm in which data comes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pandas as pd

from airflow_cd.verification.pace import Rhythm
from airflow_cd.verification.samples import Window

START = datetime(2026, 11, 23, 5, tzinfo=timezone.utc)


def test_times_that_say_nanoseconds_are_read_without_a_warning() -> None:
    times = pd.to_datetime([f"2026-11-23T05:00:{second:02d}.123456789Z" for second in (1, 2, 4)])
    found = Rhythm.of(pd.DataFrame({"time": times}), Window(START, START + timedelta(seconds=10)))
    assert found.newest == START + timedelta(seconds=4, microseconds=123_456)
    assert found.longest_silence == timedelta(seconds=2)
