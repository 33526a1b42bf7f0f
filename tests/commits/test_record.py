"""Commits as they are kept: what was written comes back, and nothing that was written can harm who reads it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.commits import Commit, CommitList, Commits, version_before
from airflow_cd.commits.record import COUNTED
from airflow_cd.release import Release

_commit = st.builds(
    Commit,
    id=st.text("0123456789abcdef", min_size=40, max_size=40),
    author=st.text(),
    at=st.none() | st.datetimes(timezones=st.just(timezone.utc)),
    subject=st.text(),
    page=st.text(),
)
_list = st.builds(CommitList, st.lists(_commit, max_size=3).map(tuple), st.integers(0, COUNTED))
_commits = st.builds(Commits, st.text(), st.text(), _list, _list, st.text())
_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_commits)
def test_what_is_written_comes_back(commits: Commits) -> None:
    assert Commits.from_dict(json.loads(json.dumps(commits.as_dict()))) == commits


@given(_json)
def test_what_cannot_be_read_is_unknown_and_stops_nobody(content: Any) -> None:
    assert Commits.from_dict(content).unknown


@given(_commits, st.sampled_from(["before", "after", "brought", "taken_away", "unknown"]), _json)
def test_a_part_that_cannot_be_read_stops_nobody(commits: Commits, part: str, content: Any) -> None:
    assert Commits.from_dict({**commits.as_dict(), part: content}).summary


def _some(count: int, total: int | None = None) -> CommitList:
    at = datetime(2026, 11, 23, tzinfo=timezone.utc)
    made = tuple(Commit(f"{number:040x}", "Ada", at, f"nr {number}") for number in range(count))
    return CommitList(made, count if total is None else total)


@pytest.mark.parametrize(
    ("commits", "says"),
    [
        (Commits("1.0", "1.1", _some(1)), "1.1 brings 1 commit that 1.0 has not."),
        (Commits("", "1.0", _some(2, 12)), "1.0 has 12 commits; nothing ran before it."),
        (Commits("", "1.0", _some(2, COUNTED)), f"1.0 has {COUNTED} or more commits; nothing ran before it."),
        (Commits("1.1", "1.0", taken_away=_some(3)), "A step back: 1.0 lacks 3 commits of 1.1, and brings none."),
        (
            Commits("1.1", "1.0.1", _some(1), _some(3)),
            "1.0.1 brings 1 commit that 1.1 has not, and lacks 3 commits of 1.1.",
        ),
        (Commits("1.1", "1.1-rc", unknown=""), "1.1-rc has the same commits as 1.1."),
        (Commits("1.1", "1.1"), "No commits: 1.1 runs already."),
        (Commits("1.0", "1.1", unknown="no answer."), "Commits unknown: no answer."),
    ],
)
def test_one_sentence_says_it(commits: Commits, says: str) -> None:
    assert commits.summary == says


@pytest.mark.parametrize(
    ("page", "leads"),
    [
        ("https://git.example.com/c/1", True),
        ("http://git.example.com/c/1", True),
        ("javascript:alert(1)", False),
        ("//git.example.com/c/1", False),
        ("https://ada:secret@git.example.com/c/1", False),
        ("https://[half", False),
        ("", False),
    ],
)
def test_a_link_leads_to_web_pages_only(page: str, leads: bool) -> None:
    assert Commit("a" * 40, "Ada", None, "", page).link == (page if leads else "")


def test_what_ran_before_is_what_most_instances_ran() -> None:
    old, new = (Release("shop", version, f"shop:{version}") for version in ("1.0", "1.1"))
    assert version_before([old, new, new]) == "1.1"
    assert version_before([None, None, new]) is None
    assert version_before([]) is None
