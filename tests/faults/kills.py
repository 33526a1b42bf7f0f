"""Kills at recorded steps and at random, for hours if need be: release after release, and after each the truth.

``python -m tests.faults --kills 200 --seed 7``: several environments beside each other on one Airflow with the settings
that it ships with, whose parts come up again by themselves. In each a release is under way, good or bad; something is
killed or goes wrong at a step that the ledger records, or at any moment; and when the dust has settled the fleet, the
ledger and, at the end, Airflow are read back. The next release follows in the same environment, beside whatever of the
last one is still alive.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.errors import AirflowCdError, LedgerError
from airflow_cd.ledger import Deployment, open_ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState
from tests import postgres
from tests.faults.components import RestartingWorld
from tests.faults.proxy import Proxy
from tests.faults.site import PARSED_AGAIN, TEMPLATE, kill
from tests.faults.steps import STEPS, Fate
from tests.faults.truth import Expected, afterwards, colour, differs, half, runs
from tests.faults.victims import NOTHING, VICTIMS, Turns

INSTANCES = 4
WATCHED = "6s"
LONGEST = 300.0
"""Seconds after which what is not whole never will be."""
ENDED = 600.0
"""Seconds that runs have at the end to come to theirs: Airflow finds a dead worker after 300."""
REST = 25.0
"""Seconds between two kills that hit every environment."""
LEDGER = {
    # What a killed server has said is recorded must be there afterwards.
    "synchronous_commit": "on",
    "max_connections": "200",
}


@dataclass
class Round:
    """One release under way, and what was done to it.

    :param safe: seconds from the kill, or from when the release went bad if that was later, until no request reached
        what was to go; None for one that stays.
    :param whole: seconds from the same until the environment ran one release wholly, as the ledger says.
    """

    lane: str
    number: int
    fate: Fate
    step: str
    victim: str
    expected: Expected
    hit: str = NOTHING
    safe: float | None = None
    whole: float | None = None
    became: str = ""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        safe = f"{self.safe:6.1f}" if self.safe is not None else "     -"
        whole = f"{self.whole:6.1f}" if self.whole is not None else "     -"
        return (
            f"{self.lane} {self.number:4} {self.fate.value:11} {self.step:16} {self.victim:22} {self.hit:38.38} "
            f"safe {safe} whole {whole} {self.became:12} {'; '.join(self.wrong) or 'ok'}"
        )


class Place:
    """Airflow, the fleet behind a proxy, and the ledger on a PostgreSQL of its own.

    :param folder: for DAG files and scripts.
    :param lanes: names of the environments.
    """

    def __init__(self, folder: Path, lanes: list[str]) -> None:
        self.dags, self.scripts = folder / "dags", folder / "scripts"
        self._lanes = lanes
        self.struck = 0.0
        """When all environments were last hit, by the clock that never goes backwards."""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Place:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: contextlib.ExitStack) -> None:
        for made in (self.dags, self.scripts):
            made.mkdir(parents=True)
        for name in self._lanes:
            (self.scripts / f"{name}.json").write_text(json.dumps({"duration": WATCHED}))
            shutil.copy(TEMPLATE, self.dags / f"{name}.py")
        self.postgres = stack.enter_context(postgres.Server(LEDGER))
        self.ledger_url = postgres.create_database(self.postgres.url, "ledger")
        self.ledger = open_ledger(self.ledger_url, check=False)
        self.ledger.migrate()
        airflow = stack.enter_context(postgres.Server({"max_connections": "200"}))
        self.world = RestartingWorld(
            dags=self.dags,
            environments=dict.fromkeys(self._lanes, INSTANCES),
            rates=dict.fromkeys(self._lanes, 2.0),
            settings={
                **PARSED_AGAIN,
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow.url,
                "AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN": self.ledger_url,
                # Each killed worker holds a slot until Airflow finds out.
                "AIRFLOW__CORE__PARALLELISM": "20",
                "FAULT_SCRIPTS": str(self.scripts),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
        stack.enter_context(self.world)
        self.proxy = stack.enter_context(Proxy(self.world.fleet.api_url))
        self.client = self.world.client()
        api = {"conn_type": "deployment_api", "host": self.proxy.url, "password": self.world.fleet.token}
        self.client.call("POST", "/api/v2/connections", {"connection_id": "http_production", **api})

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def rows(self, name: str) -> dict[str, dict[str, Any]]:
        """What the fleet says runs on each instance."""
        return self.world.running(name)

    def traffic(self, name: str) -> list[dict[str, Any]]:
        """Which requests reached what on each instance."""
        found: list[dict[str, Any]] = self.fleet("GET", f"/v1/environments/{name}/traffic").json()["instances"]
        return found

    def fleet(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        """One request to the deployment API, past the proxy."""
        token = {"Authorization": f"Bearer {self.world.fleet.token}"}
        return httpx.request(
            method, f"{self.world.fleet.api_url}{path}", json=body, headers={**token, **(headers or {})}, timeout=30
        )

    def put(self, name: str, release: Release, instances: list[str], key: str) -> None:
        """Bring a release to instances, past every pipeline."""
        with contextlib.suppress(LedgerError):
            lease = self.ledger.leases.current("shop", name)
        token = lease.token if lease is not None else int(time.time()) if key != "first" else 0
        headers = {"Idempotency-Key": f"{name}-{key}", "Fencing-Token": str(token)}
        body = {"release": release.as_dict(), "instances": instances}
        self.fleet("PUT", f"/v1/environments/{name}/release", body, headers).raise_for_status()

    def kill(self, *words: str) -> int:
        """Kill -9 every process of Airflow with one of the words in its command line; its keeper stays."""
        return kill(self.world.airflow.processes(), words, spared="tests.faults.components")


class Lane:
    """One environment, with one release after another.

    :param place: where it is.
    :param name: of the environment, the pipeline and its file.
    :param seed: of everything that is chosen.
    """

    def __init__(self, place: Place, name: str, seed: str, turns: Turns) -> None:
        self.place, self.name, self.seed, self._turns = place, name, seed, turns
        self.run_id = ""
        self.hurt = ""
        self.rounds: list[Round] = []
        place.put(name, Release("shop", "1.0", "shop:1.0"), sorted(place.rows(name)), "first")
        wait_until(lambda: not half(place.rows(name)), f"{name} runs 1.0", seconds=60)
        self._runs = self._now()

    def round(self, number: int) -> Round:
        """One release: sent, struck, and looked at when it is over."""
        chance = random.Random(f"{self.seed}-{self.name}-{number}")
        fate = chance.choices(list(Fate), [4, 3, 2])[0]
        step = chance.choice([name for name, one in STEPS.items() if fate in one.fates])
        victim = chance.choices(list(VICTIMS), [one.weight for one in VICTIMS.values()])[0]
        version = "1.1" if (self._runs[0] or "").endswith("1.0") else "1.0"
        expected = Expected(self._runs, (f"shop:{version}", f"round={number}"))
        done = Round(self.name, number, fate, step, victim, expected)
        self.run_id, self.hurt = f"r{number}", ""
        if self._now() != self._runs:
            done.wrong.append(f"changed since the round before: {self._runs} to {self._now()}")
        try:
            self._play(done, version, chance)
        except Exception as error:  # noqa: BLE001 - the next round follows
            done.wrong.append(f"{type(error).__name__}: {error}")
        self._runs = self._now()
        self.rounds.append(done)
        return done

    def _play(self, done: Round, version: str, chance: random.Random) -> None:
        bad = self.place.scripts / f"{self.name}.bad"
        bad.unlink(missing_ok=True)
        conf = {"version": version, "configuration": {"round": str(done.number)}}
        self.place.client.trigger(self.name, conf, run_id=self.run_id)
        watching = threading.Thread(target=self._spoil, args=(done.fate, bad), daemon=True)
        watching.start()
        STEPS[done.step].wait(self, chance)
        victim = VICTIMS[done.victim]
        with self._turns.mine(victim):
            began = time.monotonic()
            done.hit = victim.strike(self.place, self, chance)
            if victim.everywhere:
                self.place.struck = time.monotonic()
        watching.join(LONGEST)
        done.safe, done.whole = self._settle(done, began)
        self._look(done)

    def _spoil(self, fate: Fate, bad: Path) -> None:
        """Let the release log exceptions from when the phase serves that it is to fail in."""
        if fate is Fate.GOOD:
            return
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            found = self.deployment()
            if found is not None and found.state != DeploymentState.RUNNING:
                return
            with contextlib.suppress(LedgerError):
                if found is not None and any(
                    one.share == fate.share and one.deployed_at for one in self.place.ledger.phases.of(found.id)
                ):
                    bad.write_text(datetime.now(timezone.utc).isoformat())
                    return
            time.sleep(0.2)

    def _settle(self, done: Round, began: float) -> tuple[float | None, float | None]:
        """Wait until the release is where it belongs; gives the seconds to safe and to whole."""
        safe: float | None = None
        while True:
            # What hits every environment begins the count anew.
            began = max(began, self.place.struck)
            found, rows = self.deployment(), self.place.rows(self.name)
            serving = {runs(row) for row in rows.values() if not row["drained"]}
            safe = (safe or time.monotonic()) if done.expected.new not in serving else None
            wrong = self._wrong(found, rows, done.expected)
            if not wrong and (found is not None or self._never_begins(began)):
                break
            if time.monotonic() > began + LONGEST:
                done.wrong.append(f"after {LONGEST:.0f} s: {'; '.join(wrong) or 'nothing was deployed'}")
                return None, None
            time.sleep(0.25)
        done.became = str(found.state) if found is not None else "not begun"
        gone = found is not None and found.state == DeploymentState.ROLLED_BACK
        return (max(0.0, safe - began) if gone and safe is not None else None), time.monotonic() - began

    def _wrong(self, found: Deployment | None, rows: dict[str, dict[str, Any]], expected: Expected) -> list[str]:
        # An instance that was killed and is no part of the deployment is for whoever looks after instances.
        hurt = {f"{self.hurt} is {state}" for state in ("failed", "unhealthy", "empty")}
        wrong = [one for one in half(rows) if one not in hurt] + differs(rows, found, expected)
        try:
            lease = self.place.ledger.leases.current("shop", self.name)
        except LedgerError as away:
            return [*wrong, str(away)]
        if lease is not None and lease.run_id == self.run_id and found is not None:
            wrong.append(f"{lease.run_id} owns the environment")
        return wrong

    def _never_begins(self, began: float) -> bool:
        """Whether nothing more is to be expected of a run that has deployed nothing."""
        if time.monotonic() - began < 20:
            return False
        with contextlib.suppress(AirflowCdError, httpx.HTTPError):
            return self.place.client.run_state(self.name, self.run_id) in ("success", "failed")
        return False

    def _look(self, done: Round) -> None:
        found = self.deployment()
        if found is not None:
            done.wrong += afterwards(self.place.ledger, found, self.place.traffic(self.name), done.expected.new)
        rows = self.place.rows(self.name)
        sick = sorted(name for name, row in rows.items() if row["health"] != "healthy")
        if sick:
            row = rows[sick[0]]
            release = Release("shop", row["version"], row["artifact"], row["configuration"])
            self.place.put(self.name, release, sick, f"cure-{done.number}")
            wait_until(lambda: not half(self.place.rows(self.name)), f"{sick} is cured", seconds=60)

    def deployment(self, run_id: str = "") -> Deployment | None:
        """The run's deployment, as far as the ledger can say it now."""
        with contextlib.suppress(LedgerError):
            return self.place.ledger.deployments.of_run(self.name, run_id or self.run_id, "shop", self.name)
        return None

    def _now(self) -> Any:
        return runs(next(iter(self.place.rows(self.name).values())))

    def ends(self) -> None:
        """Wait until every run of it has come to its end, and compare the colours with what became of the releases."""
        deadline = time.monotonic() + ENDED
        for one in self.rounds:
            run_id = f"r{one.number}"
            try:
                state = self.place.client.wait_for_run(self.name, run_id, seconds=max(1.0, deadline - time.monotonic()))
                one.wrong += colour(state, self.deployment(run_id))
            except AirflowCdError as error:
                one.wrong.append(f"its run has not ended: {error}")
        if self._now() != self._runs or half(self.place.rows(self.name)):
            self.rounds[-1].wrong.append(
                f"changed after it was over: {self._now()}, {half(self.place.rows(self.name))}"
            )


