"""Sources of logs against the real servers: VictoriaLogs and OpenSearch."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.open_search import OpenSearchHook
from airflow_cd.hooks.victoria_logs import VictoriaLogsHook
from airflow_cd.sources import OpenSearchLogs, OpenSearchMetrics, VictoriaLogs
from airflow_cd.sources.contract import LogSourceContract, MetricSourceContract
from airflow_cd.verification.samples import Metric, Window
from tests import tiers
from tests.sources import metric_servers

from .conftest import CACHE
from .logs import servers

pytestmark = pytest.mark.real

END = dt.datetime.now(dt.timezone.utc).replace(microsecond=0) - dt.timedelta(minutes=5)
WINDOW = Window(END - dt.timedelta(minutes=10), END)
HOSTS = ["shop-1", "shop-2"]
VERIFIER = (metric_servers.USER, metric_servers.PASSWORD)
MANY = 10_001
MANY_AT = WINDOW.until + dt.timedelta(minutes=1)
TRACE = "ValueError: card\n  at shop.Cart.pay(Cart.java:7)"
WRONG: dict[str, tuple[dict[str, str], type[SourceError], str]] = {
    "password": ({"password": "guessed"}, SourceUnauthorized, r"does not accept the credentials \(401\).*Check login"),
    "no login": ({"login": "", "password": ""}, SourceUnauthorized, r"does not accept the credentials \(401\)"),
    "path": ({"host": "{}/nothing"}, SourceError, r"127\.0\.0\.1:\d+/nothing.*Check whether the host.*base URL"),
    "host": (
        {"host": "127.0.0.1:1", "extra": '{"deadline": 1}'},
        SourceUnavailable,
        r"http://127\.0\.0\.1:1\) cannot be reached.*Check that it is up",
    ),
}

_KEYWORD, _TEXT = {"type": "keyword"}, {"type": "text"}
MAPPED: dict[str, dict[str, Any]] = {
    "dynamic": {},
    "alias": {"properties": {"hostname": _KEYWORD, "host": {"type": "alias", "path": "hostname"}}},
    "excluded": {"_source": {"excludes": ["hostname"]}, "properties": {"hostname": _KEYWORD}},
    "without": {"_source": {"enabled": False}, "properties": {"hostname": _KEYWORD}},
    "epoch": {"properties": {"hostname": _KEYWORD, "@timestamp": {"type": "date", "format": "epoch_second"}}},
    "both-1": {"properties": {"hostname": _KEYWORD}},
    "both-2": {"properties": {"hostname": _TEXT}},
    "ahead": {"properties": {"hostname": _KEYWORD, "@timestamp": {"type": "date_nanos"}}},
    "line": {"properties": {"hostname": _KEYWORD}},
    "flat": {"properties": {"host": {"type": "flat_object"}}},
    "nested": {"properties": {"host": {"type": "nested", "properties": {"name": _KEYWORD}}}},
    "long": {"properties": {"hostname": _KEYWORD, "at": {"type": "long"}}},
    "timeless": {"properties": {"hostname": _KEYWORD}},
}
"""How an index may keep the name of the instance and the time."""
AHEAD = "which is to come: is it a local time that was sent without its zone?"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def define(conn_id: str, **fields: Any) -> None:
        given = {"conn_type": "x", "login": metric_servers.USER, "password": metric_servers.PASSWORD, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(given))

    return define


def stamp(moment: dt.datetime, nanoseconds: int = 0) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}{nanoseconds:03d}Z"


def an_hour_ahead() -> str:
    return stamp(dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1))


def records() -> Iterator[dict[str, Any]]:
    for second in range(-60, 660):
        moment = WINDOW.since + dt.timedelta(seconds=second)
        for host in (*HOSTS, 'odd "one" (a|b)*'):
            served = {"at": stamp(moment, second % 7), "host": host, "message": f"INFO order {second} served"}
            yield served | {"took": second % 7 + 1}
            if second % 60 == 0:
                yield {"at": stamp(moment), "host": host, "message": "charge failed", "level": "error", "stack": TRACE}
                # Twice the same at one moment are two.
                yield {"at": stamp(moment, 9), "host": host, "message": "WARN retried"}
                yield {"at": stamp(moment, 9), "host": host, "message": "WARN retried"}
    for number in range(MANY):
        yield {"at": stamp(MANY_AT), "host": "busy", "message": f"INFO burst {number}"}
    yield {"at": stamp(dt.datetime.now(dt.timezone.utc)), "host": "new", "message": "INFO started"}


@pytest.fixture(scope="module")
def victoria_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := servers.missing("go"):
        tiers.unavailable("victoria-logs", why)
    with servers.victoria_logs(CACHE, tmp_path_factory.mktemp("victoria-logs"), guarded=True) as url:
        lines = [
            json.dumps({"_time": one["at"], "_msg": one["message"], "app": "shop", "host": one["host"], **more})
            for one in records()
            for more in [{name: one[name] for name in ("level", "stack") if name in one}]
        ]
        lines += [
            json.dumps({"_time": at, "app": app, "host": "shop-1", **more})
            for app, at, more in (
                ("line", stamp(WINDOW.since), {"utterance": "WARN slow"}),
                ("ahead", an_hour_ahead(), {"_msg": "WARN slow"}),
            )
        ]
        sent = requests.post(
            f"{url}/insert/jsonline?_stream_fields=app,host",
            data="\n".join(lines).encode(),
            headers={"Content-Type": "application/stream+json"},
            auth=VERIFIER,
            timeout=60,
        )
        sent.raise_for_status()
        # A stream is counted before it is found: records are left out until the index has their stream.
        _until(lambda: _found(url) >= len(lines))
        yield url


def _found(url: str) -> int:
    answer = requests.post(f"{url}/select/logsql/query", data={"query": "*"}, auth=VERIFIER, timeout=60)
    return len(answer.content.splitlines())


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def sent_to(index: str) -> dict[str, Any]:
    """What the record says that is sent to an index of :data:`MAPPED`, instead of the usual."""
    instead: dict[str, dict[str, Any]] = {
        "epoch": {"@timestamp": str(int(WINDOW.since.timestamp()))},
        "ahead": {"@timestamp": an_hour_ahead()},
        "line": {"utterance": "WARN slow", "message": None},
        "flat": {"host": {"name": "web-1"}},
        "nested": {"host": {"name": "web-1"}},
        "long": {"at": int(WINDOW.since.timestamp() * 1000)},
        "timeless": {"@timestamp": None},
    }
    return instead.get(index, {})


@pytest.fixture(scope="module")
def open_search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := servers.missing("java", "mvn"):
        tiers.unavailable("open-search", why)
    with servers.open_search(CACHE, tmp_path_factory.mktemp("open-search"), guarded=True) as url:
        mapping = {
            "settings": {"number_of_shards": 3, "number_of_replicas": 0},
            "mappings": {
                "properties": {
                    "@timestamp": {"type": "date_nanos"},
                    "host": {"properties": {"name": {"type": "keyword"}}},
                    "pod": {"type": "text"},
                }
            },
        }
        for index in ("logs-shop", "requests-shop"):
            requests.put(f"{url}/{index}", json=mapping, auth=servers.ADMIN, timeout=60).raise_for_status()
        lines = []
        for one in records():
            document = {
                "@timestamp": one["at"],
                "host": {"name": one["host"]},
                "pod": one["host"],
                "message": one["message"],
            }
            if "took" in one:
                request = document | {"took": one["took"], "status": 500 if one["took"] == 7 else 200}
                lines += ['{"index": {"_index": "requests-shop"}}', json.dumps(request)]
            if "stack" in one:
                document |= {"log": {"level": one["level"]}, "error": {"stack_trace": one["stack"]}}
            lines += ['{"index": {}}', json.dumps(document)]
        body = "\n".join(lines) + "\n"
        sent = requests.post(
            f"{url}/logs-shop/_bulk?refresh=true",
            data=body.encode(),
            headers={"Content-Type": "application/x-ndjson"},
            auth=servers.ADMIN,
            timeout=120,
        )
        sent.raise_for_status()
        assert sent.json()["errors"] is False
        for index, mapping in MAPPED.items():
            requests.put(f"{url}/logs-of-{index}", json={"mappings": mapping}, auth=servers.ADMIN, timeout=60)
            document = {"@timestamp": stamp(WINDOW.since), "hostname": "web-1", "message": "WARN slow"} | sent_to(index)
            requests.post(
                f"{url}/logs-of-{index}/_doc?refresh=true", json=document, auth=servers.ADMIN, timeout=60
            ).raise_for_status()
        yield url


class _Contract(LogSourceContract):
    @pytest.fixture
    def window(self) -> Window:
        return WINDOW

    @pytest.fixture
    def instances(self) -> list[str]:
        return HOSTS

    def test_levels_and_traces_are_read(self, source: Any) -> None:
        frame = source.read(WINDOW, ["shop-1"]).frame
        failed = [text for text in frame["message"] if "charge failed" in text]
        assert len(failed) == 10
        assert all("error" in text and "Cart.java:7" in text for text in failed)
        assert sum(frame["message"] == "WARN retried") == 20
        assert sum(frame["message"].str.startswith("INFO order")) == 600

    def test_ten_thousand_records_of_one_moment(self, source: Any) -> None:
        window = Window(MANY_AT, MANY_AT + dt.timedelta(seconds=1))
        frame = source.read(window, ["busy"]).frame
        assert len(frame) == MANY
        assert frame["message"].is_unique

    @pytest.mark.parametrize("setting", WRONG)
    def test_what_is_wrong_with_the_connection(self, source: Any, connect: Any, setting: str) -> None:
        wrong, error, says = WRONG[setting]
        address = json.loads(os.environ[f"AIRFLOW_CONN_{source.conn_id.upper()}"])["host"]
        given = {"host": address, **wrong}
        connect(source.conn_id, **given | {"host": given["host"].format(address)})
        with pytest.raises(error, match=says) as raised:
            source.read(WINDOW, HOSTS)
        assert source.conn_id in str(raised.value)
        assert (wrong.get("password") or metric_servers.PASSWORD) not in str(raised.value)

    def test_a_name_is_taken_as_it_is(self, source: Any) -> None:
        frame = source.read(WINDOW, ['odd "one" (a|b)*']).frame
        assert len(frame) > 600


class TestVictoriaLogs(_Contract):
    @pytest.fixture
    def source(self, victoria_logs: str, connect: Any) -> VictoriaLogs:
        connect("victoria_logs_default", host=victoria_logs)
        return VictoriaLogs('{app="shop"}')

    @pytest.fixture
    def broken(self, source: VictoriaLogs) -> VictoriaLogs:
        return VictoriaLogs('{app="shop"}', instance_field="hots")

    def test_windows_that_hold_too_much_are_halved(self, source: VictoriaLogs, monkeypatch: Any) -> None:
        whole = source.read(WINDOW, HOSTS).frame
        monkeypatch.setattr("airflow_cd.hooks.victoria_logs.MOST_AT_ONCE", 50)
        parts = source.read(WINDOW, HOSTS).frame
        assert parts.equals(whole)

    def test_words(self, source: VictoriaLogs, victoria_logs: str, connect: Any) -> None:
        with pytest.raises(SourceQueryRejected, match=r"no record has the field 'hots'; did you mean 'host'"):
            VictoriaLogs('{app="shop"}', instance_field="hots").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="rejected the request"):
            VictoriaLogs("level:>").read(WINDOW, HOSTS)
        sample = VictoriaLogs('{app="line"}').read(WINDOW, HOSTS)
        assert json.loads(sample.frame["message"].iloc[0])["utterance"] == "WARN slow"
        assert "missing" not in sample.frame["message"].iloc[0]
        assert sample.warnings[0].startswith("No record has the field _msg: all their fields are read.")
        [warning] = VictoriaLogs('{app="ahead"}').read(WINDOW, HOSTS).warnings
        assert AHEAD in warning
        assert "was logged in the hour before" in VictoriaLogs('{app="x"}').read(WINDOW, HOSTS).warnings[0]
        assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]

    def test_the_test_button_and_instances(self, source: VictoriaLogs) -> None:
        works, text = VictoriaLogsHook().test_connection()
        assert works, text
        assert re.search(r"answers queries: [1-9][\d,]* records? of the last 5 minutes, the newest \d+\.\d s old", text)
        assert source.instances(WINDOW) == ['odd "one" (a|b)*', *HOSTS]


class TestOpenSearch(_Contract):
    @pytest.fixture
    def source(self, open_search: str, connect: Any) -> OpenSearchLogs:
        connect("search_cluster_default", host=open_search)
        return OpenSearchLogs("logs-shop")

    @pytest.fixture
    def broken(self, source: OpenSearchLogs) -> OpenSearchLogs:
        return OpenSearchLogs("logs-shpo-*")

    def test_an_instance_in_a_text_is_compared_as_a_whole(self, source: OpenSearchLogs) -> None:
        texts = OpenSearchLogs("logs-shop", instance_field="pod").read(WINDOW, HOSTS).frame
        assert texts.equals(source.read(WINDOW, HOSTS).frame)

    @pytest.mark.parametrize(
        ("index", "field", "records"),
        [
            ("dynamic", "hostname", 1),
            ("dynamic", "hostname.keyword", 1),
            ("alias", "host", 1),
            ("excluded", "hostname", 1),
            ("epoch", "hostname", 1),
            ("both-*", "hostname", 2),
            ("flat", "host.name", 1),
            ("flat,logs-of-timeless", "host.name", 1),
        ],
    )
    def test_whatever_the_index_keeps_the_name_as(
        self, source: OpenSearchLogs, index: str, field: str, records: int
    ) -> None:
        sample = OpenSearchLogs(f"logs-of-{index}", instance_field=field).read(WINDOW, ["web-1", "web-2"])
        assert list(sample.frame["instance"]) == ["web-1"] * records
        assert set(sample.frame["time"]) == {WINDOW.since}
        assert not sample.truncated

    def test_an_index_without_its_documents(self, source: OpenSearchLogs) -> None:
        with pytest.raises(SourceQueryRejected, match="the index logs-of-without does not keep what its documents"):
            OpenSearchLogs("logs-of-without", instance_field="hostname").read(WINDOW, ["web-1"])

    def test_a_query_string(self, source: OpenSearchLogs) -> None:
        found = OpenSearchLogs("logs-*", "log.level:error").read(WINDOW, HOSTS).frame
        assert len(found) == 20

    def test_words(self, source: OpenSearchLogs, open_search: str, connect: Any) -> None:
        for index in ("logs-shpo", "logs-shpo-*"):
            with pytest.raises(SourceQueryRejected, match=rf"no index {re.escape(index)} that this login may read"):
                OpenSearchLogs(index).read(WINDOW, HOSTS)
        with pytest.raises(SourceUnauthorized, match=r"does not let this login read shop-logs \(403\): no permissions"):
            OpenSearchLogs("shop-logs").read(WINDOW, HOSTS)
        with pytest.raises(
            SourceQueryRejected, match=r"no document has the field 'host.nmae'; did you mean 'host.name'"
        ):
            OpenSearchLogs("logs-shop", instance_field="host.nmae").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="rejected the request"):
            OpenSearchLogs("logs-shop", "level:(").read(WINDOW, HOSTS)
        [warning] = OpenSearchLogs("logs-of-line", instance_field="hostname").read(WINDOW, ["web-1"]).warnings
        assert warning.startswith("No record has the field message: all their fields are read.")
        [warning] = OpenSearchLogs("logs-of-ahead", instance_field="hostname").read(WINDOW, ["web-1"]).warnings
        assert AHEAD in warning
        assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]
        with pytest.raises(SourceQueryRejected, match=r"keeps 'host' as nested, so nothing is found by .*'host.name'"):
            OpenSearchLogs("logs-of-nested").read(WINDOW, ["web-1"])
        with pytest.raises(SourceQueryRejected, match="keeps the field 'at' as long, by which no time can be found"):
            OpenSearchLogs("logs-of-long", instance_field="hostname", time_field="at").read(WINDOW, ["web-1"])

    def test_an_index_that_hands_out_few_at_a_time(self, source: OpenSearchLogs, open_search: str) -> None:
        settings = f"{open_search}/logs-shop/_settings"
        for most in (100, None):  # the second is the usual one
            changed = {"index.max_result_window": most}
            requests.put(settings, json=changed, auth=servers.ADMIN, timeout=60).raise_for_status()
            if most:
                assert len(source.read(WINDOW, ["shop-1"]).frame) == 630

    def test_an_index_of_which_a_shard_is_nowhere(self, open_search: str, connect: Any) -> None:
        connect("search_cluster_default", host=open_search)
        nowhere = {"settings": {"index.routing.allocation.require.box": "nowhere"}}
        url = f"{open_search}/requests-red"
        made = requests.put(f"{url}?wait_for_active_shards=0", json=nowhere, auth=servers.ADMIN, timeout=60)
        made.raise_for_status()
        try:
            both = "requests-shop,requests-red"
            for source in (OpenSearchLogs(both), OpenSearchMetrics(both, Metric("requests", "throughput"))):
                with pytest.raises(SourceUnavailable, match=r"a part of what there is: .*shards .*are not there"):
                    source.read(WINDOW, HOSTS)
        finally:
            requests.delete(url, auth=servers.ADMIN, timeout=60).raise_for_status()

    def test_instances(self, source: OpenSearchLogs) -> None:
        assert source.instances(WINDOW) == ['odd "one" (a|b)*', *HOSTS]

    def test_the_test_button(self, source: OpenSearchLogs, open_search: str, connect: Any) -> None:
        works, text = OpenSearchHook().test_connection()
        assert works, text
        assert text.startswith("OpenSearch 2.19.1 accepts the login, which may not search every index")
        connect("search_cluster_default", host=open_search, login="admin")
        works, text = OpenSearchHook().test_connection()
        assert works, text
        assert re.search(r"queries: [1-9][\d,]* documents? of the last 5 minutes, the newest \d+\.\d s old", text)

    def test_no_point_in_time_is_left(self, source: OpenSearchLogs, open_search: str) -> None:
        source.read(WINDOW, HOSTS)
        left = requests.get(f"{open_search}/_search/point_in_time/_all", auth=servers.ADMIN, timeout=30).json()
        assert left.get("pits") in ([], None)


class TestOpenSearchMetrics(MetricSourceContract):
    @pytest.fixture
    def source(self, open_search: str, connect: Any) -> OpenSearchMetrics:
        connect("search_cluster_default", host=open_search)
        return OpenSearchMetrics("requests-shop", Metric("took", "latency", unit="ms"), "took")

    @pytest.fixture
    def broken(self, source: OpenSearchMetrics) -> OpenSearchMetrics:
        return OpenSearchMetrics("requests-shop", "took", "toko")

    @pytest.fixture
    def window(self) -> Window:
        since = WINDOW.since.replace(second=0) + dt.timedelta(minutes=1)
        return Window(since, since + dt.timedelta(minutes=8))

    @pytest.fixture
    def instances(self) -> list[str]:
        return HOSTS

    def test_what_is_read(self, source: OpenSearchMetrics, window: Window) -> None:
        frame = source.read(window, ["shop-1"]).frame
        mean, percentile = (frame[frame["metric"] == name] for name in ("took", "took.p95"))
        assert set(mean["count"]) == {30.0}
        assert mean["value"].between(3.5, 4.5).all()
        assert mean["deviation"].between(1.8, 2.2).all()
        assert set(percentile["value"]) <= {6.0, 7.0, 6.55}

    def test_documents_and_aggregations_of_ones_own(self, source: OpenSearchMetrics, window: Window) -> None:
        documents = OpenSearchMetrics("requests-*", Metric("requests", "throughput"), query="message:order")
        assert set(documents.read(window, HOSTS).frame["value"]) == {30.0}
        failed = OpenSearchMetrics(
            "requests-shop",
            Metric("failed", "errors"),
            aggregation={"filter": {"range": {"status": {"gte": 500}}}},
            query="message:order",
        )
        frame = failed.read(window, HOSTS).frame
        assert set(frame["value"]) <= {4.0, 5.0}
        assert set(frame["count"]) == {30.0}
        highest = OpenSearchMetrics("requests-shop", "queue", aggregation={"max": {"field": "took"}})
        assert set(highest.read(window, HOSTS).frame["value"]) == {7.0}

    def test_broken_down(self, source: OpenSearchMetrics, window: Window) -> None:
        grouped = OpenSearchMetrics("requests-shop", Metric("requests", "count"), "took", group_by="status")
        frame = grouped.read(window, ["shop-1"]).frame
        assert set(frame["group"]) == {"200", "500"}
        # Most records say nothing of it, and count all the same.
        for one in (grouped, OpenSearchMetrics("logs-shop", Metric("requests", "count"), group_by="log.level.keyword")):
            whole = replace(one, group_by="").read(window, ["shop-1"]).frame["value"].sum()
            assert one.read(window, ["shop-1"]).frame["value"].sum() == whole

    def test_words_of_metrics(self, source: OpenSearchMetrics, window: Window) -> None:
        with pytest.raises(SourceQueryRejected, match=r"no document has the field 'toko'; did you mean 'took'"):
            OpenSearchMetrics("requests-shop", "took", "toko").read(window, HOSTS)
        with pytest.raises(SourceQueryRejected, match="searched by its words, and cannot be aggregated"):
            OpenSearchMetrics("requests-shop", "took", "took", instance_field="pod").read(window, HOSTS)
        with pytest.raises(SourceQueryRejected, match="requests-shpo"):
            OpenSearchMetrics("requests-shpo", "took", "took").read(window, HOSTS)
        with pytest.raises(SourceQueryRejected, match=r"the aggregation stats gives no number \(avg, count, max"):
            OpenSearchMetrics("requests-shop", "took", aggregation={"stats": {"field": "took"}}).read(window, HOSTS)
        with pytest.raises(SourceQueryRejected, match=r"rejected the request.*maxx"):
            OpenSearchMetrics("requests-shop", "took", aggregation={"maxx": {"field": "took"}}).read(window, HOSTS)
        assert "Nothing is known of shop-9" in source.read(window, ["shop-9"]).warnings[0]
