"""A log whose layout changed: the same messages with something else in front of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Quality, Verdict

_SAID = [
    ("INFO", "ferry 7 docked"),
    ("INFO", "car 17 is aboard"),
    ("INFO", "ticket 4 sold to Ann"),
    ("WARN", "lane 3 opened late"),
    ("INFO", "ramp 2 is down"),
    ("ERROR", "quay 9 gave no answer"),
]
_NEW = ("ERROR", "ledger 4 is gone")

_Layout = Callable[[str, str], str]


def _text(level: str, message: str) -> str:
    return f"2025-02-03 04:05:06,789 {level} [main] harbour.Quay - {message}"


def _json(level: str, message: str) -> str:
    return json.dumps({"level": level.lower(), "ts": 1738555506.7, "msg": message})


def _logfmt(level: str, message: str) -> str:
    return f'ts=2025-02-03T04:05:06Z level={level.lower()} msg="{message}"'


def _moved(level: str, message: str) -> str:
    return _text(level, message).replace("harbour.Quay", "harbour.sea.Quay")


def _traced(level: str, message: str) -> str:
    return _text(level, message).replace("[main]", "[main] [harbour,4bf92f3577b34da6,00f067aa0ba902b7]")


def _judged(layout: _Layout, said: Sequence[tuple[str, str]]) -> Quality:
    old = LogProfile.of([_text(*one) for one in _SAID * 30])
    return judge_quality(LogProfile.of([layout(*one) for one in said]), None, [old])


@pytest.mark.parametrize("layout", [_json, _logfmt, _moved, _traced])
def test_the_same_messages_pass_and_a_new_error_fails(layout: _Layout) -> None:
    quality = _judged(layout, _SAID * 30)
    assert quality.verdict is Verdict.PASS
    assert [reason.text for reason in quality.reasons][1:] == [
        "The layout of the log has changed: 6 kinds of messages are known, with something else before them."
    ]
    failed = _judged(layout, [*_SAID * 30, *[_NEW] * 3])
    assert failed.verdict is Verdict.FAIL
    assert [event.counts["canary"] for event in failed.risks] == [3.0]


def test_what_tells_of_failure_is_no_layout() -> None:
    quality = _judged(lambda level, message: _text(level, f"write failed: {message}"), _SAID * 30)
    assert quality.verdict is not Verdict.PASS


def test_the_same_layout_is_none_that_changed() -> None:
    quality = _judged(_text, [*_SAID * 30, *[("INFO", "crane 4 turned")] * 9])
    assert [reason.code for reason in quality.reasons] == ["nothing_new"]
