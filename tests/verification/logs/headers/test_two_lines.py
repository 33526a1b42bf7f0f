"""Requests whose logger has its header on a line of its own are known by their statuses like all others."""

from __future__ import annotations

import pytest

from airflow_cd.verification.logs.headers.two_lines import as_one_line
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

_FINISHED = "Request finished HTTP/2 GET https://harbour.example/berths/STATUS7 - STATUS - text/html 4.2502ms"
_COMMON = '10.4.4.4 - - [30/Nov/2026:10:00:01 +0000] "GET /berths/STATUS7 HTTP/1.1" STATUS 310 "-" "curl/8"'
RECORDS = {
    "console of .NET": f"info: Microsoft.AspNetCore.Hosting.Diagnostics[2]\n      {_FINISHED}",
    "with a time": f"10:00:01.250 info: Microsoft.AspNetCore.Hosting.Diagnostics[2]\n      {_FINISHED}",
    "java.util.logging": f"Nov 30, 2026 10:00:01 AM io.harbour.web.LoggerHandler log\nINFO: {_COMMON}",
    "java.util.logging, French": f"nov. 30, 2026 10:00:01 AM io.harbour.web.LoggerHandler log\nINFO: {_COMMON}",
}


def answers(layout: str, *statuses: int) -> list[str]:
    return [line for one in statuses for line in RECORDS[layout].replace("STATUS", str(one)).split("\n")]


@pytest.mark.parametrize("layout", RECORDS)
def test_a_server_that_fails_fails_a_release(layout: str) -> None:
    good = LogProfile.of(answers(layout, *[200, 200, 304] * 80))
    bad = LogProfile.of(answers(layout, *[200, 200, 304, 200, 304, 500] * 40))
    verdicts = [judge_quality(one, None, [good]).verdict for one in (bad, good)]
    assert verdicts == [Verdict.FAIL, Verdict.PASS]


@pytest.mark.parametrize(
    "record",
    [
        "info: Microsoft.Hosting.Lifetime[14]\n      Now listening on: http://[::]:8080",
        "warn: Harbour.Diagnostics[2]\n      Request finished HTTP/2 GET /berths - 200\n      late",
        f"Nov 30, 2026 10:00:01 AM io.harbour.Crane lift\nINFO: lifted 7 boxes of {_FINISHED}",
        f"WARN these took long:\n{_COMMON}",
        "ValueError: no berth\nRequest finished HTTP/2 GET /berths - 500 - - 4ms",
        "one line",
    ],
)
def test_any_other_record_stays_as_it_is(record: str) -> None:
    assert as_one_line(record) == record
