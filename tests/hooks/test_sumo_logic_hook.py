from __future__ import annotations

import base64
import datetime as dt
import logging
import re
import time
from typing import Any

import pytest

from airflow_cd.errors import (
    SourceQueryRejected,
    SourceRejected,
    SourceThrottled,
    SourceUnauthorized,
    SourceUnavailable,
)
from airflow_cd.hooks.sumo_logic import REGIONS, SumoLogicHook, may_redirect
from airflow_cd.http.retry import RetryPolicy
from tests.hooks.vendor_servers import ACCESS_ID, ACCESS_KEY, Answer, SumoServer, serving, sumo_message

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
BEGIN_MS = int(BEGIN.timestamp() * 1000)


def after(seconds: float) -> dt.datetime:
    return BEGIN + dt.timedelta(seconds=seconds)


def messages(*seconds: float) -> list[dict[str, str]]:
    return [
        sumo_message(BEGIN_MS + round(second * 1000), f"message {number} at {second}", identity=number + 1)
        for number, second in enumerate(seconds)
    ]


@pytest.fixture(autouse=True)
def no_rate_limit(monkeypatch):
    """Tests need not keep to 4 requests a second, except where it is the point."""
    monkeypatch.setattr("airflow_cd.hooks.sumo_logic._CALLS", 10_000)
    monkeypatch.setattr("airflow_cd.http.rate_limit._limiters", {})


@pytest.fixture
def at(connect, naps):
    """Serve a SumoServer; returns the hook."""
    stack = []

    def start(server: Any, **extra: Any) -> SumoLogicHook:
        running = serving(server)
        url = running.__enter__()
        stack.append(running)
        connect("sumo", conn_type="sumo_logic", host=url, login=ACCESS_ID, password=ACCESS_KEY, extra=extra)
        return SumoLogicHook("sumo", sleep=naps)

    yield start
    for running in stack:
        running.__exit__(None, None, None)


