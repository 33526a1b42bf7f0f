"""The guard's process, started beside Airflow's scheduler and triggerer, or by ``airflow-cd guard``.

One on each machine works; the others wait for its lock in a few megabytes, so nothing is imported before they have it.
What was started beside a component of Airflow keeps the working process alive: one that is killed is started again.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from airflow_cd.home import airflow_home

LOCK = "airflow_cd_guard.lock"
LINGER = 60.0
RESTART = 2.0
WORK = "work"
"""First argument of the process that does the work."""


def main(parent: int | None = None, *, say: Callable[[str], None] = lambda line: None) -> int:
    """Guard until the process is told to end.

    :param parent: id of the process that started this one; None when nothing depends on it.
    :param say: told, in one line, that this guard stands by.
    :returns: the exit code.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    # The child of a process that has died is given to another.
    orphaned = (lambda: os.getppid() != parent) if parent is not None else (lambda: False)
    lock = _lock(airflow_home() / LOCK, stopping, orphaned, say)
    if lock is None:
        return 0
    with lock:
        if parent is None:
            _guard(stopping, orphaned)
        else:
            _keep_alive([sys.executable, "-m", "airflow_cd.guard", WORK, str(parent)], lock, stopping)
    return 0


def work(component: int) -> int:
    """Guard until the process is told to end, or the component is gone and nothing is unfinished.

    :param component: id of the process of Airflow beside which the guard was started.
    :returns: the exit code.
    """
    import psutil

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        process: psutil.Process | None = psutil.Process(component)
    except psutil.NoSuchProcess:
        process = None
    # Not by its id alone, which another process may get.
    _guard(stopping, lambda: process is None or not process.is_running())
    return 0


def _keep_alive(command: list[str], lock: IO[str], stopping: threading.Event) -> None:
    """Run the command until it ends by itself; start it again when it was killed."""
    while not stopping.is_set():
        # It holds the lock as well, so that it stays the only one when this process is killed.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[lock.fileno()])  # noqa: S603 - ours
        while child.poll() is None and not stopping.wait(0.5):
            pass
        if child.poll() is None:
            child.terminate()
            child.wait()
        if child.returncode == 0:
            return
        stopping.wait(RESTART)


def _lock(
    path: Path, stopping: threading.Event, orphaned: Callable[[], bool], say: Callable[[str], None]
) -> IO[str] | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    told = False
    alone = 0.0
    while not stopping.is_set():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not told:
                say("Another guard works on this machine; this one stands by.")
            told = True
        else:
            return file
        alone = (alone or time.monotonic()) if orphaned() else 0.0
        if alone and time.monotonic() - alone >= LINGER:
            break
        stopping.wait(1.0)
    file.close()
    return None


def _guard(stopping: threading.Event, orphaned: Callable[[], bool]) -> None:
    # Connections are read from Airflow's database as the scheduler reads them.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s - %(message)s", force=True)
    for loud in ("alembic", "httpx", "airflow.settings"):
        logging.getLogger(loud).setLevel(logging.WARNING)
    from airflow_cd.guard.service import run
    from airflow_cd.ledger import Ledger, open_ledger
    from airflow_cd.ledger.location import require_there

    def opened() -> Ledger:
        require_there()
        return open_ledger()

    run(open_ledger=opened, stopping=stopping, orphaned=orphaned, linger=LINGER)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORK]:
        sys.exit(work(int(sys.argv[2])))
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
