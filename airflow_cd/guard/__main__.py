"""The guard's process, started beside Airflow's scheduler and triggerer, or by ``airflow-cd guard``.

One on each machine works; the others wait for its lock in a few megabytes, so nothing is imported before they have it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from airflow_cd.home import airflow_home

LOCK = "airflow_cd_guard.lock"
LINGER = 60.0


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
        _guard(stopping, orphaned)
    return 0


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
    from airflow_cd.ledger.location import is_there

    def opened() -> Ledger:
        is_there()
        return open_ledger()

    run(open_ledger=opened, stopping=stopping, orphaned=orphaned, linger=LINGER)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
