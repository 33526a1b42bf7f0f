from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_cd.errors import (
    SourceError,
    SourceQueryRejected,
    SourceRejected,
    SourceThrottled,
    SourceUnauthorized,
    SourceUnavailable,
)
from airflow_cd.hooks.new_relic import REGIONS, NewRelicHook
from airflow_cd.http.retry import RetryPolicy
from tests.hooks.vendor_servers import Answer, Scripted, serving
from tests.http.certificates import server_context

KEY = "NRAK-SECRETSECRETSECRET"
ROWS = [{"beginTimeSeconds": 1, "endTimeSeconds": 2, "count": 3}]


def nrql_answer(results: Any, **more: Any) -> dict[str, Any]:
    found = {"results": results, "totalResult": None, "metadata": {"messages": []}, "queryProgress": None, **more}
    return {"data": {"actor": {"account": {"nrql": found}}}}


def failed(message: str, error_class: str | None = None, *, data: Any = None, **extensions: str) -> dict[str, Any]:
    if error_class:
        extensions["errorClass"] = error_class
    return {"data": data, "errors": [{"message": message, "path": ["actor"], "extensions": extensions}]}


@pytest.fixture
def at(connect, naps):
    """Serve answers; returns the hook and what was asked."""
    stack = []

    def start(*answers: Answer, **extra: Any) -> tuple[NewRelicHook, Scripted]:
        script = Scripted(*answers)
        server = serving(script)
        url = server.__enter__()
        stack.append(server)
        connect("nr", conn_type="new_relic", host=url, password=KEY, extra={"account_id": 123, **extra})
        return NewRelicHook("nr", sleep=naps), script

    yield start
    for server in stack:
        server.__exit__(None, None, None)


