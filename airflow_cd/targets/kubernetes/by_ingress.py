"""The canary's pods get requests by the weight of a canary Ingress of ingress-nginx, beside the one that is there.

Whichever controller follows the annotations ``nginx.ingress.kubernetes.io/canary`` and ``canary-weight`` can divide
them; the IngressClass names it. Any other would serve the second Ingress as it serves the first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Conflict, Object
from airflow_cd.targets.kubernetes.by_weight import ByWeight, Divider
from airflow_cd.targets.kubernetes.names import GIVEN, canary_of, ours

CONTROLLER = "k8s.io/ingress-nginx"
CANARY, WEIGHT = "nginx.ingress.kubernetes.io/canary", "nginx.ingress.kubernetes.io/canary-weight"
_STICKY = "nginx.ingress.kubernetes.io/affinity"
_FOLLOWS = 5.0
"""Seconds within which the controller follows what is written: it does so every 3.3 s (``--sync-rate-limit``), its
workers once a second, and nothing in an Ingress says that they have."""
_Path = tuple[str, str]


class ByIngress(ByWeight):
    """A Service of its own for the canary's pods, and an Ingress that gives it a weight.

    The Ingress that is already there is not touched.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param ingress: name of the Ingress.
    :param follows_within: as of :class:`ByWeight`.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, stable: Object, ingress: str, *, follows_within: float | None = None
    ) -> None:
        super().__init__(cluster, namespace, stable, follows_within=follows_within)
        self._ingress = ingress
        self._all = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
        self._path = f"{self._all}/{canary_of(ingress)}"

    @property
    def _served(self) -> list[str]:
        found = self._cluster.get(f"{self._all}/{self._ingress}")
        return [name for _, name in _backends(found)] if found is not None else []

    def _unserved(self) -> TargetRejected:
        self._read()
        return TargetRejected(
            f"Ingress {self._ingress} sends requests to {', '.join(self._served) or 'nothing'} by its rules, and none "
            f"of these is a Service of Deployment {self._name}.",
            state="nothing was changed.",
            next_step="Name the Ingress of the Deployment's Service: KubernetesTarget(..., ingress=...).",
        )

    @property
    def _divider(self) -> Divider:
        # The Ingress that was there before is not written to, so a tool may keep it.
        weight = ("f:metadata", "f:annotations", f"f:{WEIGHT}")
        name = canary_of(self._ingress)
        return Divider("Ingress", name, self._there(), "weight", weight, is_theirs=False)

    def _require_suitable(self) -> None:
        """A controller that divides requests has to serve the Ingress, and all of its requests.

        :raises TargetRejected: says what is in the way.
        :raises TargetUnauthorized: its IngressClass may not be read.
        """
        ingress, service = self._read(), self._served_service()
        annotations = ingress["metadata"].get("annotations") or {}
        if why := self._not_simple(ingress, annotations, service):
            raise TargetRejected(
                f"Ingress {self._ingress} {why}.",
                state="nothing was changed.",
                next_step="Divide requests by an HTTPRoute (route=...), or by the number of pods (neither).",
            )
        mine = {place for place, name in _backends(ingress) if name == service}
        for other in self._cluster.every(self._all):
            if other["metadata"]["name"] in (self._ingress, canary_of(self._ingress)) or not _is_canary(other):
                continue
            if mine & {place for place, _ in _backends(other)}:
                raise TargetRejected(
                    f"Ingress {other['metadata']['name']} is a canary of the same paths, and there can be only one.",
                    state="nothing was changed.",
                    next_step="Finish that one first.",
                )

    def clear(self) -> None:
        """As of :class:`Routing`: its Ingress goes, once it has no requests any more."""
        if self._weight:
            self._write(0)
        super().clear()

    # -- inside --------------------------------------------------------------------------------------------------

    def _read(self) -> Object:
        found = self._cluster.get(f"{self._all}/{self._ingress}")
        if found is None:
            raise TargetRejected(
                f"there is no Ingress {self._ingress!r} in namespace {self._namespace!r}.",
                state="nothing was changed.",
                next_step="Name it as `kubectl get ingresses -A` lists it.",
            )
        return found

    def _not_simple(self, ingress: Object, annotations: dict[str, str], service: str) -> str:
        """Why the requests of an Ingress cannot be divided, as the end of a sentence; ``""`` where they can."""
        spec = ingress["spec"]
        if _is_canary(ingress):
            return "is a canary itself"
        if _STICKY in annotations:
            return f"has sessions that stay with a pod ({_STICKY}), which no weight moves"
        if ((spec.get("defaultBackend") or {}).get("service") or {}).get("name") == service:
            return f"sends requests to {service} as its default backend too, and a canary gets none of these"
        name = spec.get("ingressClassName")
        made = self._cluster.get(f"/apis/networking.k8s.io/v1/ingressclasses/{name}") if name else None
        controller = ((made or {}).get("spec") or {}).get("controller")
        if controller != CONTROLLER:
            served = f"is of class {name}, whose controller is {controller}," if name else "has no ingressClassName"
            return f"{served} and that is not known to divide requests as {CONTROLLER} does"
        return ""

    def _there(self) -> Object | None:
        found = self._cluster.get(self._path)
        if found is not None and not ours(self._name).items() <= (found["metadata"].get("labels") or {}).items():
            raise TargetRejected(
                f"Ingress {canary_of(self._ingress)} is somebody else's, and that of the canary of {self._name} would "
                "have its name.",
                state="nothing was changed.",
                next_step="Rename one of them.",
            )
        return found

    def _weight_in(self, there: Object | None) -> int | None:
        return int((there["metadata"].get("annotations") or {}).get(WEIGHT) or 0) if there is not None else None

    def _write(self, share: int | None) -> None:
        there = self._there()
        self.__dict__.pop("_weight", None)
        if share is None:
            if there is not None:
                self._cluster.delete(self._path)
            return
        annotations = {CANARY: "true", WEIGHT: str(share), GIVEN: str(share)}
        if there is None:
            # Whoever has made it meanwhile wanted the same.
            with contextlib.suppress(Conflict):
                self._cluster.create(self._all, self._made(annotations))
        else:
            self._cluster.patch(self._path, {"metadata": {"annotations": annotations}}, MERGE)
        self._await_followed(_FOLLOWS)

    def _made(self, annotations: dict[str, str]) -> Object:
        ingress, service = self._read(), self._service
        rules = []
        for rule in ingress["spec"].get("rules") or ():
            paths = [
                {**one, "backend": {"service": {**one["backend"]["service"], "name": canary_of(service)}}}
                for one in (rule.get("http") or {}).get("paths") or ()
                if _service_of(one) == service
            ]
            if paths:
                rules.append({**rule, "http": {"paths": paths}})
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": canary_of(self._ingress), "labels": ours(self._name), "annotations": annotations},
            "spec": {"ingressClassName": ingress["spec"]["ingressClassName"], "rules": rules},
        }


def _is_canary(ingress: Object) -> bool:
    return (ingress["metadata"].get("annotations") or {}).get(CANARY) == "true"


def _service_of(path: Object) -> str:
    return str(((path.get("backend") or {}).get("service") or {}).get("name") or "")


def _backends(ingress: Object) -> Iterator[tuple[_Path, str]]:
    """By host and path, the Services that an Ingress sends requests to."""
    for rule in ingress["spec"].get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            if name := _service_of(path):
                yield (str(rule.get("host") or ""), str(path.get("path") or "/")), name