class TestSearch:
    def test_messages_oldest_first_and_the_job_deleted(self, at):
        server = SumoServer(messages(30, 10, 20))
        result = at(server).search("_sourceCategory=x", BEGIN, after(60))
        assert [message["_raw"] for message in result.messages] == [
            "message 1 at 10",
            "message 2 at 20",
            "message 0 at 30",
        ]
        assert result.truncated is False
        assert result.warnings == ()
        assert all(job.deleted for job in server.jobs.values())
        assert server.count("DELETE") == 1

    def test_what_is_sent(self, at):
        server = SumoServer(messages(1))
        at(server).search("_sourceCategory=x", BEGIN, after(60), by_receipt_time=True)
        created = server.asked[0]
        assert created.body == {
            "query": "_sourceCategory=x",
            "from": str(BEGIN_MS),
            "to": str(BEGIN_MS + 60_000),
            "timeZone": "UTC",
            "byReceiptTime": True,
            "autoParsingMode": "Manual",
            "requiresRawMessages": True,
        }
        given = base64.b64decode(created.headers["authorization"].removeprefix("Basic ")).decode()
        assert given == f"{ACCESS_ID}:{ACCESS_KEY}"

    def test_the_end_of_the_window_is_not_part_of_it(self, at):
        server = SumoServer(messages(0, 30, 60))
        hook = at(server)
        first, second = hook.search("q", BEGIN, after(30)), hook.search("q", after(30), after(60))
        assert [m["_raw"] for m in first.messages] == ["message 0 at 0"]
        assert [m["_raw"] for m in second.messages] == ["message 1 at 30"]

    @pytest.mark.parametrize("cookies", [True, False])
    def test_with_and_without_cookies(self, at, cookies):
        server = SumoServer(messages(1), cookies=cookies)
        hook = at(server)
        for _ in range(2):
            assert len(hook.search("q", BEGIN, after(60)).messages) == 1
        creations = [asked for asked in server.asked if asked.method == "POST"]
        assert ["cookie" in asked.headers for asked in creations] == [False, False]

    def test_pages_go_on_behind_what_was_received(self, at):
        server = SumoServer(messages(*range(1, 26)), page=10)
        result = at(server).search("q", BEGIN, after(60))
        assert len(result.messages) == 25
        offsets = [int(asked.params["offset"]) for asked in server.asked if asked.path.endswith("/messages")]
        assert offsets == [0, 10, 20]
        assert result.truncated is False

    def test_fewer_than_counted_is_said(self, at):
        server = SumoServer(messages(1, 2, 3), page_failures=[Answer(200, {"messages": []})])
        result = at(server).search("q", BEGIN, after(60))
        assert result.truncated is True
        assert result.warnings == ("Sumo Logic counted 3 messages and gave 0.",)

    def test_never_asks_for_more_than_10000(self, at):
        server = SumoServer(messages(*[n / 1000 for n in range(10_001)]))
        result = at(server).search("q", BEGIN, after(60))
        assert len(result.messages) == 10_001
        limits = [int(asked.params["limit"]) for asked in server.asked if asked.path.endswith("/messages")]
        assert limits == [10_000, 1]

    def test_warnings_are_gathered_over_all_polls(self, at):
        server = SumoServer(messages(1), warnings=[["a"], ["b", "a"], ["c"]])
        assert at(server).search("q", BEGIN, after(60)).warnings == ("a", "b", "c")

    def test_a_limit_reads_the_newest_and_says_so(self, at):
        server = SumoServer(messages(10, 20, 30))
        result = at(server).search("q", BEGIN, after(60), limit=2)
        assert [m["_raw"] for m in result.messages] == ["message 1 at 20", "message 2 at 30"]
        assert result.truncated is True

    def test_unknown_states_are_work_in_progress(self, at, naps):
        server = SumoServer(messages(1), states=("NOT STARTED", "POLISHING RESULTS", "DONE GATHERING HISTOGRAM"))
        assert len(at(server).search("q", BEGIN, after(60)).messages) == 1
        assert len(naps.seconds) == 3

    def test_polls_often_enough_to_be_kept_alive(self, at, naps):
        server = SumoServer(messages(1), states=("GATHERING RESULTS",) * 15)
        at(server).search("q", BEGIN, after(60))
        assert len(naps.seconds) == 15
        assert naps.seconds[0] < 0.5
        assert max(naps.seconds) <= 5

    def test_a_search_that_never_ends_is_given_up_and_deleted(self, at, clock):
        server = SumoServer(messages(1), final="GATHERING RESULTS")
        hook = at(server, deadline=30)
        hook._sleep = clock.sleep
        with pytest.raises(SourceUnavailable, match="within 30 s in all"):
            hook.search("q", BEGIN, after(60))
        assert server.count("DELETE") == 1

    def test_an_empty_window_is_not_asked_for(self, at):
        server = SumoServer(messages(1))
        assert at(server).search("q", BEGIN, BEGIN).messages == []
        assert server.asked == []


class TestForcePaused:
    def test_the_window_is_split_until_it_fits(self, at):
        server = SumoServer(messages(*[n / 4 for n in range(240)]), pause_at=50)
        result = at(server).search("q", BEGIN, after(60))
        assert len(result.messages) == 240
        assert result.truncated is False
        assert len({message["_messageid"] for message in result.messages}) == 240
        assert all(job.deleted for job in server.jobs.values())
        # 60 s hold 240, 30 s hold 120, 15 s hold 60, 7.5 s hold 30: one, two, four and eight jobs.
        assert server.count("POST") == 15

    def test_messages_on_a_seam_are_there_once(self, at):
        server = SumoServer(messages(10, 30, 30, 30, 50), pause_at=4)
        result = at(server).search("q", BEGIN, after(60))
        assert sorted(m["_raw"] for m in result.messages) == sorted(m["_raw"] for m in server.messages)

    def test_at_one_second_it_is_said_that_something_is_missing(self, at):
        server = SumoServer(messages(*[0.5 + n / 1000 for n in range(20)]), pause_at=10)
        result = at(server).search("q", BEGIN, after(4))
        assert result.truncated is True
        assert len(result.messages) == 10

    def test_a_limit_ends_the_splitting(self, at):
        server = SumoServer(messages(*[n / 4 for n in range(240)]), pause_at=50)
        result = at(server).search("q", BEGIN, after(60), limit=5)
        assert len(result.messages) == 5
        assert result.messages[-1]["_raw"] == "message 239 at 59.75"
        assert result.truncated is True
        assert server.count("POST") == 4


