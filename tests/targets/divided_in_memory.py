"""What divides the requests of the Deployment of a cluster in memory, as its owners wrote it."""

from __future__ import annotations

from airflow_cd.hooks.kubernetes import Object

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
