"""A workload that was taken over, a Deployment or a StatefulSet: how it is read, and how an action on it is fenced."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from airflow_cd.clock import now
from airflow_cd.errors import TargetError, TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Conflict, Object
from airflow_cd.instances import Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import configuration
from airflow_cd.targets.kubernetes.artifacts import Artifacts
from airflow_cd.targets.kubernetes.controllers import await_seen
from airflow_cd.targets.kubernetes.fence import enter, leave, require_current
from airflow_cd.targets.kubernetes.names import CONFIGURATION, NOTED, called_at
from airflow_cd.targets.kubernetes.ownership import given_up
from airflow_cd.targets.kubernetes.template import container_of, require_free_paths
from airflow_cd.targets.kubernetes.writing import busy, until_written
from airflow_cd.targets.last_words import LINES_READ


class Workload(ABC):
    """One workload of a cluster.

    :cvar kind: kind of the object.
    :cvar resource: its kind, as it is called in paths of the API.

    :param cluster: the API of its cluster.
    :param environment: what the environment is called, for errors.
    :param namespace: where it is.
    :param name: its name.
    :param container: name of the container that a release is put into, ``""`` for the first.
    :param shared_with_gitops: whether it may be one that another tool keeps.
    :param pull_check: whether to find out, before a canary begins, that images can be pulled.
    """

    kind: ClassVar[str]
    resource: ClassVar[str]

    def __init__(
        self,
        cluster: Cluster,
        environment: str,
        namespace: str,
        name: str,
        *,
        container: str = "",
        shared_with_gitops: bool = False,
        pull_check: bool = True,
    ) -> None:
        self.cluster = cluster
        self.environment = environment
        self.namespace = namespace
        self.name = name
        self.container = container
        self.shared_with_gitops = shared_with_gitops
        self.pull_check = pull_check
        self._read_last: tuple[datetime, list[Instance]] | None = None
        self._artifacts = Artifacts(cluster, container, look=pull_check)

    def _path(self, name: str = "") -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.resource}" + (f"/{name}" if name else "")

    def _read(self) -> Object:
        """The object as it is, with the container that a release is put into."""
        found = self.cluster.get(self._path(self.name))
        if found is None:
            raise self._absent()
        try:
            container_of(found["spec"]["template"], self.container)
        except KeyError:
            names = ", ".join(one["name"] for one in found["spec"]["template"]["spec"]["containers"])
            raise TargetRejected(
                f"{self.kind} {self.name} has no container {self.container!r}, only {names}.",
                state="nothing was changed.",
                next_step="Name the container that holds the release: KubernetesTarget(..., container=...).",
            ) from None
        return found

    def _read_for(self, token: int) -> Object:
        """The object as it is, for whoever is about to write it, unless a newer token has overruled them."""
        found = self._read()
        require_current(found, token)
        return found

    def _require_current(self, token: int) -> None:
        """Refuse to go on where a newer token has overruled this one; for what is written to other objects."""
        self._read_for(token)

    def _absent(self) -> TargetRejected:
        """The error where the object is not there."""
        return TargetRejected(
            f"there is no {self.kind} {self.name!r} in namespace {self.namespace!r}.",
            state="nothing was changed.",
            next_step=f"Give the target its namespace and name as `kubectl get {self.resource} -A` lists them.",
        )

    def _configuration(self, secret: str) -> Mapping[str, Any] | None:
        """What a release's Secret of that name holds; None where it is gone."""
        return configuration.read(self.cluster, self.namespace, secret)

    def _require_usable(self, release: Release, template: Object) -> None:
        """Refuse a configuration that the container could not be given."""
        configuration.require_usable(release.configuration)
        require_free_paths(template, release, container=self.container)

    def _keep_configuration(self, release: Release) -> str:
        """The name of the Secret that holds a release's configuration; it is written unless it is there."""
        return configuration.keep(self.cluster, self.namespace, self._family, release, self._templates_known)

    def _sweep(self) -> None:
        """Delete configurations that nothing needs any more: neither a pod, nor a template that can be gone back to."""
        pods = self.cluster.every(f"/api/v1/namespaces/{self.namespace}/pods")
        named = [*self._templates_known(), *pods]
        used = {(((one.get("metadata") or {}).get("annotations") or {}).get(CONFIGURATION) or "") for one in named}
        configuration.sweep(self.cluster, self.namespace, self._family, used)

    @property
    def _family(self) -> str:
        """The label value that tells its configurations from those of others."""
        return self.name

    @abstractmethod
    def _templates_known(self) -> list[Object]:
        """The pod templates of what there is, and of what can be gone back to."""

    def settled(self, *, token: int) -> None:
        """As of the target."""
        with self._located():
            path = self._path(self.name)

            def attempt() -> None:
                there = self._read_for(token)
                owned = given_up(there)
                changed: Object = {"managedFields": owned} if owned is not None else {}
                if NOTED in (there["metadata"].get("annotations") or {}):
                    changed["annotations"] = {NOTED: None}
                if changed:
                    changed["resourceVersion"] = there["metadata"]["resourceVersion"]
                    self.cluster.patch(path, {"metadata": changed}, MERGE)

            until_written(attempt, called_at(path))
            await_seen(self._read)

    def _output(self, pod: str, container: str, before: bool) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        params = {"container": container, "tailLines": LINES_READ, "previous": str(before).lower()}
        try:
            return self.cluster.text(path, params) or ""
        except TargetError:
            return ""  # the output only adds to what is said of a pod

    def _do(self, act: Callable[[], None], key: str, token: int) -> None:
        """Do something once, under the newest token."""
        with self._located():
            path = self._path(self.name)
            if enter(self.cluster, self._read, path, token, key):
                act()
                leave(self.cluster, self._read, path, token, key)

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except Conflict as error:
            raise busy(f"{self.kind} {self.name}", str(error)).at(environment=self.environment) from error
        except TargetError as error:
            error.at(environment=self.environment)
            if isinstance(error, TargetUnauthorized):
                error.what += self._as_last_read()
            raise

    def _as_last_read(self) -> str:
        """What was last known of the canary, for an error when rights have ended in the middle."""
        if self._read_last is None:
            return ""
        at, instances = self._read_last
        asked = [one.name for one in instances if one.track == Track.CANARY and not one.drained]
        out = [one.name for one in instances if one.track == Track.CANARY and one.drained]
        parts = [f"{', '.join(asked)} with traffic"] if asked else []
        parts += [f"{', '.join(out)} without"] if out else []
        ago = f"As read {(now() - at).total_seconds():.0f} s ago"
        return f" {ago}, the canary has {' and '.join(parts)}." if parts else f" {ago}, there is no canary."

    def _no_replicas(self) -> TargetRejected:
        return TargetRejected(
            f"{self.kind} {self.name} has no replicas.",
            state="nothing was changed.",
            next_step=f"kubectl scale {self.kind.lower()} {self.name} -n {self.namespace} --replicas N",
        )
