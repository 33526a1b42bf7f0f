"""What the approval tells of commits: to the ledger for its page, and in the text that Airflow shows."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_cd.commits import Commit, CommitList, Commits
from airflow_cd.ledger import Ledger
from airflow_cd.sensors import ApprovalSensor, approval
from tests.plugin.deployed import Delivery

HOSTILE = "<img src=x> [here](javascript:alert(1)) `code`\nand more ![](https://spy.example.com)"


class Source:
    """Twelve commits, whatever is asked for; counts."""

    def __init__(self, unknown: str = "") -> None:
        self.asked: list[tuple[str | None, str]] = []
        self.unknown = unknown

    def between(self, before: str | None, after: str) -> Commits:
        self.asked.append((before, after))
        if self.unknown:
            return Commits(before or "", after, unknown=self.unknown)
        commits = tuple(Commit(f"{number:08x}", "Ada", None, f"{number} {HOSTILE}") for number in range(12))
        return Commits(before or "", after, CommitList(commits, 40))


@pytest.fixture
def ledger(new_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}/ledger.db")
    return new_ledger


def _asked(monkeypatch: pytest.MonkeyPatch, source: Source | None, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}

    def ask(ledger: Ledger, context: Any, **asked: Any) -> None:
        told.update(asked)

    monkeypatch.setattr(approval, "ask", ask)
    sensor = ApprovalSensor(
        task_id="approve",
        service="shop",
        environments=["edu", "staging", "production"],
        version="1.2",
        reason="",
        overrides="{}",
        commits=source,
        **more,
    )
    ti = SimpleNamespace(dag_id="shop", run_id="run-1.2", task_id="approve", try_number=1, max_tries=5, task=sensor)
    now = datetime.now(timezone.utc)
    run = SimpleNamespace(
        dag_id="shop", run_id="run-1.2", run_after=now, start_date=now, conf={}, triggering_user_name="ada"
    )
    sensor.execute({"ti": ti, "dag_run": run})  # type: ignore[typeddict-item]
    return told


def test_each_environment_is_told_what_it_would_get(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    Delivery(ledger, "shop", "1.0").promoted("edu")
    for environment in ("staging", "production"):
        Delivery(ledger, "shop", "1.1").promoted(environment)
    source = Source()
    told = _asked(monkeypatch, source, configurations={"production": {}})
    assert source.asked == [("1.0", "1.2"), ("1.1", "1.2")]
    assert {name: commits.before for name, commits in told["commits"].items()} == {
        "edu": "1.0",
        "staging": "1.1",
        "production": "1.1",
    }


def test_the_text_shows_the_newest_and_nothing_in_them_is_markup(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = _asked(monkeypatch, Source())["body"]
    lines = [line for line in body.splitlines() if HOSTILE[:10] in line]
    assert len(lines) == 3 * approval.LISTED
    assert "    - + and 30 more" in body.splitlines()
    for line in lines:
        # Sign, three code spans, and nothing outside of them that a markdown reader would follow.
        assert line.count("`") == 6
        assert not set("".join(line.split("`")[::2])) & set("<>[]()!&")


def test_what_cannot_be_read_is_said_there_too(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _asked(monkeypatch, Source("connection git_shop: git had no answer in time."))
    assert "`Commits unknown: connection git_shop: git had no answer in time.`" in told["body"]
    assert told["commits"]["edu"].unknown


def test_without_a_repository_nothing_is_said_of_commits(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _asked(monkeypatch, None)
    assert told["commits"] == {}
    assert "ommit" not in told["body"]
