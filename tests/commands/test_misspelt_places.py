"""What is said of an environment that nobody knows would protect nothing: the command names what was meant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from airflow_cd.cli import main
from airflow_cd.ledger import Ledger, open_ledger

WHY = ["--why", "the holidays", "--who", "ada"]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger in which runs have been at three places; freezing was tried at a fourth."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    for service, environment in (("ledgers", "live"), ("payments", "production"), ("payments", "staging")):
        ledger.leases.acquire(service, environment, pipeline="p", run_id="r", ttl=timedelta(minutes=1))
    ledger.freezes.freeze("payments", "prod-eu", who="ada", why="by hand")
    ledger.freezes.lift("payments", "prod-eu", who="ada", why="by hand")
    return ledger


def refused(ledger: Ledger, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main([*command, "--url", ledger.name()]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


@pytest.mark.parametrize(
    "command",
    [
        ["freeze", "set", *WHY],
        ["freeze", "lift", *WHY],
        ["freeze", "show"],
        ["veto", "list"],
        ["veto", "lift", "1.2", *WHY],
        ["baseline", "list"],
        ["baseline", "pin", "control", *WHY],
        ["baseline", "reset", *WHY],
        ["baseline", "undo", *WHY],
        ["feedback", "list"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_names_the_place_that_was_meant(
    command: list[str], ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(ledger.audit.actions())
    said = refused(ledger, capsys, *command[:2], "payments", "prodution", *command[2:])
    assert "nothing of payments was ever deployed to 'prodution': did you mean 'production'?" in said
    assert ("--force" in said) is (command[:2] in (["freeze", "set"], ["baseline", "pin"], ["baseline", "reset"]))
    said = refused(ledger, capsys, *command[:2], "Paymnts", "production", *command[2:])
    assert "never seen a service 'Paymnts': did you mean 'payments'?" in said
    assert len(ledger.audit.actions()) == before


def test_names_are_listed_where_none_is_like_it(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(ledger, capsys, "freeze", "set", "payments", "edge", *WHY)
    assert "deployed to 'edge': there are production, staging." in said
    said = refused(ledger, capsys, "feedback", "set", "ledgers", "66b7", "not-a-risk", "--environment", "lvie", *WHY)
    assert "did you mean 'live'?" in said


def test_an_environment_that_is_new_can_be_frozen_by_force_and_lifted_without(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["payments", "edge"]
    assert main(["freeze", "set", *place, *WHY, "--force", "--url", ledger.name()]) == 0
    assert ledger.freezes.in_force("payments", "edge") is not None
    assert main(["freeze", "show", *place, "--url", ledger.name()]) == 0
    assert "by ada: the holidays" in capsys.readouterr().out
    assert main(["freeze", "lift", *place, *WHY, "--url", ledger.name()]) == 0
    capsys.readouterr()
    assert "was ever deployed to 'edge'" in refused(ledger, capsys, "freeze", "show", *place)


def test_an_empty_ledger_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = open_ledger(f"sqlite:///{tmp_path / 'empty.db'}")
    said = refused(empty, capsys, "freeze", "set", "payments", "production", *WHY)
    assert f"the ledger {empty.name()} has seen no deployment yet, of any service." in said
    assert main(["waiting", "payments", "--url", empty.name()]) == 0
    assert "never seen a service 'payments': there are none" in capsys.readouterr().err


def test_feedback_that_is_not_there_names_the_command_that_lists_it(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nobody has given feedback in this ledger yet" in refused(ledger, capsys, "feedback", "undo", "1", *WHY)
    ledger.feedback.record("payments", "66b7a886bd5a", "not_a_risk", who="ada", why="a test")
    assert "`airflow-cd feedback list payments --history`" in refused(ledger, capsys, "feedback", "undo", "7", *WHY)
