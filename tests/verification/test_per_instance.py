"""One of several canary instances that is silent, or fails more than the others."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.files.verification import FilesToVerify, verify_files
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.frequency import Reference
from airflow_cd.verification.per_instance import Activity, differing_instances, silent_instances
from airflow_cd.verification.samples import MetricSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.undecided import points_to_harm
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
            Verification(logs=[logs], duration="2m", every="15s"),
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
    assert any(BAD in phrase for phrase in points_to_harm(judgement))


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


def test_a_standby_that_never_writes_is_not_silent() -> None:
    """It wrote nothing before the deployment either."""
    busy, quiet = Activity(200, 100.0, 100_000), Activity(0, 100.0, None, before=0.0)
    assert not silent_instances({"a": busy, "b": quiet}, {"c": busy, "d": busy}, 100_000, "records")
    assert silent_instances({"a": busy, "b": replace(quiet, before=1.9)}, {"c": busy}, 100_000, "records")
    # Where there is nothing to compare it with, one canary alone is no single instance.
    assert not silent_instances({"b": replace(quiet, before=1.9)}, {"c": busy}, 100_000, "records")


def test_a_single_canary_that_stops_beside_a_control_that_goes_on_is_silent() -> None:
    stopped, busy = Activity(60, 100.0, 30_000, 2.0), Activity(200, 100.0, 99_000)
    [reason] = silent_instances({"a": stopped}, {"c": busy}, 100_000, "records")
    assert "a has no records after" in reason.text
    assert not silent_instances({"a": stopped}, {}, 100_000, "records")
    assert not silent_instances({"a": stopped}, {"c": replace(busy, last_ms=31_000)}, 100_000, "records")


def test_instances_that_differ_as_hosts_do_are_rarely_called_different() -> None:
    """Counts of twenty kinds of errors with a dispersion of .3 between instances."""
    rng = np.random.default_rng(1)
    false, found = 0, 0
    for _ in range(100):
        means = rng.lognormal(1.5, 1.2, 20)

        def instance(means: Any = means) -> dict[str, int]:
            return {f"e{kind}": int(n) for kind, n in enumerate(rng.poisson(means * rng.gamma(1 / 0.3, 0.3, 20)))}

        canary = {name: instance() for name in CANARY}
        control = Reference({kind: sum(instance()[kind] for _ in range(6)) for kind in canary[BAD]}, 6 * 600.0)
        exposure, kinds = dict.fromkeys(CANARY, 600.0), sorted(canary[BAD])
        false += bool(differing_instances(canary, exposure, control, kinds, "s"))
        canary[BAD]["e3"] = int(15 * max(means[3], 3))
        found += bool(differing_instances(canary, exposure, control, kinds, "s"))
    assert false <= 1
    assert found >= 95


def test_without_a_control_two_instances_that_differ_say_nothing() -> None:
    counts = {"a": {"known": 15, "served": 300}, "b": {"known": 0, "served": 300}}
    empty = Reference({"known": 0, "served": 0}, 240.0)
    for control in (None, empty):
        assert not differing_instances(counts, dict.fromkeys(counts, 30.0), control, ["known"], "s")
    busy = Reference({"known": 3, "served": 2400}, 240.0)
    assert differing_instances(counts, dict.fromkeys(counts, 30.0), busy, ["known"], "s")


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
            Verification(metrics=[_Metrics(change(frame))], duration="2m", every="15s"),
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
        return frame.assign(value=frame["value"].where(~mine, frame["value"] * 5))

    for change in (failing, slow):
        judgement = _measured(change)
        assert judgement.verdict is not Verdict.PASS
        assert any(BAD in reason.text for reason in judgement.reasons), [reason.text for reason in judgement.reasons]


def test_files_of_several_instances(tmp_path: Path) -> None:
    """From the command line: one file is empty, and one has the known error far more often."""

    def file(name: str, errors: int, orders: int = 400) -> str:
        lines = [f"2026-11-23T08:00:00Z INFO shop.web - order {i} served in 12 ms\n" for i in range(orders)]
        lines += [f"2026-11-23T08:00:00Z ERROR shop.stock - no answer for product {i}\n" for i in range(errors)]
        (tmp_path / name).write_text("".join(lines) or "\n")
        return str(tmp_path / name)

    def judged(last: str) -> Judgement:
        canary = [file("a.log", 5), file("b.log", 4), file("c.log", 6), last]
        old = [file("old-1.log", 4), file("old-2.log", 5)]
        return verify_files(FilesToVerify(logs={"baseline": old, "canary": canary})).judgement

    assert judged(file("d.log", 4)).verdict is Verdict.PASS
    empty = judged(file("d.log", 0, 0))
    assert empty.verdict is Verdict.INCONCLUSIVE
    assert "d.log has no records" in empty.sentence
    failing = judged(file("d.log", 40))
    assert failing.verdict is not Verdict.PASS
    assert any("on d.log" in reason.text for reason in failing.reasons) or failing.verdict is Verdict.FAIL
