"""The faults: each is done to a canary that is being watched, and says from when on its run cannot go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.states import StuckCause
from tests.faults.site import OLD, Site
from tests.pace import PATIENCE, slowness

Fault = Callable[[Site, str], None]


@dataclass(frozen=True)
class Case:
    """A fault.

    :param happen: does it; returns in the moment from which on the run cannot go on.
    :param cause: what the guard finds; None when the run goes on by itself.
    :param alone: whether it does the same to every canary of its Airflow, so that it needs one of its own.
    :param vetoed: whether the release was found bad before.
    :param settings: of the pipeline.
    """

    happen: Fault
    cause: StuckCause | None
    vetoed: bool = False
    alone: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def pause(site: Site, case: str) -> None:
    site.client.call("PATCH", f"/api/v2/dags/{case}", {"is_paused": True})


def verified(site: Site, case: str) -> None:
    """Wait until the verification has passed."""
    wait_until(
        lambda: site.client.tasks(case, "run").get(f"{case}.phase_50.verify") == "success",
        "it passed",
        seconds=PATIENCE,
    )


def found_bad(site: Site, case: str) -> None:
    """Let the verification fail, and return when the canary is out of the traffic."""
    site.turn_bad(case)
    wait_until(
        lambda: any(row["drained"] for row in site.rows(case).values()), "it is drained", seconds=PATIENCE, every=0.1
    )


def paused_then_bad(site: Site, case: str) -> None:
    pause(site, case)
    found_bad(site, case)


def paused_after_a_phase(site: Site, case: str) -> None:
    pause(site, case)
    verified(site, case)


def paused_and_deleted(site: Site, case: str) -> None:
    pause(site, case)
    verified(site, case)
    site.client.call("DELETE", f"/api/v2/dags/{case}")


def file_broken_then_bad(site: Site, case: str) -> None:
    file = site.dags / f"{case}.py"
    file.write_text(file.read_text() + "\nCanry\n")
    wait_until(
        lambda: bool(site.client.call("GET", "/api/v2/importErrors")["import_errors"]),
        "it is noticed",
        seconds=PATIENCE,
    )
    found_bad(site, case)


def file_renamed(site: Site, case: str) -> None:
    (site.dags / f"{case}.py").rename(site.scripts / f"{case}.py.gone")
    wait_until(
        lambda: bool(site.client.call("GET", f"/api/v2/dags/{case}")["is_stale"]), "it is noticed", seconds=PATIENCE
    )
    verified(site, case)


def worker_killed(site: Site, case: str) -> None:
    site.kill_worker(case, "phase_50.verify")


def guard_killed_as_well(site: Site, case: str) -> None:
    """Every guard, and the worker of the verification a moment later."""
    assert site.kill("airflow_cd.guard work")
    worker_killed(site, case)


def triggerer_killed(site: Site, case: str) -> None:
    """Nothing of ours is in it, so that nothing waits for it."""
    assert site.kill("airflow triggerer")
    site.turn_bad(case)


def worker_and_dag_processor_killed(site: Site, case: str) -> None:
    """Airflow runs callbacks in the DAG processor, if anywhere: nothing of ours is one, and a person is told."""
    assert site.kill("airflow dag-processor")
    worker_killed(site, case)
    site.until(lambda: f'"environment": "{case}"' in site.pages(), "a person is told", seconds=60 * slowness())


def worker_told_to_end(site: Site, case: str) -> None:
    """As a container's end does it to all processes in it, and kills them ten seconds later."""
    site.turn_bad(case)
    site.end_worker(case, "phase_50.verify")


def rollback_not_taken(site: Site, case: str) -> None:
    """No worker has a slot for the rollback, as when the workers of its queue are gone."""
    site.client.call("PATCH", "/api/v2/pools/default_pool?update_mask=slots", {"name": "default_pool", "slots": 0})
    found_bad(site, case)


def scheduler_killed(site: Site, case: str) -> None:
    """Airflow's scheduler, and the workers that it started; nobody starts it again."""
    assert site.kill("airflow scheduler", "airflow worker")


def everything_killed(site: Site, case: str) -> None:
    """All of Airflow and its guard; it is started again a moment later."""
    assert site.kill()
    site.restart_airflow()


def ledger_locked_in_mid_rollback(site: Site, case: str) -> None:
    """Nobody can write to the ledger from just before the verdict, for a minute."""
    with site.ledger_locked():
        site.turn_bad(case)
        began = time.monotonic()
        safe = site.until(lambda: site.served_by(case) == {OLD.artifact}, "it is safe", seconds=60 * slowness())
        whole = site.until(lambda: not site.wrong(case, final=False), "it is whole", seconds=60 * slowness())
        sys.stdout.write(f"{case:24} while the ledger is locked: safe {safe:.1f} s, whole {safe + whole:.1f} s\n")
        time.sleep(max(0.0, 60 - (time.monotonic() - began)))


CASES: dict[str, Case] = {
    "paused-then-bad": Case(paused_then_bad, StuckCause.PAUSED, vetoed=True),
    "paused-after-a-phase": Case(paused_after_a_phase, StuckCause.PAUSED, settings={"duration": "8s"}),
    "paused-and-deleted": Case(paused_and_deleted, StuckCause.DELETED, settings={"duration": "8s"}),
    "file-broken-then-bad": Case(file_broken_then_bad, StuckCause.FILE_BROKEN, vetoed=True),
    "file-renamed": Case(file_renamed, StuckCause.FILE_GONE, settings={"duration": "90s"}),
    "worker-killed": Case(worker_killed, StuckCause.WORKER_DIED),
    # Its next attempt goes on from when the phase was deployed.
    "worker-told-to-end": Case(worker_told_to_end, None, vetoed=True),
    "worker-and-dag-processor-killed": Case(worker_and_dag_processor_killed, StuckCause.WORKER_DIED, alone=True),
    "rollback-not-taken": Case(rollback_not_taken, StuckCause.STALLED, vetoed=True, alone=True),
    "triggerer-killed": Case(triggerer_killed, None, vetoed=True, alone=True),
    "guard-killed-as-well": Case(guard_killed_as_well, StuckCause.WORKER_DIED, alone=True),
    "scheduler-killed": Case(scheduler_killed, StuckCause.WORKER_DIED, alone=True),
    # Airflow takes up what its predecessor left, before the guard has to.
    "everything-killed": Case(everything_killed, None, alone=True),
    "ledger-locked": Case(ledger_locked_in_mid_rollback, None, vetoed=True, alone=True),
}