class TestLostJob:
    def test_is_created_again_once(self, at, caplog):
        server = SumoServer(messages(1), lose=1)
        assert len(at(server).search("q", BEGIN, after(60)).messages) == 1
        assert server.count("POST") == 2
        assert "created again" in caplog.text

    def test_lost_twice_is_an_error(self, at):
        server = SumoServer(messages(1), lose=99)
        with pytest.raises(SourceUnavailable, match="lost the search job twice"):
            at(server).search("q", BEGIN, after(60))
        assert server.count("POST") == 2

    @pytest.mark.parametrize("spelling", ["CANCELLED", "CANCELED"])
    def test_cancelled_counts_as_lost(self, at, spelling):
        server = SumoServer(messages(1), final=spelling)
        with pytest.raises(SourceUnavailable, match=r"twice.*cancelled"):
            at(server).search("q", BEGIN, after(60))
        assert server.count("POST") == server.count("DELETE") == 2

    def test_lost_while_it_is_read(self, at):
        gone = Answer(400, {"status": 400, "code": "jobid.invalid", "message": "Job ID is invalid."})
        server = SumoServer(messages(1, 2), page_failures=[gone])
        assert len(at(server).search("q", BEGIN, after(60)).messages) == 2
        assert server.count("POST") == 2

    def test_a_500_about_the_job_id_counts_as_lost(self, at):
        gone = Answer(500, {"status": 500, "message": "Job ID is invalid."})
        server = SumoServer(messages(1, 2), page_failures=[gone])
        assert len(at(server).search("q", BEGIN, after(60)).messages) == 2
        assert server.count("POST") == 2


