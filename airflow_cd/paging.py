"""Telling a person at once what nothing here can put right: the log, and a command of the operator's own."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import threading

log = logging.getLogger("airflow_cd.paging")

SECONDS = 30.0


def page(what: str, **where: str) -> None:
    """Tell a person, in the log and through ``[airflow_cd] page_command``; never raises, and waits for nobody.

    The command, without a shell, gets the sentence and where it happened as JSON on its standard input.

    :param what: what happened and what to do, in a sentence or two.
    :param where: pipeline, run, service and environment.
    """
    log.critical("PAGE %s (%s)", what, ", ".join(f"{name} {value}" for name, value in where.items()))
    command = _command()
    if command:
        content = json.dumps({"text": what, **where})
        threading.Thread(target=_run, args=(command, content), name="page", daemon=True).start()


def _command() -> list[str]:
    from airflow.configuration import conf

    try:
        return shlex.split(str(conf.get("airflow_cd", "page_command", fallback="") or ""))
    except Exception:
        log.exception("[airflow_cd] page_command cannot be read: nobody is paged")
        return []


def _run(command: list[str], content: str) -> None:
    try:
        subprocess.run(command, input=content, text=True, timeout=SECONDS, check=True, capture_output=True)  # noqa: S603 - the operator's own
    except (OSError, subprocess.SubprocessError):
        log.exception("Nobody was paged: %s failed", command[0])
