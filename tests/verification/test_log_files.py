from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.verification.log_files import profile_stream
from airflow_cd.verification.profile import LogProfile

from .log_examples import TRACES, python_trace

_LINES = st.lists(
    st.one_of(
        st.sampled_from([line for trace in TRACES.values() for line in trace.split("\n")]),
        st.sampled_from(["INFO served order 1", "WARN card declined for c-9", "\tat a.b(C.java:1)", "x\r", "é\ufffd"]),
        st.sampled_from(["status=500 é", "panic: no", "main.main()", "--- End of x"]),
        st.text(alphabet="ab 1=é\t", max_size=9),
    ),
    max_size=30,
)


def _whole(lines: list[str]) -> LogProfile:
    profile = LogProfile.of(lines)
    profile.troubles.pop("empty", None)
    return profile


@settings(max_examples=80, deadline=None)
@given(_LINES, st.integers(1, 200), st.booleans())
def test_a_stream_in_blocks_of_any_size_is_the_profile_of_its_lines(lines: list[str], block: int, end: bool) -> None:
    content = "\n".join(lines) + ("\n" if end else "")
    profile = profile_stream(io.BytesIO(content.encode()), block=block)
    profile.troubles.pop("empty", None)
    assert profile == _whole(lines)


def test_progress_tells_the_bytes_read() -> None:
    told: list[int] = []
    content = b"INFO a 1\n" * 100
    profile = profile_stream(io.BytesIO(content), instance="web-1", watched=60, progress=told.append, block=400)
    assert told == [400, 800, 900]
    assert [tally.instances for tally in profile.tallies.values()] == [{"web-1": 100}]
    assert profile.watched == 60


@pytest.mark.parametrize("block", [7, 1000, 10**6])
def test_a_trace_over_the_border_of_blocks_is_one_record(block: int) -> None:
    content = ("2026-11-23T08:00:00Z INFO a\n" + python_trace("KeyError", "redeem") + "\n") * 5
    profile = profile_stream(io.BytesIO(content.encode()), block=block)
    assert sorted(profile.counts().values()) == [5, 5]


def test_binary_and_endless_lines_are_counted_as_troubles() -> None:
    content = b"INFO a\n" + b"x" * 3_000_000 + b"\n" + b"\xff\xfe\x00\n" + b"INFO a\r\n"
    profile = profile_stream(io.BytesIO(content), block=1000)
    assert profile.records == 4
    assert profile.troubles == {"too_long": 1, "undecodable": 1}
    assert max(profile.counts().values()) == 2


def test_an_empty_stream_is_an_empty_profile() -> None:
    assert profile_stream(io.BytesIO(b"")) == LogProfile()
