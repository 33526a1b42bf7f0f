"""Buckets of metrics that grow after they were read: what they hold in the end counts, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_cd.sources.buckets import Buckets
from airflow_cd.verification.metric_reading import MetricReader
from airflow_cd.verification.reading import Instances, Patience
from airflow_cd.verification.samples import METRIC_COLUMNS, Metric, MetricSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, START

REQUESTS = Metric("requests", "throughput", "either", "requests")
ERRORS = Metric("errors", "errors", "higher_is_worse", "errors")


class _Requests:
    """Requests that can be queried some time after they were served; a tenth of the canary's may fail."""

    name, delay, bucket = "requests", timedelta(seconds=2), timedelta(seconds=5)

    whole_buckets = False

    def __init__(self, clock: Clock, lag: Callable[[pd.DataFrame], Any], *, failing: float = 0.01) -> None:
        rng = np.random.default_rng(4)
        rows = []
        for name in INSTANCES:
            share = failing if name in CANARY else 0.01
            rows += [(second, name, rng.random() < share) for second in np.sort(rng.uniform(0, 60, 600))]
        self.all = pd.DataFrame(rows, columns=["second", "instance", "failed"])
        self._found = self.all["second"] + lag(self.all)
        self._clock = clock

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        now = self._clock.since()
        begin, end = ((moment - START).total_seconds() for moment in (window.since, window.until))
        second = self.all["second"]
        chosen = self.all[(second >= begin) & (second < end) & (self._found <= now)]
        chosen = chosen[chosen["instance"].isin(list(instances))]
        width = self.bucket.total_seconds()
        places = chosen.assign(place=(chosen["second"] // width) * width).groupby(["place", "instance"])["failed"]
        rows = []
        for (place, name), failed in places:
            moment = pd.Timestamp(START) + pd.Timedelta(seconds=place)
            rows.append((moment, name, REQUESTS.name, "", float(len(failed)), len(failed)))
            rows.append((moment, name, ERRORS.name, "", float(failed.sum()), len(failed)))
        frame = pd.DataFrame(rows, columns=list(METRIC_COLUMNS))
        return MetricSample(
            frame.assign(time=pd.to_datetime(frame["time"], utc=True)), (REQUESTS, ERRORS), "", self.bucket
        )


def _watch(clock: Clock, source: _Requests, **settings: Any) -> Outcome:
    return Watch(
        Verification(metrics=[source], duration="60s", every="10s", **settings),
        canary=CANARY,
        control=CONTROL,
        since=START,
        clock=clock,
        sleep=clock.sleep,
    ).run()


def _late(seconds: float) -> Callable[[pd.DataFrame], Any]:
    return lambda rows: np.where(rows["failed"], seconds, 0.5)


def test_failed_requests_that_come_late_fail_the_release() -> None:
    for seconds in (60, 90, 300):
        clock = Clock()
        outcome = _watch(clock, _Requests(clock, _late(seconds), failing=0.3))
        assert outcome.judgement.verdict is Verdict.FAIL
        seen = outcome.judgement.lags["requests"]
        assert seen.late > 0
        assert seconds <= seen.longest + 5


def test_a_bucket_that_grew_counts_as_it_is_in_the_end() -> None:
    clock = Clock()
    source = _Requests(clock, lambda rows: 40.0)
    reader = MetricReader(source, Instances(CANARY, CONTROL, None), START, Patience(timedelta(minutes=10)))
    end = START + timedelta(seconds=60)
    while not reader.complete(end):
        reader.advance(clock.now, end)
        clock.sleep(5)
    assert not reader.errors
    frame = reader.frame(INSTANCES)
    assert frame[frame["metric"] == REQUESTS.name]["value"].sum() == len(source.all)
    assert not frame.duplicated(["time", "instance", "metric"]).any()
    assert 60 + 40 <= clock.since() <= 60 + 40 * 1.25 + 20


def test_metrics_of_all_instances_that_stop_are_behind() -> None:
    clock = Clock()
    source = _Requests(clock, lambda rows: np.where(rows["second"] > 30, 1e6, 0.5))
    outcome = _watch(clock, source, longest_lag="2m")
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.judgement.reasons[0].code == "source_behind"
    assert outcome.policy_key == "no_data"
    assert clock.since() <= 60 + 120 + 5


class _Steps(_Requests):
    """The same in whole buckets that begin at multiples of their width since 1970, and are given when they are over."""

    bucket, whole_buckets = timedelta(seconds=20), True

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        buckets = Buckets.of(window, self.bucket, self._clock.now - self.delay)
        if not buckets.number:
            return MetricSample(super().read(window, []).frame, (REQUESTS, ERRORS), "", self.bucket)
        return super().read(Window(buckets.first, buckets.until), instances)


@pytest.mark.parametrize("after", [0, 3, 7, 13, 19])
def test_a_bucket_that_was_not_over_when_it_was_read_has_not_come_late(after: int) -> None:
    clock = Clock(START + timedelta(seconds=after))
    source = _Steps(clock, lambda rows: 0.5)
    watch = Watch(
        Verification(metrics=[source], duration="40s", every="3s", longest_lag="0s"),
        canary=CANARY,
        control=CONTROL,
        since=START + timedelta(seconds=after),
        clock=clock,
        sleep=clock.sleep,
    )
    outcome = watch.run()
    seen = outcome.judgement.lags["requests"]
    assert seen.late == 0
    assert seen.longest == 0
    assert outcome.judgement.reasons[0].code != "source_error"
    assert outcome.judgement.reasons[0].code != "source_behind"
