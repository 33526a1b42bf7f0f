"""A Deployment that was taken over, with the canary beside it: what is asked of it and done to it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from airflow_cd.clock import now
from airflow_cd.errors import TargetError, TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Conflict, Object
from airflow_cd.instances import Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import configuration
from airflow_cd.targets.kubernetes.by_route import ByRoute
from airflow_cd.targets.kubernetes.by_services import ByServices
from airflow_cd.targets.kubernetes.canary import canary_deployment, replicas_for, share_of
from airflow_cd.targets.kubernetes.fence import enter, leave
from airflow_cd.targets.kubernetes.names import CONFIGURATION, canary_of
from airflow_cd.targets.kubernetes.replicas import instances_of, is_canary, read_canary, read_stable
from airflow_cd.targets.kubernetes.rights import (
    FOR_ROUTES,
    NEEDED,
    autoscaler_of,
    require_rights,
    require_steady,
    require_unowned,
)
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.kubernetes.template import container_of, with_release
from airflow_cd.targets.kubernetes.writing import busy, until_written

_LINES = 20
_WHOLE = 100
"""The share, in percent, of a canary that is as large as the stable track."""


class TakenOver:
    """One Deployment of a cluster. Its methods are those of :class:`~airflow_cd.targets.base.ReplicaTarget`.

    :param cluster: the API of its cluster.
    :param environment: what the environment is called, for errors.
    :param namespace: where it is.
    :param name: its name.
    :param container: name of the container that a release is put into, ``""`` for the first.
    :param route: name of the HTTPRoute that divides requests, ``""`` where its Services send them.
    :param shared_with_gitops: whether it may be one that another tool keeps.
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
    ) -> None:
        self.cluster = cluster
        self.environment = environment
        self.namespace = namespace
        self.name = name
        self.container = container
        self.route = route
        self.shared_with_gitops = shared_with_gitops

    def instances(self) -> list[Instance]:
        """As of the target."""
        with self._located():
            stable = self._stable()
            routing = self._routing(stable)
            states = (
                read_stable(self.cluster, self.namespace, stable, routing),
                read_canary(self.cluster, self.namespace, self.name, self._canary(), routing),
            )
            read = functools.cache(lambda name: configuration.read(self.cluster, self.namespace, name))
            found = [
                one
                for state in states
                for one in instances_of(
                    state,
                    container=self.container,
                    routing=routing,
                    at=now(),
                    configuration=read,
                    output=self._output,
                )
            ]
            return sorted(found, key=lambda one: one.name)

    def check(self, release: Release) -> None:
        """As of the target."""
        with self._located():
            stable = self._stable()
            if not int(stable["spec"].get("replicas", 1)):
                raise self._no_replicas()
            if stable["spec"].get("paused"):
                raise TargetRejected(
                    f"Deployment {self.name} is paused: nothing that is written to it takes effect.",
                    state="nothing was changed.",
                    next_step=f"kubectl rollout resume deployment {self.name} -n {self.namespace}",
                )
            if not self.shared_with_gitops:
                require_unowned(stable)
            require_rights(self.cluster, self.namespace, *NEEDED, *(FOR_ROUTES if self.route else ()))
            configuration.require_usable(release.configuration)
            self._routing(stable).check()

    # -- actions -------------------------------------------------------------------------------------------------

    def deploy(
        self,
        release: Release | None,
        tracks: Sequence[Track],
        *,
        share: int,
        key: str,
        token: int,
        traffic: int | None = None,
    ) -> None:
        """As of the target."""

        def act() -> None:
            if release is not None:
                configuration.require_usable(release.configuration)
                configuration.keep(self.cluster, self.namespace, self.name, release.configuration)
            for track in tracks:
                if track == Track.STABLE:
                    self._put_stable(release)
                elif release is None:
                    self._remove_canary()
                else:
                    self._put_canary(release, share, traffic)

        self._do(act, key, token)

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """As of the target."""
        if Track.STABLE in tracks:
            raise TargetRejected(
                f"the stable replicas of Deployment {self.name} cannot be kept out of the traffic: they would be "
                "replaced at once.",
                environment=self.environment,
                state="nothing was changed.",
                next_step="Drain the canary, or scale the Deployment.",
            )

        def act() -> None:
            routing = self._routing(self._stable())
            routing.take_out(self._canary_pods(routing))

        self._do(act, key, token)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """As of the target."""

        def act() -> None:
            if Track.CANARY not in tracks:
                return
            canary, routing = self._canary(), self._routing(self._stable())
            if canary is not None and (part := share_of(canary)):
                routing.give(self._canary_pods(routing), part)

        self._do(act, key, token)

    # -- inside --------------------------------------------------------------------------------------------------

    def _path(self, name: str = "") -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments" + (f"/{name}" if name else "")

    def _stable(self) -> Object:
        found = self.cluster.get(self._path(self.name))
        if found is None:
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

    def _canary_of(self, stable: Object, release: Release, share: int, traffic: int | None, routing: Routing) -> Object:
        template = with_release(
            stable["spec"]["template"], release, release.artifact, deployment=self.name, container=self.container
        )
        replicas = replicas_for(share, max(1, int(stable["spec"].get("replicas", 1))))
        there = self._canary() if traffic else None
        labels: dict[str, str] = {}
        if there is not None:
            # Other labels would mean other pods, in the moment in which they are given the requests.
            labels = there["spec"]["template"]["metadata"].get("labels") or {}
        else:
            labels = routing.labels(template.get("metadata", {}).get("labels") or {}, traffic)
        part = share if traffic is None else traffic
        return canary_deployment(stable, template, replicas, labels=labels, share=part)

    def _put_canary(self, release: Release, share: int, traffic: int | None) -> None:
        stable = self._stable()
        routing = self._routing(stable)
        if share >= _WHOLE:
            require_steady(self.cluster, self.namespace, stable)
        wanted = self._canary_of(stable, release, share, traffic, routing)
        routing.prepare(traffic)

        def attempt() -> None:
            there = self._canary()
            if there is None:
                self.cluster.create(self._path(), wanted)
                return
            meta = {**wanted["metadata"], "resourceVersion": there["metadata"]["resourceVersion"]}
            self.cluster.put(self._path(canary_of(self.name)), {**wanted, "metadata": meta})
            pods = self._canary_pods(routing)
            if traffic is None and any(not routing.drained(pod) for pod in pods):
                routing.give(pods, share)

        until_written(attempt, f"Deployment {canary_of(self.name)}")

    def _put_stable(self, release: Release | None) -> None:
        if release is None:
            raise self._no_replicas()

        def attempt() -> None:
            stable = copy.deepcopy(self._stable())
            stable["spec"]["template"] = with_release(
                stable["spec"]["template"], release, release.artifact, deployment=self.name, container=self.container
            )
            stable.pop("status", None)
            # With the version that was read: the replicas that an autoscaler has set since are not written over.
            self.cluster.put(self._path(self.name), stable)

        until_written(attempt, f"Deployment {self.name}")

    def _remove_canary(self) -> None:
        self._routing(self._stable()).clear()
        if self._canary() is not None:
            self.cluster.delete(self._path(canary_of(self.name)))
        self._sweep()

    def _sweep(self) -> None:
        """Delete configurations that nothing can need any more: neither a pod, nor a ReplicaSet to go back to."""
        sets = self.cluster.every(f"/apis/apps/v1/namespaces/{self.namespace}/replicasets")
        pods = self.cluster.every(f"/api/v1/namespaces/{self.namespace}/pods")
        templates = [one["spec"]["template"] for one in (*sets, self._stable())] + pods
        used = {((one["metadata"].get("annotations") or {}).get(CONFIGURATION) or "") for one in templates}
        configuration.sweep(self.cluster, self.namespace, self.name, used)

    def _output(self, pod: str, container: str, before: bool) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        params = {"container": container, "tailLines": _LINES, "previous": str(before).lower()}
        try:
            return self.cluster.text(path, params) or ""
        except TargetError:
            return ""  # it only adds to what is said of a pod

    def _do(self, act: Callable[[], None], key: str, token: int) -> None:
        """Do something once, under the newest token."""
        with self._located():
            path = self._path(self.name)
            if enter(self.cluster, self._stable, path, token, key):
                act()
                leave(self.cluster, self._stable, path, token, key)

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except Conflict as error:
            raise busy(f"Deployment {self.name}", str(error)).at(environment=self.environment) from error
        except TargetError as error:
            error.at(environment=self.environment)
            raise

    def _no_replicas(self) -> TargetRejected:
        return TargetRejected(
            f"Deployment {self.name} has no replicas.",
            state="nothing was changed.",
            next_step=f"kubectl scale deployment {self.name} -n {self.namespace} --replicas N",
        )
