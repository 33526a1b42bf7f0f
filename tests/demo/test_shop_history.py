"""The shop's git repository: the same every time, a tag for each release, its own code in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_cd import GitRepository
from airflow_cd.demo.shop import history
from airflow_cd.demo.shop.artifacts import ARTIFACTS
from tests.commits.repositories import needs_git


@needs_git
def test_each_release_brings_its_commits_and_its_code(tmp_path: Path) -> None:
    assert history.build(tmp_path / "shop.git") == ""
    repository = GitRepository(str(tmp_path / "shop.git"))
    before: str | None = None
    for artifact in ARTIFACTS:
        version = artifact.partition(":")[2]
        commits = repository.between(before, version)
        assert not commits.unknown
        assert 2 <= commits.brought.total <= 4
        assert not commits.taken_away.total
        before = version
    assert commits.brought.commits[0].subject == "Move to schema 8"


@needs_git
def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    made = [tmp_path / name / "shop.git" for name in ("one", "other")]
    for directory in made:
        assert history.build(directory) == ""
    first, second = (GitRepository(str(directory)).between(None, "1.4") for directory in made)
    assert first == second


def test_without_git_there_is_none_and_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert history.build(tmp_path / "shop.git") == "git is not installed"
