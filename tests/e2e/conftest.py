from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest

from airflow_cd.demo.world import World, example_dags

DAGS = Path(__file__).parent / "dags"
CASES: dict[str, dict[str, object]] = {
    "passes": {},
    "fails-at-half": {},
    "fails-at-all": {"duration": "8s"},
    "does-not-start": {},
    "verify-dies": {},
    "verify-killed": {"duration": "60s"},
    "verify-marked-success": {"duration": "60s"},
    "verify-marked-failed": {"duration": "60s"},
    "run-marked-failed": {"duration": "60s"},
    "run-marked-success": {"duration": "60s"},
    "marked-after-crash": {},
    "marked-after-fail": {},
    "cleared-after-fail": {},
    "human-goes-on": {},
    "human-rolls-back": {},
    "human-verifies-again": {},
    "rejected": {"approval": True},
    "approved-at-once": {"approval": True},
    "not-an-approver": {"approval": True},
    "two-runs": {"duration": "6s"},
}


class Hands:
    """The world of the cases: each has an environment of two instances that run shop 1.0."""

    def __init__(self, world: World, scripts: Path) -> None:
        self.world = world
        self.scripts = scripts
        self.client = world.client()

    def script(self, case: str, **content: object) -> None:
        """What the case's logs hold from now on: ``bad`` is the end of the name of the instance that logs an error."""
        content = {"after": datetime.now(timezone.utc).isoformat(), **content}
        (self.scripts / f"{case}.json").write_text(json.dumps(content))

    def artifacts(self, case: str) -> set[str | None]:
        return {row["artifact"] for row in self.world.running(case).values()}

    def drained(self, case: str) -> set[str]:
        return {name for name, row in self.world.running(case).items() if row["drained"]}

    def start(self, case: str, version: str = "1.1", run_id: str = "run", **conf: object) -> str:
        self.client.wait_for_dag(f"hands_{case}")
        return self.client.trigger(f"hands_{case}", {"version": version, **conf}, run_id=run_id)


@pytest.fixture(scope="session")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hands]:
    scripts = tmp_path_factory.mktemp("scripts")
    (scripts / "cases.json").write_text(json.dumps(CASES))
    for case in CASES:
        (scripts / f"{case}.json").write_text("{}")
    users = {"admin": "admin", "alice": "op", "mallory": "op"}
    settings = {"HANDS_SCRIPTS": str(scripts), "PYTHONPATH": str(DAGS.parent.parent.parent)}
    environments = dict.fromkeys(CASES, 2)
    with World(dags=DAGS, environments=environments, rates={"passes": 1.0}, users=users, settings=settings) as world:
        release = {"service": "shop", "version": "1.0", "artifact": "shop:1.0", "configuration": {}, "digest": ""}
        for case in CASES:
            names = sorted(world.running(case))
            answer = httpx.put(
                f"{world.fleet.api_url}/v1/environments/{case}/release",
                json={"release": release, "instances": names},
                headers={
                    "Authorization": f"Bearer {world.fleet.token}",
                    "Idempotency-Key": f"first-{case}",
                    "Fencing-Token": "0",
                },
                timeout=30,
            )
            answer.raise_for_status()
        yield Hands(world, scripts)


@pytest.fixture(scope="session")
def story_world() -> Iterator[World]:
    with World(dags=example_dags()) as world:
        yield world
