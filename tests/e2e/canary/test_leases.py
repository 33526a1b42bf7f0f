"""Who owns an environment, as a real Airflow knows it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_cd.errors import LeaseHeld
from airflow_cd.same_ledger import KEY
from tests.e2e.canary.world import NEW, Canaries

pytestmark = pytest.mark.timeout(900, func_only=True)  # the world, which the first begins, has limits of its own


def test_runs_that_airflow_does_not_know_any_more_are_in_nobodys_way(canaries: Canaries) -> None:
    case = "owner-is-gone"
    ledger = canaries.world.ledger()
    place = {"pipeline": f"canary_{case}", "ttl": timedelta(hours=1)}
    ledger.leases.acquire("shop", case, run_id="deleted", task_id=f"{case}.lease", **place)
    with pytest.raises(LeaseHeld):
        ledger.leases.acquire("shop", case, run_id="deleted too", task_id=f"{case}.lease", **place)
    assert canaries.run(case) == "success"
    assert canaries.artifacts(case) == NEW
    used = canaries.client.call("GET", f"/api/v2/variables/{KEY}")["value"]
    assert used == ledger.identity.get()
