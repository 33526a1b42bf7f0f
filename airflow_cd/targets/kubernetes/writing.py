"""Writing to objects that others write to as well: read, decide and write again until nobody has come between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from airflow_cd.errors import TargetUnavailable
from airflow_cd.hooks.kubernetes import Conflict

T = TypeVar("T")

_ATTEMPTS, _PAUSE = 50, 0.1


def until_written(attempt: Callable[[], T], what: str) -> T:
    """Make attempts until nobody has changed the object between reading and writing it.

    :param attempt: reads the object and writes it; what it returns is returned.
    :param what: kind and name of the object, for the error.
    :raises TargetUnavailable: somebody else changes it all the time.
    """
    said = ""
    for _ in range(_ATTEMPTS):
        try:
            return attempt()
        except Conflict as conflict:
            said = str(conflict)
            time.sleep(_PAUSE)
    raise busy(what, said)


def busy(what: str, said: str) -> TargetUnavailable:
    """The error for an object that others keep changing.

    :param what: its kind and name.
    :param said: what the API answered last.
    """
    return TargetUnavailable(
        f"{what} is changed by somebody else so often that it cannot be written: {said}.",
        next_step=f"Find out who writes to it: kubectl get {what.lower().replace(' ', '/')} -o yaml "
        "--show-managed-fields.",
    )
