from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.verification.files import logs as log_files
from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs import counting, masking
from airflow_cd.verification.logs.profile import LogProfile
from tests.verification.log_examples import TRACES, python_trace

_LINES = st.lists(
    st.one_of(
        st.sampled_from([line for trace in TRACES.values() for line in trace.split("\n")]),
        st.sampled_from(["INFO served order 1", "WARN card declined for c-9", "\tat a.b(C.java:1)", "x\r", "é\ufffd"]),
        st.sampled_from(
            [
                '{"level": "error", "msg": "no 7"}',
                '{"msg": " at x"}',
                "status=500 é",
                "panic: no",
                "main.main()",
                "--- End of x",
                "{Traceback (most recent call",
                '{"level": 50, "msg": "no 7", "status": 503}',
                '{"level": 30, "msg": "Caused by: x", "code": "E7"}',
                '{"level": "info", "msg": "a\\nb"}',
                '2025-02-03T04:05:06Z INFO {"level": "warn", "msg": "m 1"}',
                "2025-02-03T04:05:06.1Z stdout P INFO a",
                "2025-02-03T04:05:06.1Z stderr F panic: no 7",
                "web-1  | Traceback (most recent call last):",
                "2025-02-03 04:05:06 ERROR a.b.CardException: first",
                "a.b.CardException: first",
                "Feb  3 04:05:06 web billing[9]: Traceback (most recent call last):",
                'Feb  3 04:05:06 web billing[9]:   File "a.py", line 1, in b',
                "thread 'main' panicked at a.rs:1:2:",
                "E0203 04:05:06.789012 99 card.go:42] card 4",
                "<11>Feb  3 04:05:06 web billing[9]: no 7",
                "\x1b[31mERROR\x1b[0m no 7",
                "Feb 03, 2025 4:05:06 AM a.b.Card pay",
                "fail: A.Card[13]",
                "04:05:06.789 [error] GenServer A.Card terminating",
                "** (A.CardError) no 7",
                "    (a 0.1.0) lib/card.ex:7: A.Card.pay/2",
                "Last message: :pay",
                "2025-02-03 04:05:06 INFO replica 7 of a terminating",
                "/srv/card.js:7",
                "Feb  3 04:05:06 web billing[9]: node:internal/card:7",
                "throw new Error('no 7')",
                "2025-02-03 04:05:06 INFO paid from: /10.0.0.7:4711",
                "\t... 7 more",
                '{"msg": "A.Card terminating"}',
            ]
        ),
        st.text(alphabet="ab 1=é\t", max_size=9),
    ),
    max_size=30,
)


def _lines_of(content: bytes) -> list[bytes]:
    return content.removesuffix(b"\n").split(b"\n") if content else []


@settings(max_examples=60, deadline=None)
@given(_LINES, st.integers(1, 200), st.booleans(), st.booleans())
def test_a_stream_in_blocks_of_any_size_is_the_profile_of_its_lines(
    lines: list[str], block: int, end: bool, fast: bool
) -> None:
    content = ("\n".join(lines) + "\n" * end).encode()
    with pytest.MonkeyPatch.context() as patch:
        if not fast:
            for module in (log_files, counting, masking):
                patch.setattr(module, "has_polars", lambda: False)
        assert profile_stream(io.BytesIO(content), block=block) == LogProfile.of(_lines_of(content))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([b"INFO a 1", b"\xff", b"\r"])), max_size=9))
def test_any_bytes_are_the_profile_of_their_lines(parts: list[bytes]) -> None:
    content = b"\n".join(parts)
    assert profile_stream(io.BytesIO(content), block=5) == LogProfile.of(_lines_of(content))


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


@pytest.mark.parametrize(
    "lines",
    [
        ["04:05:06.789 [error] GenServer A.Card terminating", "Last message: :pay", "State: 7"],
        ["2025-02-03 04:05:06 INFO replica 7 of a terminating", "2025-02-03 04:05:07 INFO replica 7 of a closed"],
        ["/srv/card.js:7", "throw new Error('no')"],
        ["Feb  3 04:05:06 web billing[9]: /srv/card.js:7", "Feb  3 04:05:06 web billing[9]: throw new Error('no')"],
        ["2025-02-03 04:05:06 INFO paid from /10.0.0.7:4711", "throw new Error('no')"],
    ],
)
def test_what_may_begin_a_record_among_many_lines_is_one_where_it_goes_on(lines: list[str]) -> None:
    many = ["2025-02-03 04:05:06 INFO served order 1"] * 20
    content = "\n".join([*many, *lines, *many])
    assert profile_stream(io.BytesIO(content.encode())) == LogProfile.of(content.split("\n"))