def kills(number: int, *, seed: str, lanes: int, keep: Path | None = None) -> bool:
    """Strike so many releases, print what became of each, and a table; gives whether all ended well.

    :param number: how many.
    :param seed: of everything that is chosen; the same one chooses the same.
    :param lanes: environments beside each other.
    :param keep: folder for what Airflow has logged of the runs that went wrong.
    """
    sys.stdout.write(f"{number} kills with seed {seed} in {lanes} environments\n")
    names = [f"lane{one}" for one in range(1, lanes + 1)]
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, Place(Path(folder), names) as place:
        for name in names:
            place.client.wait_for_dag(name)
        turns, numbers = Turns(REST), iter(range(1, number + 1))
        found = [Lane(place, name, seed, turns) for name in names]
        threads = [threading.Thread(target=_play, args=(lane, numbers, keep)) for lane in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for lane in found:
            lane.ends()
        rounds = sorted((one for lane in found for one in lane.rounds), key=lambda one: one.number)
    print_table(rounds)
    return not any(one.wrong for one in rounds)


_next = threading.Lock()


def _play(lane: Lane, numbers: Iterator[int], keep: Path | None) -> None:
    while True:
        with _next:
            number = next(numbers, None)
        if number is None:
            return
        done = lane.round(number)
        sys.stdout.write(f"{datetime.now(timezone.utc):%H:%M:%S} {done}\n")
        sys.stdout.flush()
        if done.wrong and keep is not None:
            _keep(lane, done, keep / f"round-{number}")


def _keep(lane: Lane, done: Round, folder: Path) -> None:
    """What Airflow has logged of a run, and what the ledger knows of it."""
    folder.mkdir(parents=True, exist_ok=True)
    logs = lane.place.world.airflow.home / "logs" / f"dag_id={lane.name}" / f"run_id={lane.run_id}"
    with contextlib.suppress(Exception):
        shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)
        shutil.copy(lane.place.world.airflow.log, folder / "airflow.log")
    with contextlib.suppress(Exception):
        found = lane.deployment()
        lines = [str(done), str(found), *map(str, lane.place.ledger.guarding.findings(lane.name))]
        lines += map(str, lane.place.ledger.actions.of(found.id) if found is not None else ())
        lines += [f"{name}: {row}" for name, row in lane.place.rows(lane.name).items()]
        lines.append(str(lane.place.client.tasks(lane.name, lane.run_id)))
        (folder / "what.txt").write_text("\n".join(lines))


