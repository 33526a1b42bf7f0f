"""A StatefulSet on the cluster, as people write one: every pod has a name and a volume that stay."""

from __future__ import annotations

from typing import Any

import requests

from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.web import SERVICES, Web, container_of

STATEFUL_SETS = "/apis/apps/v1/namespaces/default/statefulsets"
PODS = "/api/v1/namespaces/default/pods"
_VOLUMES = "/api/v1/persistentvolumes"
_CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
_START = (
    "/bin/busybox mkdir -p /www && echo $HOSTNAME >> /data/starts && /bin/busybox ln -s /data /www/data && "
    "exec /bin/busybox sh /bin/run"
)


class StatefulWeb(Web):
    """A StatefulSet with its headless Service, a Service that divides requests, and a volume for each pod.

    A pod adds a line to its volume whenever it starts, and serves that under ``/data/starts``.

    :param cluster: where they are made.
    :param name: of the StatefulSet and its Service.
    :param replicas: how many pods.
    :param spec: what the StatefulSet has beside, or instead.
    """

    def __init__(self, cluster: Cluster, name: str, replicas: int = 3, **spec: Any) -> None:
        self.cluster, self.name, self.replicas = cluster, name, replicas
        self.path = f"{STATEFUL_SETS}/{name}"
        labels, headless = {"app": name}, {"name": f"{name}-peers"}
        container = container_of(
            "localhost/web:1.0",
            command=["/bin/busybox", "sh", "-c", _START],
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
        )
        # One more than there are, for whoever scales.
        for number in range(replicas + 1):
            cluster.call("POST", _VOLUMES, self._volume(number))
        peers = {"selector": labels, "clusterIP": "None", "ports": [{"port": 8080}]}
        cluster.call("POST", SERVICES, {"metadata": headless, "spec": peers})
        claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
        claim["resources"] = {"requests": {"storage": "1Mi"}}  # type: ignore[assignment]
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        body = {
            "replicas": replicas,
            "serviceName": headless["name"],
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
            **spec,
        }
        cluster.call("POST", STATEFUL_SETS, {"metadata": {"name": name, "labels": labels}, "spec": body})
        self.serve()
        cluster.until(lambda: self.ready() == replicas or None, f"all pods of {name} are ready")

    def ready(self) -> int:
        """How many pods are ready."""
        return int(self.cluster.call("GET", self.path)["status"].get("readyReplicas") or 0)

    def starts(self, place: int) -> list[str]:
        """The name that each start of the pod at a place had, as its volume has kept it."""
        return self.cluster.text(f"{PODS}/{self.name}-{place}:8080/proxy/data/starts").split()

    def remove(self) -> None:
        """Take everything of it away."""
        claims = [f"{_CLAIMS}/data-{self.name}-{number}" for number in range(self.replicas + 1)]
        volumes = [f"{_VOLUMES}/{self.name}-{number}" for number in range(self.replicas + 1)]
        services = [f"{SERVICES}/{self.name}", f"{SERVICES}/{self.name}-peers"]
        for path in (self.path, *services, *claims, *volumes):
            try:
                self.cluster.call("DELETE", path)
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code != 404:
                    raise

    def _volume(self, number: int) -> dict[str, Any]:
        place = self.cluster.folder / "volumes" / f"{self.name}-{number}"
        spec = {
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": self.name,
            "hostPath": {"path": str(place), "type": "DirectoryOrCreate"},
        }
        return {"metadata": {"name": f"{self.name}-{number}"}, "spec": spec}
