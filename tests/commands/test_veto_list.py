"""``airflow-cd veto list``: everything in force, and everything of one environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_cd.cli import main
from airflow_cd.ledger import Ledger
from tests.commands.shop_ledger import shop_ledger


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ledger:
    url = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", url)
    assert main(["ledger", "migrate"]) == 0
    return shop_ledger(url)


def test_without_a_place_it_lists_every_veto_in_force(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    (veto,) = ledger.overview.vetoes_in_force()
    for place in ([], ["shop"]):
        assert main(["veto", "list", *place]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"shop in production: 1.3  {veto.digest[7:15]}  since ")
    assert main(["veto", "list", "shop", "production"]) == 0
    assert "in force" in capsys.readouterr().out
    assert main(["veto", "lift", "shop", "production", "1.3", "--why", "fixed"]) == 0
    capsys.readouterr()
    assert main(["veto", "list"]) == 0
    assert capsys.readouterr().out == "No veto is in force.\n"
    assert main(["veto", "list", "shop", "production"]) == 0
    assert "lifted by" in capsys.readouterr().out
