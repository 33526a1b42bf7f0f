"""A Deployment of Kubernetes as an environment: replicas beside each other, taken over as they are."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

from airflow_cd.clock import now
from airflow_cd.errors import TargetConflict, TargetError, TargetRejected
from airflow_cd.instances import Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import configuration
from airflow_cd.targets.kubernetes.canary import canary_deployment, replicas_for
from airflow_cd.targets.kubernetes.cluster import Cluster, Conflict, Object
from airflow_cd.targets.kubernetes.fence import enter, leave
from airflow_cd.targets.kubernetes.names import CONFIGURATION, canary_of
from airflow_cd.targets.kubernetes.replicas import instances_of, is_canary, read_canary, read_stable
from airflow_cd.targets.kubernetes.rights import autoscaler_of, require_rights, require_unowned
from airflow_cd.targets.kubernetes.template import container_of, with_release
from airflow_cd.targets.kubernetes.traffic import services_of, set_labels, traffic_labels, wait_until_out
from airflow_cd.wording import with_article

_ATTEMPTS = 12
_LINES = 20
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class KubernetesTarget:
    """One Deployment of a cluster, and the canary beside it while a deployment lasts.

    The Deployment is taken over as it is, and nothing has to be installed in the cluster. The artifact of a release is
    the image of one container, its configuration environment variables and files of that container. A canary is a
    second Deployment with the same Services; the stable replicas are not touched before the last phase.

    :param conn_id: Airflow connection of type ``kubernetes``.
    :param environment: what the environment is called; the Deployment's name too, unless that is given.
    :param namespace: where the Deployment is.
    :param deployment: its name; the environment's by default.
    :param container: name of the container that a release is put into; the first by default.
    :param shared_with_gitops: whether the Deployment may be one that Argo CD or Flux keeps.
    """

    conn_id: str
    environment: str
    namespace: str = "default"
    deployment: str = ""
    container: str = ""
    shared_with_gitops: bool = False

    tracks: ClassVar[tuple[Track, ...]] = (Track.CANARY, Track.STABLE)

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> KubernetesTarget:
        """Make the target; what the registry of kinds calls.

        :param conn_id: Airflow connection of type ``kubernetes``.
        :param environment: name of the environment and of its Deployment, ``namespace/name`` where it is not in
            ``default``.
        """
        namespace, _, name = environment.rpartition("/")
        return cls(conn_id, environment, namespace or "default", name)

    def mistakes(self) -> list[str]:
        """Return what is wrong with this specification, one sentence each; called when the DAG file is parsed."""
        found = []
        for name in ("conn_id", "environment", "namespace"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or value != value.strip():
                found.append(f"a Kubernetes target needs {with_article(name)}, got {value!r}")
        for name, value in (("deployment", self.name), ("namespace", self.namespace)):
            if isinstance(value, str) and value and not _NAME.fullmatch(value):
                found.append(f"{name} {value!r} of a Kubernetes target is no name of an object in Kubernetes")
        return found

    @property
    def name(self) -> str:
        """Name of the Deployment."""
        return self.deployment or self.environment

    @cached_property
    def cluster(self) -> Cluster:
        """The API of the cluster; keeps its connection."""
        return Cluster(self.conn_id)

    # -- questions -----------------------------------------------------------------------------------------------

    def instances(self) -> list[Instance]:
        """Read what runs where, now; see :meth:`~airflow_cd.targets.base.ReplicaTarget.instances`.

        :raises TargetError: it cannot be read.
        """
        with self._located():
            stable = self._stable()
            services = self._services(stable)
            states = (
                read_stable(self.cluster, self.namespace, stable, lambda: services),
                read_canary(self.cluster, self.namespace, self.name, self._canary(), lambda: services),
            )
            read = functools.cache(lambda name: configuration.read(self.cluster, self.namespace, name))
            found = [
                one
                for state in states
                for one in instances_of(
                    state,
                    container=self.container,
                    services=services,
                    now=now(),
                    configuration=read,
                    output=self._output,
                )
            ]
            return sorted(found, key=lambda one: one.name)

    def check(self, release: Release) -> None:
        """Check that a release could be deployed, and gone back from; changes nothing.

        Whether its image exists, the cluster finds out: a canary whose image cannot be pulled fails within seconds.

        :param release: the release.
        :raises TargetUnauthorized: a right is missing.
        :raises TargetRejected: the Deployment does not suit.
        """
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
            require_rights(self.cluster, self.namespace)
            configuration.require_usable(release.configuration)
            self._canary_of(stable, release, 50)

    # -- actions -------------------------------------------------------------------------------------------------

    def deploy(self, release: Release | None, tracks: Sequence[Track], *, share: int, key: str, token: int) -> None:
        """Ask for a release on a track; see :meth:`~airflow_cd.targets.base.ReplicaTarget.deploy`.

        :param release: what to run; None takes the replicas of the track away.
        :param tracks: one or both.
        :param share: percent of all replicas that are to be the canary's.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not accepted.
        """

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
                    self._put_canary(release, share)

        self._do(act, key, token)

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Keep the canary out of the traffic; returns when no Service sends it a request any more.

        :param tracks: the canary's; stable replicas cannot be taken out, their ReplicaSet would replace them.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not done.
        """
        if Track.STABLE in tracks:
            raise TargetRejected(
                f"the stable replicas of Deployment {self.name} cannot be kept out of the traffic: they would be "
                "replaced at once.",
                environment=self.environment,
                state="nothing was changed.",
                next_step="Drain the canary, or scale the Deployment.",
            )

        def act() -> None:
            services = self._services(self._stable())
            pods = read_canary(self.cluster, self.namespace, self.name, self._canary(), lambda: services).pods
            set_labels(self.cluster, pods, dict.fromkeys(traffic_labels(services)))
            wait_until_out(self.cluster, self.namespace, services, {one["metadata"]["name"] for one in pods})

        self._do(act, key, token)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Give the canary its traffic back.

        :param tracks: one or both; stable replicas always have theirs.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not done.
        """

        def act() -> None:
            if Track.CANARY not in tracks:
                return
            services = self._services(self._stable())
            pods = read_canary(self.cluster, self.namespace, self.name, self._canary(), lambda: services).pods
            set_labels(self.cluster, pods, dict(traffic_labels(services)))

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

    def _services(self, stable: Object) -> list[Object]:
        return services_of(self.cluster, self.namespace, stable["spec"]["template"]["metadata"].get("labels") or {})

    def _canary_of(self, stable: Object, release: Release, share: int) -> Object:
        template = with_release(
            stable["spec"]["template"], release, release.artifact, deployment=self.name, container=self.container
        )
        replicas = replicas_for(min(share, 99), max(1, int(stable["spec"].get("replicas", 1))))
        return canary_deployment(
            stable,
            template,
            replicas,
            services=self._services(stable),
            autoscaler=autoscaler_of(self.cluster, self.namespace, self.name),
        )

    def _put_canary(self, release: Release, share: int) -> None:
        wanted = self._canary_of(self._stable(), release, share)
        for _ in range(_ATTEMPTS):
            there = self._canary()
            try:
                if there is None:
                    self.cluster.create(self._path(), wanted)
                else:
                    version = there["metadata"]["resourceVersion"]
                    meta = {**wanted["metadata"], "resourceVersion": version}
                    self.cluster.put(self._path(canary_of(self.name)), {**wanted, "metadata": meta})
            except Conflict:
                continue
            return
        raise self._busy(canary_of(self.name))

    def _put_stable(self, release: Release | None) -> None:
        if release is None:
            raise self._no_replicas()
        for _ in range(_ATTEMPTS):
            stable = copy.deepcopy(self._stable())
            stable["spec"]["template"] = with_release(
                stable["spec"]["template"], release, release.artifact, deployment=self.name, container=self.container
            )
            stable.pop("status", None)
            try:
                # With the version that was read: the replicas that an autoscaler has set since are not written over.
                self.cluster.put(self._path(self.name), stable)
            except Conflict:
                continue
            return
        raise self._busy(self.name)

    def _remove_canary(self) -> None:
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
        return self.cluster.text(path, params)

    def _do(self, act: Callable[[], None], key: str, token: int) -> None:
        """Do something once, under the newest token."""
        with self._located():
            path = self._path(self.name)
            if enter(self.cluster, self._stable, path, token, key) is not None:
                act()
                leave(self.cluster, self._stable, path, token, key)

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except Conflict as error:
            raise TargetConflict(f"{error}.", environment=self.environment) from error
        except TargetError as error:
            error.at(environment=self.environment)
            raise

    def _no_replicas(self) -> TargetRejected:
        return TargetRejected(
            f"Deployment {self.name} has no replicas.",
            state="nothing was changed.",
            next_step=f"kubectl scale deployment {self.name} -n {self.namespace} --replicas N",
        )

    def _busy(self, name: str) -> TargetRejected:
        return TargetRejected(
            f"Deployment {name} is changed by somebody else so often that it cannot be written.",
            next_step="Find out who writes to it: kubectl get deployment -o yaml --show-managed-fields.",
        )

    def __getstate__(self) -> dict[str, Any]:
        # Airflow copies operators; an open connection must not be copied with them.
        return {field.name: getattr(self, field.name) for field in fields(self)}
