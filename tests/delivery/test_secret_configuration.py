from __future__ import annotations

import base64
import json
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.handover import Handover, restore_unrecorded
from airflow_cd.errors import LedgerUnavailable, ReleaseError, TargetRejected
from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.release import Release, changes
from airflow_cd.targets.rollout import differences
from tests.memory_target import MemoryTarget

NAMES = [f"shop-{number}" for number in range(5)]
OLD_KEY, NEW_KEY = "tulip+in/spring &", "aster+in/autumn &"
OLD = Release("shop", "1.1", "shop:1.1", {"db": {"password": "secret:shop_db/password"}, "limit": 5})
NEW = Release("shop", "1.2", "shop:1.2", {"db": {"password": "secret:shop_db/password"}, "limit": 7})


@pytest.fixture
def ledger(new_ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SECRET_KEY", "a key of the tests")
    return new_ledger


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Put a password into the connection, or take it away."""

    def keep(password: str | None) -> None:
        if password is None:
            monkeypatch.delenv("AIRFLOW_CONN_SHOP_DB", raising=False)
        else:
            monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgres://shop:{quote(password, safe='')}@db/shop")

    keep(OLD_KEY)
    return keep


def delivery(
    ledger: Ledger, target: MemoryTarget, run_id: str, log: Callable[[str], None] = lambda line: None
) -> Delivery:
    return Delivery(
        ledger, target, pipeline="shop", run_id=run_id, service="shop", environment="production",
        log=log, timeout=timedelta(seconds=2),
    )  # fmt: skip


def passwords(target: MemoryTarget) -> list[str]:
    return [instance.configuration["db"]["password"] for instance in target.state.values()]


def deployed(ledger: Ledger, target: MemoryTarget, release: Release, run_id: str) -> None:
    mine = delivery(ledger, target, run_id)
    mine.deploy(release, phase="all")
    mine.promote("good")
    mine.settle()


def everything_written(ledger: Ledger) -> bytes:
    """Every byte of the ledger's files, and every cell of its tables."""
    path = Path(str(ledger.engine.url.database))
    with sqlite3.connect(path) as connection:
        dump = "\n".join(connection.iterdump())
    return b"".join(one.read_bytes() for one in path.parent.iterdir() if one.is_file()) + dump.encode()


def forms(secret: str) -> list[bytes]:
    data = secret.encode()
    return [
        data,
        base64.b64encode(data),
        base64.urlsafe_b64encode(data),
        quote(secret).encode(),
        quote(secret, safe="").encode(),
    ]


def assert_not_written(ledger: Ledger, *secrets: str) -> None:
    written = everything_written(ledger)
    assert b"secret:shop_db/password" in written
    for secret in secrets:
        for form in forms(secret):
            assert form not in written


def test_the_target_gets_the_secret_and_the_ledger_the_reference(ledger: Ledger, kept: Callable[..., None]) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    assert passwords(target) == [OLD_KEY] * 5
    last = ledger.deployments.last_promoted("shop", "production")
    assert last is not None
    assert last.release.configuration == OLD.configuration
    assert_not_written(ledger, OLD_KEY)


def test_a_rollback_gives_back_what_ran_although_the_secret_was_rotated(
    ledger: Ledger, kept: Callable[..., None]
) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    kept(NEW_KEY)
    said: list[str] = []
    mine = delivery(ledger, target, "run-2", said.append)
    mine.deploy(NEW, phase="phase_20", share=20)
    assert passwords(target) == [NEW_KEY] + [OLD_KEY] * 4
    assert any("db.password: secret:shop_db/password has another value" in line for line in said)
    # As after a verdict: another process, which knows only what the ledger knows.
    delivery(ledger, target, "run-2").roll_back("it was slow")
    assert passwords(target) == [OLD_KEY] * 5
    assert {one.artifact for one in target.state.values()} == {"shop:1.1"}
    assert_not_written(ledger, OLD_KEY, NEW_KEY)


def test_after_the_last_phase_a_rollback_takes_the_present_secret(ledger: Ledger, kept: Callable[..., None]) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    kept(NEW_KEY)
    delivery(ledger, target, "run-2").deploy(NEW, phase="phase_100")
    delivery(ledger, target, "run-2").roll_back("it was slow")
    assert passwords(target) == [NEW_KEY] * 5


def test_a_rollback_needs_no_secrets_backend(ledger: Ledger, kept: Callable[..., None]) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    delivery(ledger, target, "run-2").deploy(NEW, phase="phase_100")
    kept(None)
    delivery(ledger, target, "run-2").roll_back("it was slow")
    assert passwords(target) == [OLD_KEY] * 5
    assert {one.artifact for one in target.state.values()} == {"shop:1.1"}


def test_deploying_the_same_release_again_brings_the_rotated_secret(ledger: Ledger, kept: Callable[..., None]) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    kept(NEW_KEY)
    mine = delivery(ledger, target, "run-2")
    mine.deploy(OLD, phase="phase_20", share=20)
    mine.deploy(OLD, phase="phase_100")
    mine.promote("good")
    assert passwords(target) == [NEW_KEY] * 5


def test_a_secret_that_something_else_deployed_is_sealed_and_given_back(
    ledger: Ledger, kept: Callable[..., None]
) -> None:
    before = Release("shop", "1.0", "shop:1.0", {"db": {"password": "violet+in/may &"}, "api": {"token": "rose9"}})
    target = MemoryTarget(NAMES, before)
    mine = delivery(ledger, target, "run-1")
    mine.deploy(NEW, phase="phase_20", share=20)
    delivery(ledger, target, "run-1").roll_back("it was slow")
    assert passwords(target) == ["violet+in/may &"] * 5
    assert_not_written(ledger, OLD_KEY, "violet+in/may &", "rose9")
    captured = next(iter(ledger.deployments.matching(pipeline="shop"))).previous["shop-0"]
    assert captured is not None
    rows = {name: (was, now) for name, was, now in changes(captured, NEW)}
    was, now = rows["configuration: db"]
    assert was["password"].startswith("a secret (")
    assert now["password"] == "secret:shop_db/password"


def test_a_secret_changed_on_an_instance_is_seen_and_not_shown(ledger: Ledger, kept: Callable[..., None]) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    target.state["shop-3"] = replace(target.state["shop-3"], configuration={"db": {"password": "violet"}, "limit": 5})
    mine = delivery(ledger, target, "run-2")
    (sentence,) = differences(mine.target.instances(), dict.fromkeys(NAMES, OLD))
    assert "shop-3 has db" in sentence
    assert "a secret (" in sentence
    assert "violet" not in sentence


def test_a_reference_that_leads_nowhere_is_refused_before_anything_changes(
    ledger: Ledger, kept: Callable[..., None]
) -> None:
    target = MemoryTarget(NAMES, Release("shop", "1.0", "shop:1.0"))
    kept(None)
    with pytest.raises(ReleaseError, match=r"secret:shop_db/password cannot be resolved: there is no connection"):
        delivery(ledger, target, "run-1").deploy(NEW, phase="all")
    assert target.calls == []


def test_what_the_target_quotes_of_a_secret_is_not_passed_on(ledger: Ledger, kept: Callable[..., None]) -> None:
    class Quoting(MemoryTarget):
        def deploy(self, release, instances, *, key, token):  # type: ignore[no-untyped-def]
            raise TargetRejected(f"invalid configuration: {release.configuration}")

    target = Quoting(NAMES, Release("shop", "1.0", "shop:1.0"))
    with pytest.raises(TargetRejected) as refused:
        delivery(ledger, target, "run-1").deploy(NEW, phase="all")
    assert OLD_KEY not in str(refused.value)
    assert_not_written(ledger, OLD_KEY)


def test_what_a_crashing_instance_says_of_its_secret_is_not_written(ledger: Ledger, kept: Callable[..., None]) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    target.state["shop-1"] = replace(target.state["shop-1"], health="unhealthy", message=f"login failed: {OLD_KEY}")
    delivery(ledger, target, "run-2")._changes.observe()
    assert_not_written(ledger, OLD_KEY)


def test_plain_values_keep_their_look_of_a_secret(ledger: Ledger) -> None:
    token = "token-of-the-garden-gate-4711"
    first = Release("shop", "1.0", "shop:1.0", {"gate_token": f"plain:{token}"})
    target = MemoryTarget(NAMES)
    deployed(ledger, target, first, "run-1")
    assert target.state["shop-0"].configuration == {"gate_token": token}
    second = Release("shop", "1.1", "shop:1.1", {"gate_token": f"plain:{token}", "limit": 1})
    delivery(ledger, target, "run-2").deploy(second, phase="phase_20", share=20)
    delivery(ledger, target, "run-2").roll_back("it was slow")
    assert {str(one.configuration) for one in target.state.values()} == {str({"gate_token": token})}


def test_releases_from_before_secrets_were_refused_can_be_gone_back_to(ledger: Ledger) -> None:
    old = Release("shop", "1.0", "shop:1.0", {"db_password": "tulip"})
    target = MemoryTarget(NAMES)
    deployed(ledger, target, old, "run-1")
    delivery(ledger, target, "run-2").deploy(Release("shop", "1.1", "shop:1.1"), phase="all")
    delivery(ledger, target, "run-2").roll_back("it was slow")
    assert {str(one.configuration) for one in target.state.values()} == {str({"db_password": "tulip"})}
    assert changes(old, Release("shop", "1.1", "shop:1.1"))[2][1].startswith("a secret (")


def test_secrets_need_a_key_before_anything_changes(
    ledger: Ledger, kept: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SECRET_KEY", "")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    target = MemoryTarget(NAMES, Release("shop", "1.0", "shop:1.0"))
    with pytest.raises(ReleaseError, match="no key"):
        delivery(ledger, target, "run-1").deploy(NEW, phase="all")
    assert target.calls == []


def test_a_key_that_is_replaced_still_opens_what_it_sealed(
    ledger: Ledger, kept: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = MemoryTarget(NAMES, Release("shop", "1.0", "shop:1.0", {"db": {"password": "violet9"}}))
    delivery(ledger, target, "run-1").deploy(NEW, phase="all")
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SECRET_KEY", "another key, a key of the tests")
    delivery(ledger, target, "run-1").roll_back("it was slow")
    assert passwords(target) == ["violet9"] * 5


def test_ledger_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "place"
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA user_version")
        found = {one.name: stat.S_IMODE(one.stat().st_mode) for one in directory.iterdir()}
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm"} <= set(found)
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("backend", [True, False])
def test_restoring_without_the_ledger_gives_the_secret_and_not_its_reference(
    ledger: Ledger, kept: Callable[..., None], backend: bool
) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    handed: list[Handover] = []
    delivery(ledger, target, "run-2").deploy(NEW, phase="phase_20", share=20, hand_over=handed.append)
    kept(NEW_KEY if backend else None)
    again = Handover.from_dict(json.loads(json.dumps(handed[0].as_dict())))
    assert OLD_KEY not in json.dumps(handed[0].as_dict())
    restore_unrecorded(target, again, environment="production", timeout=timedelta(seconds=2), log=lambda line: None)
    assert passwords(target) == [OLD_KEY] * 5
    assert {one.artifact for one in target.state.values()} == {"shop:1.1"}


def test_a_ledger_that_is_away_is_not_asked_at_every_value(
    ledger: Ledger, kept: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = MemoryTarget(NAMES)
    deployed(ledger, target, OLD, "run-1")
    asked: list[object] = []

    def away(*place: object) -> None:
        asked.append(place)
        raise LedgerUnavailable("the ledger is away.")

    sealed = delivery(ledger, target, "run-2").target
    monkeypatch.setattr(ledger.secret_values, "given", away)
    assert OLD_KEY not in str(sealed.instances())
    assert len(asked) == 1
