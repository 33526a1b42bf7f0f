"""How a container is, as its daemon's record of it says, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.instances import FAILED, HEALTHY, STARTING, UNHEALTHY
from airflow_cd.targets.last_words import one_line, telling

LOOP = 2
"""Restarts in a row after which waiting does not help."""
STAYED = timedelta(seconds=10)
"""A container that ran so long did start; Docker forgets its earlier restarts then, too."""
LONGEST_PAUSE = timedelta(minutes=1)
"""Between two starts of a container that exits again and again."""
HOPELESS = 2
"""A health check that failed so many times more often than its ``retries`` will not succeed by waiting."""
LONGEST_START = timedelta(seconds=30)
"""A container that was made and not started for so long was left behind."""

_EVERY = 30 * 10**9
"""Nanoseconds between two checks, and that one may take, unless the image or the container says otherwise."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_PORT = re.compile(r"[Pp]ort is already allocated|address already in use")


def read_time(text: str | None) -> datetime | None:
    """A time as the daemon writes it, with up to nine digits of a second; None for its zero.

    :param text: such as ``2026-01-02T03:04:05.123456789Z``.
    """
    found = _TIME.match(text or "")
    if found is None or found[1].startswith("0001-"):
        return None
    fraction = (found[2] or "0")[:6].ljust(6, "0")
    zone = "+00:00" if found[3] == "Z" else found[3]
    return datetime.fromisoformat(f"{found[1]}.{fraction}{zone}").astimezone(timezone.utc)


def started(container: Mapping[str, Any]) -> datetime | None:
    """Since when a container's process runs; None when it does not.

    :param container: as the daemon says it.
    """
    state = container["State"]
    return read_time(state.get("StartedAt")) if state.get("Running") and not state.get("Restarting") else None


def has_check(container: Mapping[str, Any]) -> bool:
    """Whether a container has a health check.

    :param container: as the daemon says it.
    """
    test = (container["Config"].get("Healthcheck") or {}).get("Test") or []
    return bool(test) and test[0] != "NONE"


def slowest_answers(container: Mapping[str, Any]) -> tuple[timedelta, timedelta]:
    """How long a health check takes at most to say that a container is not healthy any more, and that it never was.

    It counts failures in a row from when its start period is over, or from its first success.

    :param container: as the daemon says it; one with a health check.
    """
    check = container["Config"]["Healthcheck"]
    interval, limit = (int(check.get(name) or _EVERY) for name in ("Interval", "Timeout"))
    fails = timedelta(microseconds=_retries(container) * (interval + limit) / 1000)
    return fails, fails + timedelta(microseconds=int(check.get("StartPeriod") or 0) / 1000)


def swallows_signals(container: Mapping[str, Any]) -> bool:
    """Whether a shell is a container's first process, which leaves SIGTERM to itself.

    :param container: as the daemon says it.
    """
    if container["HostConfig"].get("Init"):
        return False
    command = [str(container.get("Path") or ""), *(str(part) for part in container.get("Args") or ())]
    shell = command[0].rpartition("/")[2] in ("sh", "bash", "dash", "ash")
    return shell and len(command) > 2 and command[1] == "-c" and not command[2].lstrip().startswith("exec ")


def health_of(
    container: Mapping[str, Any], now: datetime, settle: timedelta, last_lines: Callable[[], Sequence[str]]
) -> tuple[str, str]:
    """A container's health, and what is to be said about it.

    With a health check it is what the check says. Without, a container is healthy once it has stayed up.

    :param container: as the daemon says it.
    :param now: by the daemon's clock.
    :param settle: how long a container without a health check has to stay up.
    :param last_lines: reads the last lines that it wrote; called only where they say something.
    """
    state = container["State"]
    status = str(state.get("Status"))
    if status == "running":
        return _running(container, now, settle, last_lines)
    if status == "created":
        return _created(container, now)
    if status == "paused":
        return UNHEALTHY, "is paused; somebody has to unpause it"
    if status in ("restarting", "exited", "dead"):
        return _ended(container, last_lines)
    return UNHEALTHY, f"is {status}"


