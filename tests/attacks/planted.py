"""Secrets planted by every door of a real Airflow, and looked for in everything that is written afterwards."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx

from airflow_cd.demo.airflow_client import AirflowClient, wait_until
from airflow_cd.demo.world import World
from airflow_cd.errors import AirflowCdError
from airflow_cd.release import Release
from tests.attacks.forms import forms

PIPELINE, RUN = "planted", "first"
SECRETS = {
    "connection": "tulip/in+spring&7",
    "variable": "crocus/in+march&3",
    "environment": "violet/in+may&8",
    "foreign release": "aster/in+august&2",
    "override over the API": "rose/in+june&9",
    "override in a command": "lily/in+july&4",
    "URL in a command": "dahlia%2Fin%2Bautumn5",
}
TYPED = ("override in a command", "URL in a command")
"""Airflow logs a command before it runs. The row is masked then; what the database's journal keeps of it is its own."""
JOURNAL = "-wal"
PAGES = (
    "deployments", f"environment/{PIPELINE}/shop/{PIPELINE}", f"run/{PIPELINE}/{RUN}", "insights",
    f"task/{PIPELINE}/{RUN}/{PIPELINE}.phase_50.verify", f"report/{PIPELINE}/{RUN}/{PIPELINE}.phase_50.verify",
)  # fmt: skip
API = (
    f"dags/{PIPELINE}/dagRuns", f"dags/{PIPELINE}/dagRuns/{RUN}/taskInstances", "eventLogs?limit=1000", "variables",
    "connections", f"dags/{PIPELINE}/dagRuns/{RUN}/taskInstances/{PIPELINE}.phase_50.deploy/xcomEntries",
    f"dags/{PIPELINE}/dagRuns/{RUN}/hitlDetails",
)  # fmt: skip


def world(folder: Path) -> World:
    """An Airflow, a fleet, and the secrets that come from outside."""
    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "planted.py", dags)
    (folder / "logged").write_text(SECRETS["connection"])
    return World(
        dags=dags,
        environments={PIPELINE: 2},
        rates={PIPELINE: 1.0},
        settings={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PLANTED_IN_LOGS": str(folder / "logged"),
            "AIRFLOW__AIRFLOW_CD__SECRET_KEY": "a key of the attacks",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW_CONN_PLANTED_QUEUE": f"amqp://shop:{quote(SECRETS['environment'], safe='')}@queue",
        },
    )


def plant(site: World, client: AirflowClient) -> None:
    """Put the secrets where they belong, and where they do not; the latter must be refused."""
    client.call(
        "POST",
        "/api/v2/connections",
        {"connection_id": "planted_db", "conn_type": "postgres", "host": "db", "password": SECRETS["connection"]},
    )
    client.call("POST", "/api/v2/variables", {"key": "planted_token", "value": SECRETS["variable"]})
    foreign = Release("shop", "1.0", "shop:1.0", {"db": {"password": SECRETS["foreign release"]}})
    httpx.put(
        f"{site.fleet.api_url}/v1/environments/{PIPELINE}/release",
        json={"release": foreign.as_dict(), "instances": sorted(site.running(PIPELINE))},
        headers={
            "Authorization": f"Bearer {site.fleet.token}",
            "Idempotency-Key": "planted-first",
            "Fencing-Token": "0",
        },
        timeout=60,
    ).raise_for_status()
    client.wait_for_dag(PIPELINE)
    try:
        client.trigger(
            PIPELINE, {"version": "1.1", "configuration": {"key": {"password": SECRETS["override over the API"]}}}
        )
    except AirflowCdError as refused:
        written_by_hand.append(str(refused))
    else:
        raise AssertionError("an override with a secret was taken")
    url = f"postgres://shop:{SECRETS['URL in a command']}@db/shop"
    for conf in ({"configuration": {"password": SECRETS["override in a command"]}}, {"configuration": {"db": url}}):
        command = ["dags", "trigger", PIPELINE, "--conf", json.dumps({"version": "1.1", **conf})]
        done = airflow(site, *command)
        if done.returncode == 0:
            raise AssertionError(f"a command with a secret was taken: {done.stdout}")
        written_by_hand.append(done.stdout + done.stderr)


written_by_hand: list[str] = []


def airflow(site: World, *words: str, module: str = "airflow") -> subprocess.CompletedProcess[str]:
    """A command, as somebody types it on the scheduler's machine."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        env=site.airflow.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def deliver(site: World, client: AirflowClient) -> None:
    """Send a release whose canary fails and is rolled back."""
    client.unpause(PIPELINE)
    client.trigger(PIPELINE, {"version": "1.1", "reason": "planted"}, run_id=RUN)
    state = client.wait_for_run(PIPELINE, RUN, seconds=900)
    given = {row["configuration"]["db"]["password"] for row in site.running(PIPELINE).values()}
    if state != "failed" or given != {SECRETS["foreign release"]}:
        raise AssertionError(f"the run is {state}, the fleet was not given back what it had")


def everything(site: World, client: AirflowClient) -> Iterator[tuple[str, str]]:
    """What was written, by place."""
    for number, said in enumerate(written_by_hand):
        yield f"answer or output {number}", said
    for path in PAGES:
        answer = client._http.get(f"/airflow-cd/{path}")
        yield f"page {path} ({answer.status_code})", answer.text
    for path in API:
        yield f"API {path}", json.dumps(client._http.get(f"/api/v2/{path}").json(), ensure_ascii=False)
    for words in (("audit", "verify"), ("veto", "list", "shop", PIPELINE), ("waiting",)):
        done = airflow(site, *words, module="airflow_cd.cli")
        yield f"airflow-cd {' '.join(words)}", done.stdout + done.stderr
    for path in sorted(site.root.rglob("*")):
        # The fleet is what the secrets are for.
        if path.is_file() and "fleet" not in path.relative_to(site.root).parts[0]:
            yield str(path.relative_to(site.root)), path.read_bytes().decode("latin-1")
            if path.suffix == ".db":
                with sqlite3.connect(path) as connection:
                    yield f"tables of {path.name}", "\n".join(connection.iterdump())


def found_in(places: Iterator[tuple[str, str]]) -> tuple[int, Mapping[str, list[str]]]:
    """How many places were searched, and where which secret was found in any of its forms."""
    wanted = {name: forms(secret) for name, secret in SECRETS.items()}
    found: dict[str, list[str]] = {}
    count = 0
    for place, content in places:
        count += 1
        for name, shapes in wanted.items():
            journal = name in TYPED and place.endswith(JOURNAL)
            if not journal and any(shape in content for shape in shapes):
                found.setdefault(name, []).append(place)
    return count, found


def attacked() -> tuple[int, Mapping[str, list[str]]]:
    """Plant, deliver, search."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder, world(Path(folder)) as site:
        client = site.client()
        plant(site, client)
        deliver(site, client)
        wait_until(lambda: bool(site.ledger().vetoes.of("shop", PIPELINE)), "the release is vetoed", seconds=120)
        return found_in(everything(site, client))
