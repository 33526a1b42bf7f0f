"""The faults: each is done to a canary that is being watched, and says from when on its run cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.states import FreezeCause
from tests.faults.site import Site

Fault = Callable[[Site, str], None]


@dataclass(frozen=True)
class Case:
    """A fault.

    :param happen: does it; returns in the moment from which on the run cannot go on.
    :param cause: what the guard finds; None when the run goes on by itself.
    :param vetoed: whether the release was found bad before.
    :param settings: of the pipeline.
    """

    happen: Fault
    cause: FreezeCause | None
    vetoed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def pause(site: Site, case: str) -> None:
    site.client.call("PATCH", f"/api/v2/dags/{case}", {"is_paused": True})


def verified(site: Site, case: str) -> None:
    """Wait until the verification has passed."""
    wait_until(
        lambda: site.client.tasks(case, "run").get(f"{case}.phase_50.verify") == "success", "it passed", seconds=120
    )


def found_bad(site: Site, case: str) -> None:
    """Let the verification fail, and return when the canary is out of the traffic."""
    site.turn_bad(case)
    wait_until(lambda: any(row["drained"] for row in site.rows(case).values()), "it is drained", seconds=60, every=0.1)


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
        lambda: bool(site.client.call("GET", "/api/v2/importErrors")["import_errors"]), "it is noticed", seconds=120
    )
    found_bad(site, case)


def file_renamed(site: Site, case: str) -> None:
    (site.dags / f"{case}.py").rename(site.scripts / f"{case}.py.gone")
    wait_until(lambda: bool(site.client.call("GET", f"/api/v2/dags/{case}")["is_stale"]), "it is noticed", seconds=180)
    verified(site, case)


def worker_killed(site: Site, case: str) -> None:
    site.kill_worker(case, "phase_50.verify")


CASES: dict[str, Case] = {
    "paused-then-bad": Case(paused_then_bad, FreezeCause.PAUSED, vetoed=True),
    "paused-after-a-phase": Case(paused_after_a_phase, FreezeCause.PAUSED, settings={"duration": "8s"}),
    "paused-and-deleted": Case(paused_and_deleted, FreezeCause.DELETED, settings={"duration": "8s"}),
    "file-broken-then-bad": Case(file_broken_then_bad, FreezeCause.FILE_BROKEN, vetoed=True),
    "file-renamed": Case(file_renamed, FreezeCause.FILE_GONE, settings={"duration": "90s"}),
    "worker-killed": Case(worker_killed, FreezeCause.WORKER_DIED),
}
