"""A server whose ledger is not the one that runs use shows and changes nothing; every page says which it shows."""

from __future__ import annotations

import pytest

from airflow_cd.cli import main
from airflow_cd.ledger import Ledger
from airflow_cd.same_ledger import ledger_in_use
from tests.plugin.conftest import ANOTHER_LEDGER, ClientAs


@pytest.mark.parametrize("path", ["deployments", "insights", "run/shop/one", "environment/shop/shop/live"])
def test_a_page_of_another_ledger_is_refused(another_ledger: str, client_as: ClientAs, path: str) -> None:
    answer = client_as("admin").get(f"/airflow-cd/{path}")
    assert answer.status_code == 503
    assert "this server's ledger is not the one this Airflow uses" in answer.json()["detail"]


def test_nobody_who_is_not_signed_in_learns_of_it(another_ledger: str, client_as: ClientAs) -> None:
    answer = client_as(None).get("/airflow-cd/deployments")
    assert answer.status_code == 401
    assert "ledger" not in answer.text


def test_a_page_of_a_run_that_began_with_another_ledger_is_refused(
    client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = {("shop", "old"): ANOTHER_LEDGER}
    monkeypatch.setattr("airflow_cd.plugin.same_ledger.ledger_of_run", lambda *run: began.get(run))
    answer = client_as("admin").get("/airflow-cd/run/shop/old")
    assert answer.status_code == 503
    assert "this server's ledger is not the one this run began with" in answer.json()["detail"]
    assert client_as("admin").get("/airflow-cd/run/shop/new").status_code != 503


def test_a_page_says_which_ledger_it_shows(client_as: ClientAs, ledger: Ledger) -> None:
    shown = client_as("admin").get("/airflow-cd/deployments").text
    assert f"Sqlite ledger {ledger.identity.get()[:8]}" in shown


def test_a_command_does_not_work_with_another_ledger_unless_it_is_named(
    another_ledger: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["waiting"]) == 3
    assert "this command's ledger is not the one this Airflow uses" in capsys.readouterr().err
    assert main(["waiting", "--url", ledger.name()]) == 0


def test_a_ledger_that_was_moved_on_purpose_is_used_from_then_on(
    another_ledger: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "identity"]) == 0
    assert f"Airflow uses {ANOTHER_LEDGER}" in capsys.readouterr().out
    assert main(["ledger", "use"]) == 0
    assert "Airflow uses this one" in capsys.readouterr().out
    assert ledger_in_use() == ledger.identity.get()
    assert main(["waiting"]) == 0