def _running(
    container: Mapping[str, Any], now: datetime, settle: timedelta, last_lines: Callable[[], Sequence[str]]
) -> tuple[str, str]:
    state = container["State"]
    began = read_time(state.get("StartedAt"))
    age = now - began if began is not None else settle
    restarts = int(container.get("RestartCount") or 0)
    check = state.get("Health") or {}
    checked = check.get("Status") not in (None, "none", "")
    if check.get("Status") == "healthy" or (not checked and age >= settle):
        return HEALTHY, ""
    if age < STAYED and _in_a_loop(container, now, restarts):
        # Between two ends it runs for a moment, and is no better for that.
        return FAILED, _with_lines(f"exits and is started again, {restarts} times by now", last_lines())
    if not checked:
        return (
            STARTING,
            f"runs for {max(age.total_seconds(), 0):.1f} s, counts as up after {settle.total_seconds():g} s",
        )
    log = check.get("Log") or [{}]
    said = one_line(str(log[-1].get("Output") or ""))
    if check["Status"] == "starting":
        return STARTING, f"its health check has not succeeded yet{f': {said}' if said else ''}"
    streak, retries = int(check.get("FailingStreak") or 0), _retries(container)
    message = f"its health check failed {streak} times in a row{f': {said}' if said else ''}"
    return (FAILED if streak >= HOPELESS * retries else UNHEALTHY), _with_lines(message, last_lines())


def _in_a_loop(container: Mapping[str, Any], now: datetime, restarts: int) -> bool:
    """Whether a container that was started again so often has done nothing else since it was made."""
    made = read_time(container.get("Created"))
    return restarts >= LOOP and made is not None and now - made < restarts * (LONGEST_PAUSE + STAYED)


def _created(container: Mapping[str, Any], now: datetime) -> tuple[str, str]:
    problem = one_line(str(container["State"].get("Error") or ""))
    if problem:
        if _PORT.search(problem):
            return FAILED, f"cannot start, a port that it publishes is taken: {problem}"
        return FAILED, f"cannot start: {problem}"
    made = read_time(container.get("Created"))
    if made is not None and now - made < LONGEST_START:
        return STARTING, "is about to be started"
    return FAILED, "was made and never started; deploy again"


def _ended(container: Mapping[str, Any], last_lines: Callable[[], Sequence[str]]) -> tuple[str, str]:
    state = container["State"]
    code, restarts = int(state.get("ExitCode") or 0), int(container.get("RestartCount") or 0)
    began, ended = read_time(state.get("StartedAt")), read_time(state.get("FinishedAt"))
    ran = ended - began if began is not None and ended is not None and ended >= began else None
    message = f"exited with code {code}" + (f" after {ran.total_seconds():.1f} s" if ran is not None else "")
    if state.get("OOMKilled"):
        limit = int((container.get("HostConfig") or {}).get("Memory") or 0)
        message = f"ran out of memory{f' (its limit is {limit / 2**20:.0f} MiB)' if limit else ''} and {message}"
    if problem := one_line(str(state.get("Error") or "")):
        message += f", {problem}"
    if state.get("Status") == "restarting" and (restarts < LOOP or (ran is not None and ran >= STAYED)):
        return UNHEALTHY, _with_lines(f"{message}; is being started again", last_lines())
    if restarts:
        message += f", and was started again {restarts} times"
    return FAILED, _with_lines(message, last_lines())


def _retries(container: Mapping[str, Any]) -> int:
    return int((container["Config"].get("Healthcheck") or {}).get("Retries") or 3)


def _with_lines(message: str, lines: Sequence[str]) -> str:
    shown = telling(lines)
    return f"{message}; its last lines: {' | '.join(shown)}" if shown else message
