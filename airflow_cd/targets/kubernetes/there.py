"""What is read of a Deployment that was taken over: itself, its canary, and the pods of both."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from airflow_cd.clock import now
from airflow_cd.errors import TargetError, TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster, Conflict, Object
from airflow_cd.instances import Instance, Track
from airflow_cd.targets.kubernetes.artifacts import Artifacts
from airflow_cd.targets.kubernetes.by_route import ByRoute
from airflow_cd.targets.kubernetes.by_services import ByServices
from airflow_cd.targets.kubernetes.names import canary_of
from airflow_cd.targets.kubernetes.replicas import is_canary, read_canary, read_stable
from airflow_cd.targets.kubernetes.rights import autoscaler_of
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.kubernetes.template import container_of
from airflow_cd.targets.kubernetes.writing import busy
from airflow_cd.targets.last_words import LINES_READ


class DeploymentThere:
    """One Deployment of a cluster, as it is now.

    :param cluster: the API of its cluster.
    :param environment: what the environment is called, for errors.
    :param namespace: where it is.
    :param name: its name.
    :param container: name of the container that a release is put into, ``""`` for the first.
    :param route: name of the HTTPRoute that divides requests, ``""`` where its Services send them.
    :param shared_with_gitops: whether it may be one that another tool keeps.
    :param pull_check: whether to see that images can be pulled before a canary begins.
    """

    def __init__(
        self,
        cluster: Cluster,
        environment: str,
        namespace: str,
        name: str,
        *,
        container: str = "",
        route: str = "",
        shared_with_gitops: bool = False,
        pull_check: bool = True,
    ) -> None:
        self.cluster = cluster
        self.environment = environment
        self.namespace = namespace
        self.name = name
        self.container = container
        self.route = route
        self.shared_with_gitops = shared_with_gitops
        self.pull_check = pull_check
        self._read_last: tuple[datetime, list[Instance]] | None = None
        self._artifacts = Artifacts(cluster, container, look=pull_check)

    def _path(self, name: str = "") -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments" + (f"/{name}" if name else "")

    def _stable(self) -> Object:
        found = self.cluster.get(self._path(self.name))
        if found is None:
            if self._is_stateful():
                raise TargetRejected(
                    f"{self.name!r} in namespace {self.namespace!r} is a StatefulSet: its pods have an identity and "
                    "storage of their own, so there can be no canary beside them.",
                    state="nothing was changed.",
                    next_step="Release it in its own way (updateStrategy with a partition), or name a Deployment.",
                )
            raise TargetRejected(
                f"there is no Deployment {self.name!r} in namespace {self.namespace!r}.",
                state="nothing was changed.",
                next_step="Give the target its namespace and deployment as `kubectl get deployments -A` lists them.",
            )
        try:
            container_of(found["spec"]["template"], self.container)
        except KeyError:
            names = ", ".join(one["name"] for one in found["spec"]["template"]["spec"]["containers"])
            raise TargetRejected(
                f"Deployment {self.name} has no container {self.container!r}, only {names}.",
                state="nothing was changed.",
                next_step="Name the container that holds the release: KubernetesTarget(..., container=...).",
            ) from None
        return found

    def _is_stateful(self) -> bool:
        try:
            return bool(self.cluster.get(f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets/{self.name}"))
        except TargetError:
            return False  # a right that nothing else needs

    def _canary(self) -> Object | None:
        found = self.cluster.get(self._path(canary_of(self.name)))
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        if not is_canary(found):
            raise TargetRejected(
                f"Deployment {canary_of(self.name)} is somebody else's, and the canary of {self.name} would have its "
                "name.",
                state="nothing was changed.",
                next_step="Rename one of them.",
            )
        return found

    def _routing(self, stable: Object) -> Routing:
        if self.route:
            return ByRoute(self.cluster, self.namespace, stable, self.route)
        autoscaler = functools.partial(autoscaler_of, self.cluster, self.namespace, self.name)
        return ByServices(self.cluster, self.namespace, stable, autoscaler)

    def _canary_pods(self, routing: Routing) -> list[Object]:
        canary = self._canary()
        return read_canary(self.cluster, self.namespace, self.name, canary, routing).pods

    def _pods(self, stable: Object, routing: Routing) -> list[Object]:
        """Of both tracks."""
        return read_stable(self.cluster, self.namespace, stable, routing).pods + self._canary_pods(routing)

    def _output(self, pod: str, container: str, before: bool) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        params = {"container": container, "tailLines": LINES_READ, "previous": str(before).lower()}
        try:
            return self.cluster.text(path, params) or ""
        except TargetError:
            return ""  # it only adds to what is said of a pod

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except Conflict as error:
            raise busy(f"Deployment {self.name}", str(error)).at(environment=self.environment) from error
        except TargetError as error:
            error.at(environment=self.environment)
            if isinstance(error, TargetUnauthorized):
                error.what += self._as_last_read()
            raise

    def _as_last_read(self) -> str:
        """What is left as it is when rights have ended in the middle, as far as it is known."""
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
            f"Deployment {self.name} has no replicas.",
            state="nothing was changed.",
            next_step=f"kubectl scale deployment {self.name} -n {self.namespace} --replicas N",
        )
