"""What lies between a source and its service decides nothing.

A service that finds records after 60 s, hands out 100 at a time, answers 4 requests a second and drops one answer in
ten leads to the same verdict, on the same records, as a perfect one: for each protocol, through its source and hook.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from airflow_cd.http.client import HttpClient
from airflow_cd.sources import (
    CloudWatchLogs,
    CloudWatchMetrics,
    DatadogLogs,
    DatadogMetrics,
    GoogleCloudLogs,
    GoogleCloudMetrics,
    InfluxDbMetrics,
    LokiLogs,
    NewRelicQuery,
    OpenSearchLogs,
    OpenSearchMetrics,
    PrometheusQuery,
    SplunkLogs,
    SumoLogicLogs,
    VictoriaLogs,
)
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.hooks.vendor_servers import serving
from tests.sources import metric_stores, stores
from tests.sources.google_servers import LoggingStore, key_of
from tests.sources.search_metrics_store import SearchMetricsStore
from tests.sources.splunk_store import SplunkStore
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, START, shop_logs, usual_profile

PERFECT = stores.Troubles()
TROUBLED = stores.Troubles(lag=60.0, page=100, calls=4, dropped=10)
DELAY = "5s"
P95 = Metric("p95_seconds", "latency", unit="s")
GCE_INSTANCE = "resource.labels.instance_id"
MINUTES = {"duration": "8m", "every": "1m", "longest_lag": "4m"}
LOGS: dict[str, tuple[type[stores.Store], str, Any]] = {
    "CloudWatch": (stores.CloudWatchLogStore, "aws", CloudWatchLogs("shop", delay=DELAY)),
    "OpenSearch": (stores.OpenSearchStore, "search_cluster", OpenSearchLogs("logs", delay=DELAY)),
    "Datadog": (stores.DatadogStore, "datadog", DatadogLogs("service:shop", delay=DELAY)),
    "Google": (LoggingStore, "google_observability", GoogleCloudLogs("a=b", delay=DELAY)),
    "Loki": (stores.LokiStore, "loki", LokiLogs('{app="shop"}', delay=DELAY)),
    "Splunk": (SplunkStore, "splunk", SplunkLogs("index=shop", delay=DELAY)),
    "Sumo Logic": (stores.SumoLogicStore, "sumo_logic", SumoLogicLogs("*", delay=DELAY)),
    "VictoriaLogs": (stores.VictoriaLogsStore, "victoria_logs", VictoriaLogs(delay=DELAY)),
}

ACCOUNTS = {
    "aws": {"host": "", "login": "key", "password": "secret"},
    "new_relic": {"password": "NRAK-KEY", "extra": json.dumps({"account_id": 123})},
    "sumo_logic": {"login": "id", "password": "key"},
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock on which what waits for a service waits too."""
    clock = Clock()
    made = HttpClient.__init__

    def patched(self: HttpClient, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        self.sleep = clock.sleep

    monkeypatch.setattr(HttpClient, "__init__", patched)
    monkeypatch.setattr("airflow_cd.hooks.google_logging.GoogleLoggingHook.calls_per_second", 1e6)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=clock.sleep))
    asked = (
        *("cloud_watch_metrics", "datadog", "google_monitoring", "influx_db"),
        *("open_search_metrics", "prometheus", "prometheus_query"),
    )
    for module in asked:
        monkeypatch.setattr(f"airflow_cd.sources.{module}.utc_now", clock)
    return clock


@pytest.fixture
def served(connect: Callable[..., None]) -> Iterator[Callable[..., Any]]:
    from contextlib import ExitStack

    with ExitStack() as stack:

        def serve(store: stores.Store, conn_type: str) -> stores.Store:
            url = stack.enter_context(serving(store))
            keys = {"datadog": "api:app", "splunk": "token", "google_observability": key_of(url)}
            given = {"host": url, "password": keys.get(conn_type, ""), **ACCOUNTS.get(conn_type, {})}
            if conn_type == "aws":
                given["extra"] = json.dumps({"region_name": "eu-central-1", "endpoint_url": url})
            connect(f"{conn_type}_default", conn_type=conn_type, **given)
            return store

        yield serve


def _records(*, broken: bool) -> list[stores.Record]:
    rng = random.Random(7)
    frames = [shop_logs(rng, CANARY, 100, broken=broken, rate=0.5), shop_logs(rng, CONTROL, 100, rate=0.5)]
    return stores.records_of(pd.concat(frames).itertuples())


def _watched(clock: Clock, longest_lag: str = "2m", duration: str = "60s", every: str = "20s", **given: Any) -> Outcome:
    [name] = [source.name for sources in given.values() for source in sources]
    baselines = {name: Baseline([Learned("1.0", usual_profile())])}
    return Watch(
        Verification(duration=duration, every=every, longest_lag=longest_lag, **given),
        canary=CANARY,
        control=CONTROL,
        since=START,
        baselines=baselines if "logs" in given else None,
        clock=clock,
        sleep=clock.sleep,
    ).run()


