"""The demo story, on real parts: releases to learn from, then one whose canary throws four new exceptions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from airflow_cd.answers import WATCH
from airflow_cd.demo.airflow_client import FINISHED, AirflowClient
from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.task_ids import phase_name, verify_task

PIPELINE, SERVICE, APPROVAL = "build_com", "shop", "approve"
CANARY = phase_name(20)
VERIFY = verify_task("production", CANARY)
QUIET = ("skipped", "removed", "upstream_failed")
SECONDS_A_RUN = 1200.0
WATCHED_ON = 2
"""Times that a phase is watched on when a person is asked, as on a machine that is busy with other work."""
SAFE_SECONDS, RESTORED_SECONDS = 1.0, 30.0
"""What must hold on a machine that does other things, too; ``benchmarks.story`` measures what it takes."""
NEW_EXCEPTIONS = 4


class Stage(Protocol):
    """Where the story runs: an Airflow with the product in it, and the demo's fleet."""

    def client(self) -> AirflowClient:
        """A logged-in user of the Airflow API."""

    def ledger(self) -> Ledger:
        """The ledger the pipelines write to."""

    def running(self, environment: str) -> dict[str, dict[str, Any]]:
        """What the fleet itself says runs on each instance."""

    def dead(self) -> list[str]:
        """The parts that have died, by name."""


@dataclass
class RunOutcome:
    """What became of one run.

    :param before: artifact and configuration of every production instance when the run began, from the fleet.
    :param after: the same when it had ended.
    """

    run_id: str
    state: str
    tasks: Mapping[str, str | None]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    deployment: Deployment | None
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Story:
    """Runs releases through the pipeline as people would, and holds what happens against what must happen.

    :param say: takes a line of progress.
    """

    def __init__(self, world: Stage, say: Callable[[str], None], *, pipeline: str = PIPELINE) -> None:
        self.world = world
        self.pipeline = pipeline
        self.client = world.client()
        self.failures: list[str] = []
        self._say = say

    def say(self, line: str) -> None:
        """One line of progress, with the time."""
        self._say(f"{datetime.now(timezone.utc):%H:%M:%S}  {line}")

    def expect(self, what: str, holds: bool) -> None:
        """Note whether an expectation held."""
        self._say(f"          {'ok ' if holds else 'NOT'}  {what}")
        if not holds:
            self.failures.append(what)

    def running(self) -> dict[str, Any]:
        """Artifact and configuration of every production instance, read back from the fleet."""
        return {
            name: {"artifact": row["artifact"], "configuration": row["configuration"]}
            for name, row in self.world.running("production").items()
        }

    def deploy(self, version: str, *, approve: bool = True, **conf: Any) -> RunOutcome:
        """One run from trigger to end, answered at the approval; returns what became of it."""
        before = self.running()
        conf = {"version": version, **conf}
        self.say(f"Triggering {self.pipeline}: {', '.join(f'{key}={value}' for key, value in conf.items())}")
        run_id = f"{version}-{datetime.now(timezone.utc):%H%M%S%f}"
        self.client.trigger(self.pipeline, conf, run_id=run_id)
        tasks = self._watch(run_id, approve=approve)
        state = self.client.run_state(self.pipeline, run_id)
        self.say(f"Run {run_id} ended: {state}")
        ledger = self.world.ledger()
        deployment = ledger.deployments.of_run(self.pipeline, run_id, SERVICE, "production")
        return RunOutcome(run_id, state, tasks, before, self.running(), deployment, verdicts(ledger, deployment))

    def _watch(self, run_id: str, *, approve: bool) -> dict[str, str | None]:
        seen: dict[str, str | None] = {}
        answered = False
        watched: Counter[str] = Counter()
        deadline = time.monotonic() + SECONDS_A_RUN
        while True:
            finished = self.client.run_state(self.pipeline, run_id) in FINISHED
            tasks = self.client.tasks(self.pipeline, run_id)
            self._say_what_is_new(run_id, seen, tasks)
            seen = tasks
            if not answered and tasks.get(APPROVAL) == "awaiting_input":
                note = "Looks good in staging." if approve else "Not today."
                self.client.mark(self.pipeline, run_id, APPROVAL, "success" if approve else "failed", note)
                answered = True
            for task_id in tasks:
                if task_id.endswith(".verify") and tasks[task_id] == "awaiting_input" and not finished:
                    watched[task_id] += 1
                    self._watch_on(run_id, task_id, watched[task_id])
            if finished:
                return tasks
            if dead := self.world.dead():
                raise AirflowCdError(f"{' and '.join(dead)} died while {run_id} was running.")
            if time.monotonic() > deadline:
                raise AirflowCdError(f"{run_id} did not end within {SECONDS_A_RUN:.0f} s.")
            time.sleep(0.8)

    def _say_what_is_new(self, run_id: str, before: Mapping[str, str | None], now: Mapping[str, str | None]) -> None:
        for task_id, state in now.items():
            if state in ("success", "failed", "awaiting_input") and before.get(task_id) != state:
                self.say(f"  {task_id:<36} {state.replace('_', ' ')}")
                if state == "failed" and (why := self.client.why_failed(self.pipeline, run_id, task_id)):
                    self._say(f"               {why}")

    def _watch_on(self, run_id: str, task_id: str, times: int) -> None:
        """Answer a verification that could not decide, as a person does who knows that nothing is wrong."""
        ledger = self.world.ledger()
        deployment = ledger.deployments.of_run(self.pipeline, run_id, SERVICE, "production")
        evidence = verdicts(ledger, deployment).get(task_id.split(".")[-2], {"verdict": "INCONCLUSIVE"})
        why = f"{task_id} could not decide: {_sentence(evidence)}"
        if times > WATCHED_ON:
            raise AirflowCdError(
                f"{why}.", state=f"{run_id} waits for an answer.", next_step="Run it where the machine is less busy."
            )
        self.say(f"  {why}; watched on")
        self.client.answer(self.pipeline, run_id, task_id, WATCH, "The machine may have been busy.")
        self.client.wait_for_task(self.pipeline, run_id, task_id, "running", "success", "failed", "skipped")

    # -- what must be so ---------------------------------------------------------------------------------------

    def expect_promoted(self, outcome: RunOutcome, version: str) -> None:
        """A good release runs on every instance."""
        artifact = f"{SERVICE}:{version}"
        self.expect(f"the run of {version} is green", outcome.state == "success")
        self.expect(
            f"all {len(outcome.after)} production instances run {artifact}",
            bool(outcome.after) and all(row["artifact"] == artifact for row in outcome.after.values()),
        )
        for phase, evidence in outcome.verdicts.items():
            self.expect(f"{phase}: {_sentence(evidence)}", evidence["verdict"] == "PASS")

    def expect_restored(self, outcome: RunOutcome) -> None:
        """A bad release is gone, and production is what it was before."""
        self.expect("the run is red", outcome.state == "failed")
        self.expect(
            f"artifact and configuration of all {len(outcome.after)} production instances equal those before, "
            "read back from the fleet",
            outcome.after == outcome.before,
        )
        self.expect("nothing was promoted", outcome.tasks.get("production.promote") != "success")
        deployment = outcome.deployment
        if deployment is None:
            self.expect("the ledger knows the deployment", False)
            return
        self.expect("the ledger says rolled back", deployment.state == "rolled_back")
        self.expect("the release is vetoed", bool(self.world.ledger().vetoes.of(SERVICE, "production")))
        safe, restored = deployment.to_safe, deployment.to_restored
        self.expect(f"to safe {_seconds(safe)}", safe is not None and safe <= SAFE_SECONDS)
        self.expect(f"to restored {_seconds(restored)}", restored is not None and restored <= RESTORED_SECONDS)

    def expect_four_exceptions(self, outcome: RunOutcome) -> None:
        """The story's verdict: performance passed, quality failed by exactly the new exceptions."""
        evidence = outcome.verdicts.get(CANARY, {})
        stages = [task for task in outcome.tasks if not task.startswith("production")]
        self.expect("stages 1 to 6 are green", all(outcome.tasks[task] == "success" for task in stages))
        self.expect(
            "phase 1 on exactly 2 of 10 instances", len(evidence.get("canary", ())) == 2 and len(outcome.after) == 10
        )
        self.expect("performance PASS", (evidence.get("performance") or {}).get("verdict") == "PASS")
        self.expect("quality FAIL", (evidence.get("quality") or {}).get("verdict") == "FAIL")
        red = red_events(evidence)
        for event in red:
            self._say(f"               red: {event.get('exception') or event['template']}")
        unknown = [event for event in red if event["kind"] == "unknown" and event.get("exception")]
        self.expect(
            f"exactly {NEW_EXCEPTIONS} exceptions never seen before, and nothing else red",
            len(red) == len(unknown) == len({event["exception"] for event in unknown}) == NEW_EXCEPTIONS,
        )


