"""Reading a Deployment that was taken over: itself, its canary, and the pods of both."""

from __future__ import annotations

import functools

from airflow_cd.errors import TargetError, TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes.autoscalers import autoscaler_of
from airflow_cd.targets.kubernetes.by_ingress import ByIngress
from airflow_cd.targets.kubernetes.by_route import ByRoute
from airflow_cd.targets.kubernetes.by_services import ByServices
from airflow_cd.targets.kubernetes.by_virtual_service import ByVirtualService
from airflow_cd.targets.kubernetes.names import canary_of
from airflow_cd.targets.kubernetes.replicas import is_canary, read_canary, read_stable
from airflow_cd.targets.kubernetes.rights import FOR_INGRESSES, FOR_ROUTES, FOR_SHARES, FOR_VIRTUAL_SERVICES
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.kubernetes.workload import Workload


class DeploymentReader(Workload):
    """One Deployment of a cluster, and what stands beside it.

    :param cluster: the API of its cluster.
    :param environment: what the environment is called, for errors.
    :param namespace: where it is.
    :param name: its name.
    :param container: name of the container that a release is put into, ``""`` for the first.
    :param route: name of the HTTPRoute that divides requests, ``""`` where its Services send them.
    :param mirror: percent of the requests that are copied to a canary without any.
    :param header: ``Name: value`` of the requests that reach a canary whatever its weight is, ``""`` for none.
    :param ingress: name of the Ingress beside which a canary's own divides requests, ``""`` where none does.
    :param virtual_service: name of the VirtualService that divides requests, ``""`` where none does.
    :param follows_within: seconds that the data plane may be behind what the API says; None for what is known of its
        kind.
    :param shared_with_gitops: whether it may be one that another tool keeps.
    :param pull_check: whether to find out, before a canary begins, that images can be pulled.
    """

    kind = "Deployment"
    resource = "deployments"

    def __init__(
        self,
        cluster: Cluster,
        environment: str,
        namespace: str,
        name: str,
        *,
        container: str = "",
        route: str = "",
        mirror: int = 0,
        header: str = "",
        ingress: str = "",
        virtual_service: str = "",
        follows_within: float | None = None,
        shared_with_gitops: bool = False,
        pull_check: bool = True,
    ) -> None:
        super().__init__(
            cluster,
            environment,
            namespace,
            name,
            container=container,
            shared_with_gitops=shared_with_gitops,
            pull_check=pull_check,
        )
        self.route = route
        self.mirror = mirror
        self.header = header
        self.ingress = ingress
        self.virtual_service = virtual_service
        self.follows_within = follows_within

    def _stable(self) -> Object:
        return self._read()

    def _absent(self) -> TargetRejected:
        if not self._is_stateful():
            return super()._absent()
        return TargetRejected(
            f"{self.name!r} in namespace {self.namespace!r} is a StatefulSet, not a Deployment.",
            state="nothing was changed.",
            next_step=f"Name it as one: KubernetesTarget(..., stateful_set={self.name!r}).",
        )

    def _is_stateful(self) -> bool:
        try:
            return bool(self.cluster.get(f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets/{self.name}"))
        except TargetError:
            return False  # it takes a right that nothing else needs

    def _templates_known(self) -> list[Object]:
        sets = self.cluster.every(f"/apis/apps/v1/namespaces/{self.namespace}/replicasets")
        return [one["spec"]["template"] for one in (*sets, self._stable())]

    def _canary(self) -> Object | None:
        found = self.cluster.get(self._path(canary_of(self.name)))
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        if not is_canary(found, self.name):
            raise TargetRejected(
                f"Deployment {canary_of(self.name)} is somebody else's, and the canary of {self.name} would have its "
                "name.",
                state="nothing was changed.",
                next_step="Rename one of them.",
            )
        return found

    def _routing(self, stable: Object) -> Routing:
        there, within = (self.cluster, self.namespace, stable), self.follows_within
        if self.route:
            return ByRoute(*there, self.route, self.mirror, self.header, follows_within=within)
        if self.ingress:
            return ByIngress(*there, self.ingress, follows_within=within)
        if self.virtual_service:
            return ByVirtualService(*there, self.virtual_service, follows_within=within)
        autoscaler = functools.partial(autoscaler_of, self.cluster, self.namespace, self.name)
        return ByServices(*there, autoscaler)

    def _for_requests(self) -> tuple[tuple[str, str, str], ...]:
        """The rights that it takes to divide the requests."""
        if self.route:
            return FOR_ROUTES
        if self.virtual_service:
            return FOR_VIRTUAL_SERVICES
        return FOR_INGRESSES if self.ingress else FOR_SHARES

    def _canary_pods(self, routing: Routing) -> list[Object]:
        canary = self._canary()
        return read_canary(self.cluster, self.namespace, self.name, canary, routing).pods

    def _pods(self, stable: Object, routing: Routing) -> list[Object]:
        """The pods of both tracks."""
        return read_stable(self.cluster, self.namespace, stable, routing).pods + self._canary_pods(routing)