class TestNrql:
    def test_sends_key_account_query_and_timeout(self, at):
        hook, script = at(Answer(body=nrql_answer(ROWS)))
        assert hook.nrql("SELECT 1", timeout=12) == ROWS
        asked = script.asked[0]
        assert (asked.method, asked.path) == ("POST", "/graphql")
        assert asked.headers["api-key"] == KEY
        assert asked.body["variables"] == {"accountId": 123, "query": "SELECT 1", "timeout": 12, "async": False}

    @pytest.mark.parametrize(
        ("total", "expected"), [({"count": 3}, [{"count": 3}]), ([{"count": 3}, {"count": 4}], None), (None, [])]
    )
    def test_total_is_an_object_or_an_array(self, at, total, expected):
        hook, _ = at(Answer(body=nrql_answer(ROWS, totalResult=total)))
        assert hook.query("q").total == (total if expected is None else expected)

    def test_messages_are_kept(self, at):
        hook, _ = at(Answer(body=nrql_answer([], metadata={"messages": ["sampled"]})))
        assert hook.query("q").messages == ("sampled",)

    def test_waits_for_an_unfinished_query(self, at, naps):
        started = {"completed": False, "queryId": "Q1", "retryAfter": 3, "retryDeadline": 60, "resultExpiration": 600}
        unfinished = nrql_answer(None, queryProgress=started)
        running = {"data": {"actor": {"account": {"nrqlQueryProgress": {"results": None, "queryProgress": started}}}}}
        done = {"results": ROWS, "queryProgress": {"completed": True, "queryId": "Q1"}}
        finished = {"data": {"actor": {"account": {"nrqlQueryProgress": done}}}}
        hook, script = at(Answer(body=unfinished), Answer(body=running), Answer(body=finished))
        assert hook.nrql("q", timeout=300) == ROWS
        assert script.asked[0].body["variables"]["async"] is True
        assert [asked.body["variables"].get("queryId") for asked in script.asked] == [None, "Q1", "Q1"]
        assert naps.seconds == [3, 3]

    def test_a_query_that_never_finishes_ends_at_the_deadline(self, at, clock):
        started = {"completed": False, "queryId": "Q1", "retryAfter": 10}
        running = {"data": {"actor": {"account": {"nrqlQueryProgress": {"queryProgress": started}}}}}
        hook, script = at(Answer(body=nrql_answer(None, queryProgress=started)), Answer(body=running))
        hook._sleep = clock.sleep
        with pytest.raises(SourceUnavailable, match="did not answer within 330 s"):
            hook.nrql("q", timeout=300)
        assert 30 <= len(script.asked) <= 35

    @pytest.mark.parametrize("error_class", ["TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVER_ERROR", "TOO_MANY_REQUESTS"])
    def test_errors_that_pass_are_tried_again(self, at, error_class, naps):
        hook, script = at(Answer(body=failed("later", error_class)), Answer(body=nrql_answer(ROWS)))
        assert hook.nrql("q") == ROWS
        assert len(script.asked) == 2
        assert len(naps.seconds) == 1

    @pytest.mark.parametrize(
        ("error_class", "kind"), [("TIMEOUT", SourceUnavailable), ("TOO_MANY_REQUESTS", SourceThrottled)]
    )
    def test_errors_that_stay_are_raised_with_what_was_said(self, at, error_class, kind, monkeypatch):
        monkeypatch.setattr("airflow_cd.hooks.new_relic._RETRY", RetryPolicy(attempts=5, patience=0))
        hook, script = at(Answer(body=failed("NRDB is tired", error_class)))
        with pytest.raises(kind, match="NRDB is tired") as raised:
            hook.nrql("q")
        assert "'nr'" in raised.value.what
        assert "Tried 5 times" in raised.value.what
        assert raised.value.next_step
        assert len(script.asked) == 5

    @pytest.mark.parametrize("status", [200, 401, 403])
    def test_a_bad_key_is_not_tried_again(self, at, status):
        hook, script = at(Answer(status, failed(f"The key {KEY} is no good", error_code="BAD_API_KEY")))
        with pytest.raises(SourceUnauthorized) as raised:
            hook.nrql("q")
        assert KEY not in str(raised.value)
        assert "***" in str(raised.value)
        assert len(script.asked) == 1

    def test_a_wrong_query_is_not_tried_again(self, at):
        hook, script = at(Answer(body=failed("NRQL Syntax Error: Error at line 1", "NRQL_SYNTAX_ERROR")))
        with pytest.raises(SourceQueryRejected, match="NRQL Syntax Error"):
            hook.nrql("SELEKT")
        assert len(script.asked) == 1

    def test_part_of_the_data_is_not_taken_for_the_whole(self, at):
        partial = {**failed("shard 3 is gone", "WHATEVER"), **nrql_answer(ROWS)}
        hook, _ = at(Answer(body=partial))
        with pytest.raises(SourceQueryRejected, match="part of the data, which was not used"):
            hook.nrql("q")

    def test_deprecation_is_a_warning(self, at, caplog):
        notice = "This field is deprecated! Use another."
        hook, _ = at(Answer(body={**nrql_answer(ROWS), "errors": [{"message": notice}]}))
        with caplog.at_level(logging.WARNING):
            assert hook.nrql("q") == ROWS
        assert notice in caplog.text

    def test_429_waits_as_long_as_asked(self, at, naps):
        hook, script = at(Answer(429, {}, {"Retry-After": "7"}), Answer(body=nrql_answer(ROWS)))
        assert hook.nrql("q") == ROWS
        assert 7 <= naps.seconds[0] <= 8
        assert len(script.asked) == 2

    def test_429_that_asks_for_longer_than_the_deadline_is_raised_at_once(self, at, naps):
        hook, script = at(Answer(429, {}, {"Retry-After": "900"}))
        with pytest.raises(SourceThrottled):
            hook.nrql("q")
        assert len(script.asked) == 1
        assert naps.seconds == []

    @pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
    def test_server_trouble_is_tried_again(self, at, status):
        hook, script = at(Answer(status, raw=b"<html>oops</html>"), Answer(body=nrql_answer(ROWS)))
        assert hook.nrql("q") == ROWS
        assert len(script.asked) == 2

    def test_an_answer_that_is_not_json(self, at):
        hook, _ = at(Answer(200, raw=b"<html>please log in</html>"))
        with pytest.raises(SourceUnavailable, match=r"not JSON.*please log in"):
            hook.nrql("q")

    @pytest.mark.parametrize("body", [[], {}, {"data": None}, "text"])
    def test_json_that_is_no_graphql(self, at, body):
        hook, _ = at(Answer(body=body))
        with pytest.raises(SourceUnavailable, match="without data"):
            hook.nrql("q")

    def test_an_account_the_key_does_not_see(self, at):
        hook, _ = at(Answer(body={"data": {"actor": {"account": None}}}))
        with pytest.raises(SourceQueryRejected, match="account 123"):
            hook.nrql("q")

    def test_a_redirect_is_not_followed(self, at):
        hook, script = at(Answer(301, {}, {"Location": "http://127.0.0.1:1/graphql"}))
        with pytest.raises(SourceRejected, match="credentials are not sent there"):
            hook.nrql("q")
        assert len(script.asked) == 1

    def test_no_answer_in_time(self, at):
        release = threading.Event()
        hook, _ = at(Answer(body={}, wait=release))
        client = hook.get_conn()
        client.endpoint = replace(client.endpoint, timeout=0.2, retry=RetryPolicy(attempts=1))
        try:
            with pytest.raises(SourceUnavailable, match="timed out"):
                hook.graphql("query { x }", {}, client=client)
        finally:
            release.set()


