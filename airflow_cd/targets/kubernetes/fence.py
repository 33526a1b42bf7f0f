"""The fencing token and the idempotency keys of an environment, as annotations of its Deployment or StatefulSet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from airflow_cd.errors import TargetConflict
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.targets.kubernetes.names import KEYS, TOKEN, called, called_at
from airflow_cd.targets.kubernetes.writing import until_written

_KEPT = 100
_POLL = 0.05
_SEEN_WITHIN = 3.0
"""Seconds within which a controller that is at work has seen a change."""


def token_of(deployment: Object) -> int:
    """The highest token that the Deployment has seen.

    :param deployment: as it was read.
    """
    written = (deployment["metadata"].get("annotations") or {}).get(TOKEN, "0")
    return int(written) if written.isdigit() else 0


def keys_of(deployment: Object) -> list[str]:
    """The idempotency keys of what was done, the newest last.

    :param deployment: as it was read.
    """
    found: list[str] = json.loads((deployment["metadata"].get("annotations") or {}).get(KEYS) or "[]")
    return found


def require_current(deployment: Object, token: int) -> None:
    """Refuse a token that a newer one has overruled.

    :param deployment: as it was read.
    :param token: of the caller.
    :raises TargetConflict: a higher one has been seen.
    """
    if token < token_of(deployment):
        raise TargetConflict(
            f"{called(deployment)} has seen a newer owner of the environment: token "
            f"{token_of(deployment)}, this one is {token}.",
            state="nothing was changed by this call.",
            next_step="This process was overruled and must stop; see who holds the environment's lease.",
        )


def enter(cluster: Cluster, read: Callable[[], Object], path: str, token: int, key: str) -> bool:
    """Take the token as seen, before anything is changed.

    :param cluster: the API.
    :param read: reads the Deployment.
    :param path: of its URL.
    :param token: of the caller.
    :param key: of what it is about to do.
    :returns: whether it is to be done; False where it was done before.
    :raises TargetConflict: a higher token has been seen.
    """

    def attempt() -> bool:
        deployment = read()
        require_current(deployment, token)
        if key in keys_of(deployment):
            return False
        if token > token_of(deployment):
            cluster.patch(path, _annotated(deployment, {TOKEN: str(token)}), MERGE)
        return True

    return until_written(attempt, called_at(path))


def leave(cluster: Cluster, read: Callable[[], Object], path: str, token: int, key: str) -> None:
    """Remember that something was done.

    :param cluster: the API.
    :param read: reads the Deployment.
    :param path: of its URL.
    :param token: of the caller.
    :param key: of what it has done.
    :raises TargetConflict: a higher token has been seen meanwhile.
    """

    def attempt() -> None:
        deployment = read()
        require_current(deployment, token)
        if key not in (keys := keys_of(deployment)):
            cluster.patch(path, _annotated(deployment, {KEYS: json.dumps([*keys, key][-_KEPT:])}), MERGE)

    until_written(attempt, called_at(path))
    await_seen(read)


def await_seen(read: Callable[[], Object]) -> None:
    """Wait a moment until the controller has seen a Deployment as it is written: an annotation is a change to it, too.

    :param read: reads the Deployment. What the controller does not see for long is said by whoever reads it then.
    """
    ends = time.monotonic() + _SEEN_WITHIN
    while time.monotonic() < ends:
        deployment = read()
        seen = (deployment.get("status") or {}).get("observedGeneration", 0)
        if seen >= deployment["metadata"].get("generation", 0):
            return
        time.sleep(_POLL)


def _annotated(deployment: Object, annotations: dict[str, str]) -> Object:
    version = deployment["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": annotations}}
