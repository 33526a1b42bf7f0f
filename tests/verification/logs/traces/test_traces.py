from __future__ import annotations

import io

import pytest

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.events import compare
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.recognition import REST_OF_TRACE
from airflow_cd.verification.logs.traces.joining import join_lines
from airflow_cd.verification.logs.traces.reading import stack_trace
from airflow_cd.verification.verdict import EventKind
from tests.verification.log_examples import DOTNET, GO, JAVA, NODE, PYTHON, TRACES


def test_python_trace_tells_chain_and_functions_of_the_root() -> None:
    trace = stack_trace(PYTHON)
    assert trace is not None
    assert trace.classes == ("shop.errors.PaymentError", "ValueError")
    assert trace.frames == ("charge2.charge", "checkout.pay")


def test_java_trace_skips_frameworks_and_numbers_of_lambdas() -> None:
    trace = stack_trace(JAVA)
    assert trace is not None
    assert trace.classes == ("java.lang.IllegalStateException", "java.io.IOException")
    assert trace.frames == ("com.shop.Db.read",)
    alone = stack_trace(JAVA.split("\nCaused")[0])
    assert alone is not None
    assert alone.frames == ("com.shop.Cart.run", "com.shop.Cart.lambda$main")


@pytest.mark.parametrize(
    ("text", "name", "frame"),
    [
        (NODE, "TypeError", "getCart"),
        (DOTNET, "System.NullReferenceException", "Shop.Cart.Add"),
        (GO, "panic: runtime error: index out of range <*> with length <*>", "main.(*Cart).add"),
    ],
)
def test_other_run_times(text: str, name: str, frame: str) -> None:
    trace = stack_trace(text)
    assert trace is not None
    assert trace.classes[0] == name
    assert trace.frames[0] == frame


def test_a_trace_cut_off_is_still_a_trace() -> None:
    trace = stack_trace("\n".join(PYTHON.split("\n")[:5]))
    assert trace is not None
    assert trace.frames[0] == "charge2.charge"


def test_several_lines_are_not_a_trace_by_themselves() -> None:
    assert stack_trace("SELECT *\n  FROM orders\n  WHERE id = 1") is None


@pytest.mark.parametrize("name", TRACES)
def test_lines_that_arrive_apart_are_joined(name: str) -> None:
    before, after = "2026-11-23T08:00:00.000Z INFO a", "2026-11-23T08:00:01.000Z INFO b"
    lines = [before, *TRACES[name].split("\n"), after]
    assert [record for _, record in join_lines(lines)] == [before, TRACES[name], after]


def test_joining_keeps_the_position_of_the_first_line() -> None:
    lines = ["INFO a", *PYTHON.split("\n"), "2026-11-23 INFO b"]
    assert [start for start, _ in join_lines(lines)] == [0, 1, len(lines) - 1]


def test_a_traceback_cut_off_does_not_swallow_the_next_record() -> None:
    cut = PYTHON.split("\n")[:4]
    following = "2026-11-23T08:00:01.000Z INFO b"
    assert [record for _, record in join_lines([*cut, following])] == ["\n".join(cut), following]


FRAMES = ["    at parse (/srv/lib/body.js:9:1)", "    at /srv/lib/read.js:1:2"]
THROWN = ["SyntaxError: Unexpected end", "Error: boom", "TypeError [ERR_ARG]: bad", "Error"]
REQUESTS = [f"GET /orders/{number} 200 0.6 ms" for number in range(5)]


@pytest.mark.parametrize("thrown", THROWN)
@pytest.mark.parametrize("between", [0, 1, 3])
def test_what_another_stream_wrote_between_an_exception_and_its_frames_stays_apart(between: int, thrown: str) -> None:
    lines = [REQUESTS[4], thrown, *REQUESTS[:between], *FRAMES, REQUESTS[4]]
    records, whole = dict(join_lines(lines)), "\n".join([thrown, *FRAMES])
    assert records[1] == whole
    assert sorted(records.values()) == sorted([whole, *REQUESTS[:between], REQUESTS[4], REQUESTS[4]])
    stream = io.BytesIO("\n".join(lines).encode())
    assert profile_stream(stream).counts() == LogProfile.of(lines).counts()


