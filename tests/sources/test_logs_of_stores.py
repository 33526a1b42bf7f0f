"""The contract of sources of logs whose services do not start here, against servers that answer as documents say."""

from __future__ import annotations

import datetime as dt

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.datadog import DatadogHook
from airflow_cd.hooks.loki import LokiHook
from airflow_cd.sources import DatadogLogs, DatadogMetrics, ElasticsearchLogs, LokiLogs, VictoriaLogs
from airflow_cd.sources.contract import LogSourceContract, MetricSourceContract
from airflow_cd.verification.samples import Metric, Window
from tests.hooks.vendor_servers import Answer, Asked
from tests.sources import stores

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=4))
HOSTS = ["shop-1", "shop-2"]
KEYS = {"password": "api:app"}


def records() -> list[stores.Record]:
    found = []
    for second in range(-30, 270, 5):
        for host in (*HOSTS, "other"):
            moment = BEGIN + dt.timedelta(seconds=second)
            # Some stand in one moment, as many as a page has.
            copies = 120 if second == 100 else 1
            found += [
                stores.Record(moment, host, f"INFO served {second} {number}", f"{len(found) + number:06}")
                for number in range(copies)
            ]
    return found


class _Contract(LogSourceContract):
    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS


@pytest.fixture
def troubles() -> stores.Troubles:
    return stores.Troubles(page=100)


class TestElasticsearch(_Contract):
    @pytest.fixture
    def source(self, served, troubles):
        served(stores.ElasticsearchStore(records(), lambda: WINDOW.until, troubles), "search_cluster_default")
        return ElasticsearchLogs("logs")

    @pytest.fixture
    def broken(self, served):
        served(lambda _: Answer(401, {"error": {"reason": "missing authentication credentials"}}), "broken")
        return ElasticsearchLogs("logs", conn_id="broken")


class TestDatadog(_Contract):
    @pytest.fixture
    def source(self, served, troubles):
        served(stores.DatadogStore(records(), lambda: WINDOW.until, troubles), "datadog_default", **KEYS)
        return DatadogLogs("service:shop")

    @pytest.fixture
    def broken(self, served):
        served(lambda _: Answer(403, {"errors": ["Forbidden"]}), "broken", **KEYS)
        return DatadogLogs("*", conn_id="broken")


class TestLoki(_Contract):
    @pytest.fixture
    def source(self, served):
        store = stores.LokiStore(records(), lambda: WINDOW.until, stores.Troubles(page=1000))
        served(store, "loki_default")
        return LokiLogs('{app="shop"}')

    @pytest.fixture
    def broken(self, served):
        served(lambda _: Answer(401, {"message": "no org id"}), "broken")
        return LokiLogs('{app="shop"}', conn_id="broken")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("app:shop | limit 5", "a pipe changes"),
        ("_time:5m app:shop", "leave out _time"),
        ("app:(shop", "does not close"),
        ('app:"shop', "does not close"),
        ("app:shop took:range[1, 10)", ""),
        ("_time:day_range[08:00, 18:00) app:shop", ""),
        ('"_time:5m | (" app:shop', ""),
    ],
)
def test_filters_of_logsql(query, says):
    found = "".join(VictoriaLogs(query).mistakes())
    assert says in found
    assert bool(says) == bool(found)


