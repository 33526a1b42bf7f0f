"""A canary whose platform replaces replicas while it is watched: who is the canary is asked at every look."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.reading import Sides
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, START, shop_logs, shop_profile

MOVED = START + timedelta(seconds=25)
"""When the second replica of the canary is replaced by another of the same release."""
STAYS, GOES, COMES = CANARY[0], CANARY[1], "shop-99"


class _Logs:
    name = "logs"
    delay = timedelta(seconds=1)

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        frame = self._frame
        inside = (frame["time"] >= window.since) & (frame["time"] < window.until)
        return LogSample(frame[inside & frame["instance"].isin(list(instances))], "query of logs")


TOLD = "shop-9: Deployment shop was restarted: all of its pods are made anew."


class _Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _watched(*, broken: bool) -> Outcome:
    """What the replica that comes logs is a broken release's, or a good one's."""
    rng, clock = random.Random(11), _Clock()
    logged = shop_logs(rng, INSTANCES, 80)
    goes = (logged["instance"] == GOES) & (logged["time"] >= MOVED)
    comes = shop_logs(rng, [COMES], 80, broken=broken)
    frame = pd.concat([logged[~goes], comes[comes["time"] >= MOVED]], ignore_index=True)

    def sides() -> Sides:
        if clock.now < MOVED:
            return Sides((STAYS, GOES), CONTROL)
        return Sides((STAYS, COMES), CONTROL, {COMES: MOVED}, notes=(TOLD,))

    learned = Learned("1.1", shop_profile(random.Random(8), INSTANCES, 60))
    return Watch(
        Verification(logs=[_Logs(frame)], duration="60s", every="5s", longest_lag="0s"),
        canary=CANARY,
        control=CONTROL,
        since=START,
        baselines={"logs": Baseline([learned])},
        sides=sides,
        clock=clock,
        sleep=clock.sleep,
    ).run()


def test_a_replica_that_has_gone_is_not_silent() -> None:
    judgement = _watched(broken=False).judgement
    assert judgement.verdict is Verdict.PASS, judgement.reasons
    assert COMES in judgement.canary
    assert TOLD in judgement.warnings


def test_what_a_replica_logs_that_has_come_since_counts() -> None:
    judgement = _watched(broken=True).judgement
    assert judgement.verdict is Verdict.FAIL
    assert judgement.quality is not None
    assert judgement.quality.risks
    assert all(set(event.instances) <= {COMES, *CONTROL} for event in judgement.quality.risks)
