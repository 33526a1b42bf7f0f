"""A revision, and which revisions serve: what a platform answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_cd.instances import HEALTHY, Instance
from airflow_cd.release import Release


@dataclass(frozen=True)
class Revision:
    """One revision, which never changes once it is there: an artifact and its configuration, made ready to serve.

    :param name: as the platform calls it, without blanks: what metrics and logs know it by.
    :param version: of the release that it was published for; None where something else has published it.
    :param artifact: what it runs.
    :param configuration: the run-time configuration in force, JSON values by key; none by default.
    :param health: *healthy*, the default, when it can be given requests; *starting*, *unhealthy* or *failed* (waiting
        does not help) else.
    :param message: why it is not healthy, in the platform's words.
    :param started: since when it has been there, aware; None, the default, where the platform does not say it.
    """

    name: str
    version: str | None
    artifact: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    health: str = HEALTHY
    message: str = ""
    started: datetime | None = None

    def runs(self, release: Release) -> bool:
        """Whether artifact *and* configuration are exactly the release's.

        :param release: what should run.
        """
        return Instance(self.name, self.version, self.artifact, self.configuration).runs(release)


@dataclass(frozen=True)
class Serving:
    """Which revisions serve, as the platform divides the traffic now.

    :param weights: percent of the requests by name of a revision; together 100, or none at all. A revision that is not
        in it gets no request.
    :param note: the text that was written with the weights last, ``""`` for none.
    :param mark: what the platform knows this very state by (an ETag, a revision id, a ``resourceVersion``); it is
        another one after every change, whoever has made it.
    """

    weights: Mapping[str, float]
    note: str = ""
    mark: str = ""
