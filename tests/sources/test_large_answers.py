"""A window whose records are more bytes than one answer may have is read whole, in shorter parts or pages."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import pytest

from airflow_cd.errors import SourceAnswerTooLarge
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.sources import (
    DatadogLogs,
    ElasticsearchLogs,
    GoogleCloudLogs,
    LokiLogs,
    SplunkLogs,
    SumoLogicLogs,
    VictoriaLogs,
)
from tests.hooks.vendor_servers import serving
from tests.sources import stores
from tests.sources.google_servers import LoggingStore, key_of
from tests.sources.splunk_store import SplunkStore
from tests.sources.test_logs_of_stores import BEGIN, HOSTS, WINDOW

MOST_BYTES = 10_000
LOGS: dict[str, tuple[type[stores.Store], str, Any]] = {
    "Datadog": (stores.DatadogStore, "datadog", DatadogLogs("service:shop")),
    "Elasticsearch": (stores.ElasticsearchStore, "search_cluster", ElasticsearchLogs("logs")),
    "Google": (LoggingStore, "google_observability", GoogleCloudLogs("a=b")),
    "Loki": (stores.LokiStore, "loki", LokiLogs('{app="shop"}')),
    "Splunk": (SplunkStore, "splunk", SplunkLogs("index=shop")),
    "Sumo Logic": (stores.SumoLogicStore, "sumo_logic", SumoLogicLogs("*")),
    "VictoriaLogs": (stores.VictoriaLogsStore, "victoria_logs", VictoriaLogs()),
}


@pytest.fixture(autouse=True)
def small_answers(monkeypatch):
    monkeypatch.setattr("airflow_cd.hooks.google_logging.GoogleLoggingHook.calls_per_second", 1e6)
    for hook in ("service", "sumo_logic"):
        monkeypatch.setattr(f"airflow_cd.hooks.{hook}.Endpoint", functools.partial(Endpoint, max_bytes=MOST_BYTES))


def made(lengths: list[int]) -> list[stores.Record]:
    return [
        stores.Record(BEGIN + dt.timedelta(milliseconds=500 * number), HOSTS[number % 2], "x" * length, f"{number:06}")
        for number, length in enumerate(lengths)
    ]


def read(connect: Any, protocol: str, records: list[stores.Record]) -> Any:
    store, conn_type, source = LOGS[protocol]
    with serving(store(records, lambda: WINDOW.until)) as url:
        keys = {"datadog": "api:app", "google_observability": key_of(url)}
        login = {"login": "id"} if conn_type == "sumo_logic" else {}
        connect(f"{conn_type}_default", conn_type=conn_type, host=url, password=keys.get(conn_type, "key"), **login)
        return source.read(WINDOW, HOSTS)


@pytest.mark.parametrize("protocol", LOGS)
def test_long_records_are_read_in_shorter_parts(connect, protocol):
    records = made([20 + number for number in range(400)])
    sample = read(connect, protocol, records)
    assert sorted(map(len, sample.frame["message"])) == [len(one.message) for one in records]
    assert not sample.truncated


@pytest.mark.parametrize("protocol", LOGS)
def test_one_record_that_is_too_long_is_said(connect, protocol):
    with pytest.raises(SourceAnswerTooLarge, match="more than 10000 bytes"):
        read(connect, protocol, made([20, MOST_BYTES, 20]))
