"""The traffic of pods: which Services send them requests, how pods are taken out, and when they are out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from airflow_cd.errors import TargetError, TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Conflict, Object
from airflow_cd.targets.kubernetes.names import SELECTOR, canary_of, ours, selector_of

_AT_A_TIME = 8
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER = "endpointslice-controller.k8s.io"
"""The controller that keeps the endpoints of Services with selectors; what others keep it would not put right."""
_SEEN_OUT = 20.0
"""Seconds within which the endpoints must be without a pod that has lost its labels."""
_Endpoints = Callable[[set[str]], bool]
"""Whether the names of the pods that get requests are those that should."""
_PROXIES = 1.3
"""Seconds that the proxies of the nodes may be behind the endpoints: kube-proxy writes its rules once a second."""


def services_of(cluster: Cluster, namespace: str, labels: dict[str, str]) -> list[Object]:
    """The Services that send requests to pods with these labels, or would unless a canary had all of them.

    :param cluster: the API.
    :param namespace: where.
    :param labels: of a pod.
    """
    found = cluster.every(f"/api/v1/namespaces/{namespace}/services")
    return [one for one in found if (selector := own_selector(one)) and selector.items() <= labels.items()]


def own_selector(service: Object) -> dict[str, str]:
    """The labels by which a Service finds its pods, unless a canary has all of its requests.

    :param service: the Service.
    """
    kept = (service["metadata"].get("annotations") or {}).get(SELECTOR)
    return dict(json.loads(kept) if kept else service["spec"].get("selector") or {})


def selects(service: Object, labels: dict[str, str]) -> bool:
    """Whether a Service sends requests to a pod with these labels now.

    :param service: the Service.
    :param labels: of the pod.
    """
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()


def traffic_labels(services: Iterable[Object]) -> dict[str, str]:
    """The labels by which Services find their pods.

    :param services: all that send requests to the pods.
    """
    return {name: value for service in services for name, value in own_selector(service).items()}


def set_labels(cluster: Cluster, pods: Iterable[Object], labels: dict[str, str | None]) -> None:
    """Give pods labels, or take them away, several at a time, so that the last is out hardly later than the first.

    :param cluster: the API.
    :param pods: as they were listed; one that has gone by now gets no requests, and no labels.
    :param labels: by name; None takes one away.
    """
    others = [pod["metadata"] for pod in pods if not labels.items() <= _all_of(pod, labels).items()]

    def write(meta: Object) -> None:
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        cluster.patch_if_there(path, {"metadata": {"uid": meta["uid"], "labels": labels}}, MERGE)

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for done in [pool.submit(write, meta) for meta in others]:
            done.result()


def _all_of(pod: Object, labels: Iterable[str]) -> dict[str, str | None]:
    """The values that a pod has of these labels, None for those that it lacks."""
    has = pod["metadata"].get("labels") or {}
    return {name: has.get(name) for name in labels}


def endpoints_of(cluster: Cluster, namespace: str, services: Iterable[Object]) -> set[str]:
    """The names of the pods that Services send new requests to, as the proxies are told.

    :param cluster: the API.
    :param namespace: where.
    :param services: the Services.
    """
    found: set[str] = set()
    for part in _slices(cluster, namespace, services):
        found |= {pod for one in part.get("endpoints") or () if _is_ready(one) and (pod := _pod_of(one))}
    return found


def take_out_at_once(cluster: Cluster, namespace: str, services: Iterable[Object], pods: Iterable[Object]) -> None:
    """Take pods out of the endpoints in one write, for whose labels are about to be taken away one by one.

    The controller of the endpoints follows the labels pod by pod; kube-proxy writes its rules at the first of these
    changes, and of the others a second later. Where the right to write endpoints is missing, that is how long it takes.
    The controller puts back whatever the labels do not say.

    :param cluster: the API.
    :param namespace: where.
    :param services: that send requests to the pods.
    :param pods: as they were listed.
    """
    names = {one["metadata"]["name"] for one in pods}
    # It only makes sooner what the labels do: whatever goes wrong here must not keep these from going.
    with contextlib.suppress(TargetError):
        for part in _slices(cluster, namespace, services):
            meta, endpoints = part["metadata"], part.get("endpoints") or []
            left = [one for one in endpoints if _pod_of(one) not in names]
            kept = (meta.get("labels") or {}).get(_MANAGED_BY) == _CONTROLLER
            # Without anybody else to answer, requests would find nobody until the Service is given back.
            if not kept or left == endpoints or not any(map(_is_ready, left)):
                continue
            body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "endpoints": left}
            with contextlib.suppress(Conflict):
                cluster.patch_if_there(f"{_slices_of(namespace)}/{meta['name']}", body, MERGE)


def _slices_of(namespace: str) -> str:
    return f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"


def _slices(cluster: Cluster, namespace: str, services: Iterable[Object]) -> Iterator[Object]:
    """The EndpointSlices of Services."""
    for service in services:
        yield from cluster.every(_slices_of(namespace), f"kubernetes.io/service-name={service['metadata']['name']}")


def _is_ready(endpoint: Object) -> bool:
    """Whether an endpoint gets requests."""
    return bool((endpoint.get("conditions") or {}).get("ready", True))


def _pod_of(endpoint: Object) -> str | None:
    """Name of the pod that an endpoint is; None where it is none."""
    name: str | None = (endpoint.get("targetRef") or {}).get("name")
    return name


def make_own_service(cluster: Cluster, namespace: str, service: str, deployment: str) -> None:
    """Make the Service of a canary's own pods, with the ports of the stable pods' Service, unless it is there.

    :param cluster: the API.
    :param namespace: where.
    :param service: name of the stable pods' Service.
    :param deployment: name of the Deployment.
    :raises TargetRejected: somebody else has a Service of that name.
    """
    path = f"/api/v1/namespaces/{namespace}/services"
    stable = cluster.get(f"{path}/{service}") or {"spec": {}}
    ports = [{key: port[key] for key in port if key != "nodePort"} for port in stable["spec"].get("ports") or ()]
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": canary_of(service), "labels": ours(deployment)},
        "spec": {"selector": ours(deployment), "ports": ports},
    }
    try:
        cluster.create(path, body)
    except Conflict:
        if canary_of(service) not in own_services(cluster, namespace, deployment):
            raise TargetRejected(
                f"Service {canary_of(service)} is somebody else's, and that of the canary of {deployment} would have "
                "its name.",
                state="nothing was changed.",
                next_step="Rename one of them.",
            ) from None


def own_services(cluster: Cluster, namespace: str, deployment: str) -> list[str]:
    """The names of the Services that were made for a canary's own pods.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: name of the Deployment.
    """
    found = cluster.every(f"/api/v1/namespaces/{namespace}/services", selector_of(ours(deployment)))
    return [one["metadata"]["name"] for one in found]


def delete_own_services(cluster: Cluster, namespace: str, deployment: str) -> None:
    """Delete the Services that were made for a canary's own pods, and no other.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: name of the Deployment.
    """
    for name in own_services(cluster, namespace, deployment):
        cluster.delete(f"/api/v1/namespaces/{namespace}/services/{name}")


def wait_until_in(cluster: Cluster, namespace: str, services: list[Object], wanted: _Endpoints, what: str) -> None:
    """Wait until Services send their new requests where they should, and nowhere else.

    :param cluster: the API.
    :param namespace: where.
    :param services: the Services.
    :param wanted: whether these are the pods that they should be sent to.
    :param what: who is to get them, for the error.
    :raises TargetUnavailable: they still send them elsewhere.
    """
    names = ", ".join(sorted(one["metadata"]["name"] for one in services))
    _await_endpoints(
        cluster,
        namespace,
        services,
        wanted,
        lambda found: (
            f"Service {names} was given to {what} {_SEEN_OUT:.0f} s ago, and its requests still go to "
            f"{', '.join(sorted(found)) or 'nobody'}"
        ),
    )


def wait_until_out(
    cluster: Cluster,
    namespace: str,
    services: list[Object],
    pods: set[str],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Wait until no Service sends a new request to any of these pods.

    :param cluster: the API.
    :param namespace: where.
    :param services: the Services that did.
    :param pods: their names.
    :param meanwhile: called while the proxies follow the endpoints, or at once where there is no pod; never where
        there is no Service.
    :raises TargetUnavailable: requests are still sent to some of them.
    """
    if pods:
        _await_endpoints(
            cluster,
            namespace,
            services,
            lambda found: not found & pods,
            lambda found: (
                f"{', '.join(sorted(found & pods))} lost the labels that Services find pods by "
                f"{_SEEN_OUT:.0f} s ago and still get requests"
            ),
            meanwhile,
        )
    elif meanwhile is not None:
        meanwhile()


def _await_endpoints(
    cluster: Cluster,
    namespace: str,
    services: list[Object],
    wanted: _Endpoints,
    said: Callable[[set[str]], str],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    if not services:
        return
    ends, followed = time.monotonic() + _SEEN_OUT, False
    while True:
        if wanted(found := endpoints_of(cluster, namespace, services)):
            if followed:
                return
            began = time.monotonic()
            if meanwhile is not None:
                meanwhile()
                meanwhile = None
            time.sleep(max(0.0, began + _PROXIES - time.monotonic()))
            followed = True
        elif time.monotonic() > ends:
            raise TargetUnavailable(
                f"{said(found)}: the endpoints are not up to date.",
                next_step="Check the controller manager of the cluster; it keeps the EndpointSlices.",
            )
        else:
            # A controller that is behind may put back, for a moment, what was taken out ahead of it.
            followed = False
            time.sleep(0.05)