def print_table(rounds: list[Round]) -> None:
    """A line for each victim, and every exception."""
    by_victim = collections.defaultdict(list)
    for one in rounds:
        by_victim[one.victim].append(one)
    lines = [f"{'':24}{'times':>6}{'hit':>5}{'back':>6}{'safe, most':>12}{'whole, median':>15}{'most':>7}{'wrong':>7}"]
    for victim in (*VICTIMS, "all"):
        found = by_victim[victim] if victim != "all" else rounds
        if not found:
            continue
        safe = [one.safe for one in found if one.safe is not None]
        whole = sorted(one.whole for one in found if one.whole is not None)
        back = sum(one.became == "rolled_back" for one in found)
        lines.append(
            f"{victim:24}{len(found):6}{sum(one.hit != NOTHING for one in found):5}{back:6}"
            f"{max(safe, default=0.0):12.1f}{whole[len(whole) // 2] if whole else 0.0:15.1f}"
            f"{max(whole, default=0.0):7.1f}{sum(bool(one.wrong) for one in found):7}"
        )
    wrong = [one for one in rounds if one.wrong]
    kinds = sum(VICTIMS[one.victim].kill and one.hit != NOTHING for one in rounds)
    lines.append(f"{kinds} kills with -9, {len(rounds) - kinds} others; exceptions: {len(wrong) or 'none'}")
    lines += [str(one) for one in wrong]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
