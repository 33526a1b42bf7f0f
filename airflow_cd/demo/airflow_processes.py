"""Finds and ends every process of an ``airflow standalone``, even when the process that started it is killed.

``airflow standalone`` leaves workers and servers behind when it ends, so they are found by its session and by its home
directory. Run as a module, this is the guard: it waits for its standard input to end, which the operating system does
when the starter is gone, even by ``kill -9``, and then ends them all.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psutil

STOP_SECONDS = 15.0


def processes_of(session: int | None, home: str) -> list[psutil.Process]:
    """Every running process of the Airflow with this home, whatever its parent is by now, except this process.

    :param session: session id of its first process.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            living = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
            if living and _belongs(process, session, home):
                found.append(process)
    return found


def _belongs(process: psutil.Process, session: int | None, home: str) -> bool:
    # Airflow's workers overwrite their environment with their title; what leaves the session still has it.
    if session is not None and os.getsid(process.pid) == session:
        return True
    return process.environ().get("AIRFLOW_HOME") == home


def end_processes(session: int | None, home: str) -> None:
    """Terminate all of its processes, and kill those that have not ended after :data:`STOP_SECONDS`."""
    deadline = time.monotonic() + STOP_SECONDS
    left = processes_of(session, home)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    while left and time.monotonic() < deadline:
        _, left = psutil.wait_procs(left, timeout=0.5)
    while left := processes_of(session, home):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def start_guard(session: int, home: str) -> subprocess.Popen[bytes]:
    """Start the guard; it ends them all as soon as this process is gone or closes the guard's standard input."""
    command = [sys.executable, "-m", "airflow_cd.demo.airflow_processes", str(session), home]
    # In a session of its own, so that a Ctrl-C in the terminal leaves it to its work.
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own module


def _guard(session: int, home: str) -> None:
    while os.read(0, 4096):
        pass
    end_processes(session, home)


if __name__ == "__main__":
    _guard(int(sys.argv[1]), sys.argv[2])
