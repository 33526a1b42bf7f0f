"""The sources of Prometheus against answers that no server here gives: parts, limits, proxies."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks import promql
from airflow_cd.http.redirects import stays_there
from airflow_cd.sources import PrometheusMetrics, PrometheusQuery
from airflow_cd.sources.prometheus_signals import SIGNALS
from airflow_cd.verification.samples import Metric, Window
from tests.hooks.vendor_servers import Answer, Asked, serving

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=2))
TOO_MUCH = Answer(422, {"status": "error", "error": "query processing would load too many samples into memory"})
QUEUE = PrometheusQuery("queue_depth{{instances}}", "queue_depth")


def matrix(values: dict[str, list[tuple[float, str]]], **more: Any) -> Answer:
    result = [{"metric": {"instance": name}, "values": points} for name, points in values.items()]
    return Answer(body={"status": "success", "data": {"resultType": "matrix", "result": result}, **more})


class Prometheus:
    """Answers every time it is asked about with the same value."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.forms: list[dict[str, str]] = []

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if "/label/" in asked.path:
            return Answer(body={"status": "success", "data": ["queue_depth", "a"]})
        form = {name: values[0] for name, values in parse_qs((asked.body or b"").decode()).items()} or asked.params
        self.forms.append(form)
        if self.answers:
            return self.answers.pop(0)
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        count = round((end - start) / step) + 1
        return matrix({"a": [(start + n * step, "1") for n in range(count)]})