@pytest.mark.parametrize("broken", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("protocol", LOGS)
def test_logs(clock: Clock, served: Any, protocol: str, broken: bool) -> None:
    kind, conn_type, source = LOGS[protocol]
    records = _records(broken=broken)
    perfect = _watched(clock, logs=[source]) if served(kind(records, clock, PERFECT), conn_type) else None
    clock.now = START
    store = served(kind(records, clock, TROUBLED), conn_type)
    troubled = _watched(clock, logs=[source])
    assert perfect is not None
    assert perfect.judgement.verdict is (Verdict.FAIL if broken else Verdict.PASS)
    assert troubled.judgement.verdict is perfect.judgement.verdict
    codes = [[reason.code for reason in outcome.judgement.reasons] for outcome in (troubled, perfect)]
    assert codes[0] == codes[1]
    assert store.refused or protocol == "Datadog"  # which is asked no more than four times at a look
    assert store.lost
    if not broken:
        # A FAIL waits for nothing; what passes has seen every record once.
        assert troubled.profiles[source.name].counts() == perfect.profiles[source.name].counts()


@pytest.mark.parametrize(("protocol", "broken"), [*((one, False) for one in LOGS), ("OpenSearch", True)])
def test_more_records_than_are_read_at_once(
    clock: Clock, served: Any, monkeypatch: pytest.MonkeyPatch, protocol: str, broken: bool
) -> None:
    kind, conn_type, source = LOGS[protocol]
    records = _records(broken=broken)
    served(kind(records, clock, PERFECT), conn_type)
    whole = _watched(clock, "10s", logs=[source])
    clock.now = START
    monkeypatch.setattr("airflow_cd.sources.records.MOST_RECORDS", len(records) // 10)
    parts = _watched(clock, "10s", logs=[source])
    assert parts.judgement.verdict is whole.judgement.verdict is (Verdict.FAIL if broken else Verdict.PASS)
    assert parts.profiles[source.name].counts() == whole.profiles[source.name].counts()
    assert not any("returned less" in warning for warning in parts.judgement.warnings)


METRICS: dict[str, tuple[Any, str, Any]] = {
    "CloudWatch": (
        metric_stores.CloudWatchMetricStore,
        "aws",
        CloudWatchMetrics("Shop", "p95_seconds", bucket="5s", delay=DELAY),
    ),
    "Datadog": (
        metric_stores.DatadogMetricStore,
        "datadog",
        DatadogMetrics("avg:took{{instances}} by {host}", "p95_seconds", bucket="2s", delay=DELAY),
    ),
    "Google": (
        metric_stores.GoogleMonitoringStore,
        "google_observability",
        GoogleCloudMetrics("custom.googleapis.com/memory", P95, instance_label=GCE_INSTANCE, delay="1m"),
    ),
    "InfluxDB": (
        metric_stores.InfluxDbStore,
        "influx_db",
        InfluxDbMetrics("mean(took)", "http", "p95_seconds", "shop", bucket="2s", delay=DELAY),
    ),
    "New Relic": (
        metric_stores.NewRelicStore,
        "new_relic",
        NewRelicQuery("SELECT average(took) FROM Checkout", P95, bucket="2s", delay=DELAY),
    ),
    "OpenSearch": (
        SearchMetricsStore,
        "search_cluster",
        OpenSearchMetrics("logs", "p95_seconds", "took", bucket="2s", delay=DELAY),
    ),
    "Prometheus": (
        stores.PrometheusStore,
        "prometheus",
        PrometheusQuery("p95_seconds{{instances}}", "p95_seconds", bucket="2s", delay=DELAY),
    ),
}


@pytest.mark.parametrize("broken", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("protocol", METRICS)
def test_metrics(clock: Clock, served: Any, protocol: str, broken: bool) -> None:
    kind, conn_type, source = METRICS[protocol]

    def value(name: str, at: float) -> float:
        noise = random.Random(f"{name} {at}").gauss(1.0, 0.1)
        return noise * (2.0 if broken and name in CANARY else 1.0)

    given = {} if kind is stores.PrometheusStore else {"hosts": tuple(INSTANCES)}
    served(kind([], clock, PERFECT, value=value, **given), conn_type)
    # Google has no bucket that is narrower than a minute.
    times = MINUTES if protocol == "Google" else {}
    perfect = _watched(clock, metrics=[source], **times)
    clock.now = START
    store = served(kind([], clock, TROUBLED, value=value, **given), conn_type)
    store.asked = TROUBLED.dropped // 2  # where little is asked for, an answer is to be lost all the same
    troubled = _watched(clock, metrics=[source], **times)
    assert perfect.judgement.verdict is (Verdict.FAIL if broken else Verdict.PASS)
    assert troubled.judgement.verdict is perfect.judgement.verdict
    assert store.lost or (broken and store.asked < TROUBLED.dropped)
