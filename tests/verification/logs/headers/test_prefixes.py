"""Prefixes that runtimes put before every line: they make no difference to what is counted."""

from __future__ import annotations

import io

import pytest

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.headers.prefixes import without_prefix
from airflow_cd.verification.logs.profile import LogProfile
from tests.verification.log_examples import GO, JAVA, PYTHON

PREFIXES = {
    "cri": "2025-02-03T04:05:06.123456789Z stderr F ",
    "cri zone": "2025-02-03T04:05:06.123456789+01:00 stdout F ",
    "compose": "billing-web-1  | ",
    "compose named": "billing  | ",
    "kubectl": "[pod/billing-7d9f/web] ",
    "foreman": "04:05:06 web.1  | ",
    "pm2": "0|billing  | ",
    "cloud foundry": "   2025-02-03T04:05:06.12+0000 [APP/PROC/WEB/0] OUT ",
}
BEHIND_STAMPS = {
    "journald": "Feb 03 04:05:06 web-9 billing[99]: ",
    "docker -t": "2025-02-03T04:05:06.123456789Z ",
    "heroku": "2025-02-03T04:05:06.123456+00:00 app[web.1]: ",
}
TRACES = {"go": GO, "python": PYTHON, "java": JAVA}


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("prefix", [*PREFIXES, *BEHIND_STAMPS])
def test_a_trace_behind_prefixes_is_the_same(prefix: str, trace: str) -> None:
    text = {**PREFIXES, **BEHIND_STAMPS}[prefix]
    lines = ["INFO served 1", *TRACES[trace].split("\n"), "INFO served 2"]
    content = "".join(f"{text}{line}\n" for line in lines).encode()
    found = [
        signature.template for profile in (profile_stream(io.BytesIO(content)), LogProfile.of(content.splitlines()))
        for signature in profile.tallies if signature.traced
    ]  # fmt: skip
    bare = [signature.template for signature in LogProfile.of(lines).tallies if signature.traced]
    assert found == bare * 2


def test_parts_of_a_line_are_put_together() -> None:
    stamp = "2025-02-03T04:05:06.1Z stdout"
    lines = [f'{stamp} P {{"level":"error",', f'{stamp} P "msg":', f'{stamp} F "no card"}}', f"{stamp} F INFO served"]
    content = "\n".join(lines).encode()
    for block in (7, 10_000):
        profile = profile_stream(io.BytesIO(content), block=block)
        assert sorted(signature.template for signature in profile.tallies) == ["ERROR no card", "INFO served"]
    assert LogProfile.of(lines).counts() == profile.counts()


def test_a_part_without_an_end_is_a_record() -> None:
    (signature,) = LogProfile.of(["2025-02-03T04:05:06.1Z stdout P ERROR no card"]).tallies
    assert signature.template == "ERROR no card"


@pytest.mark.parametrize("line", ["ERROR | no card", "a | b", "2025-02-03 04:05:06.1 | INFO | m", "[podium/x] y"])
def test_what_is_no_prefix_stays(line: str) -> None:
    assert without_prefix(line) == line
