"""``airflow-cd backtest``, on a ledger and on plain files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.cli import main
from airflow_cd.commands.backtest import past_deployments
from airflow_cd.ledger import open_ledger
from airflow_cd.ledger.verdicts import Verdicts
from tests.commands.shop_ledger import shop_ledger
from tests.verification.shop_logs import INSTANCES, shop_logs


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    shop_ledger(url)
    return url


def replayed(url: str, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["backtest", "--service", "shop", "--environment", "production", "--json", *more, "--url", url]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_the_ledgers_deployments_are_judged_as_they_were(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = replayed(url, capsys)
    for sensitivity in ("low", "medium", "high"):
        score = found["sensitivities"][sensitivity]["deployments"]
        assert score["blocked_rightly"] == 1
        assert score["blocked_wrongly"] == 0
        assert score["passed_rightly"] == 4
        injected = found["sensitivities"][sensitivity]["injected"]
        assert injected["a new exception"]["blocked_rightly"] == 4
    (bad,) = [case for case in found["cases"] if not case["promoted"]]
    assert bad["version"] == "1.3"
    assert "events are unknown" in bad["answers"]["medium"]["reason"]


def test_what_people_say_today_counts_in_the_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = shop_ledger(url)
    (bad,) = ledger.deployments.matching("shop", "production", "rolled_back")
    for event in ledger.verdicts.of(bad.id)[-1].evidence["quality"]["events"]:
        if event["risk"]:
            ledger.feedback.record("shop", event["id"], "not_a_risk", who="ada", why="a test")
    score = replayed(url, capsys, "--no-injected")["sensitivities"]["medium"]["deployments"]
    assert (score["blocked_rightly"], score["missed"]) == (0, 1)


def test_a_table_names_what_went_wrong_and_the_page_stands_alone(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out.html"
    given = ["backtest", "--service", "shop", "--environment", "production", "--sensitivity", "medium"]
    expected = ["KeyError", "ZeroDivisionError", "ExportError", "TypeError"]
    assert main([*given, "--expected", *expected, "--report", str(page), "--url", url]) == 0
    said = capsys.readouterr().out
    assert "rolled back, and blocked" in said
    assert "At medium: 0 of 1 rolled-back deployments blocked" in said
    assert "medium: 1.3 of" in said
    assert "missed" in said
    content = page.read_text()
    assert "0 of 1 rolled-back deployments blocked" in content
    assert "http" not in content


def test_metrics_alone_to_blame_is_not_held_against_the_logs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(url)
    (bad,) = [one for one in past_deployments(ledger, "shop", "production") if one.version == "1.3"]
    assert bad.good is False
    original = Verdicts.of

    def by_metrics(self: Verdicts, deployment_id: str, phase: str | None = None) -> list[Any]:
        found = original(self, deployment_id, phase)
        for verdict in found:
            verdict.evidence.update(quality={"verdict": "PASS"}, performance={"verdict": "FAIL"})  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(Verdicts, "of", by_metrics)
    (bad,) = [one for one in past_deployments(ledger, "shop", "production") if one.version == "1.3"]
    assert bad.good is None


def test_plain_files_are_releases_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(1)
    for number in range(3):
        frame = shop_logs(rng, INSTANCES, 60, broken=number == 2)
        Path(f"{number}.log").write_text("\n".join(frame["message"]))
    assert main(["backtest", "--logs", "0.log", "1.log", "2.log", "--bad", "2.log", "--json", "out.json"]) == 0
    assert "At medium: 1 of 1 rolled-back deployments blocked, 0 of 1 good ones" in capsys.readouterr().out
    assert json.loads(Path("out.json").read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "needs deployments"),
        (["--service", "shop", "--environment", "nowhere"], "nothing of shop was ever deployed to 'nowhere'"),
        (["--service", "shop", "--environment", "production", "--baseline", "Previous"], "did you mean 'previous'"),
        (["--service", "shop", "--environment", "production", "--expected", "*"], "match nearly everything"),
        (["--service", "shop", "--environment", "production", "--report", "/no/such/folder/x"], "no folder"),
        (["--logs", "a.log", "--bad", "b.log"], "--bad names b.log"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    url: str, capsys: pytest.CaptureFixture[str], given: list[str], why: str
) -> None:
    assert main(["backtest", *given, "--url", url]) == 3
    assert why in capsys.readouterr().err
