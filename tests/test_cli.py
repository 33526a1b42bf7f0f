"""The command, as a person calls it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_cd.cli import main
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


def test_a_veto_is_listed_with_its_reason(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["veto", "list", "shop", "production", "--url", url]) == 0
    said = capsys.readouterr().out
    assert said.count("in force") == 2
    assert "4 exceptions" in said


def test_a_veto_is_lifted_by_digest_with_who_and_why(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    digest = Release("shop", "1.2", "shop:1.2").digest
    lift = ["veto", "lift", "shop", "production", digest[7:15], "--why", "mended", "--who", "alice", "--url", url]
    assert main(lift) == 0
    assert "may be deployed to production again" in capsys.readouterr().out
    [action] = open_ledger(url).audit.actions()
    assert (action.who, action.why) == ("alice", "mended")
    assert main(lift) == 1
    assert "no veto is in force" in capsys.readouterr().err


def test_a_version_that_several_releases_have_is_not_guessed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["veto", "lift", "shop", "production", "1.2", "--why", "mended", "--url", url]) == 1
    assert "names several" in capsys.readouterr().err
    assert not [veto for veto in open_ledger(url).vetoes.of("shop", "production") if veto.lifted_at]


def test_a_veto_is_not_lifted_without_a_reason(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    digest = Release("shop", "1.2", "shop:1.2").digest
    assert main(["veto", "lift", "shop", "production", digest, "--why", " ", "--url", url]) == 1
    assert "requires a reason" in capsys.readouterr().err
