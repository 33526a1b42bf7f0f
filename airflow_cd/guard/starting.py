"""Starts the guard beside Airflow's scheduler and triggerer: a listener of the plugin, loaded by every component.

A DAG could be paused, and its file broken; a thread would die with the component. A process of its own outlives a
component that is killed, and finishes what that leaves.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

COMPONENTS = ("scheduler", "triggerer", "standalone")
_started: list[subprocess.Popen[bytes]] = []


@hookimpl
def on_starting(component: Any) -> None:
    """Start the guard; Airflow calls it when a component's job begins.

    :param component: the job.
    """
    if not _started and _is_wanted():
        _start()


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Start the guard again that was killed, before a run has anything to lose; the scheduler calls it.

    :param dag_run: the run that begins.
    :param msg: Airflow's word about it.
    """
    if _started and _started[-1].poll() is not None:
        log.warning("The guard of Airflow CD has ended with code %s; it is started again", _started.pop().returncode)
        _start()


def _start() -> None:
    import os

    try:
        # In a session of its own, which a signal to the component's group does not reach.
        _started.append(
            subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "airflow_cd.guard", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
    except OSError:
        log.exception("The guard of Airflow CD could not be started; run `airflow-cd guard` as a service instead")


@hookimpl
def before_stopping(component: Any) -> None:
    """End the guard with the component that started it; another one on this machine, if any, goes on.

    :param component: the job.
    """
    while _started:
        guard = _started.pop()
        with contextlib.suppress(OSError):
            guard.terminate()


def _is_wanted() -> bool:
    from airflow.configuration import conf

    try:
        wanted = bool(conf.getboolean("airflow_cd", "guard", fallback=True))
    except Exception:
        log.exception("[airflow_cd] guard cannot be read; the guard is started")
        wanted = True
    return wanted and any(word in COMPONENTS for word in sys.argv[1:3])
