"""The canary's pods get requests by the weights of an HTTPRoute of the Gateway API."""

from __future__ import annotations

import copy
import time
from functools import cached_property

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.by_weight import ByWeight
from airflow_cd.targets.kubernetes.gateways import MIRROR, PART_MIRROR, SEVERAL_MIRRORS, require_features
from airflow_cd.targets.kubernetes.names import WEIGHT, canary_of
from airflow_cd.targets.kubernetes.traffic import (
    delete_own_services,
    make_own_service,
)
from airflow_cd.targets.kubernetes.writing import until_written

_POLL = 0.05
_TAKEN_WITHIN = 20.0
"""Seconds within which a gateway must have seen a route that was written."""
_FOLLOWS = 0.3
"""Seconds that a data plane may be behind the status that its controller has written."""


class ByRoute(ByWeight):
    """A Service of its own for the canary's pods, and weights in an HTTPRoute of the Gateway API.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param route: name of the HTTPRoute.
    :param mirror: percent of the requests that a canary without any gets copies of, whose answers nobody sees.
    """

    def __init__(self, cluster: Cluster, namespace: str, stable: Object, route: str, mirror: int = 0) -> None:
        super().__init__(cluster, namespace, stable)
        self._path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{route}"
        self._route = route
        self._mirror = mirror

    @cached_property
    def _service(self) -> str:
        """Name of the Service of the stable pods, which the route sends requests to."""
        found = {one["metadata"]["name"] for one in self._stable_services}
        named = [
            one["name"] for rule in self._read()["spec"].get("rules") or () for one in rule.get("backendRefs") or ()
        ]
        for name in named:
            if name in found:
                return str(name)
        raise TargetRejected(
            f"HTTPRoute {self._route} sends requests to {', '.join(named) or 'nothing'}, and none of these is a "
            f"Service of Deployment {self._name}.",
            state="nothing was changed.",
            next_step="Name the route of the Deployment's Service: KubernetesTarget(..., route=...).",
        )

    def check(self) -> None:
        """As of :class:`Routing`: the route has to be there, and to send requests to the stable pods.

        :raises TargetRejected: it does not, or copies are asked for and its gateway does not make any.
        """
        _ = self._service
        if self._mirror:
            route = self._read()
            copied = [one for rule in route["spec"].get("rules") or () for one in mirrors_of(rule)]
            theirs = [one for one in copied if _copied_to(one) != canary_of(self._service)]
            several = (SEVERAL_MIRRORS,) if theirs else ()
            part = (PART_MIRROR,) if self._mirror < WHOLE else ()
            require_features(self._cluster, self._namespace, route, MIRROR, *several, *part)

    def prepare(self, traffic: int | None) -> None:
        """As of :class:`Routing`: the canary's Service, and its place in the route, with no weight yet.

        One that is to have no requests gets copies of some, where they are asked for.

        :raises TargetRejected: the gateway makes no copies.
        """
        copies = self._mirror if traffic == 0 else 0
        if copies and self._weight is None:
            self.check()
        make_own_service(self._cluster, self._namespace, self._service, self._name)
        if self._weight is None or copies:
            self._write(0, copies)

    def clear(self) -> None:
        """As of :class:`Routing`: the route is as it was before."""
        self._write(None)
        delete_own_services(self._cluster, self._namespace, self._name)

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

    @cached_property
    def _weight(self) -> int | None:
        """Percent that the canary has; None where it has no place in the route."""
        for rule in self._read()["spec"].get("rules") or ():
            for one in rule.get("backendRefs") or ():
                if one["name"] == canary_of(self._service):
                    return int(one.get("weight", 1))
        return None

    def _write(self, share: int | None, copies: int = 0) -> None:
        """Set the canary's percent, None to take its place away; returns when the gateway has taken it."""

        def attempt() -> Object:
            route = copy.deepcopy(self._read())
            divide(route, self._service, share, copies)
            route.pop("status", None)
            return self._cluster.put(self._path, route)

        written = until_written(attempt, f"HTTPRoute {self._route}")
        self.__dict__.pop("_weight", None)
        self._await_taken(written["metadata"]["generation"])

    def _await_taken(self, generation: int) -> None:
        """Wait until every gateway of the route says that it has seen it, and accepts it."""
        deadline = time.monotonic() + _TAKEN_WITHIN
        refused = "no gateway has taken it"
        while time.monotonic() < deadline:
            parents = (self._read().get("status") or {}).get("parents") or []
            conditions = [one for parent in parents for one in parent.get("conditions") or ()]
            seen = [one for one in conditions if one.get("observedGeneration", 0) >= generation]
            wrong = [one for one in seen if one["type"] in ("Accepted", "ResolvedRefs") and one["status"] != "True"]
            if seen and not wrong:
                time.sleep(_FOLLOWS)
                return
            if wrong:
                refused = f"{wrong[0].get('reason')}: {wrong[0].get('message')}"
            time.sleep(_POLL)
        raise TargetUnavailable(
            f"HTTPRoute {self._route} was written, and is not in force: {refused}.",
            next_step="Look at its status, and at the gateway's log.",
        )


def mirrors_of(rule: Object) -> list[Object]:
    """The filters of a rule that copy requests.

    :param rule: of an HTTPRoute.
    """
    return [one for one in rule.get("filters") or () if one.get("type") == "RequestMirror"]


def _copied_to(mirror: Object) -> str:
    """The name of what such a filter copies requests to."""
    return str(mirror["requestMirror"]["backendRef"]["name"])


def divide(route: Object, service: str, share: int | None, copies: int = 0) -> None:
    """Divide the requests of a route between a Service and its canary's, in every rule that names it.

    No rule is ever left with nothing but weights of 0.

    :param route: the HTTPRoute; it is changed.
    :param service: name of the stable pods' Service.
    :param share: percent of the canary; None takes its place away and gives the Service the weight it had.
    :param copies: percent of the requests that the canary gets copies of; none by default.
    """
    meta = route["metadata"].setdefault("annotations", {})
    for number, rule in enumerate(route["spec"].get("rules") or ()):
        backends = rule.get("backendRefs") or []
        mine = next((one for one in backends if one["name"] == service), None)
        if mine is None:
            continue
        had = f"{WEIGHT}.{number}"
        others = [one for one in backends if one["name"] != canary_of(service)]
        _copy(rule, {**mine, "name": canary_of(service)}, copies)
        if share is None:
            weight = meta.pop(had, "")
            mine.pop("weight", None)
            if weight:
                mine["weight"] = int(weight)
            rule["backendRefs"] = others
            continue
        meta.setdefault(had, str(mine.get("weight", "")))
        mine["weight"] = 100 - share
        place = others.index(mine) + 1
        rule["backendRefs"] = [*others[:place], {**mine, "name": canary_of(service), "weight": share}, *others[place:]]


def _copy(rule: Object, backend: Object, copies: int) -> None:
    """Have a rule copy so many per cent of its requests to a backend, or none; others' copies stay."""
    filters = rule.get("filters") or []
    mine = [one for one in mirrors_of(rule) if _copied_to(one) == backend["name"]]
    kept = [one for one in filters if one not in mine]
    if copies:
        to = {name: backend[name] for name in ("group", "kind", "name", "namespace", "port") if name in backend}
        part = {"percent": copies} if copies < WHOLE else {}
        kept.append({"type": "RequestMirror", "requestMirror": {"backendRef": to, **part}})
    if kept or filters:
        rule["filters"] = kept
    if not kept and mine:
        rule.pop("filters")
