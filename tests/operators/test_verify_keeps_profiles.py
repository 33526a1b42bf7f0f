"""What a verification leaves in the ledger, of a good canary and of a bad one alike."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from tests.memory_target import MemoryTarget
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, START, shop_logs

OLD, NEW = Release("shop", "1.1", "shop:1.1"), Release("shop", "1.2", "shop:1.2")


class _Logs:
    """A minute of the shop's logs that begins at a given time."""

    name = "sumo"
    delay = timedelta(0)

    def __init__(self, since: datetime, *, broken: bool) -> None:
        rng = random.Random(3)
        sides = [shop_logs(rng, CANARY, 60, broken=broken), shop_logs(rng, CONTROL, 60)]
        self.frame = pd.concat(sides, ignore_index=True)
        self.frame["time"] += since - START

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        rows = self.frame
        inside = (rows["time"] >= window.since) & (rows["time"] < window.until) & rows["instance"].isin(list(instances))
        return LogSample(rows[inside], "everything")


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.mark.parametrize("broken", [False, True])
def test_profiles_are_kept_whatever_the_verdict_and_teach_only_after_a_pass(broken: bool, ledger: Ledger) -> None:
    where = {"pipeline": "storefront", "service": "shop", "environment": "production"}
    # The minute is over already, so one look decides.
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    target = MemoryTarget(INSTANCES, OLD)
    delivery = Delivery(ledger, target, run_id="run-1", log=lambda line: None, timeout=timedelta(seconds=1), **where)
    lease = delivery.acquire()
    deployment = ledger.deployments.open(
        lease,
        NEW,
        previous=dict.fromkeys(INSTANCES, OLD),
        reason="",
        triggered_by="ada",
        rollback="automatic",
        learn=False,
    )
    ledger.phases.start(deployment.id, "phase_20", share=20, instances=CANARY, token=lease.token)
    ledger.phases.deployed(deployment.id, "phase_20", since, lease.token)
    verification = Verification(logs=[_Logs(since, broken=broken)], duration="60s", every="5s", grace="0s")
    concluded = PhaseVerification(delivery, verification, "phase_20", on_look=lambda judgement: None).run()
    assert concluded.consequence is (Consequence.ROLL_BACK if broken else Consequence.GO_ON)
    assert concluded.drained is broken
    kept = {one.kind: one for one in ledger.profiles.of(deployment.id)}
    assert {kind: one.teaches for kind, one in kept.items()} == {"logs": not broken, "control": False}
    assert {one.phase for one in kept.values()} == {"phase_20"}
    canary, control = (LogProfile.from_bytes(kept[kind].content) for kind in ("logs", "control"))
    assert ({name for tally in canary.tallies.values() for name in tally.instances}) == set(CANARY)
    assert canary.watched == 60 * len(CANARY)
    assert control.records > canary.records
    assert ("KeyError" in {signature.exception for signature in canary.tallies}) is broken


def test_what_comes_late_of_a_phase_completes_it_and_counts_in_the_next(ledger: Ledger) -> None:
    """Phase 1 has passed before its errors could be found; phase 2 finds them and fails, and phase 1 is completed."""
    where = {"pipeline": "storefront", "service": "shop", "environment": "production"}
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    target = MemoryTarget(INSTANCES, OLD)
    delivery = Delivery(ledger, target, run_id="run-1", log=lambda line: None, timeout=timedelta(seconds=1), **where)
    lease = delivery.acquire()
    previous = dict.fromkeys(INSTANCES, OLD)
    deployment = ledger.deployments.open(
        lease, NEW, previous=previous, reason="", triggered_by="ada", rollback="automatic", learn=False
    )
    logs = _Logs(since, broken=True)
    everything = logs.frame
    failures = everything["message"].str.contains("request .* failed")
    verification = Verification(logs=[logs], duration="60s", every="5s", grace="0s")
    for name, names, deployed_at in (
        ("phase_20", CANARY, since),
        ("phase_40", INSTANCES[:4], since + timedelta(minutes=2)),
    ):
        ledger.phases.start(deployment.id, name, share=20, instances=names, token=lease.token)
        ledger.phases.deployed(deployment.id, name, deployed_at, lease.token)
    later = everything[~failures].copy()
    later["time"] += timedelta(minutes=2)
    logs.frame = everything[~failures]
    concluded = PhaseVerification(delivery, verification, "phase_20", on_look=lambda judgement: None).run()
    assert concluded.consequence is Consequence.GO_ON
    logs.frame = pd.concat([everything, later], ignore_index=True)
    concluded = PhaseVerification(delivery, verification, "phase_40", on_look=lambda judgement: None).run()
    assert concluded.consequence is Consequence.ROLL_BACK
    assert concluded.judgement.reasons[0].code == "unknown_events"
    kept = {(one.phase, one.kind): one for one in ledger.profiles.of(deployment.id)}
    first, second = (LogProfile.from_bytes(kept[name, "logs"].content) for name in ("phase_20", "phase_40"))
    assert first.records == everything["instance"].isin(CANARY).sum()
    assert second.records == later["instance"].isin(INSTANCES[:4]).sum()
    assert not kept["phase_20", "logs"].teaches
