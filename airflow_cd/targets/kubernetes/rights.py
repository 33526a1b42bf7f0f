"""The rights that a deployment and its rollback need, and what else has to be so before anything is touched."""

from __future__ import annotations

from airflow_cd.errors import TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes.ownership import kept_by

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

FOR_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("gateway.networking.k8s.io", "httproutes", "get"),
    ("gateway.networking.k8s.io", "httproutes", "update"),
    ("", "services", "get"),
    ("", "services", "create"),
    ("", "services", "delete"),
)
"""As well, where requests are divided by an HTTPRoute."""

FOR_PULLS: tuple[tuple[str, str, str], ...] = (
    ("", "pods", "get"),
    ("", "pods", "create"),
    ("", "pods", "delete"),
)
"""As well, where images are looked for before a canary begins."""


def require_rights(cluster: Cluster, namespace: str, *, route: bool = False, pulls: bool = False) -> None:
    """Refuse, before the first change, what could not be brought to its end or back.

    :param cluster: the API.
    :param namespace: where.
    :param route: whether requests are divided by an HTTPRoute.
    :param pulls: whether images are looked for.
    :raises TargetUnauthorized: rights are missing; all of them are named.
    """
    wanted = (*NEEDED, *(FOR_ROUTES if route else ()), *(FOR_PULLS if pulls else ()))
    if missing := cluster.missing_rights(namespace, wanted):
        raise TargetUnauthorized(
            f"connection {cluster.conn_id!r} may not {', '.join(missing)} in namespace {namespace!r}.",
            state="nothing was changed.",
            next_step="Bind the Role in docs/targets/kubernetes.md to its user or service account.",
        )


def require_unowned(deployment: Object) -> None:
    """Refuse a Deployment that another tool puts back to what stands in its repository.

    :param deployment: as it was read.
    :raises TargetRejected: one does.
    """
    owner = kept_by(deployment)
    if owner is not None:
        raise TargetRejected(
            f"Deployment {deployment['metadata']['name']} is kept by {owner}, which would put back what a "
            "canary or a rollback changes.",
            state="nothing was changed.",
            next_step=f"Let {owner} ignore the pod template of this Deployment, and say so: "
            "KubernetesTarget(..., shared_with_gitops=True).",
        )


def autoscaler_of(cluster: Cluster, namespace: str, deployment: str) -> str | None:
    """The name of the autoscaler that sets the replicas of a Deployment; None without one.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: its name.
    """
    found = cluster.every(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
    for one in found:
        target = one["spec"]["scaleTargetRef"]
        if (target.get("kind"), target.get("name")) == ("Deployment", deployment):
            return str(one["metadata"]["name"])
    return None
