"""What a target is: a few questions and a few actions, each of them idempotent.

Authors of a target import everything they need from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from airflow_cd.instances import EMPTY, FAILED, HEALTH_STATES, HEALTHY, STARTING, UNHEALTHY, Instance
from airflow_cd.release import Release

__all__ = ["EMPTY", "FAILED", "HEALTHY", "HEALTH_STATES", "STARTING", "UNHEALTHY", "Instance", "Release", "Target"]


@runtime_checkable
class Target(Protocol):
    """How one environment is reached and changed.

    Every action takes the fencing token of the lease under which it acts. A target remembers the highest token
    it has seen and raises :class:`~airflow_cd.errors.TargetConflict` for a lower one, so that a process that was
    overruled cannot change anything any more. Repeating an action with the same idempotency key changes nothing, even
    long afterwards.

    Every method raises :class:`~airflow_cd.errors.TargetError`, and nothing else: a
    :class:`~airflow_cd.errors.TargetUnavailable` for what may be tried again (no answer, a time-out, too many
    requests, a server error; with ``retry_after`` where the platform asks for a pause), else one of
    :class:`~airflow_cd.errors.TargetUnauthorized`, :class:`~airflow_cd.errors.TargetRejected`,
    :class:`~airflow_cd.errors.ArtifactNotFound` and :class:`~airflow_cd.errors.TargetConflict`.

    A target may have a method ``mistakes() -> list[str]`` as well: what is wrong with its own specification, one
    sentence each, found without reaching anything, when a DAG file is parsed. So it may have ``settled(*, token:
    int)``, called when a deployment is over, promoted or rolled back, and what was kept for the way back may go; and
    ``notes() -> list[str]``, what works otherwise there than a person may expect, for ``airflow-cd target check``.
    """

    def instances(self) -> list[Instance]:
        """Read what runs where, now; never a cache, and never what was asked for in place of what is.

        :returns: every instance of the environment, each name once, sorted by name.
        :raises TargetUnavailable: they cannot be read now.
        :raises TargetRejected: there is no such environment.
        """
        ...

    def check(self, release: Release) -> None:
        """Check that a release could be deployed now; changes nothing.

        :param release: the release.
        :raises ArtifactNotFound: its artifact does not exist, which the message names.
        """
        ...

    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None:
        """Ask for a release on some instances, all of them or none; the others are left alone.

        Returns when the request is accepted, not when the instances are healthy: from then on they are listed as
        *starting* on the new release, or whatever became of them. A drained instance stays drained.

        :param release: what to run; None empties the instances.
        :param instances: their names.
        :param key: idempotency key, any text; the same key has the same effect only once.
        :param token: fencing token of the lease, at least 0.
        :raises ArtifactNotFound: the artifact does not exist; nothing was changed.
        :raises TargetRejected: an instance does not exist, or the request is wrong; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep some instances out of the traffic; returns when no request reaches them any more.

        :param instances: their names. Draining one that is drained changes nothing.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetRejected: an instance does not exist; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give some instances their traffic back; one that is not healthy gets it once it is.

        :param instances: their names. Restoring one that is not drained changes nothing.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetRejected: an instance does not exist; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...
