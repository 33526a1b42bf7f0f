"""The fencing token and the idempotency keys of an environment, as annotations of its Deployment or StatefulSet."""

from __future__ import annotations

import json
from collections.abc import Callable

from airflow_cd.errors import TargetConflict
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.targets.kubernetes.controllers import await_seen
from airflow_cd.targets.kubernetes.names import KEYS, TOKEN, called, called_at
from airflow_cd.targets.kubernetes.writing import until_written

_KEPT = 100


def token_of(workload: Object) -> int:
    """The highest token that the workload has seen.

    :param workload: as it was read.
    """
    written = (workload["metadata"].get("annotations") or {}).get(TOKEN, "0")
    return int(written) if written.isdigit() else 0


def keys_of(workload: Object) -> list[str]:
    """The idempotency keys of what was done, the newest last.

    :param workload: as it was read.
    """
    found: list[str] = json.loads((workload["metadata"].get("annotations") or {}).get(KEYS) or "[]")
    return found


def require_current(workload: Object, token: int) -> None:
    """Refuse a token that a newer one has overruled.

    :param workload: as it was read.
    :param token: of the caller.
    :raises TargetConflict: a higher one has been seen.
    """
    if token < token_of(workload):
        raise TargetConflict(
            f"{called(workload)} has seen a newer owner of the environment: token "
            f"{token_of(workload)}, this one is {token}.",
            state="nothing was changed by this call.",
            next_step="This process was overruled and must stop; see who holds the environment's lease.",
        )


def enter(cluster: Cluster, read: Callable[[], Object], path: str, token: int, key: str) -> bool:
    """Take the token as seen, before anything is changed.

    :param cluster: the API.
    :param read: reads the workload.
    :param path: of its URL.
    :param token: of the caller.
    :param key: of what it is about to do.
    :returns: whether it is to be done; False where it was done before.
    :raises TargetConflict: a higher token has been seen.
    """

    def attempt() -> bool:
        workload = read()
        require_current(workload, token)
        if key in keys_of(workload):
            return False
        if token > token_of(workload):
            cluster.patch(path, _annotated(workload, {TOKEN: str(token)}), MERGE)
        return True

    return until_written(attempt, called_at(path))


def leave(cluster: Cluster, read: Callable[[], Object], path: str, token: int, key: str) -> None:
    """Remember that something was done.

    :param cluster: the API.
    :param read: reads the workload.
    :param path: of its URL.
    :param token: of the caller.
    :param key: of what it has done.
    :raises TargetConflict: a higher token has been seen meanwhile.
    """

    def attempt() -> None:
        workload = read()
        require_current(workload, token)
        if key not in (keys := keys_of(workload)):
            cluster.patch(path, _annotated(workload, {KEYS: json.dumps([*keys, key][-_KEPT:])}), MERGE)

    until_written(attempt, called_at(path))
    await_seen(read)


def _annotated(workload: Object, annotations: dict[str, str]) -> Object:
    version = workload["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": annotations}}
