"""A frozen environment: nothing begins there, what is under way goes on, and rolling back stays possible."""

from __future__ import annotations

import pytest

from airflow_cd.cli import main
from airflow_cd.delivery import Delivery
from airflow_cd.errors import EnvironmentFrozen, LedgerRefused
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from tests.memory_target import MemoryTarget, wholly_on

OLD = Release("shop", "1.1", "shop:1.1")
NEW = Release("shop", "1.2", "shop:1.2")
NEWER = Release("shop", "1.3", "shop:1.3")
PLACE = ("shop", "production")


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


def at_work(ledger: Ledger, target: MemoryTarget, run_id: str) -> Delivery:
    service, environment = PLACE
    return Delivery(
        ledger, target, pipeline="shop", run_id=run_id, service=service, environment=environment, log=lambda line: None
    )


def test_a_freeze_keeps_deployments_from_beginning_until_it_is_lifted(ledger: Ledger) -> None:
    target = MemoryTarget(["shop-1", "shop-2"], OLD)
    ledger.freezes.freeze(*PLACE, who="ada", why="the holidays")
    one = at_work(ledger, target, "one")
    with pytest.raises(EnvironmentFrozen, match=r"frozen since .* by ada: the holidays") as refused:
        one.deploy(NEW, phase="all")
    one.release_lease()
    assert "nothing was changed" in str(refused.value)
    assert wholly_on(target, OLD)
    assert ledger.deployments.of_run("shop", "one", *PLACE) is None
    ledger.freezes.lift(*PLACE, who="bob", why="they are over")
    at_work(ledger, target, "two").deploy(NEW, phase="all")
    assert wholly_on(target, NEW)


def test_what_is_under_way_goes_on_and_may_be_rolled_back(ledger: Ledger) -> None:
    target = MemoryTarget(["shop-1", "shop-2"], OLD)
    mine = at_work(ledger, target, "one")
    mine.deploy(NEW, phase="half", share=50)
    ledger.freezes.freeze(*PLACE, who="ada", why="the holidays")
    mine.deploy(NEW, phase="all", share=100)
    mine.promote("verified")
    mine.release_lease()
    assert wholly_on(target, NEW)
    back = at_work(ledger, target, "back")
    back.deploy(OLD, phase="rollback", to_earlier=True)
    assert wholly_on(target, OLD)


def test_another_environment_and_service_are_not_frozen(ledger: Ledger) -> None:
    ledger.freezes.freeze(*PLACE, who="ada", why="the holidays")
    assert ledger.freezes.in_force("shop", "staging") is None
    assert ledger.freezes.in_force("basket", "production") is None


def test_all_freezes_in_force_are_those_of_each_environment(ledger: Ledger) -> None:
    for environment in ("staging", "production", "edu"):
        ledger.freezes.freeze("shop", environment, who="ada", why="the holidays")
    ledger.freezes.lift("shop", "edu", who="ada", why="they are over")
    ledger.freezes.lift("shop", "staging", who="ada", why="they are over")
    ledger.freezes.freeze("shop", "staging", who="bob", why="more of them")
    assert list(ledger.freezes.all_in_force()) == [
        ledger.freezes.in_force("shop", name) for name in ("production", "staging")
    ]
    assert [one.who for one in ledger.freezes.all_in_force()] == ["ada", "bob"]


def test_a_freeze_needs_a_reason_and_is_not_doubled(ledger: Ledger) -> None:
    with pytest.raises(LedgerRefused, match="reason"):
        ledger.freezes.freeze(*PLACE, who="ada", why=" ")
    with pytest.raises(LedgerRefused, match="not frozen"):
        ledger.freezes.lift(*PLACE, who="ada", why="x")
    ledger.freezes.freeze(*PLACE, who="ada", why="the holidays")
    with pytest.raises(LedgerRefused, match="frozen already, by ada: the holidays"):
        ledger.freezes.freeze(*PLACE, who="bob", why="mine")
    assert ledger.audit.verify().whole
    assert [one.who for one in ledger.audit.actions()] == ["ada"]


def test_the_command_freezes_and_lifts(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    url = ["--url", str(ledger.engine.url)]
    at_work(ledger, MemoryTarget(["shop-1"], OLD), "one").deploy(NEW, phase="all")
    assert main(["freeze", "set", *PLACE, "--why", "the holidays", "--who", "ada", *url]) == 0
    assert main(["freeze", "show", *PLACE, *url]) == 0
    assert "by ada: the holidays" in capsys.readouterr().out
    assert main(["freeze", "lift", *PLACE, "--why", "over", *url]) == 0
    assert ledger.freezes.in_force(*PLACE) is None
    assert main(["freeze", "lift", *PLACE, "--why", "over", *url]) == 3
