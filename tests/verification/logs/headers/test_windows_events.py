"""Events of Windows as XML: their level, provider, number and text."""

from __future__ import annotations

import io

import pytest

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.headers.windows_events import unfold_event
from airflow_cd.verification.logs.profile import LogProfile


def _event(level: int, rest: str, number: int = 4_107) -> str:
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>"
        "<System><Provider Name='Ferry Pilot'/>"
        f"<EventID Qualifiers='0'>{number}</EventID><Level>{level}</Level>"
        f"<Computer>quay-9</Computer></System>{rest}</Event>"
    )


@pytest.mark.parametrize(
    ("level", "word"), [(1, "FATAL"), (2, "ERROR"), (3, "WARN"), (4, "INFO"), (0, "INFO"), (5, "DEBUG")]
)
def test_level_provider_and_number_come_first(level: int, word: str) -> None:
    event = _event(level, "<EventData><Data>ramp &amp; gate stuck</Data><Data Name='Lane'>7</Data></EventData>")
    assert unfold_event(event) == f"{word} Ferry Pilot code=4107 ramp & gate stuck Lane=7"


def test_a_rendered_message_is_the_text() -> None:
    rest = "<EventData><Data>7</Data></EventData><RenderingInfo><Message>The ramp is stuck.</Message></RenderingInfo>"
    assert unfold_event(_event(2, rest)) == "ERROR Ferry Pilot code=4107 The ramp is stuck."


@pytest.mark.parametrize(
    "line", ["<Event loop> started", "<Event xmlns='x'><System/></Event>", "<Event <Level>2</Level>"]
)
def test_anything_else_is_left_as_it_is(line: str) -> None:
    assert unfold_event(line) == line


def test_a_file_of_events_is_read_like_its_lines() -> None:
    lines = [_event(4, "<EventData><Data>docked</Data></EventData>")] * 4 + [_event(2, "", 7_031)]
    profile = profile_stream(io.BytesIO("\n".join(lines).encode()))
    assert profile.tallies == LogProfile.of(lines).tallies
    assert {signature.template for signature in profile.tallies} == {
        "INFO Ferry Pilot code=4107 docked",
        "ERROR Ferry Pilot code=7031",
    }
