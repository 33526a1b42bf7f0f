"""What a target is: few questions, few actions, each of them idempotent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from airflow_cd.release import Release

HEALTHY = "healthy"
STARTING = "starting"
UNHEALTHY = "unhealthy"
FAILED = "failed"
EMPTY = "empty"
HEALTH_STATES = (HEALTHY, STARTING, UNHEALTHY, FAILED, EMPTY)


@dataclass(frozen=True)
class Instance:
    """What runs on one instance, as the target itself says now.

    :param name: unique in the environment; the same name metrics and logs carry as host.
    :param version: version of the release it was given, None when empty.
    :param artifact: artifact it runs or tries to run, None when empty.
    :param configuration: the run-time configuration in force.
    :param health: one of :data:`HEALTH_STATES`; *failed* means it will not come up by waiting.
    :param drained: True when it is kept out of the traffic.
    :param message: why it is not healthy, in the target's words (the last lines of its output, say).
    """

    name: str
    version: str | None
    artifact: str | None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    health: str = HEALTHY
    drained: bool = False
    message: str = ""

    def runs(self, release: Release | None) -> bool:
        """Whether artifact *and* configuration are exactly the release's (None: the instance is empty)."""
        if release is None:
            return self.artifact is None
        return self.artifact == release.artifact and dict(self.configuration) == dict(release.configuration)


@runtime_checkable
class Target(Protocol):
    """How one environment is reached and changed.

    Every action takes the fencing token of the lease under which it acts. A target remembers the highest token
    it has seen and raises :class:`~airflow_cd.errors.TargetConflict` for a lower one, so that a process which
    was overruled cannot change anything any more. Repeating an action with the same idempotency key changes
    nothing. All methods raise :class:`~airflow_cd.errors.TargetError`.
    """

    def instances(self) -> list[Instance]:
        """What runs where, sorted by name; the truth of the environment, never a cache."""
        ...

    def check(self, release: Release) -> None:
        """Raise :class:`~airflow_cd.errors.ArtifactNotFound` unless the release could be deployed now."""
        ...

    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None:
        """Ask for the release (None: nothing) on these instances; returns when accepted, not when healthy."""
        ...

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep these instances out of the traffic; returns when no request reaches them any more."""
        ...

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give these instances their traffic back."""
        ...
