"""What the gateways of an HTTPRoute can do, by their class: the status of a route does not say it.

A gateway that does not know a filter may accept the route all the same and answer every request with an error from then
on (Traefik 3.7 does). So this is found out before a route is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object

GROUP = "gateway.networking.k8s.io"
MIRROR, SEVERAL_MIRRORS, PART_MIRROR = (
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
)
"""Features of the Gateway API, as it names them."""


def require_features(cluster: Cluster, namespace: str, route: Object, *needed: str) -> None:
    """Refuse a route one of whose gateways does not say that it can do what is needed.

    :param cluster: the API.
    :param namespace: where the route is.
    :param route: the HTTPRoute, as it was read.
    :param needed: features, as the Gateway API names them.
    :raises TargetRejected: a gateway does not have them, or is none.
    :raises TargetUnauthorized: gateways or their classes may not be read.
    """
    for gateway, has in _features(cluster, namespace, route):
        if missing := [one for one in needed if one not in has]:
            raise TargetRejected(
                f"{gateway} of HTTPRoute {route['metadata']['name']} does not say that it can copy requests "
                f"({', '.join(missing)}): it may answer every one with an error instead.",
                state="nothing was changed.",
                next_step="Use a gateway whose GatewayClass has it among its supportedFeatures, or leave mirror out.",
            )


def _features(cluster: Cluster, namespace: str, route: Object) -> Iterator[tuple[str, set[str]]]:
    """Kind and name of each parent of a route, and its features."""
    for parent in route["spec"].get("parentRefs") or ():
        kind, name = parent.get("kind") or "Gateway", parent["name"]
        there, found = parent.get("namespace") or namespace, None
        if (kind, parent.get("group") or GROUP) == ("Gateway", GROUP):
            found = cluster.get(f"/apis/{GROUP}/v1/namespaces/{there}/gateways/{name}")
        made = found and cluster.get(f"/apis/{GROUP}/v1/gatewayclasses/{found['spec']['gatewayClassName']}")
        listed = ((made or {}).get("status") or {}).get("supportedFeatures") or ()
        # Until version 1.1 of the Gateway API it was a list of names.
        yield f"{kind} {name}", {one if isinstance(one, str) else str(one.get("name")) for one in listed}
