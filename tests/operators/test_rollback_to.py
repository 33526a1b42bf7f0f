"""Which release a person's rollback goes back to, and what it does when that cannot be."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.delivery import Delivery
from airflow_cd.errors import RollbackIncomplete
from airflow_cd.ledger import Ledger
from airflow_cd.operators import RollbackToOperator
from airflow_cd.release import Release
from tests.memory_target import MemoryTarget

NAMES = ["shop-0", "shop-1"]
RELEASES = [Release("shop", version, f"shop:{version}", {"limit": number}) for number, version in enumerate("abcd")]


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget(NAMES, RELEASES[0])


@pytest.fixture
def ledger(new_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: MemoryTarget) -> Ledger:
    """Production got a, b, c and d, and c was taken back once and is vetoed."""
    _requested.cache_clear()
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", url)
    ledger = new_ledger
    for number, release in enumerate(RELEASES):
        run = _delivery(ledger, target, f"run-{number}")
        run.deploy(release, phase="all")
        run.promote("verified")
        run.release_lease()
    again = _delivery(ledger, target, "run-c-again")
    again.deploy(RELEASES[2], phase="all")
    again.roll_back("errors rose")
    again.release_lease()
    return ledger


@functools.cache
def _requested(_target: int) -> datetime:
    """When the rollback was asked for, at every try."""
    return datetime.now(timezone.utc)


def _delivery(ledger: Ledger, target: MemoryTarget, run_id: str, pipeline: str = "shop") -> Delivery:
    if pipeline == "shop-rollback":
        _requested(id(target))
    where = {"pipeline": pipeline, "service": "shop", "environment": "production"}
    return Delivery(ledger, target, run_id=run_id, log=lambda line: None, timeout=timedelta(seconds=1), **where)


def _execute(target: MemoryTarget, release: str = "", **changes: Any) -> dict[str, Any]:
    operator = RollbackToOperator(
        task_id="deploy",
        **{
            "service": "shop",
            "environment": "production",
            "target": {"production": target},
            "release": release,
            "reason": "checkout is down",
            "timeout_healthy": timedelta(seconds=1),
            **changes,
        },
    )
    requested = _requested(id(target))
    run = SimpleNamespace(
        dag_id="shop-rollback", run_id="back", run_after=requested, start_date=requested, triggering_user_name="ada"
    )
    context: Any = {"dag_run": run, "ti": SimpleNamespace(task=operator, xcom_pull=lambda **asked: None)}
    return operator.execute(context)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        # c is vetoed, so the last good one before d is b.
        ("", 1),
        ("a", 0),
        (" b ", 1),
        (RELEASES[0].digest, 0),
        (RELEASES[0].digest[7:15], 0),
    ],
)
def test_a_version_or_a_digest_names_it_and_nothing_means_the_last_good_one(
    ledger: Ledger, target: MemoryTarget, wanted: str, expected: int
) -> None:
    result = _execute(target, wanted)
    assert set(target.running().values()) == {RELEASES[expected].artifact}
    assert str(RELEASES[expected]) == result["restored"]
    last = ledger.deployments.last_promoted("shop", "production")
    assert last is not None
    assert (last.reason, last.triggered_by) == ("checkout is down", "ada")


@pytest.mark.parametrize(
    ("wanted", "says"), [("9.9", "no release 9.9 was promoted"), ("c", "errors rose"), ("d", "already")]
)
def test_what_was_never_good_or_is_vetoed_is_refused_for_good(
    ledger: Ledger, target: MemoryTarget, wanted: str, says: str
) -> None:
    before = target.running()
    with pytest.raises(AirflowFailException, match=says):
        _execute(target, wanted)
    assert target.running() == before


def test_what_was_left_half_deployed_goes_back_to_the_last_good_one(ledger: Ledger, target: MemoryTarget) -> None:
    dead = _delivery(ledger, target, "dead")
    dead.deploy(Release("shop", "e", "shop:e"), phase="half", share=50)
    lease = ledger.leases.current("shop", "production")
    assert lease is not None
    ledger.leases.release(lease)
    back = _delivery(ledger, target, "back", pipeline="shop-rollback")
    back.acquire(restore=False)
    assert _execute(target)["restored"] == str(RELEASES[3])
    assert set(target.running().values()) == {RELEASES[3].artifact}
    assert {veto.version for veto in ledger.vetoes.of("shop", "production")} == {"c", "e"}


def test_the_next_try_goes_on_with_the_release_of_the_first(ledger: Ledger, target: MemoryTarget) -> None:
    target.broken.add(RELEASES[1].artifact)
    with pytest.raises(RollbackIncomplete, match="no module named tax"):
        _execute(target)
    target.broken.clear()
    assert _execute(target)["restored"] == str(RELEASES[1])
    assert set(target.running().values()) == {RELEASES[1].artifact}


def test_an_environment_without_a_target_is_named(ledger: Ledger, target: MemoryTarget) -> None:
    with pytest.raises(AirflowFailException, match="'staging' has no target here; those that have: production"):
        _execute(target, environment="staging")
