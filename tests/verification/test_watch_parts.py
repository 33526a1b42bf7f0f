"""Windows that hold more records than a source hands out at once."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from airflow_cd.verification import parts
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, START, shop_logs


@dataclass(frozen=True)
class Bounded:
    """Logs of which one read takes so many records, the oldest.

    :param most: records of a read.
    :param shorter_helps: whether it says so.
    """

    frame: Any = field(compare=False)
    most: int
    shorter_helps: bool = True
    windows: list[Window] = field(default_factory=list, compare=False)
    name: str = "logs"
    delay: timedelta = timedelta(seconds=1)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        self.windows.append(window)
        inside = (self.frame["time"] >= window.since) & (self.frame["time"] < window.until)
        found = self.frame[inside & self.frame["instance"].isin(list(instances))]
        more = len(found) > self.most
        return LogSample(found[: self.most], "query", more, cut=more and self.shorter_helps)


@functools.cache
def logs(*, broken: bool = False) -> pd.DataFrame:
    rng = random.Random(7)
    frames = [shop_logs(rng, CANARY, 70, broken=broken, rate=2.0), shop_logs(rng, CONTROL, 70, rate=2.0)]
    return pd.concat(frames).sort_values("time", ignore_index=True)


def watched(source: Bounded) -> Outcome:
    clock = Clock()
    configuration = Verification(logs=[source], duration="60s", every="20s")
    return Watch(configuration, canary=CANARY, control=CONTROL, since=START, clock=clock, sleep=clock.sleep).run()


def said(outcome: Outcome) -> bool:
    return any("returned less than there is" in warning for warning in outcome.judgement.warnings)


def test_parts_hold_what_the_whole_holds() -> None:
    frame = logs()
    whole, small = Bounded(frame, 10**6), Bounded(frame, len(frame) // 8)
    outcomes = [watched(source) for source in (whole, small)]
    assert len(small.windows) > len(whole.windows)
    assert not said(outcomes[1])
    assert outcomes[0].profiles["logs"].counts() == outcomes[1].profiles["logs"].counts()


def test_rare_errors_behind_a_flood_are_found() -> None:
    frame = logs(broken=True)
    assert watched(Bounded(frame, len(frame) // 8)).judgement.verdict is Verdict.FAIL


def test_what_shorter_windows_do_not_help_is_read_once_and_said() -> None:
    frame = logs()
    whole, lost = Bounded(frame, 10**6), Bounded(frame, 50, shorter_helps=False)
    watched(whole)
    assert said(watched(lost))
    assert len(lost.windows) == len(whole.windows)


def test_the_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_PARTS", 8)
    endless = Bounded(logs(), 0)
    whole = Bounded(logs(), 10**6)
    watched(whole)
    assert said(watched(endless))
    assert len(endless.windows) <= 16 * len(whole.windows)
