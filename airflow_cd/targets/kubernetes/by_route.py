"""The canary's pods get requests by the weights of an HTTPRoute of the Gateway API."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.by_weight import ByWeight, Divider, note_given
from airflow_cd.targets.kubernetes.gateways import MIRROR, PART_MIRROR, SEVERAL_MIRRORS, require_features
from airflow_cd.targets.kubernetes.headers import drop_rules, has_rules, is_undone, require_room, set_rules, theirs
from airflow_cd.targets.kubernetes.names import canary_of
from airflow_cd.targets.kubernetes.ownership import last_writer
from airflow_cd.targets.kubernetes.rules import copied_to, divide, divided_already, keeps_sessions, mirrors_of
from airflow_cd.targets.kubernetes.traffic import make_own_service
from airflow_cd.targets.kubernetes.writing import until_written

_POLL = 0.05
_RULES = ("f:spec", "f:rules")
"""Where the API says who has written to the rules."""
_TAKEN_WITHIN = 20.0
"""Seconds within which a gateway must have seen a route that was written."""
_FOLLOWS = 0.3
"""Seconds that a data plane may be behind the status that its controller has written."""
_FOLLOWS_LATER = {"traefik.io/gateway-controller": 2.3}
"""The same of controllers that hold changes back: Traefik those that come within 2 s of the one before, unless its
``providersThrottleDuration`` says otherwise."""


class ByRoute(ByWeight):
    """A Service of its own for the canary's pods, and weights in an HTTPRoute of the Gateway API.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param route: name of the HTTPRoute.
    :param mirror: percent of the requests that a canary without any gets copies of, whose answers nobody sees.
    :param header: ``Name: value`` of the requests that reach a canary whatever its weight is, ``""`` for none.
    :param follows_within: as of :class:`ByWeight`.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        stable: Object,
        route: str,
        mirror: int = 0,
        header: str = "",
        *,
        follows_within: float | None = None,
    ) -> None:
        super().__init__(cluster, namespace, stable, follows_within=follows_within)
        self._path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{route}"
        self._route = route
        self._mirror = mirror
        self._header = header

    @property
    def _served(self) -> list[str]:
        route = self._cluster.get(self._path) or {"spec": {}}
        return [str(one["name"]) for rule in route["spec"].get("rules") or () for one in rule.get("backendRefs") or ()]

    def _unserved(self) -> TargetRejected:
        self._read()
        return TargetRejected(
            f"HTTPRoute {self._route} sends requests to {', '.join(self._served) or 'nothing'}, and none of these is a "
            f"Service of Deployment {self._name}.",
            state="nothing was changed.",
            next_step="Name the route of the Deployment's Service: KubernetesTarget(..., route=...).",
        )

    @property
    def _divider(self) -> Divider:
        return Divider("HTTPRoute", self._route, self._cluster.get(self._path), "rules", _RULES)

    def _require_suitable(self) -> None:
        """The route has to be there, and to send requests to the stable pods.

        :raises TargetRejected: it does not, a rule of it divides their requests already or has sessions stay with a
            backend, copies are asked for and its gateway does not make any, or it cannot have a rule for the header.
        """
        service, route = self._served_service(), self._read()
        if divided := divided_already(route, service):
            raise TargetRejected(
                f"HTTPRoute {self._route} divides requests among {' and '.join(divided)} already, and their shares "
                "would be others with a canary.",
                state="nothing was changed.",
                next_step="Finish that first, or give the others the weight 0.",
            )
        if kept := keeps_sessions(route, service):
            raise TargetRejected(
                f"HTTPRoute {self._route} lets sessions stay with the backend where they began (sessionPersistence of "
                f"its rule {kept}), even at the weight 0, so no drain would take the sessions of a canary away.",
                state="nothing was changed.",
                next_step="Take it out of the rule, or deploy without route=...: the canary's pods are behind the same "
                "Service then.",
            )
        if self._header:
            require_room(route, service, self._header)
        if self._mirror:
            copied = [one for rule in route["spec"].get("rules") or () for one in mirrors_of(rule)]
            others = [one for one in copied if copied_to(one) != canary_of(service)]
            several = (SEVERAL_MIRRORS,) if others else ()
            part = (PART_MIRROR,) if self._mirror < WHOLE else ()
            require_features(self._cluster, self._namespace, route, MIRROR, *several, *part)

    def prepare(self, traffic: int | None) -> None:
        """As of :class:`Routing`: the canary's Service, and its place in the route, with no weight yet.

        One that is to have no requests gets copies of some, where they are asked for, and those with the header.

        :raises TargetRejected: as of :meth:`check`.
        """
        copies = self._mirror if traffic == 0 else 0
        if self._weight is None:
            self._require_suitable()
        make_own_service(self._cluster, self._namespace, self._service, self._name)
        hidden = traffic == 0 and self._header and not has_rules(self._read(), self._service, self._header)
        if self._weight is None or copies or hidden:
            self._write(0, copies)

    def take_out(self, pods: Sequence[Object]) -> None:
        """As of :class:`Routing`: requests with the header do not reach it any more either."""
        if self._weight is not None or self._has_added():
            self._write(0, reached=False)

    def undone(self) -> str:
        """As of :class:`Routing`: a rule for the header may be gone, too."""
        if said := self.reweighed():
            return said
        route = self._divider.object
        if not self._header or route is None or not is_undone(route, self._service):
            return ""
        by = last_writer(route, _RULES)
        said = f"requests with {self._header!r} do not reach the canary any more"
        return f"HTTPRoute {self._route} was changed{by}, and {said}"

    # -- inside --------------------------------------------------------------------------------------------------

    def _read(self) -> Object:
        found = self._cluster.get(self._path)
        if found is None:
            raise TargetRejected(
                f"there is no HTTPRoute {self._route!r} in namespace {self._namespace!r}.",
                state="nothing was changed.",
                next_step="Name it as `kubectl get httproutes -A` lists it.",
            )
        return found

    def _has_added(self) -> bool:
        """Whether a rule for a header is in the route."""
        route = self._divider.object or {"metadata": {}, "spec": {}}
        return len(theirs(route, self._service, self._header)) < len(route["spec"].get("rules") or ())

    def _weight_in(self, there: Object | None) -> int | None:
        service = self._known_service
        for rule in theirs(there, service, self._header) if there is not None and service else ():
            for one in rule.get("backendRefs") or ():
                if one["name"] == canary_of(service):
                    return int(one.get("weight", 1))
        return None

    def _write(self, share: int | None, copies: int = 0, *, reached: bool = True) -> None:
        """Set the canary's percent, None to take its place away; returns when the gateway has taken it.

        Requests with the header reach it for as long as it has a place, unless it is not to be reached by any.
        """
        if share is None and self._divider.object is None:
            return  # somebody has deleted it, and the canary's place with it
        # A place that nobody is sent to takes nothing from anybody: no one has to have followed.
        is_empty = self._weight is None and share == 0 and not copies

        def attempt() -> Object:
            route = copy.deepcopy(self._read())
            # A weight is remembered by the number of its rule among those that were there.
            drop_rules(route, self._service, self._header)
            divide(route, self._service, share, copies)
            note_given(route, share)
            if self._header and share is not None and reached:
                set_rules(route, self._service, self._header)
            route.pop("status", None)
            return self._cluster.put(self._path, route)

        written = until_written(attempt, f"HTTPRoute {self._route}")
        self.__dict__.pop("_weight", None)
        behind = self._await_taken(written["metadata"]["generation"])
        if not is_empty:
            self._await_followed(behind)

    def _await_taken(self, generation: int) -> float:
        """Wait until every gateway of the route says that it has seen it, and accepts it.

        :returns: seconds that one of them may be behind that.
        """
        deadline = time.monotonic() + _TAKEN_WITHIN
        refused = "no gateway has taken it"
        while time.monotonic() < deadline:
            parents = self._parents()
            seen = [_seen(one, generation) for one in parents]
            conditions = [one for of_one in seen for one in of_one if one["type"] in ("Accepted", "ResolvedRefs")]
            wrong = [one for one in conditions if one["status"] != "True"]
            behind = [str(one.get("controllerName")) for one, of_one in zip(parents, seen, strict=True) if not of_one]
            if parents and not wrong and not behind:
                return max(_FOLLOWS, *(_FOLLOWS_LATER.get(str(one.get("controllerName")), 0.0) for one in parents))
            if wrong:
                refused = f"{wrong[0].get('reason')}: {wrong[0].get('message')}"
            elif behind:
                refused = f"{behind[0]} has not seen it"
            time.sleep(_POLL)
        raise TargetUnavailable(
            f"HTTPRoute {self._route} was written, and is not in force: {refused}.",
            next_step="Look at its status, and at the gateway's log.",
        )

    def _parents(self) -> list[Object]:
        """What the controllers say of the route, for each gateway that it still names."""
        route = self._read()
        named = [self._gateway(one) for one in route["spec"].get("parentRefs") or ()]
        found = (route.get("status") or {}).get("parents") or []
        return [one for one in found if not named or self._gateway(one.get("parentRef") or {}) in named]

    def _gateway(self, parent: Object) -> tuple[str, str, str]:
        kind, namespace = parent.get("kind") or "Gateway", parent.get("namespace") or self._namespace
        return str(kind), str(namespace), str(parent.get("name"))


def _seen(parent: Object, generation: int) -> list[Object]:
    """The conditions of a gateway that are about a generation of the route, or a newer one."""
    return [one for one in parent.get("conditions") or () if one.get("observedGeneration", 0) >= generation]
