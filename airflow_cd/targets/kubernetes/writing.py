"""Writing to objects that others write to as well: read, decided and written again until nobody came between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from airflow_cd.errors import TargetUnavailable
from airflow_cd.hooks.kubernetes import Conflict

T = TypeVar("T")

_ATTEMPTS, _PAUSE = 50, 0.1


def until_written(attempt: Callable[[], T], what: str) -> T:
    """Make an attempt, and another for as long as somebody has changed the object since it was read.

    :param attempt: reads the object and writes it; what it gives is returned.
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
    """The error of an object that others change.

    :param what: its kind and name.
    :param said: what the API answered last.
    """
    return TargetUnavailable(
        f"{what} is changed by somebody else so often that it cannot be written: {said}.",
        next_step=f"Find out who writes to it: kubectl get {what.lower().replace(' ', '/')} -o yaml "
        "--show-managed-fields.",
    )
