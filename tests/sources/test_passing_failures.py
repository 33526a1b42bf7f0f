"""A failure that may pass is unavailable, and asked again within the budget; a wrong query is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest
import sqlalchemy as sa

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable, TargetRejected
from airflow_cd.hooks.aws import unanswered
from airflow_cd.hooks.cloud_watch import CloudWatch
from airflow_cd.hooks.open_search import OpenSearchHook
from airflow_cd.http.family import SOURCE, TARGET
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.sources import (
    CloudWatchLogs,
    DatadogLogs,
    DatadogMetrics,
    ElasticsearchLogs,
    InfluxDbMetrics,
    LokiLogs,
    SplunkLogs,
    VictoriaLogs,
)
from airflow_cd.sources.sql_errors import not_answered
from airflow_cd.verification.samples import Metric
from tests.hooks.vendor_servers import Answer, Asked
from tests.sources import stores
from tests.sources.splunk_store import SplunkStore
from tests.sources.test_logs_of_stores import HOSTS, KEYS, WINDOW, records

METRIC = Metric("depth", "gauge")
LOKI = LokiLogs('{app="shop"}')
DEPTH = InfluxDbMetrics('mean("depth")', "queue", METRIC, "shop")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("airflow_cd.hooks.service._RETRY", RetryPolicy(attempts=2, attempts_not_json=1, first_pause=0))
    monkeypatch.setitem(OpenSearchHook.__init__.__kwdefaults__, "sleep", lambda _: None)


def raised(served: Callable[..., Any], conn_id: str, server: Any, source: Any, **fields: Any) -> SourceError:
    served(server, conn_id, **fields)
    with pytest.raises(SourceError) as found:
        source.read(WINDOW, HOSTS)
    return found.value


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("max-concurrent-queries limit exceeded(20, 20)", SourceUnavailable),
        ("query-timeout limit exceeded", SourceUnavailable),
        ("timeout", SourceUnavailable),
        ("engine is closed", SourceUnavailable),
        ("unexpected EOF", SourceUnavailable),
        ("SELECT [panic:runtime error: invalid memory address or nil pointer dereference]", SourceUnavailable),
        ("database not found: shpo", SourceQueryRejected),
        ("undefined function maen()", SourceQueryRejected),
        ("expected field argument in mean()", SourceQueryRejected),
        ("mixing aggregate and non-aggregate queries is not supported", SourceQueryRejected),
        ("GROUP BY requires at least one aggregate function", SourceQueryRejected),
        ("reader not authorized to execute statement", SourceUnauthorized),
    ],
)
def test_what_a_statement_of_influxql_ends_with(served, said, kind):
    error = raised(served, "influx_db_default", lambda _: Answer(body={"results": [{"error": said}]}), DEPTH)
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('Search process did not exit cleanly, exit_code=255, description="exited with code 255".', SourceUnavailable),
        ("Your Splunk license expired or you have exceeded your license limit too many times.", SourceUnavailable),
        (
            "Error in 'search' command: Unable to parse the search: Comparator '=' has an invalid term",
            SourceQueryRejected,
        ),
        ("Unknown search command 'statz'.", SourceQueryRejected),
    ],
)
def test_a_search_of_splunk_that_failed(served, said, kind):
    store = SplunkStore(records(), lambda: WINDOW.until)

    def failing(asked: Asked) -> Answer:
        answer = store(asked)
        for entry in answer.body.get("entry", ()):
            messages = [{"type": "FATAL", "text": said}]
            entry["content"] = {"dispatchState": "FAILED", "isFailed": True, "messages": messages}
        return answer

    error = raised(served, "splunk_default", failing, SplunkLogs("index=shop"), password="token")
    assert type(error) is kind
    assert said.rstrip(".") in str(error)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer(499, raw=b"context canceled"), SourceUnavailable, "context canceled"),
        (Answer(404, raw=b"default backend - 404"), SourceUnavailable, "default backend.*base URL"),
        (Answer(400, raw=b"parse error at line 1, col 7"), SourceQueryRejected, "col 7. Next: Correct the request"),
        (Answer(400, raw=b"<html>400 Bad Request</html>"), SourceQueryRejected, "Bad Request.*base URL"),
        (Answer(404, {"message": "no such tenant"}), SourceQueryRejected, "no such tenant. Next: Correct the request"),
    ],
)
def test_an_answer_that_is_not_a_query_languages(served, answer, kind, says):
    error = raised(served, "loki_default", lambda _: answer, LOKI)
    assert type(error) is kind
    assert pytest.RaisesExc(kind, match=says).matches(error)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            b"cannot execute query [*]: cannot connect to storage node 10.0.0.3:9428: connection refused",
            SourceUnavailable,
        ),
        (b"cannot parse query [a:(connection refused]: missing ')'", SourceQueryRejected),
    ],
)
def test_a_query_of_logsql_that_failed(served, said, kind):
    error = raised(served, "victoria_logs_default", lambda _: Answer(400, raw=said), VictoriaLogs())
    assert type(error) is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Error parsing query: unable to parse avg:a{: Rule 'scope_expr' didn't match", SourceQueryRejected),
        ("Query service is overloaded", SourceUnavailable),
    ],
)
def test_an_error_of_datadogs_metrics(served, said, kind):
    source = DatadogMetrics("avg:a{{instances}} by {host}", METRIC)
    answer = Answer(body={"status": "error", "error": said})
    assert type(raised(served, "datadog_default", lambda _: answer, source, **KEYS)) is kind


class TestPages:
    """A page after the first is refused for its token alone."""

    @pytest.fixture
    def paged(self) -> stores.Troubles:
        return stores.Troubles(page=100)

    @pytest.mark.parametrize("refuses", ["cursor", ""])
    def test_datadogs_cursor(self, served, paged, refuses):
        store = stores.DatadogStore(records(), lambda: WINDOW.until, paged)

        def expiring(asked: Asked) -> Answer:
            answer = store(asked)
            return (
                Answer(400, {"errors": ["Invalid page"]}) if not refuses or "cursor" in asked.body["page"] else answer
            )

        error = raised(served, "datadog_default", expiring, DatadogLogs("service:shop"), **KEYS)
        assert type(error) is (SourceUnavailable if refuses else SourceQueryRejected)

    def test_a_point_in_time_that_is_gone_is_made_anew(self, served, paged):
        store = stores.ElasticsearchStore(records(), lambda: WINDOW.until, paged)
        gone = {"root_cause": [{"type": "search_context_missing_exception", "reason": "No search context found"}]}
        pages = [0]

        def expiring(asked: Asked) -> Answer:
            answer = store(asked)
            if asked.path != "/_search":
                return answer
            pages[0] += 1
            return Answer(404, {"error": gone, "status": 404}) if pages[0] == 2 else answer

        served(expiring, "search_cluster_default")
        assert len(ElasticsearchLogs("logs").read(WINDOW, HOSTS).frame) == 2 * (48 + 119)

    @pytest.mark.parametrize(
        ("second", "says"),
        [
            (
                botocore.exceptions.ClientError(
                    {"Error": {"Code": "InvalidParameterException", "Message": "The specified nextToken is invalid"}},
                    "FilterLogEvents",
                ),
                "nextToken is invalid. It had taken the pages before",
            ),
            (botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "has not answered: Incomplete"),
            ({"events": [], "nextToken": "a"}, "leads from a page of its answer to the same page again"),
        ],
    )
    def test_cloud_watchs_tokens(self, monkeypatch, second, says):
        class Client:
            def describe_log_streams(self, **_: Any) -> Any:
                return {"logStreams": [{"logStreamName": "shop-1"}]}

            def filter_log_events(self, **given: Any) -> Any:
                if "nextToken" not in given:
                    return {"events": [], "nextToken": "a"}
                if isinstance(second, Exception):
                    raise second
                return second

        monkeypatch.setattr(CloudWatch, "_client", lambda *_: Client())
        with pytest.raises(SourceUnavailable, match=says):
            CloudWatchLogs("shop").read(WINDOW, ["shop-1"])


def test_fields_of_a_part_of_the_indices_are_not_all_there_are(served):
    fields = {"@timestamp": {"date": {}}}
    answer = {"indices": ["a"], "failed_indices": 2, "fields": fields, "version": {"number": "8.14.0"}}
    error = raised(served, "search_cluster_default", lambda _: Answer(body=answer), ElasticsearchLogs("logs"))
    assert type(error) is SourceUnavailable
    assert "2 indices have not said which fields they have" in str(error)


@pytest.mark.parametrize(
    ("error", "of_source", "of_target"),
    [
        (botocore.exceptions.ParamValidationError(report="Invalid type"), SourceQueryRejected, TargetRejected),
        (botocore.exceptions.ProfileNotFound(profile="shop"), SourceQueryRejected, TargetRejected),
        (
            botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
            SOURCE.unavailable,
            TARGET.unavailable,
        ),
        (botocore.exceptions.MetadataRetrievalError(error_msg="timed out"), SOURCE.unavailable, TARGET.unavailable),
    ],
)
def test_what_the_client_of_aws_raises(error, of_source, of_target):
    for family, kind in ((SOURCE, of_source), (TARGET, of_target)):
        assert type(unanswered(error, "CloudWatch", family, what="Correct it.")) is kind


@pytest.mark.parametrize(
    ("kind", "said", "lost", "expected"),
    [
        (sa.exc.InterfaceError, ("connection already closed",), True, SourceUnavailable),
        (sa.exc.DatabaseError, ("SSL SYSCALL error: EOF detected",), True, SourceUnavailable),
        (sa.exc.InterfaceError, (0, ""), True, SourceUnavailable),
        (sa.exc.ProgrammingError, ('relation "ordres" does not exist',), False, SourceQueryRejected),
        (sa.exc.OperationalError, (1054, "Unknown column 'hots' in 'field list'"), False, SourceQueryRejected),
        (sa.exc.OperationalError, (1205, "Lock wait timeout exceeded"), False, SourceUnavailable),
    ],
)
def test_what_drivers_say_of_a_query(kind, said, lost, expected):
    error = kind("SELECT 1", {}, Exception(*said), connection_invalidated=lost)
    assert type(not_answered(error, "shop_db")) is expected
