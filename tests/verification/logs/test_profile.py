from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.errors import VerificationError
from airflow_cd.verification.logs import counting
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import SAMPLE_LENGTH
from airflow_cd.verification.logs.traces.joining import LONGEST_RECORD
from tests.verification.log_examples import PYTHON, TRACES, python_trace

_RECORDS = st.one_of(
    st.sampled_from(
        [
            "INFO served order 1",
            "INFO served order 22",
            "WARN card declined for c-9",
            "ERROR status=500",
            "",
            '{"level": "error", "msg": "no 7"}',
            "\ufffd",
            PYTHON,
            *TRACES.values(),
            python_trace("KeyError", "redeem", order=3),
            python_trace("KeyError", "redeem", order=4, line=99),
        ]
    ),
    st.text(alphabet="ab 1=é", max_size=12),
)
_ROWS = st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 10**6)), st.sampled_from("ab"), _RECORDS), max_size=25)


def _frame(rows: list[tuple[int | None, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["time", "instance", "message"])
    return frame.assign(time=pd.to_datetime(frame["time"].astype("Int64"), unit="ms", utc=True))


@settings(max_examples=40, deadline=None)
@given(_ROWS, _ROWS, st.integers(0, 500), st.integers(0, 500))
def test_merge_is_the_profile_of_the_union(
    one: list[tuple[int | None, str, str]], other: list[tuple[int | None, str, str]], seconds: int, more: int
) -> None:
    merged = LogProfile.merge(LogProfile.of(_frame(one), watched=seconds), LogProfile.of(_frame(other), watched=more))
    assert merged == LogProfile.of(_frame(one + other), watched=seconds + more)


@settings(max_examples=25, deadline=None)
@given(st.lists(_ROWS, min_size=3, max_size=3))
def test_merge_knows_no_order(parts: list[list[tuple[int | None, str, str]]]) -> None:
    a, b, c = (LogProfile.of(_frame(part)) for part in parts)
    together = LogProfile.merge(a, b, c)
    assert LogProfile.merge(c, LogProfile.merge(b, a)) == together
    assert LogProfile.merge(LogProfile.merge(a, c), b).to_bytes() == together.to_bytes()


@pytest.mark.skipif(not counting.has_polars(), reason="polars is not installed: there is one engine only")
@settings(max_examples=40, deadline=None)
@given(_ROWS)
def test_both_engines_count_the_same(rows: list[tuple[int | None, str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_FEW", 0)
        fast = LogProfile.of(_frame(rows))
        patch.setattr(counting, "has_polars", lambda: False)
        assert LogProfile.of(_frame(rows)) == fast


@settings(max_examples=40, deadline=None)
@given(_ROWS)
def test_survives_bytes_and_back(rows: list[tuple[int | None, str, str]]) -> None:
    profile = LogProfile.of(_frame(rows), watched=1.5)
    assert LogProfile.from_bytes(profile.to_bytes()) == profile


def test_merging_leaves_the_parts_alone() -> None:
    one, other = LogProfile.of(["INFO a"]), LogProfile.of(["INFO a"])
    before = one.to_bytes()
    LogProfile.merge(one, other)
    assert one.to_bytes() == before


def test_a_million_lines_would_be_a_few_signatures() -> None:
    rng = random.Random(1)
    lines = [
        f"INFO order {rng.randint(0, 10**9)} of user-{rng.randint(0, 10**6)} took {rng.random():.3f} s"
        for _ in range(5000)
    ]
    profile = LogProfile.of(lines)
    assert len(profile.tallies) == 1
    assert profile.records == 5000
    assert len(profile.to_bytes()) < 1000


def test_traces_count_by_class_and_functions() -> None:
    rng = random.Random(1)
    records = [
        python_trace(kind, function, order=rng.randint(1, 10**6), line=rng.randint(1, 500))
        for kind, function in [("KeyError", "redeem"), ("TypeError", "redeem"), ("KeyError", "label")] * 20
    ]
    counts = LogProfile.of(records).counts()
    assert sorted(counts.values()) == [20, 20, 20]
    assert {signature.exception for signature in counts} == {"KeyError", "TypeError"}


def test_lines_of_a_trace_that_arrive_apart_count_once() -> None:
    whole = ["2026-11-23 INFO a", PYTHON, "2026-11-23 INFO b"]
    apart = [line for record in whole for line in record.split("\n")]
    assert LogProfile.of(apart).counts() == LogProfile.of(whole).counts()


def test_lines_of_two_instances_are_not_joined() -> None:
    lines = PYTHON.split("\n")
    rows = [(number, name, line) for number, line in enumerate(lines) for name in "ab"]
    profile = LogProfile.of(_frame(rows))
    assert [tally.instances for tally in profile.tallies.values() if tally.count > 1] == [{"a": 1, "b": 1}]


def test_times_instances_and_samples() -> None:
    rows = [(5000, "b", "INFO order 2"), (1000, "a", "INFO order 1"), (3000, "a", "INFO order 3")]
    (tally,) = LogProfile.of(_frame(rows)).tallies.values()
    assert (tally.first, tally.last) == (1000, 5000)
    assert tally.instances == {"a": 2, "b": 1}
    assert tally.samples == ("INFO order 1", "INFO order 3")


def test_what_is_wrong_with_records_is_counted() -> None:
    profile = LogProfile.of(
        [b"caf\xe9 broken", "INFO fine", None, float("nan"), "   ", "x" * (LONGEST_RECORD + 1), "\ud800"]  # type: ignore[list-item]
    )
    assert profile.troubles == {"undecodable": 2, "empty": 3, "too_long": 1}
    assert profile.records == 4
    assert all(len(sample) <= SAMPLE_LENGTH for tally in profile.tallies.values() for sample in tally.samples)


def test_binary_and_windows_line_ends() -> None:
    assert LogProfile.of(["INFO a\r\n", "INFO a\n", "INFO a"]).records == 3
    assert len(LogProfile.of(["INFO a\r\n", "INFO a\n", "INFO a"]).tallies) == 1
    assert LogProfile.of([bytes(range(256))]).records == 1


def test_without_instances_it_is_smaller_and_counts_the_same() -> None:
    profile = LogProfile.of(_frame([(1, name, "INFO a") for name in "abc"]), watched=3)
    anonymous = profile.without_instances()
    assert anonymous.counts() == profile.counts()
    assert anonymous.watched == 3
    assert len(anonymous.to_bytes()) < len(profile.to_bytes())


def test_an_empty_frame_is_an_empty_profile() -> None:
    assert LogProfile.of(_frame([])) == LogProfile()
    assert LogProfile.of([]).records == 0


@pytest.mark.parametrize("content", [b"", b"ACDP", b"nonsense", LogProfile().to_bytes()[:-3], b"ACDP\x01rubbish"])
def test_bytes_that_are_no_profile_are_refused(content: bytes) -> None:
    with pytest.raises(VerificationError):
        LogProfile.from_bytes(content)


def test_a_newer_version_is_refused_by_name() -> None:
    content = bytearray(LogProfile().to_bytes())
    content[4] = 99
    with pytest.raises(VerificationError, match="version 99"):
        LogProfile.from_bytes(bytes(content))


def test_bytes_of_the_first_version_are_still_read() -> None:
    # Written once and kept: what ledgers hold must stay readable.
    content = bytes.fromhex(FIRST_VERSION)
    profile = LogProfile.from_bytes(content)
    assert profile.watched == 2.5
    assert {signature.template: count for signature, count in profile.counts().items()} == {
        "INFO served <*>": 2,
        "ERROR KeyError in gift.redeem < app.handle": 1,
    }


FIRST_VERSION = (
    "4143445001789c6d90616bc2301086ffca719f74444d221ba3c8be298cc104f1d3da32627bceb29876d75611f1bf2fb1132a"
    "0c8e24c7ddfbe6ee39e3d134d98ef2cf7d8d917e945260c365bbb1e4f3f345209747ff8a639caf56cb15bcd169ce5c32140e"
    "be8a6d3366ca89f630035355e39d71b9251448a1c7dfb77614712a62ec297cb1a748c519315217e15a6bbb23462df5d348a9"
    "919eaee57324a58fb1d2d30fe846a97765350e8e3002a69f96ea06146c4d61294fdc9a4d461b937dc3605ffa0a5346ae81cc"
    "580bd6d4cd304a1cc0c2374382939a0f93e037093355a70405d8c2112829c2a6dd944100dea869d98171f59178f0f7f1f05f"
    "b3ebba7db7e9d5ad0370e71628c7324ddc0d580425e7c4a0300de05edf174ba8890f94c3ece1c5c32bdcb6c43f5269880050"
    "df03ecab94d7f473adbd737af90593d5a612"
)


def test_a_profile_from_before_headers_were_read_is_read_again() -> None:
    lines = [
        "Nov 23 08:00:01 web-1 shop[1]: ERROR basket 1 lost",
        "2026/11/23 08:00:01 [error] 7#7: *1 connect() failed",
        '{"level":30,"msg":"served 1"}',
    ]
    assert LogProfile.from_bytes(bytes.fromhex(BEFORE_HEADERS)).counts() == LogProfile.of(lines).counts()


BEFORE_HEADERS = (
    "4143445001789c8d8f4d6b02311086ffca30bda8a498d9422d41bc59e84561af2194fd18518c1b49a27b58f6bf37bb4b41da430b7398"
    "0fe679dfb7c3b688d591ebcf4b40250546ef6ea5e53474bd40efdad4698debc506c2d15d67a9992bd8e6f93e87b208678e30dcac0b11"
    "05b2f7cea3686ed60a6d86ea1015f5d3665ae3cedd217b01f9a6a45492a0e5f29946ba26f3834d13d924167eecdef710d8dfb91e3493"
    "dca939b8bfd41ebf6802e9d1a6198d57ae69b88ab3391c8a93e5fabf213299bd2e89968f41beb9aba7958205fd661b63fa2f3fdd717e"
)
