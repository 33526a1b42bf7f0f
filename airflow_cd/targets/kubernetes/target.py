"""A Deployment or a StatefulSet of Kubernetes as an environment, as a pipeline names it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.durations import parse_duration
from airflow_cd.instances import WHOLE, Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.label import TargetLabel
from airflow_cd.wording import with_article

if TYPE_CHECKING:
    from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
    from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}: *[!-~]([ -~]{0,4094}[!-~])?")
"""Name and value of a header, as the Gateway API matches it."""
_DIVIDING = {"route": "HTTPRoute", "ingress": "Ingress", "virtual_service": "VirtualService"}
"""By parameter, the kind of the object that divides requests by weights; a target has at most one."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class KubernetesTarget:
    """One Deployment or StatefulSet of a cluster, and its canary while a deployment lasts.

    It is taken over as it is, and nothing has to be installed in the cluster. The artifact of a release is the image of
    one container; its configuration is environment variables and files of that container. A canary is a second
    Deployment behind the same Services, and the stable replicas are not touched before the last phase. The canary of a
    StatefulSet is some of its own pods in place, those with the highest ordinals.

    :param conn_id: Airflow connection of type ``kubernetes``.
    :param environment: name of the environment; also of the Deployment, unless that is given.
    :param namespace: its namespace.
    :param deployment: name of the Deployment; the environment's by default.
    :param stateful_set: name of a StatefulSet, in place of a Deployment; by default ``""``, for none.
    :param container: name of the container that a release is put into; the first by default.
    :param route: name of the HTTPRoute of the Gateway API that divides requests by weight; by default the Deployment's
        Services send every pod an even part.
    :param mirror: percent of the requests that are copied to a canary, or a new side, while it gets none itself, from
        0, the default, to 100; nobody sees its answers. A copy of a request that writes is written twice. Needs a
        ``route``, and may not be more than the share of a phase without requests.
    :param header: ``Name: value`` of requests that reach a canary, or a new side, for as long as there is one, whatever
        part of the requests it has, even none; by default ``""``, for no such requests. Whoever knows the header
        reaches what is not verified yet. Needs a ``route``.
    :param ingress: name of an Ingress of ingress-nginx, in place of a ``route``: requests are divided by the weight of
        a second Ingress beside it; by default ``""``, for none.
    :param virtual_service: name of a VirtualService of Istio, in place of a ``route``: requests are divided by the
        weights of its HTTP routes; by default ``""``, for none.
    :param follows_within: how long the data plane may go on as before once the API says that a change is in force, as
        text (``"300ms"``) or in seconds; a drain waits that long. By default ``""``, for what is known of its kind:
        0.3 s for a gateway, 2.3 s for Traefik, 1.5 s for Istio and 5 s for ingress-nginx.
    :param shared_with_gitops: whether Argo CD or Flux may keep it, because it ignores what a deployment changes.
    :param pull_check: whether to find out, before a canary begins, that its image and the one that runs now can be
        pulled, by a pod whose containers never run. Without it a tag is resolved by whichever pod starts first.
    """

    conn_id: str
    environment: str
    namespace: str = "default"
    deployment: str = ""
    container: str = ""
    route: str = ""
    shared_with_gitops: bool = False
    pull_check: bool = True
    stateful_set: str = ""
    mirror: int = 0
    ingress: str = ""
    header: str = ""
    virtual_service: str = ""
    follows_within: str | float = ""

    tracks: ClassVar[tuple[Track, ...]] = (Track.CANARY, Track.STABLE)

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> KubernetesTarget:
        """Make the target; what the registry of kinds calls.

        :param conn_id: Airflow connection of type ``kubernetes``.
        :param environment: name of the environment and of its Deployment, ``namespace/name`` where it is not in
            ``default``; ``namespace/statefulset/name`` for a StatefulSet.
        """
        namespace, _, name = environment.rpartition("/")
        if namespace.endswith("/statefulset"):
            return cls(conn_id, environment, namespace.removesuffix("/statefulset"), stateful_set=name)
        return cls(conn_id, environment, namespace or "default", name)

    def mistakes(self) -> list[str]:
        """Return what is wrong with this specification, one sentence each; called when the DAG file is parsed."""
        found = []
        for name in ("conn_id", "environment", "namespace"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or value != value.strip():
                found.append(f"a Kubernetes target needs {with_article(name)}, got {value!r}")
        if self.stateful_set and self.deployment:
            found.append("a Kubernetes target has a deployment or a stateful_set, not both")
        dividing = [name for name in _DIVIDING if getattr(self, name)]
        if len(dividing) > 1:
            found.append(f"a Kubernetes target has one of {', '.join(_DIVIDING)}, not {' and '.join(dividing)}")
        if self.stateful_set and dividing:
            found.append(
                f"no {dividing[0]} can divide requests to StatefulSet {self.stateful_set}: its canary is some of its "
                "own pods, behind the Services that they have"
            )
        found += self._mistakes_of_the_route()
        try:
            if self._seconds_behind is not None and not dividing:
                found.append(f"follows_within of a Kubernetes target needs one of {', '.join(_DIVIDING)}")
        except ValueError as error:
            found.append(f"follows_within of a Kubernetes target: {error}")
        kind = "stateful_set" if self.stateful_set else "deployment"
        named = {kind: self.name, "namespace": self.namespace, **{name: getattr(self, name) for name in _DIVIDING}}
        for name, value in named.items():
            if isinstance(value, str) and value and not _NAME.fullmatch(value):
                found.append(f"{name} {value!r} of a Kubernetes target cannot be the name of an object in Kubernetes")
        return found

    def _mistakes_of_the_route(self) -> list[str]:
        """What is wrong with the parameters that need an HTTPRoute."""
        found = []
        if isinstance(self.mirror, bool) or not isinstance(self.mirror, int) or not 0 <= self.mirror <= WHOLE:
            found.append(f"mirror of a Kubernetes target is a whole percent from 0 to 100, got {self.mirror!r}")
        elif self.mirror and not self.route:
            found.append("mirror of a Kubernetes target needs the HTTPRoute whose gateway copies requests: route=...")
        if self.header and not (isinstance(self.header, str) and _HEADER.fullmatch(self.header)):
            found.append(
                f"header of a Kubernetes target is a name and a value, 'X-Canary: always', got {self.header!r}"
            )
        elif self.header and not self.route:
            found.append("header of a Kubernetes target needs the HTTPRoute that matches it: route=...")
        return found

    @property
    def _seconds_behind(self) -> float | None:
        return None if self.follows_within == "" else parse_duration(self.follows_within).total_seconds()

    @property
    def name(self) -> str:
        """Name of the Deployment or StatefulSet."""
        return self.stateful_set or self.deployment or self.environment

    @property
    def in_place(self) -> bool:
        """Whether the canary's replicas are some of the stable ones."""
        return bool(self.stateful_set)

    @property
    def label(self) -> TargetLabel:
        """Kind and name, as pages show them."""
        divided = [f", {kind} {getattr(self, name)}" for name, kind in _DIVIDING.items() if getattr(self, name)]
        kind = "StatefulSet" if self.stateful_set else "Deployment"
        return TargetLabel("Kubernetes", f"{kind} {self.namespace}/{self.name}{''.join(divided)}", self.conn_id)

    @cached_property
    def taken_over(self) -> TakenOverDeployment | TakenOverStatefulSet:
        """The workload in its cluster; keeps its connection, so that a rollback minutes later needs no Airflow."""
        from airflow_cd.hooks.kubernetes import Cluster
        from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
        from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet

        if self.stateful_set:
            return TakenOverStatefulSet(
                Cluster(self.conn_id),
                self.environment,
                self.namespace,
                self.name,
                container=self.container,
                shared_with_gitops=self.shared_with_gitops,
                pull_check=self.pull_check,
            )
        return TakenOverDeployment(
            Cluster(self.conn_id),
            self.environment,
            self.namespace,
            self.name,
            container=self.container,
            route=self.route,
            mirror=self.mirror,
            header=self.header,
            ingress=self.ingress,
            virtual_service=self.virtual_service,
            follows_within=self._seconds_behind,
            shared_with_gitops=self.shared_with_gitops,
            pull_check=self.pull_check,
        )

    def instances(self) -> list[Instance]:
        """Read what runs where, now; see :meth:`~airflow_cd.targets.base.ReplicaTarget.instances`.

        :raises TargetError: it cannot be read.
        """
        return self.taken_over.instances()

    def check(self, release: Release) -> None:
        """Check that a release could be deployed, and gone back from; changes nothing.

        The cluster itself finds out whether its image, and the one that runs now, can be pulled: by a pod of which
        nothing ever runs.

        :param release: the release.
        :raises ArtifactNotFound: one of them cannot be pulled.
        :raises TargetUnauthorized: a right is missing.
        :raises TargetRejected: the Deployment or StatefulSet does not suit.
        """
        self.taken_over.check(release)

    def notes(self) -> list[str]:
        """What works differently there from what a person may expect, one sentence each; asks the cluster.

        :raises TargetError: it cannot be asked.
        """
        return self.taken_over.notes()

    def changed_by(self) -> str:
        """Who else has changed what it was last given, and when; ``""`` where nobody has.

        :raises TargetError: it cannot be asked.
        """
        return self.taken_over.changed_by()

    def traffic_mistake(self, share: int, traffic: int) -> str:
        """Why a canary cannot have that part of the requests; ``""`` where it can.

        :param share: percent of the environment's replicas that it is.
        :param traffic: percent of the requests that it is to have.
        """
        if self.stateful_set:
            return (
                f"StatefulSet {self.stateful_set} has no second side, and every pod gets an even part of the requests: "
                "deploy it in phases without traffic, and without bake"
            )
        if traffic == 0 and self.mirror > share:
            return (
                f"{share} % of the replicas would get copies of {self.mirror} % of the requests, more than each of the "
                f"others gets: write KubernetesTarget(..., mirror={share}) or less, or deploy it as blue/green"
            )
        if any(getattr(self, name) for name in _DIVIDING) or traffic == 0 or share == traffic == WHOLE:
            return ""
        return (
            f"{share} % of the replicas cannot have {traffic} % of the requests, of which every pod gets an even part: "
            "name the HTTPRoute, VirtualService or Ingress that divides them, KubernetesTarget(..., route=...)"
        )

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
        """Ask for a release on a track; see :meth:`~airflow_cd.targets.base.ReplicaTarget.deploy`.

        :param release: what to run; None takes the replicas of the track away.
        :param tracks: one or both.
        :param share: percent of all replicas that are to be the canary's; 100 for as many as there are stable ones.
        :param traffic: percent of the requests that the canary is to have once it is given its traffic, without any
            until then; None, the default, for what its replicas bring from the start.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not accepted.
        """
        self.taken_over.deploy(release, tracks, share=share, key=key, token=token, traffic=traffic)

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Keep the canary out of the traffic; returns when no Service sends it requests any more.

        No pod that is made for it afterwards gets any either, and no pod that runs is replaced.

        :param tracks: the canary's; stable replicas cannot be taken out.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not done.
        """
        self.taken_over.drain(tracks, key=key, token=token)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Give the canary its traffic back.

        :param tracks: one or both; stable replicas always have theirs.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not done.
        """
        self.taken_over.restore(tracks, key=key, token=token)

    def settled(self, *, token: int) -> None:
        """Give up the fields that were held: the deployment is over, and others may apply and change it again.

        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetError: it was not done.
        """
        self.taken_over.settled(token=token)

    def __getstate__(self) -> dict[str, Any]:
        # Airflow copies operators; an open connection must not be copied with them.
        return {field.name: getattr(self, field.name) for field in fields(self)}
