"""Google Cloud's logs and metrics against servers of ours that answer as its references say."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.google_cloud import GoogleCloudHook
from airflow_cd.sources import GoogleCloudLogs, GoogleCloudMetrics
from airflow_cd.sources.contract import LogSourceContract, MetricSourceContract
from airflow_cd.verification.samples import Metric, Window
from tests.hooks.vendor_servers import Answer, Asked, serving
from tests.sources.google_servers import DESCRIPTORS, EMAIL, LoggingStore, MonitoringServer, key_of, token_for
from tests.sources.stores import Record, Troubles
from tests.sources.test_logs_of_stores import BEGIN, HOSTS, WINDOW, records

QUERY = 'resource.type="k8s_container"'
LATENCY = GoogleCloudMetrics("custom.googleapis.com/latency")
MINUTES = Window(BEGIN, BEGIN + dt.timedelta(minutes=8))


@pytest.fixture(autouse=True)
def no_pace(monkeypatch):
    monkeypatch.setattr("airflow_cd.hooks.google_logging.GoogleLoggingHook.calls_per_second", 1e6)


@pytest.fixture
def google(connect) -> Any:
    """Serve something as Google over a connection."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def serve(server: Any, conn_id: str = "google_observability_default", **fields: Any) -> Any:
            url = stack.enter_context(serving(server))
            connect(conn_id, conn_type="google_observability", host=url, **{"password": key_of(url), **fields})
            return server

        yield serve


class TestLogs(LogSourceContract):
    @pytest.fixture
    def source(self, google):
        google(LoggingStore(records(), lambda: WINDOW.until, Troubles(page=70)))
        return GoogleCloudLogs(QUERY)

    @pytest.fixture
    def broken(self, google):
        google(lambda asked: token_for(asked) or Answer(403, {"error": {"code": 403, "message": "Denied"}}), "broken")
        return GoogleCloudLogs(QUERY, conn_id="broken")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_words(self, source):
        assert source.instances(WINDOW) == ["other", *HOSTS]
        assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]
        with pytest.raises(SourceQueryRejected, match=r"none of the newest \d+ entries has the field labels\.pod"):
            GoogleCloudLogs(QUERY, instance_field="labels.pod").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="400: Unparseable filter"):
            GoogleCloudLogs("(((a)))").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="allows a filter of 20,000 characters"):
            GoogleCloudLogs(f'a="{"x" * 20_000}"').read(WINDOW, HOSTS)


def test_payloads_and_severities(google):
    entry = {"logName": "l", "insertId": "1", "timestamp": "2026-11-23T05:00:00.123456789Z"}
    labels = {"resource": {"labels": {"pod_name": "shop-1"}}}
    entries = [
        {**entry, **labels, "severity": "ERROR", "jsonPayload": {"message": "no stock", "sku": 7}},
        {**entry, **labels, "insertId": "2", "severity": "INFO", "httpRequest": {"status": 502}},
        {**entry, **labels, "insertId": "1"},
    ]
    google(lambda asked: token_for(asked) or Answer(body={"entries": entries}))
    frame = GoogleCloudLogs(QUERY).read(WINDOW, ["shop-1"]).frame
    assert [json.loads(text) for text in frame["message"]] == [
        {"message": "no stock", "sku": 7, "level": "ERROR"},
        {"status": 502, "level": "INFO"},
    ]
    assert frame["time"][0].value % 10**9 == 123456789


def test_an_entry_that_google_has_split_is_one_record(google):
    entry = {"logName": "l", "timestamp": "2026-11-23T05:00:00Z", "resource": {"labels": {"pod_name": "shop-1"}}}

    def part(uid: str, index: int, number: int, **payload: Any) -> dict[str, Any]:
        split = {"uid": uid, "index": index, "totalSplits": number}
        # Google leaves out what is 0.
        return {**entry, "insertId": uid, "split": {k: v for k, v in split.items() if v}, **payload}

    entries = [
        part("a", 1, 3, textPayload="second, "),
        part("b", 0, 2, jsonPayload={"message": "ERROR be", "sku": 7}),
        part("a", 0, 3, textPayload="ERROR first, "),
        part("b", 1, 2, jsonPayload={"message": "gin", "sku": 7}),
        part("a", 2, 3, textPayload="third"),
        part("c", 1, 2, textPayload="the rest of one"),
        {**entry, "insertId": "d", "textPayload": "whole"},
    ]
    google(lambda asked: token_for(asked) or Answer(body={"entries": entries}))
    frame = GoogleCloudLogs(QUERY).read(WINDOW, ["shop-1"]).frame
    assert sorted(frame["message"]) == sorted(["ERROR first, second, third", "ERROR begin", "the rest of one", "whole"])
    ids = dict(zip(frame["message"], frame["id"], strict=True))
    entries[:] = [*entries[:1], *entries[2:3]]
    again = GoogleCloudLogs(QUERY).read(WINDOW, ["shop-1"]).frame
    assert list(again["message"]) == ["ERROR first, second, "]
    assert list(again["id"]) == [ids["ERROR first, second, third"]]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"query": 'timestamp > "2026"'}, "the time is added"),
        ({"query": 'a="b'}, "does not close"),
        ({"query": "a", "instance_field": "a b"}, "not the name of a field"),
        ({"query": "a", "resource": "my-project"}, "not a project"),
    ],
)
def test_mistakes_of_logs(given, says):
    assert says in "".join(GoogleCloudLogs(**given).mistakes())


