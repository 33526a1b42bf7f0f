"""Airflow in parts of its own, each started again when it dies, as a service manager does it; a module to run, too."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from airflow_cd.demo.airflow_server import AirflowServer
from airflow_cd.demo.world import World

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
PAUSE = 2.0
"""Seconds until a part that died is started again."""


class Components(AirflowServer):
    """Airflow whose parts come up again by themselves."""

    command: Sequence[str] = ("-m", "tests.faults.components")


class RestartingWorld(World):
    """A world whose Airflow comes up again, part by part."""

    server = Components


def main() -> None:
    airflow = (sys.executable, "-m", "airflow")
    subprocess.run([*airflow, "db", "migrate"], check=True)
    parts: dict[str, subprocess.Popen[bytes]] = {}
    died: dict[str, float] = {}
    while True:
        for name in PARTS:
            if name in parts and parts[name].poll() is None:
                continue
            if time.monotonic() - died.setdefault(name, time.monotonic()) >= PAUSE or name not in parts:
                parts[name] = subprocess.Popen([*airflow, name], stdin=subprocess.DEVNULL)
                died.pop(name)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