def test_frames_belong_to_the_failure_just_before_them() -> None:
    told = ["TypeError: x is no number", "order 7 has failed", "    at send (/srv/lib/send.js:1:2)"]
    assert dict(join_lines(told)) == {0: told[0], 1: "\n".join(told[1:])}
    twice = ["TypeError: x is no number", "RangeError: y", "    at send (/srv/lib/send.js:1:2)"]
    assert dict(join_lines(twice)) == {0: twice[0], 1: "\n".join(twice[1:])}


def test_an_exception_without_frames_is_whole_however_many_lines_follow() -> None:
    lines = ["TypeError: x is no number", *REQUESTS]
    assert [record for _, record in join_lines(lines)] == lines


LONG = [*FRAMES, "    at done (/srv/lib/read.js:20:3)", "    at emit (node:events:517:28)"]


@pytest.mark.parametrize("frames", range(1, len(LONG)))
@pytest.mark.parametrize("between", [1, 4, 8])
def test_what_another_stream_wrote_among_the_frames_stays_apart(between: int, frames: int) -> None:
    requests = [f"GET /orders/{number} 200 0.6 ms" for number in range(between)]
    lines = [THROWN[0], *LONG[:frames], *requests, *LONG[frames:], "GET /cart 200 0.7 ms"]
    records = [record for _, record in sorted(join_lines(lines))]
    assert records == ["\n".join([THROWN[0], *LONG]), *requests, lines[-1]]
    stream = io.BytesIO("\n".join(lines).encode())
    assert profile_stream(stream).counts() == LogProfile.of(lines).counts()


def test_frames_far_behind_their_exception_are_not_of_the_request_before_them() -> None:
    requests = [f"GET /orders/{number} 200 0.6 ms" for number in range(20)]
    lines = [THROWN[0], LONG[0], *requests, *LONG[1:]]
    assert [record for _, record in sorted(join_lines(lines))] == [
        "\n".join(lines[:2]),
        *requests,
        "\n".join(LONG[1:]),
    ]
    assert {one.template for one in LogProfile.of(lines).counts()} >= {REST_OF_TRACE}


def test_a_new_exception_among_the_frames_of_a_known_one_is_its_own() -> None:
    lines = [THROWN[0], LONG[0], "RangeError: too far", "    at reach (/srv/lib/reach.js:1:1)", *LONG[1:]]
    assert "RangeError: too far" in dict(join_lines(lines))[2]


def test_the_line_behind_the_head_of_a_report_of_erlangs_belongs_to_it() -> None:
    lines = ["=ERROR REPORT==== 3-Feb-2025::04:05:06.789012 ===", "card 4 is gone", "", "card 5 is paid"]
    report, other = LogProfile.of(lines).tallies
    assert report.severity == "error"
    assert "card <*> is gone" in report.template
    assert other.template == "card <*> is paid"


def _trace(first: str) -> list[str]:
    return [first, "Traceback (most recent call last):", '  File "/srv/card.py", line 4, in pay', "CardError: no bank"]


def _kinds(canary: list[str], known: list[str]) -> list[EventKind]:
    events = compare(LogProfile.of(canary), None, [LogProfile.of(known)]).events.values()
    return [event.kind for event in events if event.counts["canary"]]


def test_a_known_crash_behind_a_warning_that_is_not_its_own_is_known() -> None:
    logged, warned = _trace("INFO card 4 paid"), _trace("WARNING slow query")
    assert _kinds(warned, logged) == [EventKind.KNOWN]
    assert _kinds(logged, warned) == [EventKind.UNKNOWN]


def test_a_known_trace_in_whose_middle_the_log_begins_is_known() -> None:
    rest = [
        "\tat kiosk.Kiosk.run(Kiosk.java:7)",
        "Caused by: kiosk.BankError: gone",
        "\tat kiosk.Card.pay(Card.java:4)",
    ]
    whole = ["ERROR no card", "kiosk.CardError: none", *rest]
    assert _kinds(rest, whole) == [EventKind.KNOWN]
    assert _kinds([line.replace("BankError", "CoinError") for line in rest], whole) == [EventKind.UNKNOWN]
