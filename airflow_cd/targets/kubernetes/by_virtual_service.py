"""The canary's pods get requests by the weights of a VirtualService of Istio.

The canary is a destination of its own, named by its Service, and not a subset of the stable pods': a subset that is not
known everywhere yet, or not any more, answers with errors, and this way nothing has to be written to a DestinationRule.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import WHOLE
from airflow_cd.targets.kubernetes.by_weight import ByWeight, Divider, note_given
from airflow_cd.targets.kubernetes.names import WEIGHT, canary_of
from airflow_cd.targets.kubernetes.writing import until_written

_FOLLOWS = 1.5
"""Seconds that proxies may be behind what is written: istiod waits 0.1 s for more changes (``PILOT_DEBOUNCE_AFTER``)
before it tells them, and nothing in a VirtualService says when they have taken it."""


class ByVirtualService(ByWeight):
    """A Service of its own for the canary's pods, and weights in the HTTP routes of a VirtualService.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param name: of the VirtualService.
    :param follows_within: as of :class:`ByWeight`.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, stable: Object, name: str, *, follows_within: float | None = None
    ) -> None:
        super().__init__(cluster, namespace, stable, follows_within=follows_within)
        self._called = name
        self._path = f"/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices/{name}"

    @property
    def _served(self) -> list[str]:
        return [name for host in self._hosts if (name := self._service_of(host))]

    @property
    def _hosts(self) -> list[str]:
        found = self._cluster.get(self._path) or {"spec": {}}
        return [_host(one) for route in _routes(found, "http") for one in route]

    def _unserved(self) -> TargetRejected:
        self._read()
        return TargetRejected(
            f"VirtualService {self._called} sends requests to {', '.join(self._hosts) or 'nothing'} by its HTTP "
            f"routes, and none of these is a Service of Deployment {self._name}.",
            state="nothing was changed.",
            next_step="Name the one of the Deployment's Service: KubernetesTarget(..., virtual_service=...).",
        )

    @property
    def _divider(self) -> Divider:
        there = self._cluster.get(self._path)
        return Divider("VirtualService", self._called, there, "HTTP routes", ("f:spec", "f:http"))

    def _require_suitable(self) -> None:
        """All requests of the stable pods have to be of a kind that weights can divide.

        :raises TargetRejected: says what is in the way.
        """
        found, service = self._read(), self._served_service()
        if why := self._not_simple(found, service):
            raise TargetRejected(
                f"VirtualService {self._called} {why}.",
                state="nothing was changed.",
                next_step="Put this right there, or leave it out: the number of pods divides requests then.",
            )

    # -- inside --------------------------------------------------------------------------------------------------

    def _read(self) -> Object:
        found = self._cluster.get(self._path)
        if found is None:
            raise TargetRejected(
                f"there is no VirtualService {self._called!r} in namespace {self._namespace!r}.",
                state="nothing was changed.",
                next_step="Name it as `kubectl get virtualservices -A` lists it.",
            )
        return found

    def _service_of(self, host: str) -> str:
        """The Service of this namespace that a host stands for, with or without its domain; ``""`` for none."""
        name, _, domain = host.partition(".")
        namespace = domain.partition(".")[0]
        return name if namespace in ("", self._namespace) else ""

    def _is(self, destination: Object, service: str) -> bool:
        return self._service_of(_host(destination)) == service

    def _not_simple(self, found: Object, service: str) -> str:
        """Why requests cannot be divided, as the end of a sentence; ``""`` where they can."""
        for kind in ("tls", "tcp"):
            if any(self._is(one, service) for route in _routes(found, kind) for one in route):
                return f"sends connections to {service} by its {kind} routes too, and a canary gets none of these"
        for number, route in enumerate(_routes(found, "http"), 1):
            others = [one for one in route if not self._is(one, canary_of(service))]
            served = [_called(one) for one in others if one.get("weight") or len(others) == 1]
            if len(served) > 1 and any(self._is(one, service) for one in others):
                return f"divides the requests of its HTTP route {number} already, among {' and '.join(served)}"
        return ""

    def _weight_in(self, there: Object | None) -> int | None:
        service = self._known_service
        for route in _routes(there, "http") if there is not None and service else ():
            for one in route:
                if self._is(one, canary_of(service)):
                    return int(one.get("weight") or 0)
        return None

    def _write(self, share: int | None) -> None:
        if share is None and self._divider.object is None:
            return  # somebody has deleted it, and the canary's place with it

        def attempt() -> Object:
            found = copy.deepcopy(self._read())
            self._divide(found, share)
            note_given(found, share)
            return self._cluster.put(self._path, found)

        until_written(attempt, f"VirtualService {self._called}")
        self.__dict__.pop("_weight", None)
        self._await_followed(_FOLLOWS)

    def _divide(self, found: Object, share: int | None) -> None:
        """Give the canary its percent in every route that has the Service; None takes its places away."""
        service = self._service
        meta = found["metadata"].setdefault("annotations", {})
        for number, route in enumerate(found["spec"].get("http") or ()):
            all_of_it = route.get("route") or []
            others = [one for one in all_of_it if not self._is(one, canary_of(service))]
            those = [one for one in others if self._is(one, service)]
            mine = next((one for one in those if one.get("weight")), those[0] if those else None)
            if mine is None:
                continue
            had = f"{WEIGHT}.{number}"
            if share is None:
                if had in meta or len(others) < len(all_of_it):
                    mine.pop("weight", None)
                if weight := meta.pop(had, ""):
                    mine["weight"] = int(weight)
                route["route"] = others
                continue
            if len(others) == len(all_of_it):
                # With the canary beside it, the weight is ours, whichever number the route had when it was noted.
                meta.setdefault(had, str(mine.get("weight", "")))
            mine["weight"] = WHOLE - share
            place = others.index(mine) + 1
            route["route"] = [*others[:place], self._beside(mine, service, share), *others[place:]]

    def _beside(self, mine: Object, service: str, share: int) -> Object:
        """The canary's destination: that of the stable pods with another host, and without a subset."""
        made = copy.deepcopy(mine)
        _, dot, domain = _host(mine).partition(".")
        made["destination"]["host"] = f"{canary_of(service)}{dot}{domain}"
        made["destination"].pop("subset", None)
        made["weight"] = share
        return made


def _routes(found: Object, kind: str) -> Iterator[list[Object]]:
    """The destinations of each route of one kind; none where a route only redirects or delegates."""
    for route in found["spec"].get(kind) or ():
        yield route.get("route") or []


def _host(destination: Object) -> str:
    return str((destination.get("destination") or {}).get("host") or "")


def _called(destination: Object) -> str:
    subset = (destination.get("destination") or {}).get("subset")
    return f"{_host(destination)} ({subset})" if subset else _host(destination)
