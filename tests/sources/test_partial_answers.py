"""An answer that says itself that it is a part, with a status of success, is never taken for the whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from airflow_cd.errors import SourceError, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.cloud_watch import CloudWatch
from airflow_cd.sources import (
    CloudWatchMetrics,
    DatadogLogs,
    DatadogMetrics,
    ElasticsearchLogs,
    GoogleCloudMetrics,
    InfluxDbMetrics,
    LokiLogs,
    SplunkLogs,
)
from airflow_cd.verification.samples import Metric, Window
from tests.hooks.vendor_servers import Answer, Asked
from tests.sources import stores
from tests.sources.google_servers import MonitoringServer, key_of
from tests.sources.splunk_store import SplunkStore
from tests.sources.test_logs_of_stores import BEGIN, HOSTS, KEYS, WINDOW, DatadogPoints, records

METRIC = Metric("depth", "gauge")
POINT = {"name": "queue", "tags": {"host": "shop-1"}, "columns": ["time", "value"], "values": [[10**9, 1.0]]}
UNREACHABLE = {"unreachable": ["europe-west3"]}


def saying(store: Callable[[Asked], Answer], path: str, more: dict[str, Any]) -> Callable[[Asked], Answer]:
    """A store whose answers to one path say something more."""

    def respond(asked: Asked) -> Answer:
        answer = store(asked)
        if asked.path.endswith(path) and isinstance(answer.body, dict):
            answer.body.update(more)
        return answer

    return respond


def influx_db(messages: list[dict[str, str]]) -> Callable[[Asked], Answer]:
    return lambda _: Answer(body={"results": [{"messages": messages, "series": [POINT]}]})


def at(store: type[stores.Store]) -> stores.Store:
    return store(records(), lambda: WINDOW.until)


GAUGE = "avg:trace.http.duration{service:shop AND {instances}} by {host}"
PARTS: list[tuple[str, Any, str, Any, str]] = [
    (
        "loki_default",
        saying(at(stores.LokiStore), "/query_range", {"warnings": ["2 of 3 ingesters have answered"]}),
        "2 of 3 ingesters have answered",
        LokiLogs('{app="shop"}'),
        "",
    ),
    (
        "influx_db_default",
        influx_db([{"level": "warning", "text": "shard 12 cannot be read"}]),
        "shard 12 cannot be read",
        InfluxDbMetrics('mean("depth")', "queue", METRIC, "shop"),
        "",
    ),
    (
        "datadog_default",
        saying(
            at(stores.DatadogStore),
            "/search",
            {"meta": {"status": "done", "warnings": [{"title": "An index is missing", "detail": "index: main"}]}},
        ),
        "An index is missing: index: main",
        DatadogLogs("service:shop"),
        KEYS["password"],
    ),
    (
        "datadog_default",
        saying(at(stores.DatadogStore), "/search", {"meta": {"status": "aborted"}}),
        "ended as aborted",
        DatadogLogs("service:shop"),
        KEYS["password"],
    ),
    (
        "search_cluster_default",
        saying(at(stores.ElasticsearchStore), "/_search", {"_clusters": {"total": 3, "successful": 2, "skipped": 1}}),
        "1 of 3 clusters were skipped",
        ElasticsearchLogs("logs,other:logs"),
        "",
    ),
]


@pytest.mark.parametrize(("conn_id", "server", "says", "source", "password"), PARTS, ids=[one[2] for one in PARTS])
def test_what_says_so_is_a_part(served, conn_id, server, says, source, password):
    served(server, conn_id, password=password)
    with pytest.raises(SourceUnavailable, match=f"with a part of what there is: .*{says}"):
        source.read(WINDOW, HOSTS)


def test_regions_that_google_could_not_reach(connect):
    from tests.hooks.vendor_servers import serving

    with serving(saying(MonitoringServer(HOSTS), "/timeSeries", UNREACHABLE)) as url:
        connect("google_observability_default", conn_type="x", host=url, password=key_of(url))
        with pytest.raises(SourceUnavailable, match="a part of what there is: it could not reach europe-west3"):
            GoogleCloudMetrics("custom.googleapis.com/memory", METRIC).read(WINDOW, HOSTS)


def test_values_of_a_field_are_of_all_shards(served):
    more = {"_shards": {"total": 2, "failed": 1}}
    served(saying(at(stores.ElasticsearchStore), "/_search", more), "search_cluster_default")
    with pytest.raises(SourceUnavailable, match="1 of 2 shards failed"):
        ElasticsearchLogs("logs").instances(WINDOW)


def test_a_statement_of_old_style_is_answered_whole(served):
    deprecated = [{"level": "warning", "text": "deprecated use of 'SHOW' in a read only context"}]
    served(influx_db(deprecated), "influx_db_default")
    InfluxDbMetrics('mean("depth")', "queue", METRIC, "shop").instances(WINDOW)


@pytest.mark.parametrize(
    ("kind", "text", "partial"),
    [
        ("INFO", "Search auto-finalized after disk usage limit (500MB) reached.", True),
        ("WARN", "Search auto-finalized after time limit (60 seconds) reached.", True),
        ("WARN", "Could not get results from indexer idx-3.", True),
        ("WARN", "Events might not be returned in sub-second order due to search memory limits.", False),
        ("WARN", "Configuration initialization for /opt took longer than expected (1200ms).", False),
        ("WARN", "[idx-1] Could not load lookup=LOOKUP-geo", False),
        ("WARN", "Eventtype 'nix_errors' does not exist or is disabled.", False),
        ("WARN", "Search results might be incomplete for this time range.", True),
        ("INFO", "Your timerange was substituted based on your search string", False),
    ],
)
def test_what_splunk_says_of_a_search_that_is_done(served, kind, text, partial):
    store = SplunkStore(records(), lambda: WINDOW.until)
    store.messages = [{"type": kind, "text": text}]
    served(store, "splunk_default", password="token")
    sample = SplunkLogs("index=shop").read(WINDOW, HOSTS)
    assert sample.truncated is partial
    assert (text in sample.warnings) is (partial or kind == "WARN")


class Points:
    """CloudWatch's client, whose metric data is given page by page."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = pages

    def get_metric_data(self, NextToken: str = "0", **_: Any) -> dict[str, Any]:  # noqa: N803 - as AWS calls it
        number = int(NextToken)
        more = {"NextToken": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {**self.pages[number], **more}

    def list_metrics(self, **_: Any) -> dict[str, Any]:
        return {"Metrics": [{"Dimensions": [{"Name": "InstanceId", "Value": "i-1"}]}]}


def data(minute: int, status: str, *messages: str) -> dict[str, Any]:
    times = [BEGIN + dt.timedelta(minutes=minute)]
    told = [{"Code": "Told", "Value": text} for text in messages]
    result = {"StatusCode": status, "Timestamps": times, "Values": [2.0], "Messages": told}
    return {"MetricDataResults": [{"Id": name, **result} for name in ("v0", "n0")]}


def read(monkeypatch: pytest.MonkeyPatch, *pages: dict[str, Any]) -> Any:
    monkeypatch.setattr(CloudWatch, "_client", lambda *_: Points(*pages))
    return CloudWatchMetrics("Shop", "Latency", METRIC).read(Window(BEGIN, BEGIN + dt.timedelta(minutes=4)), ["i-1"])


@pytest.mark.parametrize(
    ("pages", "error", "says"),
    [
        ([data(0, "Forbidden", "other account")], SourceUnauthorized, "does not let .* Told: other account"),
        ([data(0, "Complete"), data(1, "PartialData")], SourceUnavailable, "part of what there is: PartialData"),
        ([data(0, "InternalError"), data(1, "Complete")], SourceUnavailable, "InternalError"),
        ([data(0, "SomethingNew")], SourceUnavailable, "SomethingNew"),
        ([{"Messages": [{"Value": "Maximum number exceeded"}], **data(0, "Complete")}], SourceUnavailable, "Maximum"),
    ],
)
def test_metric_data_that_is_not_complete(monkeypatch, pages, error: type[SourceError], says):
    with pytest.raises(error, match=says):
        read(monkeypatch, *pages)


def test_metric_data_goes_on_until_its_last_page(monkeypatch):
    sample = read(monkeypatch, data(2, "PartialData", "note"), {"MetricDataResults": []}, data(1, "Complete"))
    assert list(sample.frame["value"]) == [2.0, 2.0]
    assert sample.warnings == ("Told: note",)


def test_points_of_a_query_of_metrics_that_failed(served):
    served(saying(DatadogPoints(), "/query", {"status": "timeout"}), "datadog_default", **KEYS)
    with pytest.raises(SourceUnavailable, match=r"part of what there is: .*timeout"):
        DatadogMetrics(GAUGE, METRIC).read(WINDOW, HOSTS)
