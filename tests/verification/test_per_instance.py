"""One of several canary instances that is silent, or fails more than the others."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.samples import MetricSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Verdict
from airflow_cd.verification.watch import Watch
from tests.verification.late_source import Clock, LateLogs
from tests.verification.shop_logs import INSTANCES, START, shop_logs, shop_profile
from tests.verification.traffic_model import METRICS, Model, metric_rows, shared_load

CANARY, CONTROL = INSTANCES[:4], INSTANCES[4:]
BAD = CANARY[2]


def _judged(change: Callable[[pd.DataFrame], pd.DataFrame], *, broken: bool = False, control: bool = True) -> Judgement:
    rng, clock = random.Random(11), Clock(START + timedelta(minutes=30))
    names = (*CANARY, *CONTROL) if control else CANARY
    frame = pd.concat([shop_logs(rng, [name], 120, broken=broken and name == BAD, rate=2.0) for name in names])
    logs = LateLogs(change(frame.sort_values("time", ignore_index=True)), clock, lambda _: 0.0)
    return (
        Watch(
            Verification(logs=[logs], duration="2m", every="5s"),
            canary=CANARY,
            control=CONTROL if control else (),
            since=START,
            baselines={"logs": Baseline([Learned("1.0", shop_profile(random.Random(8), INSTANCES, 120))])},
            clock=clock,
            sleep=clock.sleep,
        )
        .run()
        .judgement
    )


def _seconds(frame: pd.DataFrame) -> pd.Series:
    return (frame["time"] - pd.Timestamp(START)).dt.total_seconds()


def test_instances_alike_say_nothing() -> None:
    judgement = _judged(lambda frame: frame)
    assert judgement.verdict is Verdict.PASS
    assert not {"instance_silent", "instance_differs", "one_instance"} & {reason.code for reason in judgement.reasons}


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize("after", [-1.0, 40.0], ids=["from the beginning", "after 40 s"])
def test_an_instance_that_writes_nothing_while_the_others_do(after: float, control: bool) -> None:
    judgement = _judged(
        lambda frame: frame[(frame["instance"] != BAD) | (_seconds(frame) < after)].reset_index(drop=True),
        control=control,
    )
    assert judgement.verdict is Verdict.INCONCLUSIVE
    [reason] = [reason for reason in judgement.reasons if reason.code == "instance_silent"]
    assert BAD in judgement.sentence
    assert reason.numbers["instance"] == BAD


def test_traffic_that_ends_everywhere_is_no_single_instance() -> None:
    judgement = _judged(lambda frame: frame[_seconds(frame) < 100].reset_index(drop=True))
    assert "instance_silent" not in {reason.code for reason in judgement.reasons}


def test_new_errors_of_one_instance_are_said_to_be_its_own() -> None:
    judgement = _judged(lambda frame: frame, broken=True)
    assert judgement.verdict is Verdict.FAIL
    named = [reason.text for reason in judgement.reasons if reason.code == "one_instance"]
    assert named
    assert all(f"on {BAD} alone" in text and "4 canary instances" in text for text in named)


def test_an_instance_on_which_a_known_error_is_far_more_frequent() -> None:
    line = "2026-11-23T08:00:07.000Z ERROR shop.inventory - reservation of sku-{} timed out after 8.1 ms"

    def more(frame: pd.DataFrame) -> pd.DataFrame:
        rows = [(pd.Timestamp(START) + pd.Timedelta(seconds=4 * i), BAD, line.format(i)) for i in range(26)]
        return pd.concat([frame, pd.DataFrame(rows, columns=["time", "instance", "message"])], ignore_index=True)

    judgement = _judged(more)
    assert judgement.verdict is not Verdict.PASS
    assert any(BAD in reason.text and "timed out" in reason.text for reason in judgement.reasons)


class _Metrics:
    name, delay, bucket = "metrics", timedelta(0), timedelta(seconds=2)

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def read(self, window: Window, instances: Any) -> MetricSample:
        rows = self.frame
        inside = (rows["time"] >= window.since) & (rows["time"] < window.until) & rows["instance"].isin(list(instances))
        return MetricSample(rows[inside], METRICS, "query", self.bucket)


def _measured(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Judgement:
    rng, clock = np.random.default_rng(5), Clock(START + timedelta(minutes=30))
    load = shared_load(rng, 120)
    frame = pd.concat([metric_rows(rng, names, load, Model(120)) for names in (CANARY, CONTROL)])
    return (
        Watch(
            Verification(metrics=[_Metrics(change(frame))], duration="2m", every="5s"),
            canary=CANARY,
            control=CONTROL,
            since=START,
            clock=clock,
            sleep=clock.sleep,
        )
        .run()
        .judgement
    )


def test_metrics_of_instances_alike_say_nothing() -> None:
    judgement = _measured(lambda frame: frame)
    assert not {"instance_silent", "instance_differs"} & {reason.code for reason in judgement.reasons}


def test_an_instance_without_requests_shows_in_metrics() -> None:
    judgement = _measured(lambda frame: frame[(frame["instance"] != BAD) | (_seconds(frame) < 30)])
    assert judgement.verdict is not Verdict.PASS
    assert any(reason.code == "instance_silent" and BAD in reason.text for reason in judgement.reasons)


def test_an_instance_that_fails_or_is_slow_shows_in_metrics() -> None:
    def failing(frame: pd.DataFrame) -> pd.DataFrame:
        errors = (frame["instance"] == BAD) & (frame["metric"] == "error_rate")
        return frame.assign(value=frame["value"].where(~errors, frame["count"] * 0.3))

    def slow(frame: pd.DataFrame) -> pd.DataFrame:
        mine = (frame["instance"] == BAD) & frame["metric"].str.startswith("response_time")
        return frame.assign(value=frame["value"].where(~mine, frame["value"] * 3))

    for change in (failing, slow):
        judgement = _measured(change)
        assert judgement.verdict is not Verdict.PASS
        assert any(BAD in reason.text for reason in judgement.reasons), [reason.text for reason in judgement.reasons]