class TestMetrics(MetricSourceContract):
    @pytest.fixture
    def source(self, google):
        google(MonitoringServer(HOSTS))
        return LATENCY

    @pytest.fixture
    def broken(self, source):
        return GoogleCloudMetrics("custom.googleapis.com/latensy")

    @pytest.fixture
    def window(self):
        return MINUTES

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_distributions_are_histograms(self, source):
        frame = source.read(MINUTES, ["shop-1"]).frame
        mean, percentile = (frame[frame["metric"] == name] for name in ("latency", "latency.p95"))
        assert set(mean["value"]) == {20.0}
        assert set(mean["count"]) == {10.0}
        assert set(mean["deviation"]) == {14.0}
        assert list(percentile["value"]) == pytest.approx([60.0] * 6)

    def test_what_is_missing_stays_missing(self, source):
        frame = source.read(MINUTES, ["shop-1"]).frame
        assert len(frame[frame["metric"] == "latency"]) == 6


def explicit(bounds, counts):
    options = {"explicitBuckets": {"bounds": bounds}}
    return {"distributionValue": {"count": "100", "mean": 20.0, "bucketOptions": options, "bucketCounts": counts}}


def test_a_release_with_other_buckets_is_compared_by_the_ends_that_both_have(google):
    of_release = {
        "shop-1": explicit([10, 100, 1000], ["50", "50"]),
        "shop-2": explicit([10, 20, 50, 100, 1000], ["50", "50"]),
    }
    google(MonitoringServer(HOSTS, value=lambda host, at: of_release.get(host, of_release["shop-1"])))
    sample = LATENCY.read(MINUTES, HOSTS)
    percentiles = sample.frame[sample.frame["metric"] == "latency.p95"]
    assert percentiles["value"].nunique() == 1
    (said,) = sample.warnings
    assert "end otherwise on some instances" in said
    assert "(10, 100, 1000)" in said


def test_a_distribution_without_the_empty_buckets_at_its_end_has_the_same_buckets(google):
    more = {"shop-1": ["50", "50"], "shop-2": ["50", "49", "1"]}
    google(MonitoringServer(HOSTS, value=lambda host, at: explicit([10, 100, 1000], more.get(host, ["100"]))))
    assert LATENCY.read(MINUTES, HOSTS).warnings == ()


class TestCounters(MetricSourceContract):
    @pytest.fixture
    def source(self, google):
        google(MonitoringServer(HOSTS, page=100))
        return GoogleCloudMetrics("custom.googleapis.com/requests", Metric("requests", "throughput"))

    @pytest.fixture
    def window(self):
        return MINUTES

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_how_they_are_aligned(self, source):
        sample = source.read(MINUTES, ["shop-1"])
        assert set(sample.frame["count"]) == {42.0}
        assert "perSeriesAligner=ALIGN_DELTA" in sample.query
        level = GoogleCloudMetrics("custom.googleapis.com/memory").read(MINUTES, ["shop-1"])
        assert "perSeriesAligner=ALIGN_MEAN" in level.query
        assert level.metrics[0].unit == "By"
        rate = GoogleCloudMetrics("custom.googleapis.com/requests", "requests_per_second").read(MINUTES, ["shop-1"])
        assert "perSeriesAligner=ALIGN_RATE" in rate.query


def test_words_of_metrics(google, monkeypatch):
    server = google(MonitoringServer(HOSTS))
    with pytest.raises(SourceUnavailable, match=r"project shop\) has no metrics of type .*latensy; did you mean"):
        GoogleCloudMetrics("custom.googleapis.com/latensy").read(MINUTES, HOSTS)
    with pytest.raises(SourceQueryRejected, match=r"no series has the label 'resource.labels.pod_name'; did you mean"):
        GoogleCloudMetrics(LATENCY.metric_type, instance_label="resource.labels.pod_name").read(MINUTES, HOSTS)
    with pytest.raises(SourceQueryRejected, match="STRING, which is no number"):
        GoogleCloudMetrics("custom.googleapis.com/state").read(MINUTES, HOSTS)
    assert "Nothing is known of shop-9" in LATENCY.read(MINUTES, ["shop-9"]).warnings[0]
    monkeypatch.setitem(DESCRIPTORS[LATENCY.metric_type], "metadata", {"ingestDelay": "600s"})
    assert "comes 10m late: raise delay" in LATENCY.read(MINUTES, HOSTS).warnings[0]
    server.errors = [{"code": 8, "message": "query used too much memory"}]
    with pytest.raises(SourceUnavailable, match="a part of what there is: query used too much memory"):
        LATENCY.read(MINUTES, HOSTS)


