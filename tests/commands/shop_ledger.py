"""A ledger in which the shop was deployed five times; 1.3 threw new exceptions and was rolled back."""

from __future__ import annotations

import random
from datetime import timedelta

from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.release import Release
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Judgement, Verdict
from tests.verification.shop_logs import CANARY, CONTROL, shop_profile

BAD = 3


def shop_ledger(url: str) -> Ledger:
    """Fill the ledger at this URL as the verify operator would have."""
    ledger = open_ledger(url)
    rng = random.Random(5)
    for number in range(5):
        canary = shop_profile(rng, CANARY, 60, broken=number == BAD)
        _deploy(ledger, number, canary, shop_profile(rng, CONTROL, 60))
    return ledger


def _deploy(ledger: Ledger, number: int, canary: LogProfile, control: LogProfile) -> None:
    run = f"run-{number}"
    lease = ledger.leases.acquire("shop", "production", pipeline="storefront", run_id=run, ttl=timedelta(hours=1))
    deployment = ledger.deployments.open(
        lease,
        Release("shop", f"1.{number}", f"shop:1.{number}"),
        previous={},
        reason="",
        triggered_by="ada",
        rollback="automatic",
        learn=not number,
    )
    quality = judge_quality(canary, control)
    judgement = Judgement(quality.verdict, quality.reasons, quality=quality)
    ledger.verdicts.record(
        deployment.id,
        "phase_20",
        token=lease.token,
        verdict=str(quality.verdict),
        evidence=judgement.as_dict(),
        final=True,
    )
    good = quality.verdict is Verdict.PASS
    for kind, profile in (("logs", canary), ("control", control.without_instances())):
        ledger.profiles.save(
            deployment.id,
            "phase_20",
            "sumo",
            kind=kind,
            content=profile.to_bytes(),
            teaches=good and kind == "logs",
            token=lease.token,
        )
    assert good is (number != BAD)
    if good:
        ledger.settlement.promote(deployment.id, token=lease.token, outcome="verified")
    else:
        ledger.settlement.begin_rollback(deployment.id, token=lease.token, outcome=judgement.sentence)
        ledger.settlement.finish_rollback(deployment.id, token=lease.token, restored=True, outcome=judgement.sentence)
    ledger.leases.release(lease)
