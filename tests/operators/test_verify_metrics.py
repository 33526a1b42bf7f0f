"""What good deployments taught about metrics goes into the ledger and comes back out of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.learned import metric_baseline
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.verification.metrics.profile import MetricProfile
from tests.commands.shop_ledger import shop_ledger
from tests.memory_target import MemoryTarget
from tests.operators.test_verify_baseline import NAMES


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return shop_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def _teach(ledger: Ledger, content: bytes, run: str, *, teaches: bool = True) -> None:
    lease = ledger.leases.acquire("shop", "production", pipeline="storefront", run_id=run, ttl=timedelta(minutes=5))
    release = Release("shop", "2.0", "shop:2.0")
    deployment = ledger.deployments.open(
        lease,
        release,
        previous=dict.fromkeys(NAMES, Release("shop", "1.4", "shop:1.4")),
        reason="",
        triggered_by="ada",
        rollback="automatic",
        learn=False,
    )
    ledger.profiles.save(
        deployment.id, "phase_20", "new relic", kind="metrics", content=content, teaches=teaches, token=lease.token
    )
    ledger.settlement.promote(deployment.id, token=lease.token, outcome="verified")
    ledger.leases.release(lease)


def test_what_promoted_deployments_taught_is_read_and_what_is_damaged_left_out(ledger: Ledger) -> None:
    profile = MetricProfile({"response_time": (1, 2, 3, 4, 5)}, 1, 60_000)
    _teach(ledger, profile.to_bytes(), "run-10")
    _teach(ledger, MetricProfile({"response_time": (9, 9, 9, 9, 9)}, 1, 60_000).to_bytes(), "run-11", teaches=False)
    _teach(ledger, b"not a profile", "run-12")
    target = MemoryTarget(NAMES, Release("shop", "1.4", "shop:1.4"))
    where = {"pipeline": "storefront", "service": "shop", "environment": "production"}
    delivery = Delivery(ledger, target, run_id="run-13", log=lambda line: None, timeout=timedelta(seconds=1), **where)
    assert metric_baseline(delivery, "new relic") == [profile]
