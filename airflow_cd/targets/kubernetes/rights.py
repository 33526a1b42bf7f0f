"""The rights that a deployment and its rollback need."""

from __future__ import annotations

from airflow_cd.errors import TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster

NEEDED: tuple[tuple[str, str, str], ...] = (
    ("apps", "deployments", "get"),
    ("apps", "deployments", "create"),
    ("apps", "deployments", "update"),
    ("apps", "deployments", "patch"),
    ("apps", "deployments", "delete"),
    ("apps", "replicasets", "list"),
    ("", "pods", "list"),
    ("", "pods", "patch"),
    ("", "services", "list"),
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "secrets", "create"),
    ("", "secrets", "delete"),
    ("discovery.k8s.io", "endpointslices", "list"),
    ("autoscaling", "horizontalpodautoscalers", "list"),
    ("", "resourcequotas", "list"),
)
"""API group, resource and verb of each; the Role in docs/targets/kubernetes.md has the same."""

FOR_SHARES: tuple[tuple[str, str, str], ...] = (("apps", "replicasets", "patch"),)
"""As well, where requests are divided by the Services: pods that are made of a drained canary must get none."""

FOR_ENDPOINTS: tuple[tuple[str, str, str], ...] = (("discovery.k8s.io", "endpointslices", "patch"),)
"""What a drain can do without there: then the pods of a canary leave the traffic one after the other."""

FOR_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("gateway.networking.k8s.io", "httproutes", "get"),
    ("gateway.networking.k8s.io", "httproutes", "update"),
    ("", "services", "get"),
    ("", "services", "create"),
    ("", "services", "delete"),
)
"""As well, where requests are divided by an HTTPRoute."""

FOR_VIRTUAL_SERVICES: tuple[tuple[str, str, str], ...] = (
    ("networking.istio.io", "virtualservices", "get"),
    ("networking.istio.io", "virtualservices", "update"),
    ("", "services", "get"),
    ("", "services", "create"),
    ("", "services", "delete"),
)
"""As well, where requests are divided by a VirtualService."""

FOR_INGRESSES: tuple[tuple[str, str, str], ...] = (
    ("networking.k8s.io", "ingresses", "get"),
    ("networking.k8s.io", "ingresses", "list"),
    ("networking.k8s.io", "ingresses", "create"),
    ("networking.k8s.io", "ingresses", "patch"),
    ("networking.k8s.io", "ingresses", "delete"),
    ("", "services", "get"),
    ("", "services", "create"),
    ("", "services", "delete"),
)
"""As well, where requests are divided by a canary Ingress."""

FOR_SWITCHES: tuple[tuple[str, str, str], ...] = (
    ("", "services", "get"),
    ("", "services", "patch"),
    ("", "services", "create"),
    ("", "services", "delete"),
)
"""As well, where a canary gets all requests of the Services, or none."""

FOR_PULLS: tuple[tuple[str, str, str], ...] = (
    ("", "pods", "get"),
    ("", "pods", "create"),
    ("", "pods", "delete"),
)
"""As well, where images are looked for before a canary begins."""


FOR_STATEFUL_SETS: tuple[tuple[str, str, str], ...] = (
    ("apps", "statefulsets", "get"),
    ("apps", "statefulsets", "update"),
    ("apps", "statefulsets", "patch"),
    ("apps", "controllerrevisions", "list"),
    ("", "pods", "list"),
    ("", "pods", "delete"),
    ("", "pods/eviction", "create"),
    ("", "services", "list"),
    ("", "services", "get"),
    ("", "services", "patch"),
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "secrets", "create"),
    ("", "secrets", "delete"),
    ("", "events", "list"),
    ("autoscaling", "horizontalpodautoscalers", "list"),
    ("discovery.k8s.io", "endpointslices", "list"),
)
"""In the place of :data:`NEEDED`, for a StatefulSet."""


def require_rights(cluster: Cluster, namespace: str, *needed: tuple[str, str, str]) -> None:
    """Refuse, before the first change, what could not be brought to its end or back.

    :param cluster: the API.
    :param namespace: where.
    :param needed: API group, resource and verb of each right.
    :raises TargetUnauthorized: rights are missing; all of them are named.
    """
    if missing := cluster.missing_rights(namespace, needed):
        raise TargetUnauthorized(
            f"connection {cluster.conn_id!r} may not {', '.join(missing)} in namespace {namespace!r}.",
            state="nothing was changed.",
            next_step="Bind the Role in docs/targets/kubernetes.md to its user or service account.",
        )