class TestDatadogWords:
    @pytest.fixture(autouse=True)
    def store(self, served):
        served(stores.DatadogStore(records(), lambda: WINDOW.until), "datadog_default", **KEYS)

    def test_an_instance_that_nobody_knows(self):
        warnings = DatadogLogs("service:shop").read(WINDOW, ["shop-9"]).warnings
        assert warnings == ("Nothing is known of shop-9: the tag host holds other, shop-1, shop-2.",)

    def test_an_instance_that_is_quiet_is_not_unknown(self):
        quiet = Window(BEGIN + dt.timedelta(minutes=20), BEGIN + dt.timedelta(minutes=24))
        assert DatadogLogs("service:shop").read(quiet, HOSTS).warnings == ()

    def test_a_tag_that_no_event_has(self):
        with pytest.raises(SourceQueryRejected, match="no event has the tag 'hots'; did you mean 'host'") as raised:
            DatadogLogs("service:shop", instance_tag="hots").read(WINDOW, HOSTS)
        assert "instance_tag" in raised.value.next_step

    def test_a_search_that_finds_nothing(self):
        warnings = DatadogLogs("service:shpo").read(WINDOW, ["shop-9"]).warnings
        assert warnings == ("Nothing that service:shpo finds was logged in the hour before, of any instance.",)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_shard_that_fails_begins_the_read_again(served, connect, failing):
    store = stores.ElasticsearchStore(records(), lambda: WINDOW.until, stores.Troubles(page=100))
    searches = [0]

    def flaky(asked: Asked) -> Answer:
        answer = store(asked)
        if asked.path == "/_search" and asked.body.get("size"):
            searches[0] += 1
            if searches[0] == failing:
                answer.body["_shards"] = {"total": 5, "failed": 1, "failures": [{"reason": {"type": "expired"}}]}
        return answer

    served(flaky, "search_cluster_default")
    assert len(ElasticsearchLogs("logs").read(WINDOW, HOSTS).frame) == 2 * (48 + 119)


def test_shards_that_fail_for_good_are_an_error(served):
    store = stores.ElasticsearchStore(records(), lambda: WINDOW.until)

    def failing(asked: Asked) -> Answer:
        answer = store(asked)
        if asked.path == "/_search":
            answer.body["_shards"] = {"total": 5, "failed": 1}
        return answer

    served(failing, "search_cluster_default")
    with pytest.raises(SourceUnavailable, match=r"a part of what there is: 1 of 5 shards failed"):
        ElasticsearchLogs("logs").read(WINDOW, HOSTS)


def test_a_pattern_that_matches_no_index_is_no_silent_service(served):
    store = stores.ElasticsearchStore([], lambda: WINDOW.until)

    def nothing(asked: Asked) -> Answer:
        answer = store(asked)
        if "_pit" in asked.path and asked.method == "POST":
            answer.body["_shards"] = {"total": 0, "failed": 0}
        return answer

    served(nothing, "search_cluster_default")
    with pytest.raises(SourceQueryRejected, match=r"no index logs-shpo-\* that this login may read"):
        ElasticsearchLogs("logs-shpo-*").read(WINDOW, HOSTS)


def test_more_lines_of_one_moment_than_loki_hands_out_are_an_error(served):
    many = [stores.Record(BEGIN, "shop-1", f"INFO {number}", str(number)) for number in range(300)]
    served(stores.LokiStore(many, lambda: WINDOW.until, stores.Troubles(page=200)), "loki_default")
    with pytest.raises(SourceUnavailable, match=r"has more than 200 lines of one nanosecond"):
        LokiLogs('{app="shop"}').read(WINDOW, HOSTS)


class TestLokiWords:
    def test_labels_and_instances(self, served):
        served(stores.LokiStore(records(), lambda: WINDOW.until), "loki_default")
        source = LokiLogs('{app="shop"} != "healthz"')
        assert source.instances(WINDOW) == ["other", *HOSTS]
        assert source.resolved(["a.b", 'c"']) == '{app="shop", pod=~"a\\\\.b|c\\""} != "healthz"'
        assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]
        assert LokiHook().test_connection()[0]

    def test_a_label_that_no_stream_has(self, served):
        store = stores.LokiStore([], lambda: WINDOW.until)
        served(store, "loki_default")
        with pytest.raises(SourceQueryRejected, match="no stream has the label 'pdo'; did you mean 'pod'"):
            LokiLogs('{app="shop"}', instance_label="pdo").read(WINDOW, HOSTS)

    @pytest.mark.parametrize("query", ["app=shop", "{}", 'rate({app="x"}[1m])', '{app="x"} |= "a'])
    def test_mistakes(self, query):
        assert LokiLogs(query).mistakes()