def verdicts(ledger: Ledger, deployment: Deployment | None) -> dict[str, Mapping[str, Any]]:
    """The last evidence of each phase."""
    found = ledger.verdicts.of(deployment.id) if deployment else []
    return {verdict.phase: verdict.evidence for verdict in found}


def red_events(evidence: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The events a verification failed for."""
    return [event for event in (evidence.get("quality") or {}).get("events", ()) if event["risk"]]


def _sentence(evidence: Mapping[str, Any]) -> str:
    return str(evidence["reasons"][0]["text"]) if evidence.get("reasons") else str(evidence["verdict"])


def _seconds(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.2f} s"


def run_story(world: Stage, say: Callable[[str], None], *, brief: bool = False) -> tuple[Story, RunOutcome]:
    """The whole story: 1.0 and 1.1 are learned from, 1.2 is caught and rolled back.

    :param world: where it runs.
    :param say: takes a line of progress.
    :param brief: without 1.1, in two thirds of the time.
    """
    story = Story(world, say)
    story.client.wait_for_dag(PIPELINE)
    first = story.deploy("1.0", reason="first release", learn=True)
    story.expect_promoted(first, "1.0")
    if not brief:
        second = story.deploy("1.1", reason="new product pages")
        story.expect_promoted(second, "1.1")
    third = story.deploy("1.2", reason="gift cards and returns")
    story.expect_four_exceptions(third)
    story.expect_restored(third)
    return story, third
