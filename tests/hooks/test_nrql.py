from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.hooks.nrql import MOST_BUCKETS, clauses, is_balanced, literal, sections
from airflow_cd.verification.samples import Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
MINUTE = dt.timedelta(minutes=1)


def window(seconds: float, *, since: dt.datetime = BEGIN) -> Window:
    return Window(since, since + dt.timedelta(seconds=seconds))


def test_literal():
    assert literal("shop front-1 é") == "'shop front-1 é'"


@pytest.mark.parametrize("value", ["", "a'b", "a\\", "a`b", "a\nb", "a\x00"])
def test_a_literal_cannot_leave_its_quotes(value):
    with pytest.raises(ValueError, match="quote"):
        literal(value)


def test_clauses_are_those_outside_quotes_and_parentheses():
    text = "SELECT filter(count(*), WHERE a = 1) FROM Transaction WHERE b = 'LIMIT 1' AND `SINCE` = 2"
    words = [word for word, _, _ in clauses(text)]
    assert words == ["SELECT", "FILTER", "FROM", "TRANSACTION", "WHERE", "B", "AND", "2"]


@pytest.mark.parametrize(
    ("text", "balanced"),
    [
        ("a = 'x)'", True),
        ("(a)", True),
        ("a)", False),
        ("(a", False),
        (")(", False),
        ("a = 'x", False),
        ("`", False),
        (r"a = '\''", True),
        (r"a = '\'", False),
        ("a = '\\", False),
        ("`a` ('b')", True),
        ("('b)", False),
    ],
)
def test_balanced(text, balanced):
    assert is_balanced(text) is balanced


def test_sections_are_whole_buckets_and_a_rest():
    found = sections(window(150), MINUTE)
    assert [(s.bucket.total_seconds(), (s.until - s.since).total_seconds()) for s in found] == [(60, 120), (30, 30)]


def test_a_window_shorter_than_a_bucket_is_one_bucket():
    (section,) = sections(window(10), MINUTE)
    assert section.bucket == dt.timedelta(seconds=10)
    begin = int(BEGIN.timestamp() * 1000)
    assert section.clause == f"SINCE {begin} UNTIL {begin + 10_000} TIMESERIES 10 seconds"


def test_long_windows_are_split():
    found = sections(window(86_400), MINUTE)
    counts = [(s.until - s.since) // s.bucket for s in found]
    assert max(counts) <= MOST_BUCKETS
    assert sum(counts) == 1440


def test_an_empty_window_has_no_section():
    assert sections(window(0), MINUTE) == []


@given(st.lists(st.floats(min_value=0, max_value=5000), min_size=2, max_size=8), st.integers(1, 90))
def test_windows_that_touch_have_sections_that_touch(offsets, bucket):
    moments = [BEGIN + dt.timedelta(seconds=offset) for offset in sorted(offsets)]
    found = [
        section
        for since, until in itertools.pairwise(moments)
        for section in sections(Window(since, until), dt.timedelta(seconds=bucket))
    ]
    for early, late in itertools.pairwise(found):
        assert early.until == late.since
    for section in found:
        assert (section.until - section.since) % section.bucket == dt.timedelta(0)
        assert section.since >= moments[0]
        assert not section.bucket % dt.timedelta(seconds=1)


def test_the_start_of_a_bucket_is_ours_though_the_answer_rounds():
    (section,) = sections(window(120), MINUTE)
    assert section.start_of(BEGIN.timestamp() + 60) == BEGIN + MINUTE
    assert section.start_of(BEGIN.timestamp() + 60.7) == BEGIN + MINUTE
    assert section.start_of(BEGIN.timestamp() + 90) == BEGIN + dt.timedelta(seconds=90)
