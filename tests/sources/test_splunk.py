"""Splunk's logs against a server of ours that answers as its documents say."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.splunk import SplunkHook
from airflow_cd.sources import SplunkLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import Window
from tests.hooks.vendor_servers import Answer
from tests.sources.splunk_store import SplunkStore, record
from tests.sources.stores import Troubles
from tests.sources.test_logs_of_stores import BEGIN, HOSTS, WINDOW, records

TOKEN = {"password": "token"}


@pytest.fixture
def store(served) -> SplunkStore:
    made = SplunkStore(records(), lambda: WINDOW.until, Troubles(page=50))
    served(made, "splunk_default", **TOKEN)
    return made


class TestSplunk(LogSourceContract):
    @pytest.fixture
    def source(self, store):
        return SplunkLogs("index=shop")

    @pytest.fixture
    def broken(self, served):
        served(lambda _: Answer(401, {"messages": [{"type": "WARN", "text": "call not authenticated"}]}), "broken")
        return SplunkLogs("index=shop", conn_id="broken")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS


def test_jobs_are_waited_for_and_deleted(store, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("airflow_cd.http.client.time.sleep", waits.append)
    store.polls = 3
    hook = SplunkHook(sleep=waits.append)
    assert hook.search('search (index=shop) host IN ("shop-1")', WINDOW.since, WINDOW.until).rows
    assert len(waits) == 3
    assert not store.jobs


def test_an_event_is_of_the_millisecond_that_it_is_handed_out_with(served):
    moment = BEGIN + dt.timedelta(microseconds=500)
    served(SplunkStore([record(moment, "x")], lambda: WINDOW.until), "splunk_default", **TOKEN)
    cut = BEGIN + dt.timedelta(microseconds=300)
    parts = [Window(BEGIN, cut), Window(cut, WINDOW.until)]
    assert [len(SplunkLogs("index=shop").read(part, ["shop-1"]).frame) for part in parts] == [1, 0]


def test_a_part_is_not_the_whole(store):
    source = SplunkLogs("index=shop")
    store.finalized = True
    with pytest.raises(SourceUnavailable, match="a part of what there is: the search was ended early"):
        source.read(WINDOW, HOSTS)
    store.finalized = False
    store.messages = [{"type": "ERROR", "text": "Search results might be incomplete: the search process on peer"}]
    with pytest.raises(SourceUnavailable, match="a part of what there is: Search results might be incomplete"):
        source.read(WINDOW, HOSTS)
    store.messages = [{"type": "WARN", "text": "Unable to distribute to peer named idx-2."}]
    sample = source.read(WINDOW, HOSTS)
    assert sample.truncated
    assert sample.warnings == ("Unable to distribute to peer named idx-2.",)


def test_more_events_than_a_search_hands_out(store, monkeypatch):
    monkeypatch.setattr("airflow_cd.sources.records.MOST_RECORDS", 10)
    sample = SplunkLogs("index=shop").read(WINDOW, HOSTS)
    assert sample.truncated
    assert sample.cut
    assert sample.warnings == ("There are more than 10 records; the oldest were left out.",)


def test_words(store, served):
    with pytest.raises(SourceQueryRejected, match=r"no index shpo that this user may search; did you mean 'shop'"):
        SplunkLogs("index=shpo").read(WINDOW, HOSTS)
    source = SplunkLogs("index=shop")
    assert source.instances(WINDOW) == ["other", *HOSTS]
    assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]
    works, text = SplunkHook().test_connection()
    assert works
    assert "0 events of the last 5 minutes, in shop" in text


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(400, {"messages": [{"type": "FATAL", "text": "Unknown command."}]}), SourceQueryRejected, "Unknown c"),
        (Answer(403, {"messages": [{"type": "ERROR", "text": "insufficient"}]}), SourceUnauthorized, r"\(403\): insu"),
        (Answer(200, {"hello": 1}), SourceUnavailable, "management port"),
    ],
)
def test_what_is_refused_is_said(served, answer: Answer, error: Any, says: str):
    served(lambda _: answer, "splunk_default", **TOKEN)
    with pytest.raises(error, match=says):
        SplunkLogs("index=shop").read(WINDOW, HOSTS)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("index=a | head 3", "a pipe changes"),
        ("search index=a", "search is added"),
        ('index="a', "does not close"),
        ("index=a earliest=-5m", "earliest is added"),
        (" ", "is empty"),
    ],
)
def test_mistakes(query, says):
    assert says in "".join(SplunkLogs(query).mistakes())


def test_a_host_without_a_scheme_is_called_by_tls(connect):
    connect("splunk_default", conn_type="splunk", host="splunk.example.com", port=8089, password="token")
    with SplunkHook().get_conn() as client:
        assert client.base_url == "https://splunk.example.com:8089"