def test_a_bucket_that_google_may_not_have_yet_is_not_asked_for(google, monkeypatch):
    google(MonitoringServer(HOSTS, page=1000))
    monkeypatch.setattr("airflow_cd.sources.google_monitoring.utc_now", lambda: MINUTES.until + dt.timedelta(minutes=1))
    assert LATENCY.read(MINUTES, HOSTS).frame["time"].max() == MINUTES.until - dt.timedelta(minutes=4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"metric_type": "latency"}, "not a type of metrics"),
        ({"metric_type": "a.b/c", "bucket": "30s"}, "whole minutes"),
        ({"metric_type": "a.b/c", "instance_label": "pod"}, "not resource.labels.x"),
        ({"metric_type": "a.b/c", "query": "(a"}, "does not close"),
    ],
)
def test_mistakes_of_metrics(given, says):
    assert says in "".join(GoogleCloudMetrics(**given).mistakes())


class TestCredentials:
    def test_the_button_reads_both(self, google):
        now = dt.datetime.now(dt.timezone.utc)
        entries = [Record(now - dt.timedelta(seconds=ago), "shop-1", "x", str(ago)) for ago in (400, 90, 7)]
        logs = LoggingStore(entries, lambda: now, empty_pages=False)
        metrics = MonitoringServer(HOSTS)
        google(lambda asked: logs(asked) if asked.path.startswith("/v2") else metrics(asked))
        works, text = GoogleCloudHook().test_connection()
        assert works
        assert re.match(
            r"Project shop can be read: 2 log records of the last 5 min.*, the newest [789]\.\d s old", text
        )
        assert "4 types of metrics" in text

    def test_a_token_is_kept_for_as_long_as_it_is_good(self, google):
        tokens: list[Asked] = []
        store = LoggingStore(records(), lambda: WINDOW.until)

        def counting(asked: Asked) -> Answer:
            tokens.extend([asked] if asked.path == "/token" else [])
            return store(asked)

        google(counting)
        for _ in range(3):
            GoogleCloudLogs(QUERY).read(WINDOW, HOSTS)
        assert len(tokens) == 1

    def test_a_key_that_google_does_not_accept(self, google, connect):
        refused = Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        google(lambda _: refused)
        with pytest.raises(
            SourceUnauthorized, match=rf"does not accept the key of {EMAIL}: invalid_grant: Invalid JWT"
        ):
            GoogleCloudLogs(QUERY).read(WINDOW, HOSTS)
        connect("google_observability_default", conn_type="x", password=key_of("http://127.0.0.1:9"))
        with pytest.raises(SourceUnavailable, match=r"gives .* no token: it cannot be reached"):
            GoogleCloudLogs(QUERY).read(WINDOW, HOSTS)

    @pytest.mark.parametrize(
        ("fields", "error", "says"),
        [
            ({"password": "secret"}, SourceRejected, "not the JSON of a service account's key"),
            ({"password": '{"type": "service_account"}'}, SourceRejected, "the key cannot be used"),
            ({"extra": '{"key_path": "/nowhere/key.json"}'}, SourceRejected, "cannot be read: No such file"),
            ({"extra": '{"impersonation_chain": "a@b"}'}, SourceRejected, "impersonation_chain is not read here"),
        ],
    )
    def test_what_is_no_key_is_said(self, connect, fields, error, says):
        connect("google_observability_default", conn_type="x", **fields)
        with pytest.raises(error, match=says) as raised:
            GoogleCloudLogs(QUERY).read(WINDOW, HOSTS)
        assert "secret" not in str(raised.value)

    def test_a_machine_without_credentials(self, connect, monkeypatch):
        from airflow_cd.hooks.google_cloud import _account_of

        _account_of.cache_clear()
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
        connect("google_observability_default", conn_type="x", extra='{"project": "shop"}')
        with pytest.raises(SourceUnauthorized, match="this machine is given none"):
            GoogleCloudLogs(QUERY).read(WINDOW, HOSTS)

    def test_a_key_of_airflows_own_provider(self, google):
        def respond(asked: Asked) -> Answer:
            return token_for(asked) or Answer(body={})

        with serving(respond) as url:
            extra = json.dumps({"keyfile_dict": key_of(url), "project": "other"})
            google(respond, password="", extra=extra)
            assert GoogleCloudHook().project == "other"
            assert GoogleCloudHook().headers["Authorization"].startswith("Bearer ya29")
