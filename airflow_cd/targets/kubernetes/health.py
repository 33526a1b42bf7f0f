"""The health of a pod, and why it is not ready, in the first sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import FAILED, HEALTHY, STARTING, UNHEALTHY
from airflow_cd.targets.last_words import telling

READY_FOR = timedelta(seconds=3)
"""How long a pod must have been ready without a restart to count as healthy.

Times of the API are whole seconds, so this is at least two; a node looks for containers that have ended every second.
"""
STEADY_FOR = timedelta(seconds=10)
"""How long a pod must have been ready where a container has ended since it was made: it may do so once more."""
_NEVER = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
"""Reasons for waiting where waiting does not help."""
ABSENT = ("not found", "manifest unknown", "denied", "unauthorized", "does not exist", "invalid reference")
"""Words by which a node says that a registry does not have an image, or does not give it."""
_LONGEST = 900


def health_of(pod: Object, now: datetime, last_lines: Callable[[str, bool], str]) -> tuple[str, str]:
    """The health of a pod, one of :data:`~airflow_cd.instances.HEALTH_STATES`, and what a person should know of it.

    :param pod: as the API lists it.
    :param now: the present time, aware.
    :param last_lines: the last lines of a container's output, by its name and whether the run before is meant.
    """
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for one in containers:
        if (found := _stopped(one, last_lines)) is not None:
            return found
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "True":
        since, again = time_of(ready.get("lastTransitionTime")), _restarts(containers)
        if since is not None and now - since < (STEADY_FOR if again else READY_FOR):
            ready_for = f"ready for {max(0.0, (now - since).total_seconds()):.0f} s"
            return STARTING, f"{ready_for}; {again}" if again else ready_for
        return HEALTHY, again
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return STARTING, f"no node takes it: {_short(scheduled.get('message') or scheduled.get('reason'))}"
    waiting = [one for one in containers if (one.get("state") or {}).get("waiting")]
    if waiting:
        state = waiting[0]["state"]["waiting"]
        said = f": {state['message']}" if state.get("message") else ""
        return STARTING, _short(f"{state.get('reason') or 'waiting'}{said}")
    if any((one.get("state") or {}).get("running") for one in containers):
        was_ready = any(one.get("restartCount") for one in containers)
        return (UNHEALTHY if was_ready else STARTING), _unready(containers, ready, last_lines)
    return STARTING, _short(status.get("message") or status.get("phase") or "not started yet")


def _stopped(one: Object, last_lines: Callable[[str, bool], str]) -> tuple[str, str] | None:
    """A container that cannot start, or that does not stay up."""
    state, name = one.get("state") or {}, one["name"]
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = waiting.get("reason") or ""
    before = (one.get("lastState") or {}).get("terminated") or {}
    if reason == "CrashLoopBackOff" or (ended and ended.get("exitCode") not in (0, None)):
        end = ended or before
        output = last_lines(name, not ended)
        text = f"{name} {_end_of(end)}"
        times = int(one.get("restartCount") or 0)
        text += f", started again {times} time{'' if times == 1 else 's'}" if times else ""
        # The first time may be a race at start; the kubelet starts the container again within seconds.
        final = reason == "CrashLoopBackOff" or times > 0
        return (FAILED if final else STARTING), _short(text + (f"; its last lines: {output}" if output else ""))
    message = str(waiting.get("message") or "")
    absent = reason == "ErrImagePull" and any(word in message.lower() for word in ABSENT)
    if reason in _NEVER or absent:
        what = f"image {one.get('image')} cannot be pulled" if "Image" in reason or absent else f"{name} cannot start"
        return FAILED, _short(f"{what} ({reason}): {message}" if message else f"{what} ({reason})")
    return None


def _end_of(end: Object) -> str:
    if end.get("reason") == "OOMKilled":
        return "was killed: it used more memory than its limit (OOMKilled)"
    code = end.get("exitCode")
    return f"ended with exit code {code}" if code is not None else "ended"


def _restarts(containers: list[Object]) -> str:
    """What people should know of a healthy pod: that it has started again, and why."""
    again = [one for one in containers if int(one.get("restartCount") or 0) > 0]
    if not again:
        return ""
    one = again[0]
    end = (one.get("lastState") or {}).get("terminated") or {}
    times = int(one["restartCount"])
    return f"{one['name']} started again {times} time{'' if times == 1 else 's'}, last because it {_end_of(end)}"


def _unready(containers: list[Object], ready: Object, last_lines: Callable[[str, bool], str]) -> str:
    names = ", ".join(one["name"] for one in containers if not one.get("ready"))
    since = _restarts(containers)
    text = f"{names or 'it'} runs and is not ready: {ready.get('message') or 'its readiness probe fails'}"
    if since:
        ended = next(one["name"] for one in containers if int(one.get("restartCount") or 0) > 0)
        output = last_lines(ended, True)
        text += f"; {since}" + (f"; its last lines: {output}" if output else "")
    return _short(text)


def time_of(text: Any) -> datetime | None:
    """A time as the API writes it, aware; None where there is none.

    :param text: such as ``2026-11-29T04:00:00Z``.
    """
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(timezone.utc) if text else None


def started_in(pod: Object, container: str) -> datetime | None:
    """When the release's process in a pod began, or the last one that ran there; None while none has run.

    A node takes a pod before images are pulled and init containers run, and keeps it when a container is started again.
    Where the node does not say when the process began, the time when it took the pod stands for it.

    :param pod: as the API lists it.
    :param container: name of the container that holds the release.
    """
    status = pod.get("status") or {}
    own: Object = next((one for one in status.get("containerStatuses") or () if one["name"] == container), {})
    state = own.get("state") or {}
    process = state.get("running") or state.get("terminated") or (own.get("lastState") or {}).get("terminated") or {}
    never = "waiting" in state and not process
    return None if never else time_of(process.get("startedAt") or status.get("startTime"))


def last_lines(text: str) -> str:
    """What the end of an output says of why it ended, on one line.

    :param text: of it.
    """
    return " | ".join(telling(text.splitlines()))


def _short(text: object) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