@pytest.fixture
def served(connect):
    """Serve one, and let the connection lead to it."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def serve(server: Any, path: str = "", **fields: Any) -> Any:
            url = stack.enter_context(serving(server))
            connect("prometheus_default", conn_type="prometheus", host=url + path, **fields)
            return server

        yield serve


@pytest.mark.parametrize(
    "more", [{"warnings": ["receive StoreAPI at 10.0.0.3: connection refused"]}, {"isPartial": True}]
)
def test_a_part_of_an_answer_is_none(served, more):
    served(Prometheus(matrix({"a": []}, **more)))
    with pytest.raises(SourceUnavailable, match="with a part of what there is"):
        QUEUE.read(WINDOW, ["a"])


def test_what_the_server_says_of_the_query_is_passed_on(served):
    note = "PromQL info: metric might not be a counter, name does not end in _total"
    served(Prometheus(matrix({"a": [(BEGIN.timestamp() + 30, "3")]}, warnings=[note])))
    sample = QUEUE.read(WINDOW, ["a"])
    assert sample.warnings == (note,)
    assert list(sample.frame["value"]) == [3.0]


def test_a_part_of_what_there_is_does_not_say_that_a_metric_is_missing(served):
    empty = {"status": "success", "data": []}
    for more in ({"warnings": ["fetch label values from store 10.0.0.7: code = Unavailable"]}, {"isPartial": True}):
        served(lambda asked, more=more: Answer(body={**empty, **more}) if "/label/" in asked.path else matrix({}))
        for source in (QUEUE, PrometheusMetrics("http")):
            with pytest.raises(SourceUnavailable, match="with a part of what there is"):
                source.read(WINDOW, ["a"])


def error(kind: str, text: str, status: int = 422) -> Answer:
    return Answer(status, {"status": "error", "errorType": kind, "error": text})


@pytest.mark.parametrize(
    "answer",
    [
        error("execution", "expanding series: proxy Series(): rpc error: code = Unavailable desc = connection error"),
        error("execution", "expanding series: remote server http://vm/api/v1/read returned http status 503"),
        error("execution", "expanding series: rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
        error("422", 'error when executing query="queue_depth{a="parse error"}": cannot connect to storage node'),
        error("execution", "the head of the store is being read again"),
        error("canceled", "context canceled", 499),
        error("timeout", "query timed out in expression evaluation", 200),
        error("unavailable", "the maximum of something is not known yet", 400),
    ],
)
def test_what_may_pass_is_no_fault_of_the_query(served, answer):
    server = served(Prometheus(answer))
    with pytest.raises(SourceUnavailable, match="could not answer the query"):
        QUEUE.read(WINDOW, ["a"])
    assert len(server.forms) == 1
    assert len(QUEUE.read(WINDOW, ["a"]).frame) == 4


@pytest.mark.parametrize(
    "answer",
    [
        error("bad_data", 'invalid parameter "query": 1:5: parse error: unexpected identifier "eof"', 400),
        error("execution", 'found duplicate series for the match group {job="connect"}: many-to-many matching'),
        error("execution", "vector cannot contain metrics with the same labelset"),
        error("422", 'unknown func "rat" in query="rat(upstream_timeout_total{})"'),
        error("", "missing end", 400),
        error("bad_data", "parse error", 200),
    ],
)
def test_a_query_that_is_wrong_is_refused(served, answer):
    served(Prometheus(answer))
    with pytest.raises(SourceQueryRejected, match=r"rejected the (query|request)"):
        QUEUE.read(WINDOW, ["a"])


def test_what_the_query_itself_holds_says_nothing_of_its_error(served):
    said = 'grouping labels must ensure unique matches in query="max by (instance) (connect_timeouts{x="y"})"'
    served(Prometheus(error("execution", said)))
    with pytest.raises(SourceQueryRejected, match="grouping labels"):
        PrometheusQuery("max by (instance) (connect_timeouts{{instances}})", "queue_depth").read(WINDOW, ["a"])


def test_a_window_that_is_too_much_is_halved(served):
    refused = Answer(
        422, {"status": "error", "errorType": "execution", "error": "query processing would load too many samples"}
    )
    server = served(Prometheus(refused, refused))
    sample = QUEUE.read(WINDOW, ["a"])
    assert [(row - BEGIN).total_seconds() for row in sample.frame["time"]] == [0, 30, 60, 90]
    starts = [float(form["start"]) - BEGIN.timestamp() for form in server.forms]
    assert starts == [30, 30, 30, 60, 90]


def test_one_time_that_is_too_much_is_the_servers_refusal(served):
    server = served(Prometheus(*[TOO_MUCH] * 9))
    with pytest.raises(SourceQueryRejected, match="too many samples"):
        QUEUE.read(WINDOW, ["a"])
    assert len(server.forms) == 3


def test_a_limit_of_the_rate_is_waited_for(served):
    server = served(Prometheus(Answer(429, {"error": "slow down"}, {"Retry-After": "0.05"})))
    assert len(QUEUE.read(WINDOW, ["a"]).frame) == 4
    assert len(server.forms) == 2


def test_a_proxy_without_post_is_asked_by_get(served):
    server = served(Prometheus(Answer(405, {})))
    assert len(QUEUE.read(WINDOW, ["a"]).frame) == 4
    assert [one.method for one in server.asked] == ["POST", "GET"]


def test_raw_points_and_whole_answers_are_asked_for(served):
    server = served(Prometheus())
    QUEUE.read(WINDOW, ["a"])
    assert server.forms[0]["partial_response"] == "false"
    assert server.forms[0]["max_source_resolution"] == "0s"


def test_native_histograms_are_no_numbers(served):
    histogram = {"metric": {"instance": "a"}, "histograms": [[BEGIN.timestamp() + 30, {"count": "1", "sum": "2"}]]}
    served(Prometheus(Answer(body={"status": "success", "data": {"resultType": "matrix", "result": [histogram]}})))
    with pytest.raises(SourceQueryRejected, match="histogram_quantile"):
        QUEUE.read(WINDOW, ["a"])


def test_a_tenant_and_a_token(served):
    server = served(Prometheus(), password="sesame", extra=json.dumps({"headers": {"X-Scope-OrgID": "shop"}}))
    QUEUE.read(WINDOW, ["a"])
    assert server.asked[0].headers["authorization"] == "Bearer sesame"
    assert server.asked[0].headers["x-scope-orgid"] == "shop"


def test_what_is_wrong_with_a_tenant_is_said(served):
    served(lambda _: Answer(401, {"status": "error", "error": "no org id"}))
    with pytest.raises(SourceUnauthorized, match="no org id"):
        QUEUE.read(WINDOW, ["a"])


def test_a_redirect_on_the_same_server_is_followed_and_another_is_not(served, connect):
    prometheus = Prometheus()

    def moved(asked: Asked) -> Answer:
        if asked.path.startswith("/prom/"):
            asked.path = asked.path.removeprefix("/prom")
            return prometheus(asked)
        return Answer(307, {}, {"Location": f"/prom{asked.path}"})

    served(moved)
    assert len(QUEUE.read(WINDOW, ["a"]).frame) == 4
    served(lambda asked: Answer(307, {}, {"Location": f"http://127.0.0.1:1{asked.path}"}), password="sesame")
    with pytest.raises(Exception, match=r"redirects \(307\).*not followed"):
        QUEUE.read(WINDOW, ["a"])


@pytest.mark.parametrize(
    ("location", "stays"),
    [
        ("/other", True),
        ("http://prom.example.com:9090/x", True),
        ("https://prom.example.com/x", True),
        ("http://prom.example.com:9091/x", False),
        ("http://prom.example.com.evil.example/x", False),
        ("http://user@prom.example.com:9090/x", False),
        ("ftp://prom.example.com:9090/x", False),
        ("//evil.example/x", False),
        ("http://[", False),
    ],
)
def test_where_credentials_go(location, stays):
    assert stays_there("http://prom.example.com:9090", location) is stays
    assert not stays_there("https://prom.example.com", "http://prom.example.com/x")


class TestSpecification:
    def test_a_matcher_and_its_opposite(self):
        for matcher, opposite in (('a="b=~"', 'a!="b=~"'), ('a =~ "5.*"', 'a !~ "5.*"'), ('a!="x"', 'a="x"')):
            assert promql.negated(matcher) == opposite
            assert promql.negated(opposite) == matcher

    def test_every_signal_has_a_name_and_no_metric_twice(self):
        assert PrometheusMetrics(list(SIGNALS), where='job="x"').mistakes() == []
        for signals in SIGNALS.values():
            assert len({level.metric.name for level in signals.levels}) == len(signals.levels)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"signals": "opentelemtry"}, "did you mean 'opentelemetry'"),
            ({"signals": ()}, "names none"),
            ({"where": 'job="shop"} or up{'}, "not a list of matchers"),
            ({"where": "job=shop"}, "not a list of matchers"),
            ({"instance_label": "a-b"}, "not the name of a label"),
            ({"group_by": "a,b"}, "not the name of a label"),
            ({"bucket": "500ms"}, "at least 1s"),
            ({"conn_id": ""}, "conn_id"),
            ({"errors": "http_code=5.."}, "errors: 'http_code=5..' is not a list of matchers"),
        ],
    )
    def test_mistakes(self, fields, says):
        assert says in "\n".join(PrometheusMetrics(**{"signals": "http", **fields}).mistakes())

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"promql": "up"}, "{instances} is missing"),
            ({"promql": "sum(up{{instances}}"}, "does not close"),
            ({"promql": 'up{job="a,{instances}}'}, "does not close"),
            ({"requests": "up"}, "requests: {instances} is missing"),
            ({"metric": None}, "neither a Metric nor a name"),
        ],
    )
    def test_mistakes_of_a_query(self, fields, says):
        given = {"promql": "up{{instances}}", "metric": Metric("up", "share"), **fields}
        assert says in "\n".join(PrometheusQuery(**given).mistakes())