class TestFailures:
    def test_the_job_is_deleted_when_reading_it_fails(self, at):
        server = SumoServer(messages(1), page_failures=[Answer(400, {"code": "generic", "message": "no"})] * 9)
        with pytest.raises(SourceQueryRejected, match="generic: no"):
            at(server).search("q", BEGIN, after(60))
        assert server.count("DELETE") == 1

    def test_the_job_is_deleted_when_the_process_is_ended(self, at):
        server = SumoServer(messages(1))
        hook = at(server)

        def killed(_: float) -> None:
            raise KeyboardInterrupt

        hook._sleep = killed
        with pytest.raises(KeyboardInterrupt):
            hook.search("q", BEGIN, after(60))
        assert server.count("DELETE") == 1

    @pytest.mark.parametrize("status", [404, 429, 500])
    def test_a_job_that_cannot_be_deleted_harms_nothing(self, at, status):
        server = SumoServer(messages(1), delete_status=status)
        assert len(at(server).search("q", BEGIN, after(60)).messages) == 1
        assert server.count("DELETE") == 1

    @pytest.mark.parametrize(
        ("answer", "kind", "says"),
        [
            (Answer(401, {"code": "unauthorized", "message": "Credential could not be verified."}), SourceUnauthorized,
             "Credential could not be verified"),
            (Answer(403, {"code": "forbidden", "message": "no"}), SourceUnauthorized, "Download Search Results"),
            (Answer(400, {"code": "parse.error", "message": "Unable to parse query."}), SourceQueryRejected,
             "parse.error: Unable to parse query"),
            (Answer(404, {}), SourceQueryRejected, "no Search Job API"),
            (Answer(415, {"code": "contenttype.invalid"}), SourceQueryRejected, "contenttype.invalid"),
        ],
    )  # fmt: skip
    def test_refusals_are_not_tried_again(self, at, answer, kind, says):
        server = SumoServer(failures=[answer])
        with pytest.raises(kind, match=says) as raised:
            at(server).search("q", BEGIN, after(60))
        assert "'sumo'" in str(raised.value)
        assert raised.value.next_step
        assert len(server.asked) == 1

    def test_429_waits_and_goes_on(self, at, naps):
        limited = Answer(429, {"code": "rate.limit.exceeded", "message": "slow down"}, {"Retry-After": "2"})
        server = SumoServer(messages(1), failures=[limited, limited])
        assert len(at(server).search("q", BEGIN, after(60)).messages) == 1
        assert sum(second >= 2 for second in naps.seconds) == 2

    def test_429_that_stays(self, at, monkeypatch):
        monkeypatch.setattr("airflow_cd.hooks.sumo_logic._RETRY", RetryPolicy(attempts=5, patience=0))
        limited = Answer(429, {"code": "rate.limit.exceeded", "message": "200 active searches"})
        server = SumoServer(failures=[limited] * 20)
        with pytest.raises(SourceThrottled, match="200 active searches"):
            at(server).search("q", BEGIN, after(60))
        assert len(server.asked) == 5

    def test_errors_of_the_search_itself(self, at):
        server = SumoServer([], errors=["Field not found: x"])
        with pytest.raises(SourceQueryRejected, match="Field not found: x"):
            at(server).search("q", BEGIN, after(60))

    def test_errors_beside_messages_make_it_incomplete(self, at):
        server = SumoServer(messages(1), errors=["one node is away"])
        result = at(server).search("q", BEGIN, after(60))
        assert result.truncated is True
        assert result.warnings == ("error: one node is away",)

    def test_not_json(self, at):
        server = SumoServer(failures=[Answer(200, raw=b"<html>hello</html>")] * 9)
        with pytest.raises(SourceUnavailable, match="not JSON"):
            at(server).search("q", BEGIN, after(60))

    @pytest.mark.parametrize("body", [{}, [], {"link": "x"}])
    def test_a_job_without_an_id(self, at, body):
        server = SumoServer(failures=[Answer(202, body)])
        with pytest.raises(SourceUnavailable, match="without an id"):
            at(server).search("q", BEGIN, after(60))

    def test_naive_times_are_refused(self, at):
        with pytest.raises(SourceQueryRejected, match="time zone"):
            at(SumoServer()).search("q", dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2))  # noqa: DTZ001

    def test_no_access_id(self, connect):
        connect("sumo", conn_type="sumo_logic", password="x")
        with pytest.raises(SourceUnauthorized, match="no access id"):
            SumoLogicHook("sumo").search("q", BEGIN, after(1))

    def test_the_key_is_in_no_error_and_no_log(self, at, caplog):
        encoded = base64.b64encode(f"{ACCESS_ID}:{ACCESS_KEY}".encode()).decode()
        refusal = Answer(400, {"code": "x", "message": f"bad {ACCESS_KEY} in Basic {encoded}"})
        hook = at(SumoServer(failures=[Answer(503, {"message": ACCESS_KEY}), refusal]))
        with caplog.at_level(logging.DEBUG), pytest.raises(SourceQueryRejected) as raised:
            hook.search("q", BEGIN, after(60))
        for secret in (ACCESS_KEY, encoded):
            assert secret not in str(raised.value)
            assert secret not in caplog.text


class TestRecords:
    def test_aggregates(self, at):
        server = SumoServer(records=[{"_count": "3", "_sourcehost": "a"}, {"_count": "4", "_sourcehost": "b"}], page=1)
        result = at(server).records("* | count by _sourceHost", BEGIN, after(60))
        assert [record["_count"] for record in result.records] == ["3", "4"]
        assert result.truncated is False
        assert server.asked[0].body["requiresRawMessages"] is False
        assert server.count("DELETE") == 1


