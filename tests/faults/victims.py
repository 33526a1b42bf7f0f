"""What is killed, or goes wrong, while a release is under way."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import psutil

from airflow_cd.errors import AirflowCdError
from tests.faults import troubles
from tests.faults.proxy import Trouble
from tests.faults.troubles import Strike

if TYPE_CHECKING:
    from tests.faults.kills import Lane
    from tests.faults.place import Place

NOTHING = ""
"""What a victim says that was not there."""


@dataclass(frozen=True)
class Victim:
    """Something to kill.

    :param strike: does it, and says what it hit; :data:`NOTHING` when there was nothing to hit.
    :param weight: how often it is chosen, compared with the others.
    :param everywhere: whether every release under way is hit, so that only one at a time is struck.
    :param kill: whether it is a kill with -9, and no other trouble.
    """

    strike: Strike
    weight: float = 1.0
    everywhere: bool = True
    kill: bool = True


# -- processes of one run -------------------------------------------------------------------------------------


def _pid(place: Place, lane: Lane) -> tuple[str, int] | None:
    """The process at work on the lane's run, and the task that it is of."""
    with contextlib.suppress(AirflowCdError):
        work = place.ledger.work.of_run("shop", lane.name, lane.name, lane.run_id)
        if work is not None and not work.over:
            return work.task_id, int(work.process.rpartition(":")[2])
    with contextlib.suppress(AirflowCdError, httpx.HTTPError):
        path = f"/api/v2/dags/{lane.name}/dagRuns/{lane.run_id}/taskInstances?state=running"
        for row in place.client.call("GET", path)["task_instances"]:
            if row["pid"]:
                return str(row["task_id"]), int(row["pid"])
    return None


def _of_a_task(which: str, number: signal.Signals = signal.SIGKILL) -> Strike:
    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        deadline = time.monotonic() + 4.0
        while time.monotonic() < deadline:
            found = _pid(place, lane)
            if found is not None and _kill_task(found[1], which, number):
                return f"the {which} of {found[0].removeprefix(lane.name + '.')}"
            time.sleep(0.05)
        return NOTHING

    return strike


def _kill_task(pid: int, which: str, number: signal.Signals) -> bool:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        parent = process.parent()
        # Ours only: an id may be another process's by now.
        if parent is None or "airflow" not in " ".join((*process.cmdline(), *parent.cmdline())):
            return False
        chosen = {"process": [process], "supervisor": [parent], "both": [parent, process]}[which]
        for one in chosen:
            one.send_signal(number)
        return True
    return False


def _hangs(place: Place, lane: Lane, chance: random.Random) -> str:
    """The task's process stands still, and goes on once the environment is whole, with a token that is void by then."""
    found = _pid(place, lane)
    if found is None or not _kill_task(found[1], "process", signal.SIGSTOP):
        return NOTHING

    def go_on() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[1], signal.SIGCONT)

    lane.mend.append(go_on)
    return f"{found[0].removeprefix(lane.name + '.')} stands still"


def _instance(place: Place, lane: Lane, chance: random.Random) -> str:
    name = chance.choice(sorted(place.rows(lane.name)))
    body = {"environment": lane.name, "instance": name}
    answer = place.fleet("POST", "/v1/faults/kill", body)
    lane.hurt = name
    return f"instance {name[-2:]}" if answer.is_success else NOTHING


# -- Airflow's parts ------------------------------------------------------------------------------------------


def _part(*words: str) -> Strike:
    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        return f"{place.kill(*words)} processes"

    return strike


def _guard(place: Place, lane: Lane, chance: random.Random) -> str:
    """One process of the guard: which works, or which keeps that one alive, or stands by."""
    found = [one for one in place.world.airflow.processes() if "airflow_cd.guard" in _line(one)]
    if not found:
        return NOTHING
    chosen = chance.choice(found)
    chosen.kill()
    return "the one that works" if " work " in f"{_line(chosen)} " else "one that keeps it alive"


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _everything(place: Place, lane: Lane, chance: random.Random) -> str:
    """All of Airflow and the guard at once, as when their machine goes; it comes up again."""
    return f"{place.kill()} processes"


