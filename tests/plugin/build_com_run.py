"""A run of dags/build_com.py as Airflow and the ledger hold it, in whatever state a test wants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.dag_runs.tasks import Place, Run, RunTask
from airflow_cd.release import Release
from airflow_cd.states import Role
from airflow_cd.targets.base import Instance
from airflow_cd.verification.verdict import Event, EventKind, Judgement, Quality, Reason, Verdict
from tests.plugin.deployed import Delivery, release

PIPELINE, RUN_ID = "build_com", "1.2-075424"
FIRST, SECOND = ("dev", "test"), ("edu", "sandbox", "staging")
BEFORE = (*FIRST, *SECOND)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
PHASES = (20, 100)
INSTANCES = [f"web-{number}" for number in range(1, 11)]
HOSTILE = "<script>alert(1)</script>"
VERIFY = "production.phase_20.verify"


def _places() -> dict[str, Place]:
    places: dict[str, Place] = {}

    def add(task_id: str, role: Role, *upstream: str) -> None:
        stage = task_id.split(".", maxsplit=1)[0]
        environment = "" if stage == "approve" else stage
        places[task_id] = Place(stage, upstream, role, "shop", environment)

    for names, before in ((FIRST, ()), (SECOND, FIRST)):
        for name in names:
            add(f"{name}.lease", Role.LEASE, *(f"{other}.deploy" for other in before))
            add(f"{name}.deploy", Role.DEPLOY, f"{name}.lease")
            add(f"{name}.settle", Role.SETTLE, f"{name}.deploy", f"{name}.lease")
    add("approve", Role.APPROVAL, *(f"{name}.deploy" for name in SECOND))
    add("production.lease", Role.LEASE, "approve")
    last = "production.lease"
    for share in PHASES:
        phase = f"production.phase_{share}"
        add(f"{phase}.deploy", Role.DEPLOY, last)
        add(f"{phase}.mark", Role.MARK, f"{phase}.deploy")
        add(f"{phase}.verify", Role.VERIFY, f"{phase}.mark")
        add(f"{phase}.rollback", Role.ROLLBACK, f"{phase}.deploy", f"{phase}.verify")
        last = f"{phase}.verify"
    add("production.promote", Role.PROMOTE, last)
    add("production.settle", Role.SETTLE, "production.promote", "production.lease")
    return places


PLACES = _places()
_TIMES = {
    "success": (timedelta(minutes=3), timedelta(minutes=1)),
    "failed": (timedelta(minutes=3), timedelta(minutes=1)),
    "running": (timedelta(minutes=3), None),
    "awaiting_input": (timedelta(minutes=3), None),
}


def run_of(state: str, states: Mapping[str, str], results: Mapping[str, Mapping[str, Any]] | None = None) -> Run:
    """The run with its tasks in these states, by task or by stage; the others have none."""
    tasks = []
    for task_id, place in sorted(PLACES.items()):
        word = states.get(task_id, states.get(place.stage, ""))
        began, ended = _TIMES.get(word, (None, None))
        tasks.append(
            RunTask(
                task_id,
                word,
                NOW - began if began else None,
                NOW - ended if ended else None,
                place,
                (results or {}).get(task_id, {}),
            )
        )
    return Run(PIPELINE, RUN_ID, state, {"version": "1.2", "reason": "gift cards"}, "ada", tasks)


def all_well(*stages: str) -> dict[str, str]:
    """States of stages that came through."""
    return dict.fromkeys(stages, "success")


ROLLED_BACK_STATES = {
    **all_well(*BEFORE, "approve"),
    "production.lease": "success",
    "production.phase_20.deploy": "success",
    "production.phase_20.mark": "success",
    "production.phase_20.verify": "success",
    "production.phase_20.rollback": "success",
    "production.phase_100.deploy": "skipped",
    "production.phase_100.mark": "skipped",
    "production.phase_100.verify": "skipped",
    "production.phase_100.rollback": "skipped",
    "production.promote": "skipped",
    "production.settle": "failed",
}


def judgement(verdict: Verdict, *reasons: str, risks: int = 0) -> dict[str, Any]:
    """Evidence with so many red dots."""
    events = [
        Event(
            id=f"{number:064x}",
            kind=EventKind.UNKNOWN,
            severity="error",
            risk=True,
            template=f"cannot render gift card <*> {HOSTILE}",
            exception=f"GiftCard{number}Error",
            counts={"canary": 40.0 - number, "control": 0.0, "baseline": 0.0},
        )
        for number in range(risks)
    ]
    return Judgement(
        verdict,
        [Reason("unknown_events", text) for text in reasons],
        quality=Quality(verdict, [Reason("unknown_events", reasons[0])], events, {"canary": 900, "control": 3600}),
        started=(NOW - timedelta(seconds=40)).isoformat(),
        decided=(NOW - timedelta(seconds=20)).isoformat(),
        first_bad=(NOW - timedelta(seconds=31)).isoformat(),
        looks=7,
        canary=INSTANCES[:2],
        control=INSTANCES[2:],
    ).as_dict()


class Story:
    """Writes the run into a ledger, stage by stage."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.delivery = Delivery(ledger, "shop", "1.2", pipeline=PIPELINE, run_id=RUN_ID)
        self.release = Release("shop", "1.2", "shop:1.2", {"gift_cards": True})
        self.delivery.release = self.release

    def before_production(self) -> None:
        """Everything up to the approval."""
        for name in BEFORE:
            self.delivery.promoted(name)
            self._seen(name, ["web-1"], "1.2")

    def approved(self, why: str = "looks good in staging") -> None:
        """Asked, tried by somebody who may not, and answered."""
        self.delivery.asks("production", approvers=("bob",))
        self.ledger.audit.record(
            who="mallory",
            action="answered Approve",
            why=HOSTILE,
            pipeline=PIPELINE,
            run_id=RUN_ID,
            task_id="approve",
            allowed=False,
        )
        self.ledger.questions.answer(PIPELINE, RUN_ID, "approve", option="Approve", who="bob", why=why)

    def canary(self, evidence: dict[str, Any] | None, *, final: bool = True) -> None:
        """Production's first phase, with what was judged of it."""
        place: dict[str, Any] = {"pipeline": PIPELINE, "run_id": RUN_ID, "ttl": timedelta(minutes=5)}
        lease = self.ledger.leases.acquire("shop", "production", **place)
        self.delivery.leases["production"] = lease
        self.deployment = self.ledger.deployments.open(
            lease,
            self.release,
            previous=dict.fromkeys(INSTANCES, release("shop", "1.1")),
            reason="gift cards",
            triggered_by="ada",
            rollback="automatic",
            learn=False,
        )
        token = lease.token
        self.ledger.phases.start(self.deployment.id, "phase_20", share=20, instances=INSTANCES[:2], token=token)
        self.ledger.phases.deployed(self.deployment.id, "phase_20", NOW, token)
        if evidence is not None:
            self.ledger.verdicts.record(
                self.deployment.id,
                "phase_20",
                token=token,
                verdict=evidence["verdict"],
                evidence=evidence,
                final=final,
            )

    def rolled_back(self, outcome: str, *, restored: bool = True) -> None:
        """The canary goes back, with its clocks."""
        token, place = self.delivery.leases["production"].token, self.deployment.id
        self.ledger.deployments.set_clock(
            place,
            first_bad_at=NOW - timedelta(seconds=31),
            verdict_at=NOW - timedelta(seconds=20),
            safe_at=NOW - timedelta(seconds=19.8),
        )
        if restored:
            self.ledger.deployments.set_clock(place, restored_at=NOW - timedelta(seconds=13))
        self.ledger.settlement.begin_rollback(place, token=token, outcome=outcome)
        self.ledger.settlement.finish_rollback(place, token=token, restored=restored, outcome=outcome)
        self._seen("production", INSTANCES, "1.1")

    def promoted(self) -> None:
        """Production is wholly on the release."""
        token = self.delivery.leases["production"].token
        self.ledger.settlement.promote(self.deployment.id, token=token, outcome="verified in every phase")
        self._seen("production", INSTANCES, "1.2")

    def _seen(self, environment: str, names: list[str], version: str) -> None:
        found = [Instance(name=name, version=version, artifact=f"shop:{version}") for name in names]
        self.ledger.instances.record("shop", environment, found, NOW)