class TestConnection:
    def test_nobody_listens(self, connect, naps):
        connect("nr", conn_type="new_relic", host="http://127.0.0.1:1", password=KEY, login="123")
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            NewRelicHook("nr", sleep=naps).nrql("q")

    def test_tls_that_cannot_be_trusted_is_said_at_once(self, connect, naps, certificate):
        context = server_context(certificate)

        def wrap(sock: Any) -> Any:
            return context.wrap_socket(sock, server_side=True)

        with serving(Scripted(Answer(body=nrql_answer(ROWS))), wrap) as url:
            connect("nr", conn_type="new_relic", host=url, password=KEY, login="123")
            with pytest.raises(SourceUnavailable, match="TLS failed"):
                NewRelicHook("nr", sleep=naps).nrql("q")
            assert naps.seconds == []
            extra = {"verify": certificate[0]}
            connect("nr", conn_type="new_relic", host=url, password=KEY, login="123", extra=extra)
            assert NewRelicHook("nr", sleep=naps).nrql("q") == ROWS

    @pytest.mark.parametrize("region", ["US", "eu", "JP", "GOV"])
    def test_regions(self, connect, region):
        connect("nr", conn_type="new_relic", password=KEY, extra={"region": region, "account_id": 1})
        assert NewRelicHook("nr").get_conn().base_url == REGIONS[region.upper()]

    def test_host_without_scheme_is_https(self, connect):
        connect("nr", conn_type="new_relic", host="api.eu.newrelic.com/graphql", password=KEY, login="1")
        assert NewRelicHook("nr").get_conn().base_url == "https://api.eu.newrelic.com"

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"password": KEY, "extra": {"region": "MARS", "account_id": 1}}, "'MARS' is not a region"),
            ({"extra": {"account_id": 1}}, "has no key"),
            ({"password": KEY, "extra": {"account_id": "mine"}}, "account id is 'mine'"),
            ({"password": KEY}, "account id is ''"),
            ({"password": KEY, "login": "1", "host": "ftp://x"}, "not an http or https URL"),
            ({"password": KEY, "login": "1", "host": "https://me:pw@x"}, "user or a password"),
            ({"password": KEY, "login": "1", "host": "https://x:port"}, "port"),
            ({"password": KEY, "login": "1", "extra": {"timeout": "soon"}}, "'timeout' is 'soon'"),
            ({"password": KEY, "login": "1", "extra": {"verify": "/no/such.pem"}}, "CA bundle"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, connect, fields, says):
        connect("nr", conn_type="new_relic", **fields)
        with pytest.raises(SourceError, match=says) as raised:
            NewRelicHook("nr").nrql("q")
        assert "'nr'" in str(raised.value)
        assert KEY not in str(raised.value)

    def test_a_connection_that_does_not_exist(self, connect):
        with pytest.raises(SourceError, match="'nowhere' cannot be read"):
            NewRelicHook("nowhere").nrql("q")

    def test_test_button_works_for_real(self, at):
        user = {"data": {"actor": {"user": {"email": "me@example.com"}}}}
        row = {"number": 2718, "newest": time.time() * 1000 - 4000}
        hook, script = at(Answer(body=user), Answer(body=nrql_answer([row])))
        works, text = hook.test_connection()
        assert works
        assert text.startswith("The key is of me@example.com, who may query account 123 of New Relic: 2,718 transac")
        assert re.search(r"of the last 5 minutes, the newest [4-9]\.\d s old\.", text)
        assert len(script.asked) == 2

    def test_test_button_says_what_is_wrong(self, at):
        hook, _ = at(Answer(body=failed("Invalid API key", error_code="BAD_API_KEY")))
        worked, message = hook.test_connection()
        assert not worked
        assert "Invalid API key" in message
        assert "User key" in message

    def test_the_key_is_in_no_log(self, at, caplog):
        hook, _ = at(Answer(500, {"message": f"bad {KEY}"}), Answer(body=nrql_answer(ROWS)))
        with caplog.at_level(logging.DEBUG):
            hook.nrql("q")
        assert "Trying again" in caplog.text
        assert KEY not in caplog.text
        assert KEY not in repr(hook.connection)
        assert KEY not in repr(hook.get_conn().endpoint)
        assert KEY not in repr(hook.get_conn().session.auth)


