"""Whatever a service answers, a source raises a source's error or returns what it could read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_cd.errors import SourceError
from airflow_cd.sources import (
    DatadogLogs,
    DatadogMetrics,
    GoogleCloudLogs,
    GoogleCloudMetrics,
    InfluxDbMetrics,
    LokiLogs,
    OpenSearchLogs,
    OpenSearchMetrics,
    PrometheusMetrics,
    PrometheusQuery,
    SplunkLogs,
    VictoriaLogs,
)
from airflow_cd.verification.samples import Metric, Window
from airflow_cd.verification.source_kinds import kind_of
from tests.hooks.vendor_servers import Answer, serving
from tests.sources.google_servers import key_of

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=4))
METRIC = Metric("m", "gauge")
SOURCES = {
    "datadog_default": [DatadogLogs("*"), DatadogMetrics("avg:a{{instances}} by {host}", METRIC)],
    "google_observability_default": [GoogleCloudLogs("a"), GoogleCloudMetrics("a.b/c", "latency")],
    "influx_db_default": [InfluxDbMetrics("mean(a)", "m", METRIC, "d")],
    "loki_default": [LokiLogs('{a="b"}')],
    "prometheus_default": [PrometheusMetrics("http"), PrometheusQuery("a{{instances}}", METRIC)],
    "search_cluster_default": [OpenSearchLogs("logs"), OpenSearchMetrics("logs", "a", "took")],
    "splunk_default": [SplunkLogs("index=shop")],
    "victoria_logs_default": [VictoriaLogs()],
}
SERIES = {"metric": {"instance": "a"}, "values": [["x", "1"], [None, []], [1e400, "NaN"]]}
ANSWERS: list[Any] = [
    None,
    [],
    "text",
    {"status": "success", "data": {"result": [SERIES, None, 3]}},
    {"status": "success", "data": {"result": [{"stream": {"pod": "a"}, "values": [["later", "x"], ["1"]]}]}},
    {"status": "success", "data": ["a", {}]},
    {"results": [{"series": [{"tags": {"host": "a"}, "columns": ["time", "value"], "values": [[{}, 1], [None]]}]}]},
    {"series": [{"tag_set": ["host:a"], "pointlist": [[{}, 1], [1]], "interval": 60}]},
    {"data": [{"id": [], "attributes": {"timestamp": {}, "tags": 7}}], "meta": {"page": {"after": {}}}},
    {
        "version": {"distribution": "opensearch"},
        "indices": ["x"],
        "fields": {"host.name": [], "@timestamp": 1},
        "pit_id": "p",
        "hits": {"hits": [{"_source": 7, "fields": {"@timestamp": [[]]}, "sort": None}]},
    },
    {
        "sid": "1",
        "entry": [{"content": {"dispatchState": "DONE", "resultCount": 3, "messages": 4}}],
        "results": [{"_time": {}, "host": "a"}, 7, {"_time": "2026-11-23T05:00:00Z", "host": ["a"], "_indextime": []}],
    },
    {
        "access_token": "x",
        "expires_in": 3600,
        "metricKind": "DELTA",
        "valueType": "DISTRIBUTION",
        "entries": [{"timestamp": {}, "resource": 7}, {"timestamp": "2026-11-23T05:00:00Z", "jsonPayload": []}, 3],
        "timeSeries": [
            {"resource": {"labels": {"instance_id": "a"}}, "points": [{"interval": {"endTime": 3}, "value": {}}]},
            {"resource": {"labels": {"instance_id": "a"}}, "points": [{"interval": 7}]},
        ],
    },
    {
        "fields": {"host.name": {"keyword": {}}, "@timestamp": {}, "took": {}},
        "aggregations": {"instances": {"buckets": [{"key": "a", "times": {"buckets": [{"key": "x"}]}}, 7]}},
    },
    {"_time": {}, "_msg": [], "host": "a"},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
@pytest.mark.parametrize("conn_id", SOURCES)
def test_strange_answers(connect, monkeypatch, conn_id: str, answer: Any) -> None:
    monkeypatch.setattr(
        "airflow_cd.hooks.service._RETRY", __import__("airflow_cd.http.retry").http.retry.RetryPolicy(attempts=1)
    )
    monkeypatch.setattr("airflow_cd.hooks.datadog._MOST_PAGES", 3)
    monkeypatch.setattr("airflow_cd.hooks.google_logging.GoogleLoggingHook.calls_per_second", 1e6)
    asked = [0]

    def respond(_: Any) -> Answer:
        asked[0] += 1
        return Answer(body=answer) if asked[0] < 50 else Answer(404, {})

    with serving(respond) as url:
        google = conn_id.startswith("google")
        connect(conn_id, conn_type="x", host=url, password=key_of(url) if google else "a:b")
        for source in SOURCES[conn_id]:
            try:
                sample = source.read(WINDOW, ["a", "b"])
            except SourceError:
                continue
            assert set(sample.frame["instance"]) <= {"a", "b"}


def test_which_kind_a_source_is_can_still_be_told() -> None:
    kinds = {type(source).__name__: kind_of(source) for sources in SOURCES.values() for source in sources}
    assert kinds.pop("PrometheusMetrics") == kinds.pop("DatadogMetrics") == kinds.pop("InfluxDbMetrics") == "metrics"
    assert kinds.pop("PrometheusQuery") == kinds.pop("GoogleCloudMetrics") == "metrics"
    assert kinds.pop("OpenSearchMetrics") == "metrics"
    assert set(kinds.values()) == {"logs"}
