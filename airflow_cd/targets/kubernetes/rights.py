"""The rights that a deployment and its rollback need, and what else has to be so before anything is touched."""

from __future__ import annotations

from airflow_cd.errors import TargetRejected, TargetUnauthorized
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes.ownership import CONTAINERS, kept_by

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


def require_unowned(
    one: Object, kind: str = "Deployment", part: str = "pod template", field: tuple[str, ...] = CONTAINERS
) -> None:
    """Refuse an object that another tool puts back to what stands in its repository.

    :param one: as it was read.
    :param kind: its kind.
    :param part: what of it would be put back.
    :param field: the same by the names that the API has where it says who writes to what.
    :raises TargetRejected: a tool does.
    """
    meta, owner = one["metadata"], kept_by(one, field)
    if owner is not None:
        raise TargetRejected(
            f"{kind} {meta['name']} is kept by {owner}, which would put back what a deployment or a rollback changes.",
            state="nothing was changed.",
            next_step=f"Let {owner} ignore the {part} of this {kind}, and say so: "
            "KubernetesTarget(..., shared_with_gitops=True).",
        )


def autoscaler_of(cluster: Cluster, namespace: str, deployment: str) -> str | None:
    """The name of the autoscaler that sets the replicas of a Deployment; None without one.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: its name.
    """
    found = _autoscaler(cluster, namespace, deployment)
    return str(found["metadata"]["name"]) if found is not None else None


def told_of_autoscalers(cluster: Cluster, namespace: str, stable: Object, canary: Object) -> str:
    """What an autoscaler that has come beside a canary does to it, without a full stop; ``""`` where none has.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :param canary: the canary's, as it was read.
    """
    name, its = stable["metadata"]["name"], canary["metadata"]["name"]
    if (scaling := autoscaler_of(cluster, namespace, its)) is not None:
        return (
            f"HorizontalPodAutoscaler {scaling} scales Deployment {its}, whose replicas the canary's share decides: "
            f"they are put back whenever it has changed them, so delete it, or let it scale Deployment {name}"
        )
    selecting = stable["spec"]["selector"].get("matchLabels") or {}
    labels = canary["spec"]["template"]["metadata"].get("labels") or {}
    counting = autoscaler_of(cluster, namespace, name) if selecting and selecting.items() <= labels.items() else None
    if counting is None:
        return ""
    return (
        f"HorizontalPodAutoscaler {counting} came beside the canary and counts its pods as those of Deployment {name}, "
        "which it may scale too high until the canary is over; the canary keeps its share, and none of its pods is "
        "replaced"
    )


def require_steady(cluster: Cluster, namespace: str, stable: Object) -> None:
    """Refuse to keep stable pods without requests that an autoscaler would take away meanwhile.

    :param cluster: the API.
    :param namespace: where.
    :param stable: the Deployment, as it was read.
    :raises TargetRejected: it may have fewer pods than now by the time that they are needed again.
    """
    autoscaler = _autoscaler(cluster, namespace, stable["metadata"]["name"])
    replicas = int(stable["spec"].get("replicas", 1))
    least = int(autoscaler["spec"].get("minReplicas", 1)) if autoscaler is not None else replicas
    if autoscaler is not None and least < replicas:
        name = autoscaler["metadata"]["name"]
        raise TargetRejected(
            f"HorizontalPodAutoscaler {name} may take {replicas - least} of the {replicas} stable pods of Deployment "
            f"{stable['metadata']['name']} away while they are kept without requests, and the way back needs them all.",
            state="nothing was changed.",
            next_step=f"Set minReplicas of {name} to {replicas} for as long, or deploy in phases without bake.",
        )


def told_of_growth(cluster: Cluster, namespace: str, stateful_set: Object) -> str:
    """What an autoscaler does to the canary of a StatefulSet, without a full stop; ``""`` where none makes pods.

    It is not refused: the share is put back at the next look, and there is none that would make pods otherwise.

    :param cluster: the API.
    :param namespace: where.
    :param stateful_set: as it was read.
    """
    name = stateful_set["metadata"]["name"]
    found = _autoscaler(cluster, namespace, name, "StatefulSet")
    if found is None or int(found["spec"].get("maxReplicas", 1)) <= int(stateful_set["spec"].get("replicas", 1)):
        return ""
    return (
        f"every pod that HorizontalPodAutoscaler {found['metadata']['name']} adds to StatefulSet {name} in mid-canary "
        "is made with the canary's release, and is replaced when the canary is looked at next: set its maxReplicas to "
        "what runs for as long to have none"
    )


def _autoscaler(cluster: Cluster, namespace: str, workload: str, kind: str = "Deployment") -> Object | None:
    found = cluster.every(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
    for one in found:
        target = one["spec"]["scaleTargetRef"]
        if (target.get("kind"), target.get("name")) == (kind, workload):
            return one
    return None
