"""An environment behind the HTTP deployment API, described in ``http_openapi.yaml`` beside this module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_cd.instances import Instance
from airflow_cd.release import Release
from airflow_cd.targets.label import TargetLabel
from airflow_cd.wording import with_article

if TYPE_CHECKING:
    from airflow_cd.hooks.deployment_api import DeploymentApiHook

OPENAPI_DOCUMENT = Path(__file__).with_name("http_openapi.yaml")


@dataclass(frozen=True)
class HttpTarget:
    """One environment of a server of the HTTP deployment API.

    Cheap to import and to build: nothing is looked up before the first question. The connection is read once and
    then kept, so that a rollback minutes later needs neither Airflow's API server nor its database.

    :param conn_id: Airflow connection of type ``deployment_api``.
    :param environment: what the server calls the environment.
    """

    conn_id: str
    environment: str

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> HttpTarget:
        """Make the target; what the registry of kinds calls.

        :param conn_id: Airflow connection of type ``deployment_api``.
        :param environment: what the server calls the environment.
        """
        return cls(conn_id=conn_id, environment=environment)

    def mistakes(self) -> list[str]:
        """Return what is wrong with this specification, one sentence each; called when the DAG file is parsed."""
        found = []
        for name in ("conn_id", "environment"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                found.append(f"an HTTP target needs {with_article(name)}, got {value!r}")
            elif value != value.strip() or not value.isprintable():
                found.append(f"{name} {value!r} of an HTTP target has blanks around it or control characters in it")
        if self.environment in (".", ".."):
            found.append(f"environment {self.environment!r} cannot be part of a URL")
        return found

    @property
    def label(self) -> TargetLabel:
        """Kind and name, as pages show them."""
        return TargetLabel("HTTP deployment API", self.environment, self.conn_id)

    @cached_property
    def hook(self) -> DeploymentApiHook:
        """The hook that calls the server; keeps its connection."""
        from airflow_cd.hooks.deployment_api import DeploymentApiHook

        return DeploymentApiHook(self.conn_id)

    def instances(self) -> list[Instance]:
        """Read what runs where, now; see :meth:`~airflow_cd.targets.base.Target.instances`.

        :raises TargetError: they cannot be read.
        """
        return self.hook.instances(self.environment)

    def check(self, release: Release) -> None:
        """Check that the server has the release's artifact.

        :param release: the release.
        :raises ArtifactNotFound: it has not.
        :raises TargetError: it cannot be asked.
        """
        self.hook.check_artifact(release.artifact)

    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None:
        """Ask for a release on some instances; returns when the server has accepted.

        :param release: what to run; None for nothing.
        :param instances: their names.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: the server has seen a higher token.
        :raises TargetError: it was not accepted.
        """
        self.hook.put_release(self.environment, release, instances, key=key, token=token)

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep some instances out of the traffic; returns when no request reaches them any more.

        :param instances: their names.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: the server has seen a higher token.
        :raises TargetError: it was not done.
        """
        self.hook.drain(self.environment, instances, key=key, token=token)

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give some instances their traffic back.

        :param instances: their names.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: the server has seen a higher token.
        :raises TargetError: it was not done.
        """
        self.hook.restore(self.environment, instances, key=key, token=token)

    def __getstate__(self) -> dict[str, Any]:
        # Airflow copies operators; an open session must not be copied with them.
        return {field.name: getattr(self, field.name) for field in fields(self)}
