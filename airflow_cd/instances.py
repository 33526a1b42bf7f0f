"""What runs on one instance of an environment, as its target reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from airflow_cd.release import Release
from airflow_cd.states import TextEnum

WHOLE = 100
"""All of an environment, or of its requests, in percent."""

HEALTHY = "healthy"
STARTING = "starting"
UNHEALTHY = "unhealthy"
FAILED = "failed"
EMPTY = "empty"
HEALTH_STATES = (HEALTHY, STARTING, UNHEALTHY, FAILED, EMPTY)


class Track(TextEnum):
    """What replicas that a platform makes and names are told apart by."""

    STABLE = "stable"
    """Those that stay when a deployment is over."""
    CANARY = "canary"
    """Those that a canary has beside them, for as long as its deployment lasts."""


@dataclass(frozen=True)
class Instance:
    """What runs on one instance, as the target itself reads it now.

    :param name: unique in the environment; metrics and logs carry the same name as their host.
    :param version: version of the release it was given, None when empty.
    :param artifact: artifact it runs or tries to run, None when empty.
    :param configuration: the run-time configuration in force, JSON values by key; none by default.
    :param health: one of :data:`HEALTH_STATES`, *healthy* by default; *failed* means that waiting does not help.
    :param drained: True when it is kept out of the traffic.
    :param message: why it is not healthy, in the target's words (the last lines of its output, say).
    :param started: since when what it runs has been alone there, aware: when its process started, or when the one
        before it had ended, whichever was later. What is logged under its name before is of what ran before. None
        while the two still overlap, or where the target cannot say it.
    :param track: of a replica that its platform has made: its track. None, the default, for an instance that
        has its name from people and is changed in place.
    :param weight: percent of the environment's traffic that it is given, where the target divides traffic by weight;
        None, the default, where every instance in the traffic has an even part.
    """

    name: str
    version: str | None
    artifact: str | None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    health: str = HEALTHY
    drained: bool = False
    message: str = ""
    started: datetime | None = None
    track: Track | None = None
    weight: float | None = None

    @property
    def unit(self) -> str:
        """What a change is asked for: the instance itself where it is changed in place, else its track."""
        return self.track if self.track is not None else self.name

    def saying(self, message: str) -> Instance:
        """The same with one more message.

        :param message: what is to be said of it, a sentence without its full stop.
        """
        return replace(self, message="; ".join(part for part in (self.message, message) if part))

    def runs(self, release: Release | None) -> bool:
        """Whether artifact *and* configuration are exactly the release's.

        :param release: what should run; None for nothing.
        """
        if release is None:
            return self.artifact is None
        return self.artifact == release.artifact and dict(self.configuration) == dict(release.configuration)
