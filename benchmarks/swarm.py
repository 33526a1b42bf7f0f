"""Going back on Docker: ours beside the rollback of Swarm, on one daemon in the same run.

    .venv/bin/python -m benchmarks.swarm --times 5

Needs root and Docker's daemon, which is one of its own; images are built the first time. Each has five containers of
the same image with the same health check, all of them on the new release, and is told to go back: Swarm by `docker
service rollback`, ours by the rollback that follows a verdict, ledger, fencing and reading back included. *Restored* is
when five healthy containers of the old release run and none of the new one, in seconds after the command.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_cd.delivery import Delivery
from airflow_cd.ledger import open_ledger
from tests.real import images
from tests.real.docker_target.site import LABEL, Site, build, release
from tests.real.engine import Engine, EngineError, engine
from tests.real.images import CACHE

COUNT = 5
OLD, NEW = "1.0", "1.1"


def healthy(docker: Engine, label: str) -> dict[str, int]:
    """How many healthy containers with a label run each image."""
    listed = docker("docker", "ps", "--filter", f"label={label}", "--format", "{{.Image}} {{.Status}}").splitlines()
    found: dict[str, int] = {}
    for line in listed:
        image, _, status = line.partition(" ")
        name = f"{image.partition('@')[0]}" if "(healthy)" in status else "not healthy"
        found[name] = found.get(name, 0) + 1
    return found


class Swarm:
    """A service of five tasks.

    :param docker: the daemon, which is made a swarm of one.
    """

    name, service = "swarm", "beside"
    label = f"com.docker.swarm.service.name={service}"

    def __init__(self, docker: Engine) -> None:
        self._docker = docker
        docker("docker", "swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
        docker(
            *("docker", "service", "create", "--quiet", "--detach", "--name", self.service, "--replicas", str(COUNT)),
            "--no-resolve-image",
            f"web:{OLD}",
        )
        self.until_whole(OLD)

    def begin(self) -> None:
        """Bring the new release to all of them."""
        self._docker(
            *("docker", "service", "update", "--quiet", "--no-resolve-image"), *("--image", f"web:{NEW}", self.service)
        )

    def go_back(self) -> None:
        """Roll back."""
        self._docker("docker", "service", "rollback", "--quiet", "--detach", self.service)

    def until_whole(self, version: str) -> None:
        """Wait until all of them run a release, and nothing else."""
        until(
            lambda: healthy(self._docker, self.label) == {f"web:{version}": COUNT}, f"Swarm's service is on {version}"
        )

    def finish(self) -> None:
        """Nothing is left of it."""


class Ours:
    """Five containers that somebody has started.

    :param docker: the daemon.
    :param folder: for the ledger.
    """

    name = "ours"

    def __init__(self, docker: Engine, folder: Path) -> None:
        def connect(conn_id: str, **fields: Any) -> None:
            os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)

        self._site = Site(docker, folder, connect)
        self._site.run(COUNT)
        self._ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
        self._docker, self._runs = docker, 0
        self.until_whole(OLD)

    def begin(self) -> None:
        """Bring the new release to all of them."""
        self._runs += 1
        self._delivery = Delivery(
            self._ledger,
            self._site.target(),
            pipeline="benchmark",
            run_id=f"run-{self._runs}",
            service="web",
            environment="production",
            log=lambda line: None,
            timeout=timedelta(seconds=60),
        )
        self._delivery.deploy(release(NEW, RUN=str(self._runs)), phase="phase_100", share=100)

    def go_back(self) -> None:
        """Roll back."""
        self._delivery.roll_back("it is bad")

    def until_whole(self, version: str) -> None:
        """Wait until all of them run a release, and nothing else."""
        until(lambda: healthy(self._docker, LABEL) == {f"web:{version}": COUNT}, f"our containers are on {version}")

    def finish(self) -> None:
        """Give the environment up."""
        self._delivery.settle()


def until(holds: Any, what: str, seconds: float = 180.0) -> None:
    """Ask again and again until something holds."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        threading.Event().wait(0.05)


def measure(one: Swarm | Ours) -> float:
    """Seconds from the command until the old release is whole again."""
    one.begin()
    one.until_whole(NEW)
    began = time.monotonic()
    one.go_back()
    one.until_whole(OLD)
    taken = time.monotonic() - began
    one.finish()
    return taken


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    times: int = parser.parse_args().times
    with tempfile.TemporaryDirectory() as temporary, engine(CACHE) as docker:
        build(docker, images.base(docker))
        try:
            sides: list[Swarm | Ours] = [Swarm(docker), Ours(docker, Path(temporary))]
            found: dict[str, list[float]] = {one.name: [] for one in sides}
            for number in range(times):
                for one in sides:
                    found[one.name].append(measure(one))
                    print(f"{number + 1} {one.name:<5} restored after {found[one.name][-1]:.2f} s", flush=True)
        finally:
            leave_swarm(docker)
    for name, taken in found.items():
        print(f"{name:<5} restored {statistics.median(taken):.2f} s (at most {max(taken):.2f}), {times} times")
    return 0


def leave_swarm(docker: Engine) -> None:
    """End the swarm, whose services would start their containers again."""
    try:
        docker("docker", "swarm", "leave", "--force")
    except EngineError:
        return  # it was none


if __name__ == "__main__":
    sys.exit(main())