class TestRedirect:
    def test_another_deployment_is_followed_and_remembered(self, at):
        right = SumoServer(messages(1))
        with serving(right) as url:
            moved = Answer(301, {}, {"Location": f"{url}/api/v1/search/jobs"})
            wrong = SumoServer(failures=[moved])
            hook = at(wrong)
            assert len(hook.search("q", BEGIN, after(60)).messages) == 1
            assert len(hook.search("q", BEGIN, after(60)).messages) == 1
        assert len(wrong.asked) == 1
        assert right.asked[0].body["query"] == "q"
        assert "authorization" in right.asked[0].headers

    def test_somebody_else_gets_no_credentials(self, at):
        hook = at(SumoServer(failures=[Answer(301, {}, {"Location": "https://evil.example/api/v1/search/jobs"})]))
        with pytest.raises(SourceRejected, match=r"evil\.example.*credentials are not sent there"):
            hook.search("q", BEGIN, after(60))

    def test_a_circle_ends(self, at):
        server = SumoServer(failures=[Answer(301, {}, {"Location": "/api/v1/search/jobs"})] * 50)
        with pytest.raises(SourceRejected, match="301"):
            at(server).search("q", BEGIN, after(60))
        assert len(server.asked) == 4

    @pytest.mark.parametrize(
        ("configured", "location", "may"),
        [
            ("https://api.sumologic.com", "https://api.us2.sumologic.com/api/v1/search/jobs", True),
            ("https://api.eu.sumologic.com", "https://api.sumologic.com/x", True),
            ("https://api.sumologic.com", "/api/v1/search/jobs", True),
            ("https://api.sumologic.com", "http://api.us2.sumologic.com/x", False),
            ("https://api.sumologic.com", "https://sumologic.com.evil.example/x", False),
            ("https://api.sumologic.com", "https://evilsumologic.com/x", False),
            ("https://api.sumologic.com", "https://127.0.0.1/x", False),
            ("http://127.0.0.1:81", "http://127.0.0.1:82/x", True),
            ("https://api.sumologic.com", "https://api.us2.sumologic.com:8443/x", False),
            ("https://api.sumologic.com", "https://blog.sumologic.com/x", False),
            ("https://api.sumologic.com", "https://api.us2.sumologic.com@evil.example/x", False),
            ("https://api.sumologic.com", "https://api.us2.sumologic.com\\@evil.example/x", False),
            ("https://api.sumologic.com", "//api.us2.sumologic.com/x", True),
            ("https://api.sumologic.com", "https://[broken/x", False),
            ("https://sumo.corp.example:8443", "https://sumo.corp.example/x", False),
            ("http://127.0.0.1:81", "https://api.sumologic.com/x", False),
            ("https://sumo.corp.example", "https://sumo2.corp.example/x", False),
            ("https://sumo.corp.example", "https://listed.corp.example/x", True),
            ("https://sumo.corp.example", "http://listed.corp.example/x", False),
            ("https://sumo.example", "https://other.example/x", False),
            ("https://api.sumologic.com", "ftp://api.us2.sumologic.com/x", False),
        ],
    )
    def test_where_credentials_may_go(self, configured, location, may):
        assert may_redirect(configured, location, ["listed.corp.example"]) is may


class TestRegions:
    @pytest.mark.parametrize(("region", "url"), [("", REGIONS["us1"]), ("EU", REGIONS["eu"]), ("kr", REGIONS["kr"])])
    def test_known(self, connect, region, url):
        connect("sumo", conn_type="sumo_logic", login="a", password="b", extra={"region": region})
        assert SumoLogicHook("sumo").get_conn().base_url == url

    def test_free_form(self, connect):
        host = "https://api.zrh.sumologic.com/api/v1"
        connect("sumo", conn_type="sumo_logic", login="a", password="b", host=host)
        assert SumoLogicHook("sumo").get_conn().base_url == "https://api.zrh.sumologic.com"


class TestTestButton:
    def test_works_for_real(self, at):
        now = round(time.time() * 1000)
        server = SumoServer([sumo_message(now - ago, "x") for ago in (90_000, 3_000)])
        worked, message = at(server).test_connection()
        assert worked, message
        assert ACCESS_ID in message
        assert re.search(r"at least 2 messages of the last 5 minutes, the newest [3-9]\.\d s old", message)
        assert server.count("POST") == server.count("DELETE") == 1

    def test_says_what_is_wrong(self, at):
        hook = at(SumoServer(failures=[Answer(401, {"code": "unauthorized", "message": "no such key"})]))
        worked, message = hook.test_connection()
        assert not worked
        assert "no such key" in message


class TestRateLimit:
    def test_searches_keep_to_it(self, at, monkeypatch):
        monkeypatch.setattr("airflow_cd.hooks.sumo_logic._CALLS", 4)
        monkeypatch.setattr("airflow_cd.hooks.sumo_logic._SECONDS", 0.3)
        server = SumoServer(messages(1))
        hook = at(server)
        hook.search("q", BEGIN, after(60))
        hook.search("q", BEGIN, after(60))
        times = [asked.at for asked in server.asked]
        assert len(times) == 12
        assert all(late - early > 0.2 for early, late in zip(times, times[4:], strict=False))
