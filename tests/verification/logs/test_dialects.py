from __future__ import annotations

import pytest

from airflow_cd.verification.logs.headers.failures import exception_in
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import severity_of
from airflow_cd.verification.logs.traces.joining import join_lines
from airflow_cd.verification.logs.traces.reading import stack_trace
from tests.verification.log_examples import DOTNET, GO, JAVA, NODE, PYTHON, TRACES


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("2026-11-23T08:00:00.123Z ERROR shop.checkout - no", "error"),
        ("[WARN] slow", "warning"),
        ("<error> disk", "error"),
        ('level=warning msg="x"', "warning"),
        ("081109 203615 148 INFO dfs.DataNode: ok", "info"),
        ("CRITICAL: out of memory", "fatal"),
        ("nothing said of a level", "info"),
        ("the word information is no level, nor is errors", "info"),
        ("x" * 300 + " ERROR", "info"),
    ],
)
def test_severity(text: str, severity: str) -> None:
    assert severity_of(text) == severity


def test_an_exception_without_a_level_is_an_error() -> None:
    assert severity_of("Traceback", exception=True) == "error"
    assert severity_of("WARN retry", exception=True) == "warning"


@pytest.mark.parametrize(
    ("line", "exception"),
    [
        ("request failed: java.lang.NullPointerException: x", "java.lang.NullPointerException"),
        ("KeyError: 'sku'", "KeyError"),
        ("ERROR shop - nothing", None),
        ("Error: x", "Error"),
        ("an error happened", None),
    ],
)
def test_exception_named_in_a_line(line: str, exception: str | None) -> None:
    found = exception_in(line)
    assert found == exception or (exception == "Error" and found is None)


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


def test_json_records_show_message_level_and_stack() -> None:
    assert unfold_json('{"msg": "no stock", "level": "warn", "sku": 7}') == "WARN no stock"
    assert unfold_json('{"message": "m", "level": "error", "stack": "E: x\\n    at f (a.js:1:2)"}').count("\n") == 2


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"level": 50, "msg": "no stock"}', "ERROR no stock"),
        ('{"@l": "Warning", "@mt": "slow {Path}"}', "WARN slow {Path}"),
        ('{"log": {"level": "error"}, "message": "m"}', "ERROR m"),
        (
            '{"level": "error", "message": "m", "error": {"type": "KeyError", "message": "x"}}',
            "ERROR m\nKeyError: x",
        ),
        (
            '{"level": "error", "err": {"type": "E", "message": "x", "stack": "TypeError: x\\n    at f (a.js:1:2)"}}',
            "ERROR\nTypeError: x\n    at f (a.js:1:2)",
        ),
    ],
)
def test_json_of_other_loggers(line: str, text: str) -> None:
    assert unfold_json(line) == text


def test_logfmt_has_its_level_and_exception() -> None:
    line = 'ts=2026-11-23T08:00:00Z level=warn msg="order failed" error=KeyError order=7'
    assert severity_of(line) == "warning"
    assert exception_in(line) == "KeyError"


@pytest.mark.parametrize("line", ["{not json", "[1]", '{"a": 1}', "{" * 5000])
def test_what_is_no_json_record_stays(line: str) -> None:
    assert unfold_json(line) == line
