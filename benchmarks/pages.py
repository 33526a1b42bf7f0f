"""How fast do the pages answer when the ledger is large?

    python -m benchmarks.pages [--pipelines 1000] [--deployments 10000] [--looks 20] [--ledger URL]

A ledger (SQLite, or the empty database at the URL) of services that are delivered through dev, staging and
production, some of them with a canary under way, rolled back and vetoed, or waiting for an answer. Every page is
asked for through the web app as Airflow mounts it, signed in, in this process; what is printed is the whole answer's
time, and the processor's time for it: on a machine that does other things, only that can be compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger

ENVIRONMENTS = ("dev", "staging", "production")
PAGES = (
    "/airflow-cd/deployments",
    "/airflow-cd/deployments?page=11",
    "/airflow-cd/deployments?state=failed",
    "/airflow-cd/deployments?service=7&environment=production&state=waiting",
    "/airflow-cd/insights",
    "/airflow-cd/insights?period=365&environment=staging",
    "/airflow-cd/insights?service=service-0007",
    "/airflow-cd/environment/service-0007/service-0007/production",
)
EVIDENCE_BYTES = 20_000
_SPOKEN_OF = 0.2
"""Share of the FAIL verdicts whose event somebody has called no risk."""


def fill(ledger: Ledger, pipelines: int, deployments: int, seed: int = 1) -> None:
    """Write that many deployments, spread over the pipelines, in rows: the ledger's own calls would take minutes."""
    from sqlalchemy import insert

    from airflow_cd.ledger.models import DeploymentRow, FeedbackRow, PhaseRow, QuestionRow, VerdictRow, VetoRow
    from airflow_cd.release import Release

    rng = random.Random(seed)
    made: dict[Any, list[dict[str, Any]]] = {
        model: [] for model in (DeploymentRow, PhaseRow, VerdictRow, VetoRow, QuestionRow, FeedbackRow)
    }
    start = datetime.now(timezone.utc) - timedelta(minutes=deployments + 10)
    runs = -(-deployments // (pipelines * len(ENVIRONMENTS)))
    for number in range(runs):
        for service in (f"service-{index:04}" for index in range(pipelines)):
            for environment in ENVIRONMENTS:
                if len(made[DeploymentRow]) == deployments:
                    break
                release = Release(service, f"1.{number}.0", f"{service}:1.{number}.0", {"workers": 4, "region": "eu"})
                at = start + timedelta(minutes=len(made[DeploymentRow]))
                last = environment == ENVIRONMENTS[-1] and number > 0
                state = rng.choices(("promoted", "rolled_back", "running"), (80, 12, 8))[0] if last else "promoted"
                run = {"pipeline": service, "run_id": f"manual__{number}"}
                row = _deployment(release, environment, state, at, run)
                made[DeploymentRow].append(row)
                if environment != "dev":
                    _judge(made[PhaseRow], made[VerdictRow], row, "FAIL" if state == "rolled_back" else "PASS", at)
                if state == "rolled_back":
                    made[VetoRow].append(_veto(row))
                    if rng.random() < _SPOKEN_OF:
                        made[FeedbackRow].append(_feedback(row, at))
                if environment == "production":
                    made[QuestionRow].append(_question(row, release, rng.random() < 0.97, at))
    with ledger.store.writing() as session:
        for model, rows in made.items():
            session.execute(insert(model), rows)


def _deployment(release: Any, environment: str, state: str, at: datetime, run: dict[str, str]) -> dict[str, Any]:
    content = release.as_dict()
    return {
        **run,
        "id": str(uuid.uuid4()),
        "service": release.service,
        "environment": environment,
        "version": release.version,
        "digest": content["digest"],
        "release": content,
        "previous": {f"web-{instance}": content for instance in range(5)},
        "state": state,
        "reason": "a new version",
        "triggered_by": "ada",
        "rollback": "automatic",
        "learn": False,
        "token": 1,
        "requested_at": at,
        "opened_at": at,
        "settled_at": None if state == "running" else at + timedelta(minutes=9),
        "outcome": "" if state == "running" else f"{state}: 4 unknown events, error rate 3.1 % against 0.2 %.",
    }


def _judge(phases: list[Any], verdicts: list[Any], row: dict[str, Any], verdict: str, at: datetime) -> None:
    place = {"deployment_id": row["id"]}
    phases.append(
        {
            **place,
            "name": "phase_20",
            "share": 20,
            "instances": ["web-0"],
            "state": {"PASS": "passed", "FAIL": "failed"}[verdict],
            "started_at": at,
            "deployed_at": at,
        }
    )
    event = {"id": _event(row), "kind": "unknown", "risk": verdict == "FAIL"}
    evidence = {"samples": "x" * EVIDENCE_BYTES, "quality": {"verdict": verdict, "events": [event]}}
    said = {"phase": "phase_20", "token": 1, "verdict": verdict, "evidence": evidence, "final": True, "recorded_at": at}
    verdicts.append({**place, **said})


def _event(row: dict[str, Any]) -> str:
    return str(row["id"])[:12]


def _feedback(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    said = {"event_id": _event(row), "says": "not_a_risk", "template": "", "sample": "", "who": "ada", "why": "known"}
    return {**said, "service": row["service"], "at": at}


def _veto(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in ("service", "environment", "digest", "version")}
    return {**kept, "deployment_id": row["id"], "at": row["settled_at"], "reason": row["outcome"]}


def _question(row: dict[str, Any], release: Any, answered: bool, at: datetime) -> dict[str, Any]:
    return {
        "pipeline": row["pipeline"],
        "run_id": row["run_id"],
        "task_id": "approve",
        "options": ["Approve", "Reject"],
        "approvers": ["bob"],
        "subject": f"Deploy {release.service} {release.version} to production?",
        "body": "What changes, line by line. " * 40,
        "proposed": {"production": release.as_dict()},
        "asked_at": at,
        "deadline": None,
        "reopened": False,
        "option": "Approve" if answered else None,
        "who": "bob" if answered else None,
        "why": "",
        "answered_at": at if answered else None,
    }


def look(looks: int) -> None:
    """Ask for every page so many times and print how long that took."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from airflow_cd.plugin import AirflowCdPlugin
    from airflow_cd.plugin.app import app

    manager = create_auth_manager()
    root = FastAPI()
    root.state.auth_manager = app.state.auth_manager = manager
    root.mount("/airflow-cd", AirflowCdPlugin.fastapi_apps[0]["app"])
    with TestClient(root) as client:
        client.cookies.set("_token", manager.generate_jwt(SimpleAuthManagerUser(username="viewer", role="viewer")))
        for address in PAGES:
            times, worked, size = [], [], 0
            for _ in range(looks + 1):
                began, had_worked = time.perf_counter(), time.process_time()
                answer = client.get(address)
                times.append(1000 * (time.perf_counter() - began))
                worked.append(1000 * (time.process_time() - had_worked))
                answer.raise_for_status()
                size = len(answer.content)
            rest, work = sorted(times[1:]), sorted(worked[1:])
            print(
                f"{address}: first {times[0]:.0f} ms, then median {statistics.median(rest):.0f} ms, "
                f"slowest {rest[-1]:.0f} ms; of the processor {statistics.median(work):.0f} ms, "
                f"most {work[-1]:.0f} ms; {size / 1000:.0f} kB"
            )


def _made(pipelines: int, deployments: int) -> None:
    from airflow_cd.ledger import open_ledger

    ledger = open_ledger(check=False)
    ledger.migrate()
    fill(ledger, pipelines, deployments)


def main() -> None:
    """Fill a ledger and time the pages on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", type=int, default=1_000)
    parser.add_argument("--deployments", type=int, default=10_000)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--ledger", help="an empty database; by default a SQLite file for this run alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Airflow reads these once, when it is first imported.
        os.environ["AIRFLOW_HOME"] = folder
        os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{folder}/airflow.db"
        os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = uuid.uuid4().hex
        os.environ["AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN"] = given.ledger or f"sqlite:///{folder}/ledger.db"
        from airflow.models.base import Base
        from airflow.settings import engine
        from airflow.utils.db import import_all_models

        import_all_models()
        Base.metadata.create_all(engine)
        # A server does not hold what it shows; this process shall not either.
        filling = multiprocessing.get_context("spawn").Process(target=_made, args=(given.pipelines, given.deployments))
        filling.start()
        filling.join()
        if filling.exitcode:
            raise SystemExit("the ledger could not be filled")
        print(f"{given.deployments:,} deployments over {given.pipelines:,} pipelines")
        look(given.looks)


if __name__ == "__main__":
    main()
