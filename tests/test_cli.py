"""The command, as a person calls it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_cd.cli import COMMANDS, main
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger in which two releases of version 1.2 were rolled back."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = open_ledger(url)
    for number, configuration in enumerate(({}, {"timeout": 1})):
        run = f"run-{number}"
        where = {"pipeline": "storefront", "run_id": run, "ttl": timedelta(hours=1)}
        lease = ledger.leases.acquire("shop", "production", **where)  # type: ignore[arg-type]
        deployment = ledger.deployments.open(
            lease,
            Release("shop", "1.2", "shop:1.2", configuration),
            previous={"shop-01": Release("shop", "1.1", "shop:1.1")},
            reason="",
            triggered_by="alice",
            rollback="automatic",
            learn=False,
            requested_at=AT + timedelta(minutes=number),
        )
        ledger.settlement.begin_rollback(deployment.id, token=lease.token, outcome="4 exceptions never seen before")
        ledger.settlement.finish_rollback(deployment.id, token=lease.token, restored=True, outcome="4 exceptions")
        ledger.leases.release(lease)
    return url


def test_what_waits_is_listed_with_for_whom_and_until_when(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["waiting", "--url", url]) == 0
    assert capsys.readouterr().out == "Nothing waits for an answer.\n"
    deadline = datetime.now(timezone.utc) + timedelta(hours=1)
    open_ledger(url).questions.ask(
        pipeline="storefront",
        run_id="run-1",
        task_id="production.phase_20.verify",
        options=["Go on", "Keep watching", "Roll back"],
        approvers=[],
        subject="shop 1.2 in production, phase_20: not enough evidence to decide.\x1b[2J",
        body="",
        deadline=deadline,
    )
    assert main(["waiting", "shop", "--url", url]) == 0
    said = capsys.readouterr().out
    assert "waits for anyone who may edit the run since" in said
    assert f"at most until {deadline:%Y-%m-%d %H:%M} UTC" in said
    assert "Go on, Keep watching, Roll back: task production.phase_20.verify of run run-1 of storefront" in said
    assert "\x1b" not in said
    assert main(["waiting", "billing", "--url", url]) == 0
    told = capsys.readouterr()
    assert told.out == "Nothing of billing waits for an answer.\n"
    assert "never seen a service 'billing': there is shop" in told.err


def test_a_veto_is_listed_with_its_reason(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["veto", "list", "shop", "production", "--url", url]) == 0
    said = capsys.readouterr().out
    assert said.count("in force") == 2
    assert "4 exceptions" in said


def test_a_veto_is_lifted_by_digest_with_who_and_why(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    digest = Release("shop", "1.2", "shop:1.2").digest
    lift = ["veto", "lift", "shop", "production", digest[7:15], "--why", "fixed", "--who", "alice", "--url", url]
    assert main(lift) == 0
    assert "may be deployed to production again" in capsys.readouterr().out
    [action] = open_ledger(url).audit.actions()
    assert (action.who, action.why) == ("alice", "fixed")
    assert main(lift) == 3
    assert "no veto is in force" in capsys.readouterr().err


def test_a_version_that_several_releases_have_is_not_guessed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["veto", "lift", "shop", "production", "1.2", "--why", "fixed", "--url", url]) == 3
    assert "matches several vetoed releases" in capsys.readouterr().err
    assert not [veto for veto in open_ledger(url).vetoes.of("shop", "production") if veto.lifted_at]


def test_a_veto_is_not_lifted_without_a_reason(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    digest = Release("shop", "1.2", "shop:1.2").digest
    assert main(["veto", "lift", "shop", "production", digest, "--why", " ", "--url", url]) == 3
    assert "requires a reason" in capsys.readouterr().err


def test_it_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"airflow-cd {version('airflow-cd')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["verfy"],
        ["--no-such-option"],
        *[[command, "--no-such-option"] for command in COMMANDS],
        *[[command, "--no-such-option", "list", "x"] for command in ("veto", "feedback", "baseline")],
        *[[command, "lst"] for command in ("ledger", "veto", "feedback", "baseline")],
        ["ledger", "migrate", "--no-such-option"],
        ["veto", "list", "shop", "live", "more"],
        ["veto", "lift", "shop", "production", "1.2"],
        ["feedback", "undo", "first", "--why", "x"],
        ["backtest", "--last", "many"],
        ["backtest", "--sensitivity", "huge"],
        ["demo", "--port", "http"],
    ],
)
def test_a_misspelt_command_line_is_no_verdict(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "usage: airflow-cd" in told.err
    assert "error: " in told.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: airflow-cd {command}" in capsys.readouterr().out


def test_a_ledger_that_cannot_be_reached_is_an_error_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql+psycopg2://ada@127.0.0.1:1/ledger"
    assert main(["veto", "list", "shop", "production", "--url", url]) == 3
    assert re.search(r"\Athe ledger .* cannot be opened: .* Next: .*\n\Z", capsys.readouterr().err)


def test_what_else_an_exit_code_says_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("guard", "check"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "exit codes" in capsys.readouterr().out


def test_the_help_lists_every_kind_of_metric(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_cd.verification.metrics.kinds import KINDS

    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"{', '.join(KINDS[:-1])} or {KINDS[-1]}" in said
