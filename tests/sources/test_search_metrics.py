"""Aggregations of OpenSearch and Elasticsearch as metrics; ``tests/real`` has them on a real server."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.sources import ElasticsearchMetrics, OpenSearchMetrics
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.verification.samples import Metric, Window
from tests.hooks.vendor_servers import Answer
from tests.sources.search_metrics_store import SearchMetricsStore
from tests.sources.test_logs_of_stores import BEGIN, HOSTS

WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=4))
TOOK = ElasticsearchMetrics("logs", Metric("took", "latency", unit="ms"), "took")


def made(served: Any, **given: Any) -> SearchMetricsStore:
    store = SearchMetricsStore([], lambda: WINDOW.until, value=lambda name, at: float(at % 10), **given)
    served(store, "search_cluster_default")
    return store


class TestContract(MetricSourceContract):
    @pytest.fixture
    def source(self, served):
        made(served)
        return TOOK

    @pytest.fixture
    def broken(self, served):
        served(lambda _: Answer(401, {"error": {"reason": "missing authentication credentials"}}), "broken")
        return ElasticsearchMetrics("logs", "took", "took", conn_id="broken")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS


def test_durations_are_distributions_and_failures_are_of_all_documents(served):
    made(served)
    rows = TOOK.read(WINDOW, ["shop-1"]).frame.query("metric == 'took'")
    assert set(rows["value"]) == {4.5}
    assert set(rows["count"]) == {30.0}
    assert list(rows["deviation"]) == pytest.approx([2.87228] * 8)
    failed = OpenSearchMetrics("logs", Metric("failed", "errors"), aggregation={"filter": {"range": {"took": {}}}})
    rows = failed.read(WINDOW, ["shop-1"]).frame
    assert set(zip(rows["value"], rows["count"], strict=True)) == {(12.0, 30.0)}


@pytest.mark.parametrize(("metric", "how"), [("errors", "sum"), ("error_rate", "avg"), ("orders_per_second", "avg")])
def test_parts_and_rates_are_not_added_up(served, metric, how):
    store = made(served)
    OpenSearchMetrics("logs", metric, "took").read(WINDOW, ["shop-1"])
    assert f'"value": {{"{how}": ' in json.dumps(store.bodies[0])


def test_null_is_missing_and_never_0(served):
    made(served)
    highest = OpenSearchMetrics("logs", "queue", aggregation={"max": {"field": "took"}})
    assert len(highest.read(WINDOW, HOSTS).frame) == 0


def test_many_instances_are_asked_for_in_parts(served, monkeypatch):
    monkeypatch.setattr("airflow_cd.sources.open_search_metrics.MOST_BUCKETS", 8)
    store = made(served)
    assert len(TOOK.read(WINDOW, HOSTS).frame) == 2 * 2 * 8
    assert len(store.bodies) == 2


def test_a_shard_that_fails_begins_the_read_again(served):
    store = made(served, failing=1)
    assert len(TOOK.read(WINDOW, HOSTS).frame) == 2 * 2 * 8
    store.failing = 3
    with pytest.raises(SourceUnavailable, match="a part of what there is: 1 of 3 shards failed"):
        TOOK.read(WINDOW, HOSTS)


def test_words(served):
    made(served)
    assert TOOK.instances(WINDOW) == HOSTS
    for given, says in (
        ({"value_field": "toko"}, "no document has the field 'toko'; did you mean 'took'"),
        ({"aggregation": {"max": {"field": "toko"}}}, "no document has the field 'toko'"),
        ({"instance_field": "pod"}, "cannot be aggregated"),
    ):
        with pytest.raises(SourceQueryRejected, match=says):
            OpenSearchMetrics("logs", "took", **given).read(WINDOW, HOSTS)
    assert "Nothing is known of shop-9" in TOOK.read(WINDOW, ["shop-9"]).warnings[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"index": "_all"}, "not the name of an index"),
        ({"aggregation": {"max": {}, "min": {}}}, "is not one aggregation"),
        ({"aggregation": {"max": {"field": "a"}}, "value_field": "b"}, "names its own"),
        ({"metric": ""}, "neither a Metric nor a name"),
        ({"query": "app:shop AND @timestamp:[now-5m TO now]"}, "query: the window is added"),
        ({"query": None}, "query: None is not a text"),
    ],
)
def test_mistakes(given, says):
    assert says in "".join(OpenSearchMetrics(**{"index": "logs", "metric": "took", **given}).mistakes())
