"""A mean that HAProxy keeps of its last requests says of each bucket what happened in it alone."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from urllib.parse import parse_qs

import pytest

from airflow_cd.sources import PrometheusMetrics
from airflow_cd.sources.moving_means import LEAST, between, in_buckets
from airflow_cd.verification.samples import Window
from tests.hooks.vendor_servers import Answer, Asked, serving

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = 512
SERVER = ("web-1", "")


def haproxy(durations: Iterable[int]) -> float:
    """The mean in seconds that HAProxy tells after requests of so many milliseconds, counted in whole numbers."""
    kept, number = 0, 0
    for duration in durations:
        number += 1
        window = min(number, WINDOW)
        kept = kept + duration if number <= WINDOW else kept - (kept + window - 1) // window + duration
    return (kept + min(number, WINDOW) - 1) // min(number, WINDOW) / 1000.0


def read(buckets: Sequence[Sequence[int]]) -> dict[int, float]:
    """What is read of buckets of requests, in milliseconds, by their numbers."""
    until = list(accumulate(buckets, lambda before, more: [*before, *more]))
    means = {(*SERVER, number): haproxy(durations) for number, durations in enumerate(until)}
    totals = {(*SERVER, number): float(len(durations)) for number, durations in enumerate(until)}
    return {place[2]: value * 1000.0 for place, value in in_buckets(means, totals, WINDOW).items()}


def drawn(rng: random.Random, usual: int, count: int = 120) -> list[int]:
    return [max(1, round(rng.gauss(usual, 6))) for _ in range(count)]


@pytest.mark.parametrize("before", [1, 12])
def test_a_slow_release_is_seen_in_its_first_bucket_and_leaves_no_trace_behind(before: int) -> None:
    rng = random.Random(before)
    usual = [40] * before + [400] * 2 + [40] * 4
    found = read([drawn(rng, each) for each in usual])
    assert list(found) == list(range(len(usual)))
    assert [found[number] for number in found] == pytest.approx(usual, abs=12)


def test_a_server_that_counts_anew_is_no_older_one() -> None:
    rng = random.Random(2)
    first, second = drawn(rng, 40, 900), drawn(rng, 200, 60)
    means = {(*SERVER, 0): haproxy(first), (*SERVER, 1): haproxy(second)}
    found = in_buckets(means, {(*SERVER, 0): 900.0, (*SERVER, 1): 60.0}, WINDOW)
    assert found[(*SERVER, 1)] == pytest.approx(0.2, abs=0.01)
    assert (*SERVER, 0) not in found, "nobody knows what was there before it was looked at first"


def test_of_few_or_no_requests_rounding_would_be_all_that_is_told() -> None:
    rng = random.Random(3)
    found = read([drawn(rng, 40, 900), drawn(rng, 40, 12), [], drawn(rng, 40)])
    assert list(found) == [3]


def test_few_requests_are_taken_with_those_just_before() -> None:
    rng = random.Random(4)
    found = read([drawn(rng, 40, 900), *(drawn(rng, usual, 10) for usual in [40] * 6 + [400] * 6)])
    assert list(found) == list(range(3, 13)), "three buckets hold as many as are needed"
    assert [found[number] for number in (3, 4, 5, 6)] == pytest.approx([40.0] * 4, abs=25)
    assert [found[number] for number in (9, 10, 11, 12)] == pytest.approx([400.0] * 4, abs=25)


def test_what_is_quicker_than_is_counted_is_above_nothing() -> None:
    assert between(0.002, 0.001, requests=100, total=200, window=WINDOW) == LEAST


class _Exporter:
    """HAProxy's exporter in a Prometheus: a hundred requests in 30 s, ten times as slow from the second minute on."""

    per_bucket, seconds = 100, 30

    def __call__(self, asked: Asked) -> Answer:
        if "/label/" in asked.path:
            named = "__name__" in asked.path
            names = ["haproxy_server_http_responses_total", "haproxy_server_total_time_average_seconds"]
            return Answer(body={"status": "success", "data": names if named else ["web-1"]})
        form = {name: values[0] for name, values in parse_qs((asked.body or b"").decode()).items()} or asked.params
        if "start" not in form:
            return Answer(body={"status": "success", "data": {"resultType": "vector", "result": []}})
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        times = [start + number * step for number in range(round((end - start) / step) + 1)]
        query, labels = form["query"], {"server": "web-1"}
        if "total_time_average" in query:
            values = [self.mean(time) for time in times]
        elif query.startswith("sum by"):
            values = [5_000 + (time - BEGIN.timestamp()) / self.seconds * self.per_bucket for time in times]
        else:
            labels["airflow_cd_part"] = "grown"
            values = [0.0 if 'code=~"5.*"' in query else self.per_bucket for _ in times]
        points = [[time, str(value)] for time, value in zip(times, values, strict=True)]
        result = {"resultType": "matrix", "result": [{"metric": labels, "values": points}]}
        return Answer(body={"status": "success", "data": result})

    def mean(self, time: float) -> float:
        """As HAProxy rounds it: 40 ms, and from the second minute on more and more of the 400."""
        slow = max(0.0, time - BEGIN.timestamp() - 60) / self.seconds * self.per_bucket
        return round(400 - 360 * (1 - 1 / WINDOW) ** slow) / 1000.0


def test_what_is_read_of_haproxy_is_of_each_bucket_alone(connect: Callable[..., None]) -> None:
    with serving(_Exporter()) as url:
        connect("prometheus_default", conn_type="prometheus", host=url)
        sample = PrometheusMetrics("haproxy").read(Window(BEGIN, BEGIN + dt.timedelta(minutes=2)), ["web-1"])
    frame = sample.frame[sample.frame["metric"] == "response_time"].sort_values("time")
    assert list(frame["value"]) == pytest.approx([40.0, 40.0, 400.0, 400.0], abs=6)
    assert list(frame["count"]) == [100] * 4
