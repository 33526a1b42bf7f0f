"""``airflow-cd feedback`` and ``airflow-cd baseline``, as a person calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_cd.cli import main
from airflow_cd.ledger import Ledger
from tests.commands.shop_ledger import shop_ledger


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    shop_ledger(f"sqlite:///{path}").engine.dispose()
    return path


@pytest.fixture
def url(filled: Path, tmp_path: Path) -> str:
    path = tmp_path / "ledger.db"
    path.write_bytes(filled.read_bytes())
    return f"sqlite:///{path}"


def red_event(ledger: Ledger) -> dict[str, str]:
    (bad,) = ledger.deployments.matching("shop", "production", "rolled_back")
    events = ledger.verdicts.of(bad.id)[-1].evidence["quality"]["events"]
    return next(event for event in events if event["exception"] == "KeyError")


def opened(url: str) -> Ledger:
    from airflow_cd.ledger import open_ledger

    return open_ledger(url)


def test_an_event_is_judged_by_the_beginning_of_its_id_and_keeps_its_message(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = red_event(opened(url))
    said = ["feedback", "set", "shop", event["id"][:6], "not-a-risk", "--why", "caught and retried", "--who", "ada"]
    assert main([*said, "--environment", "production", "--url", url]) == 0
    assert "KeyError" in capsys.readouterr().out
    (kept,) = opened(url).feedback.in_force("shop", "production")
    assert (kept.event_id, kept.says, kept.who, kept.why) == (event["id"], "not_a_risk", "ada", "caught and retried")
    assert (kept.template, "KeyError" in kept.sample) == (event["template"], True)
    assert opened(url).feedback.in_force("shop", "staging") == []


def test_what_is_in_force_is_listed_and_undone_by_its_number(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    event = red_event(opened(url))["id"]
    assert (
        main(["feedback", "set", "shop", event, "always-a-risk", "--why", "money", "--who", "ada", "--url", url]) == 0
    )
    capsys.readouterr()
    for place in ([], ["production"]):
        assert main(["feedback", "list", "shop", *place, "--url", url]) == 0
        listed = capsys.readouterr().out
        assert f"1  {event}  always a risk  everywhere  by ada" in listed
        assert "money" in listed
    assert main(["feedback", "undo", "1", "--why", "a mistake", "--who", "bob", "--url", url]) == 0
    capsys.readouterr()
    main(["feedback", "list", "shop", "--url", url])
    assert "No feedback on events of shop." in capsys.readouterr().out
    main(["feedback", "list", "shop", "--history", "--url", url])
    history = capsys.readouterr().out
    assert "undoes 1" in history
    assert "undone" in history
    assert main(["feedback", "undo", "1", "--why", "again", "--url", url]) == 3
    assert "undone already, by bob" in capsys.readouterr().err


def test_an_event_nobody_has_seen_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "set", "shop", "zzz", "not-a-risk", "--why", "x", "--url", url]) == 3
    assert "no event 'zzz'" in capsys.readouterr().err
    assert main(["feedback", "set", "shop", "", "not-a-risk", "--why", "x", "--url", url]) == 3
    assert "several events" in capsys.readouterr().err
    assert opened(url).feedback.history("shop") == []


def test_a_baseline_is_pinned_reset_and_taken_back(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def call(action: str, *more: str) -> str:
        given = ["baseline", action, "shop", "production", *more]
        why = [] if action == "list" else ["--why", f"the {action}", "--who", "ada"]
        assert main([*given, *why, "--url", url]) == 0
        return capsys.readouterr().out

    first = call("list")
    assert "the pipeline's choice is in force" in first
    assert [line.split()[1] for line in first.splitlines()[1:]] == ["1.4", "1.2", "1.1", "1.0"]
    assert "shop in production: pin 1.1 (" in call("pin", "1.1")
    assert "by ada" in call("list")
    assert "reset, by ada" in call("reset")
    assert opened(url).profiles.taught("shop", "production", "sumo", kind="logs") == []
    call("undo")
    assert {one.version for one in opened(url).profiles.taught("shop", "production", "sumo", kind="logs")} == {"1.1"}
    assert "the pipeline's choice is in force" in call("undo")
    assert call("list").count("undone") == 2


def test_a_baseline_that_was_rolled_back_cannot_be_pinned(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "pin", "shop", "production", "1.3", "--why", "x", "--url", url]) == 3
    assert "rolled back, not promoted" in capsys.readouterr().err