CREATED = {
    "data": {
        "changeTrackingCreateEvent": {
            "changeTrackingEvent": {"changeTrackingId": "CT-1", "entity": {"guid": "G", "name": "shop"}},
            "messages": [],
        }
    }
}


def entities(*found: tuple[str, str]) -> dict[str, Any]:
    listed = [{"guid": guid, "name": name} for guid, name in found]
    return {"data": {"actor": {"entitySearch": {"results": {"entities": listed}}}}}


class TestMarker:
    def test_event_with_everything(self, at):
        hook, script = at(Answer(body=entities(("GUID1", "shop"))), Answer(body=CREATED))
        when = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
        marker = hook.mark_deployment(
            application="shop",
            version="1.2.0",
            description="phase 1",
            user="ann",
            group_id="run 7",
            attributes={"weight": 20},
            changelog="c",
            commit="abc",
            deep_link="https://x",
            timestamp=when,
        )
        assert marker == "CT-1"
        assert script.asked[0].body["variables"] == {"query": "domain = 'APM' AND name = 'shop'"}
        sent = script.asked[1].body["variables"]
        assert sent["dataHandlingRules"] == {"validationFlags": ["FAIL_ON_FIELD_LENGTH"]}
        assert sent["changeTrackingEvent"] == {
            "categoryAndTypeData": {
                "kind": {"category": "Deployment", "type": "Canary"},
                "categoryFields": {
                    "deployment": {"version": "1.2.0", "changelog": "c", "commit": "abc", "deepLink": "https://x"}
                },
            },
            "entitySearch": {"query": "id = 'GUID1'"},
            "user": "ann",
            "shortDescription": "phase 1",
            "description": "phase 1",
            "groupId": "run 7",
            "timestamp": 1_795_410_000_000,
            "customAttributes": {"weight": 20},
        }

    def test_application_id_is_looked_up_as_domain_id(self, at):
        hook, script = at(Answer(body=entities(("G", "shop"))), Answer(body=CREATED))
        hook.mark_deployment(application="42", version="1")
        assert script.asked[0].body["variables"]["query"] == "domain = 'APM' AND domainId = '42'"

    def test_guid_needs_no_look_up(self, at):
        hook, script = at(Answer(body=CREATED))
        assert hook.mark_deployment(entity_guid="GUID", version="1") == "CT-1"
        assert len(script.asked) == 1

    def test_several_applications_are_named(self, at):
        hook, script = at(Answer(body=entities(("G1", "shop"), ("G2", "shop"))))
        with pytest.raises(SourceQueryRejected, match=r"2 applications 'shop': shop \(G1\), shop \(G2\)"):
            hook.mark_deployment(application="shop", version="1")
        assert len(script.asked) == 1

    def test_no_application(self, at):
        hook, _ = at(Answer(body=entities()))
        with pytest.raises(SourceQueryRejected, match="has no application 'shop'"):
            hook.mark_deployment(application="shop", version="1")

    def test_messages_beside_success_are_logged_on_a_line_each(self, at, caplog):
        created = {"changeTrackingEvent": {"changeTrackingId": "CT-2"}, "messages": ["user was cut\nat\ud800100"]}
        hook, _ = at(Answer(body={"data": {"changeTrackingCreateEvent": created}}))
        with caplog.at_level(logging.WARNING):
            assert hook.mark_deployment(entity_guid="G", version="1") == "CT-2"
        assert caplog.messages == ["New Relic on the marker of 1: user was cut at 100"]

    def test_no_id_is_no_marker(self, at):
        created = {"changeTrackingEvent": None, "messages": ["entity not found"]}
        hook, _ = at(Answer(body={"data": {"changeTrackingCreateEvent": created}}))
        with pytest.raises(SourceQueryRejected, match="entity not found"):
            hook.mark_deployment(entity_guid="G", version="1")

    def test_is_not_sent_again_where_it_may_have_been_recorded(self, at):
        hook, script = at(Answer(500, {}))
        with pytest.raises(SourceUnavailable):
            hook.mark_deployment(entity_guid="G", version="1")
        assert len(script.asked) == 1

    def test_is_sent_again_where_it_was_surely_not_recorded(self, at):
        hook, script = at(Answer(429, {}), Answer(body=failed("slow", "TOO_MANY_REQUESTS")), Answer(body=CREATED))
        assert hook.mark_deployment(entity_guid="G", version="1") == "CT-1"
        assert len(script.asked) == 3

    def test_rest(self, at):
        hook, script = at(Answer(201, {"deployment": {"id": 9, "revision": "1.2.0"}}))
        when = dt.datetime(2026, 11, 23, 6, tzinfo=dt.timezone(dt.timedelta(hours=1)))
        marker = hook.mark_deployment(
            application="42", version="1.2.0", user="ann", description="d", timestamp=when, api="rest_v2"
        )
        assert marker == "9"
        assert script.asked[0].path == "/v2/applications/42/deployments.json"
        sent = {"revision": "1.2.0", "user": "ann", "description": "d", "timestamp": "2026-11-23T05:00:00Z"}
        assert script.asked[0].body == {"deployment": sent}

    def test_rest_error_is_quoted(self, at):
        hook, _ = at(Answer(422, {"error": {"title": "Invalid", "messages": ["revision is required"]}}))
        with pytest.raises(SourceQueryRejected, match="Invalid: revision is required"):
            hook.mark_deployment(application="42", version="1", api="rest_v2")

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"application": "shop", "api": "rest_v2"}, "numeric application id"),
            ({"application": "shop", "api": "soap"}, "'soap'"),
            ({"application": "shop", "deployment_type": "Sneaky"}, "'Sneaky'"),
            ({}, "neither application nor entity_guid"),
            ({"entity_guid": "x' OR name LIKE '%"}, "quote"),
            ({"application": "x' OR name LIKE '%"}, "quote"),
            ({"entity_guid": "G", "timestamp": dt.datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ],
    )
    def test_a_marker_written_wrongly_is_not_sent(self, at, wrong, says):
        hook, script = at(Answer(body=CREATED))
        with pytest.raises(SourceQueryRejected, match=says):
            hook.mark_deployment(version="1", **wrong)
        assert script.asked == []
