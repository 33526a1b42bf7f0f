"""A command that asks a ledger which is not there says so: an empty one would have a wrong answer to everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_cd.cli import main
from airflow_cd.ledger import open_ledger
from airflow_cd.ledger.schema import HEAD

WHY = ["--why", "the holidays"]
ASKING = [
    ["waiting"],
    ["audit", "verify"],
    ["guard", "--status"],
    ["veto", "list", "shop", "live"],
    ["veto", "lift", "shop", "live", "1.2", *WHY],
    ["freeze", "show", "shop", "live"],
    ["freeze", "set", "shop", "live", *WHY],
    ["feedback", "list", "shop"],
    ["feedback", "undo", "1", *WHY],
    ["baseline", "list", "shop", "live"],
    ["baseline", "pin", "shop", "live", "previous", *WHY],
    ["backtest", "--service", "shop", "--environment", "live"],
    ["ledger", "identity"],
    ["ledger", "revision"],
    ["ledger", "use"],
]


@pytest.mark.parametrize("command", ASKING, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("emptied", [False, True], ids=["absent", "empty file"])
def test_it_is_refused_and_not_made(
    command: list[str], emptied: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "typo" / "ledger.db"
    if emptied:
        file.parent.mkdir()
        file.touch()
    assert main([*command, "--url", f"sqlite:///{file}"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert f"there is no ledger sqlite:///{file}" in told.err
    assert "airflow-cd ledger migrate" in told.err
    assert [path.name for path in tmp_path.rglob("*")] == (["typo", "ledger.db"] if emptied else [])


def test_one_that_was_opened_and_is_gone_is_refused_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{file}")
    file.unlink()
    assert main(["audit", "verify", "--url", f"sqlite:///{file}"]) == 3
    assert not file.exists()


def test_migrating_makes_it_and_says_nothing_but_its_version_on_standard_output(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        # Others run in this process may have set one.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    command = [sys.executable, "-m", "airflow_cd.cli"]
    made = subprocess.run([*command, "ledger", "migrate"], env=environment, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stdout) == (0, f"{HEAD}\n")
    assert f"Making a new ledger, sqlite:///{home}/airflow_cd.db." in made.stderr.splitlines()
    assert "alembic" not in made.stderr
    asked = subprocess.run([*command, "waiting"], env=environment, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (0, "Nothing waits for an answer.\n")


def test_an_empty_log_of_manual_actions_is_not_said_to_be_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert main(["audit", "verify", "--url", ledger.name()]) == 0
    assert capsys.readouterr().out == "The log of manual actions is empty: there is nothing to check.\n"
    ledger.freezes.freeze("shop", "live", who="ada", why="the holidays")
    assert main(["audit", "verify", "--url", ledger.name()]) == 0
    assert capsys.readouterr().out.startswith("1 record, in order. The newest: ")
    assert main(["guard", "--status", "--url", ledger.name()]) == 1
    assert "No guard acts." in capsys.readouterr().out