class DatadogPoints:
    """Answers with the points that a metric query asks for, the newest of them not there yet."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if asked.path == "/api/v1/metrics":
            return Answer(body={"metrics": ["trace.http.duration"]})
        query = asked.params["query"]
        hosts = query.partition("IN (")[2].partition(")")[0].split(",")
        if "{service:shop AND host:*}" in query:
            hosts = HOSTS
        known = [host for host in hosts if host in HOSTS and "trace.http.duration" in query]
        begin, end = int(asked.params["from"]), int(asked.params["to"])
        times = range(begin, end + 1, 60)
        series = [
            {
                "interval": 60,
                "tag_set": [f"host:{host}"],
                "pointlist": [[at * 1000, None if at % 240 == 0 else float(at % 7)] for at in times],
            }
            for host in known
        ]
        return Answer(body={"status": "ok", "series": series})


class TestDatadogMetrics(MetricSourceContract):
    @pytest.fixture
    def source(self, served):
        served(DatadogPoints(), "datadog_default", **KEYS)
        return DatadogMetrics(
            "avg:trace.http.duration{service:shop AND {instances}} by {host}", Metric("duration", "latency", unit="s")
        )

    @pytest.fixture
    def broken(self, source):
        return DatadogMetrics("avg:trace.htpp{{instances}} by {host}", Metric("duration", "latency"))

    @pytest.fixture
    def window(self):
        return Window(BEGIN, BEGIN + dt.timedelta(minutes=8))

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_null_is_missing_and_never_0(self, source, window):
        frame = source.read(window, ["shop-1"]).frame
        assert len(frame) == 6
        assert source.read(window, ["shop-1"]).query.endswith(".rollup(avg, 60)")

    def test_the_newest_buckets_are_not_finished_and_not_read(self, source, window, monkeypatch):
        monkeypatch.setattr("airflow_cd.sources.datadog.utc_now", lambda: window.until)
        frame = source.read(window, HOSTS).frame
        assert frame["time"].max() <= window.until - dt.timedelta(seconds=90 + 60)

    def test_an_instance_or_a_tag_that_nobody_knows(self, source, window):
        warnings = source.read(window, ["shop-1", "Shop-9"]).warnings
        assert warnings == ("Nothing is known of Shop-9: the tag host holds shop-1, shop-2.",)
        query = "avg:trace.http.duration{service:shop AND {instances}} by {hots}"
        (warning,) = DatadogMetrics(query, "duration", instance_tag="hots").read(window, HOSTS).warnings
        assert "has had no point with the tag hots in the hour before" in warning

    def test_words(self, source, window, connect, served):
        with pytest.raises(SourceUnavailable, match=r"no metric trace\.htpp"):
            DatadogMetrics("avg:trace.htpp{{instances}} by {host}", "duration").read(window, HOSTS)
        for query, says in (
            ("avg:a{b:c} by {host}", "is missing in its scope"),
            ("avg:a{{instances}}", "not grouped, by {host}"),
            ("avg:a{{instances}} by {host}.fill(zero)", "stays missing"),
        ):
            assert says in "".join(DatadogMetrics(query, "duration").mistakes())


def test_another_site_and_missing_keys_are_said(served, connect):
    served(lambda _: Answer(403, {"errors": ["Forbidden"]}), "datadog_default", **KEYS)
    works, text = DatadogHook().test_connection()
    assert not works
    assert "does not allow this (403): Forbidden" in text
    connect("datadog_default", conn_type="datadog_api", password="api")
    assert "has no usable DD-APPLICATION-KEY" in DatadogHook().test_connection()[1]
    connect("datadog_default", conn_type="datadog_api", password="a:b", extra='{"site": "datadog.eu"}')
    assert "not a site of Datadog" in DatadogHook().test_connection()[1]
    connect("datadog_default", conn_type="datadog_api")
    with pytest.raises(SourceUnauthorized):
        DatadogLogs("*").read(WINDOW, HOSTS)