VICTIMS: dict[str, Victim] = {
    "task": Victim(_of_a_task("process"), 4, everywhere=False),
    "supervisor": Victim(_of_a_task("supervisor"), 4, everywhere=False),
    "task and supervisor": Victim(_of_a_task("both"), 4, everywhere=False),
    "instance": Victim(_instance, 3, everywhere=False),
    # As a container's end does it to all processes in it, and kills a moment later.
    "worker told to end": Victim(_of_a_task("both", signal.SIGTERM), everywhere=False, kill=False),
    "task hangs": Victim(_hangs, everywhere=False, kill=False),
    "scheduler": Victim(_part("airflow scheduler"), 2),
    "scheduler and workers": Victim(_part("airflow scheduler", "airflow worker", "airflow serve-logs"), 2),
    "API server": Victim(_part("airflow api-server", "airflow api_server", "uvicorn", "gunicorn"), 2),
    "triggerer": Victim(_part("airflow triggerer"), 1),
    "DAG processor": Victim(_part("airflow dag-processor"), 1),
    "guard": Victim(_guard, 2),
    "everything": Victim(_everything, 1),
    "ledger's PostgreSQL": Victim(troubles.ledger_killed, 3),
    "deployment API": Victim(troubles.network(Trouble.GONE), 3),
    "API hangs": Victim(troubles.network(Trouble.HANGS), 1, kill=False),
    "API resets": Victim(troubles.network(Trouble.RESETS), 1, kill=False),
    "API drips": Victim(troubles.network(Trouble.DRIPS), 1, kill=False),
    "API: wrong JSON": Victim(
        troubles.answers("wrong JSON", status=200, body="<html>sorry"), 1, everywhere=False, kill=False
    ),
    "API: not done": Victim(
        troubles.answers("accepted, not done", status=202, body='{"accepted": []}', method="PUT"),
        1,
        everywhere=False,
        kill=False,
    ),
    "API: answer lost": Victim(
        troubles.answers("answers lost", status=502, after=True), 1, everywhere=False, kill=False
    ),
    "API: refuses": Victim(troubles.answers("refused", status=403, method="PUT"), 1, everywhere=False, kill=False),
    "ledger read-only": Victim(troubles.READ_ONLY, 1, kill=False),
    "ledger locked": Victim(troubles.LOCKED, 1, kill=False),
    "ledger full": Victim(troubles.FULL, 1, kill=False),
    "clock ahead": Victim(troubles.clock(600.0), 1, everywhere=False, kill=False),
    "clock behind": Victim(troubles.clock(-600.0), 1, everywhere=False, kill=False),
    "DAG paused": Victim(troubles.paused, 1, everywhere=False, kill=False),
    "run marked failed": Victim(troubles.marked("failed"), 1, everywhere=False, kill=False),
    "run marked success": Victim(troubles.marked("success"), 1, everywhere=False, kill=False),
    "run deleted": Victim(troubles.deleted, 1, everywhere=False, kill=False),
    "DAG file broken": Victim(troubles.file_broken, 0.5, everywhere=False, kill=False),
    "DAG file renamed": Victim(troubles.file_renamed, 0.5, everywhere=False, kill=False),
}


class Turns:
    """What hits every release under way happens one at a time, and not before all parts have come up again.

    :param well: whether all parts are there.
    """

    def __init__(self, well: Callable[[], bool]) -> None:
        self._well = well
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take the turn; False when something is still coming up, or about to be struck."""
        if not self._lock.acquire(blocking=False):
            return False
        if self._well():
            return True
        self._lock.release()
        return False

    def give(self) -> None:
        """Let the next one have it."""
        self._lock.release()
