"""A ledger with verifications in it, filled the way a run does, and the pages of one task."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.release import Release
from airflow_cd.verification.verdict import Event, Judgement
from tests.report import samples

PIPELINE, RUN, TASK = "build_com", "manual__2026-11-23T08:10:00+00:00", "production.phase_20.verify"


def address(task: str = TASK, run: str = RUN) -> str:
    return f"/airflow-cd/report/{PIPELINE}/{quote(run, safe='')}/{task}"


def deployed(ledger: Ledger, run: str = RUN, release: Release = samples.NEW) -> tuple[Deployment, int]:
    """A deployment of the shop to production that is under way, and its fencing token."""
    lease = ledger.leases.acquire("shop", "production", pipeline=PIPELINE, run_id=run, ttl=timedelta(minutes=5))
    deployment = ledger.deployments.open(
        lease,
        release,
        previous=dict.fromkeys((*samples.CANARY, *samples.CONTROL), samples.OLD),
        reason="a test",
        triggered_by="ada",
        rollback="automatic",
        learn=True,
    )
    return deployment, lease.token


def judged(ledger: Ledger, deployment: Deployment, token: int, judgement: Judgement) -> None:
    ledger.verdicts.record(
        deployment.id,
        "phase_20",
        token=token,
        verdict=str(judgement.verdict),
        evidence=judgement.as_dict(),
        final=judgement.final,
    )


def watching(events: list[Event], looks: int = 3) -> Judgement:
    return replace(samples.judgement(events), final=False, looks=looks)


def told(ledger: Ledger, events: list[Event] | None = None, **changes: Any) -> Deployment:
    """The story: four unknown exceptions, decided."""
    deployment, token = deployed(ledger)
    events = [*samples.ordinary(46), *samples.planted()] if events is None else events
    judged(ledger, deployment, token, replace(samples.judgement(events), **changes))
    return deployment


def good_one(ledger: Ledger, version: str) -> Deployment:
    """An earlier deployment that was promoted and taught."""
    deployment, token = deployed(ledger, f"run-{version}", Release("shop", version, f"shop:{version}", {}))
    ledger.profiles.save(deployment.id, "phase_20", "sumo", kind="logs", content=b"profile", teaches=True, token=token)
    done = ledger.settlement.promote(deployment.id, token=token, outcome="all good")
    lease = ledger.leases.acquire(
        "shop", "production", pipeline=PIPELINE, run_id=f"run-{version}", ttl=timedelta(minutes=5)
    )
    ledger.leases.release(lease)
    return done
