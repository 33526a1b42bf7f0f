"""What divides the requests of the Deployment of a cluster in memory, as its owners wrote it."""

from __future__ import annotations

import copy
from typing import Any, cast

from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.targets.kubernetes.by_ingress import CONTROLLER
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from tests.targets.cluster_in_memory import ClusterInMemory

NETWORKING = "/apis/networking.k8s.io/v1"
PLACES = {
    "route": "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes",
    "virtual_service": "/apis/networking.istio.io/v1/namespaces/shop/virtualservices",
    "ingress": f"{NETWORKING}/namespaces/shop/ingresses",
}
PATH = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
SPECS: dict[str, Object] = {
    "route": {"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
    "virtual_service": {"hosts": ["shop.test"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
    "ingress": {"ingressClassName": "nginx", "rules": [{"host": "shop.test", "http": {"paths": [PATH]}}]},
}


def divided(by: str, **meta: Any) -> ClusterInMemory:
    """A cluster in memory where ``by`` divides the requests; by the Services where it is none of :data:`PLACES`."""
    made = ClusterInMemory()
    made.create(f"{NETWORKING}/ingressclasses", {"metadata": {"name": "nginx"}, "spec": {"controller": CONTROLLER}})
    if by in PLACES:
        serve(made, by, **meta)
    return made


def serve(cluster: ClusterInMemory, by: str, **meta: Any) -> None:
    """Apply what divides requests, as its manifest has it."""
    cluster.put(f"{PLACES[by]}/shop", {"metadata": {"name": "shop", **meta}, "spec": copy.deepcopy(SPECS[by])})


def over(cluster: ClusterInMemory, by: str, **more: Any) -> TakenOverDeployment:
    """The Deployment of such a cluster, taken over."""
    divider = {by: "shop"} if by in PLACES else {}
    return TakenOverDeployment(cast("Cluster", cluster), "production", "shop", "web", **divider, **more)
