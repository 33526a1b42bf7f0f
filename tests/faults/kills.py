"""Kills at recorded steps and at random, for hours if need be: release after release, and after each the truth.

``python -m tests.faults --kills 200 --seed 7``: several environments beside each other on one Airflow with the settings
that it ships with, whose parts come up again by themselves. In each a release is under way, good or bad; something is
killed or goes wrong at a step that the ledger records, or at any moment; and when the dust has settled the fleet, the
ledger and, at the end, Airflow are read back. The next release follows in the same environment, beside whatever of the
last one is still alive.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.errors import AirflowCdError, LedgerError
from airflow_cd.ledger import Deployment
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState
from tests.faults.place import Place
from tests.faults.round import Round, print_table
from tests.faults.steps import STEPS, Fate
from tests.faults.truth import Expected, afterwards, colour, differs, half, runs
from tests.faults.victims import VICTIMS, Turns

LONGEST = 300.0
"""Seconds after which what is not whole never will be."""
ENDED = 600.0
"""Seconds that runs have at the end to come to theirs: Airflow finds a dead worker after 300."""


class Lane:
    """One environment, with one release after another.

    :param place: where it is.
    :param name: of the environment, the pipeline and its file.
    :param seed: of everything that is chosen.
    :param turns: for what hits every environment.
    :param victims: names of those that may be chosen.
    """

    def __init__(self, place: Place, name: str, seed: str, turns: Turns, victims: Sequence[str]) -> None:
        self.place, self.name, self.seed, self._turns, self._victims = place, name, seed, turns, list(victims)
        self.run_id = ""
        self.hurt = ""
        self.mend: list[Callable[[], Any]] = []
        self.deleted: set[str] = set()
        self.rounds: list[Round] = []
        place.put(name, Release("shop", "1.0", "shop:1.0"), sorted(place.rows(name)), "first")
        wait_until(lambda: not half(place.rows(name)), f"{name} runs 1.0", seconds=60)
        self._runs = self._now()

    def round(self, number: int) -> Round:
        """One release: sent, struck, and looked at when it is over."""
        chance = random.Random(f"{self.seed}-{self.name}-{number}")
        fate = chance.choices(list(Fate), [4, 3, 2])[0]
        step = chance.choice([name for name, one in STEPS.items() if fate in one.fates])
        victim = _chosen(chance, self._victims)
        everywhere = VICTIMS[victim].everywhere
        if everywhere and not self._turns.take():
            # Another one is about to hit everything, or parts are still coming up.
            everywhere, victim = False, _chosen(chance, [one for one in VICTIMS if not VICTIMS[one].everywhere])
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
        finally:
            if everywhere:
                self._turns.give()
        while self.mend:
            self.mend.pop()()
        # One whose file was away or broken is not there again at once.
        wait_until(self._may_be_run, f"{self.name} may be run again", seconds=LONGEST)
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
                for one in self.place.ledger.phases.of(found.id) if found is not None else ():
                    if one.share == fate.share and one.deployed_at:
                        bad.write_text(one.deployed_at.isoformat())
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
        if self.run_id in self.deleted:
            return True
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

    def _may_be_run(self) -> bool:
        with contextlib.suppress(AirflowCdError, httpx.HTTPError):
            return not self.place.client.call("GET", f"/api/v2/dags/{self.name}")["is_stale"]
        return False

    def _now(self) -> Any:
        return runs(next(iter(self.place.rows(self.name).values())))

    def ends(self) -> None:
        """Wait until every run of it has come to its end, and compare the colours with what became of the releases."""
        deadline = time.monotonic() + ENDED
        for one in self.rounds:
            run_id = f"r{one.number}"
            if run_id in self.deleted:
                continue
            try:
                state = self.place.client.wait_for_run(self.name, run_id, seconds=max(1.0, deadline - time.monotonic()))
                one.wrong += colour(state, self.deployment(run_id))
            except AirflowCdError as error:
                one.wrong.append(f"its run has not ended: {error}")
        if self._now() != self._runs or half(self.place.rows(self.name)):
            self.rounds[-1].wrong.append(
                f"changed after it was over: {self._now()}, {half(self.place.rows(self.name))}"
            )


def _chosen(chance: random.Random, victims: Sequence[str]) -> str:
    return chance.choices(victims, [VICTIMS[one].weight for one in victims])[0]


def kills(
    number: int, *, seed: str, lanes: int, only: Sequence[str] = (), minutes: float = 0.0, keep: Path | None = None
) -> bool:
    """Strike so many releases, print what became of each, and a table; gives whether all ended well.

    :param number: how many.
    :param seed: of everything that is chosen; where something is still coming up, another victim takes the place of
        one that hits every environment.
    :param lanes: environments beside each other.
    :param only: names of victims; all of them when empty.
    :param minutes: after so many none is begun any more; 0 for no limit.
    :param keep: folder for what Airflow has logged of the runs that went wrong.
    """
    sys.stdout.write(f"{number} kills with seed {seed} in {lanes} environments\n")
    names = [f"lane{one}" for one in range(1, lanes + 1)]
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, Place(Path(folder), names) as place:
        for name in names:
            place.client.wait_for_dag(name)
        turns, until = Turns(place.well), time.monotonic() + minutes * 60
        numbers = itertools.takewhile(lambda _: not minutes or time.monotonic() < until, range(1, number + 1))
        found = [Lane(place, name, seed, turns, only or list(VICTIMS)) for name in names]
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
