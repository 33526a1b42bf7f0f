"""Istio as far as its VirtualServices go: istiod, and an Envoy that it tells of routes, as its gateways are told."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import requests
import yaml

from tests.real.engine import run
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.copying import ENVOY
from tests.real.kubernetes.gateway import binary

MODULE = "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad"
NAME, PORT, TOLD_AT = "meshed-front", 8002, 15010
_NETWORKING = "/apis/networking.istio.io/v1/namespaces/default"
SERVICES = f"{_NETWORKING}/virtualservices"


def start(cluster: Cluster, cache: Path) -> str:
    """Define Istio's objects, start istiod and an Envoy, and return the address where routes are served.

    :param cluster: whose VirtualServices they are; both end with it.
    :param cache: where istiod is kept; the first time it is built, which takes some minutes.
    """
    source = Path(json.loads(run(["go", "mod", "download", "-json", MODULE]))["Dir"])
    istiod = _built(source, cache)
    for definition in yaml.safe_load_all((source / "manifests/charts/base/files/crd-all.gen.yaml").read_text()):
        if definition and definition["kind"] == "CustomResourceDefinition":
            cluster.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    cluster.until(lambda: cluster.call("GET", SERVICES)["items"] is not None, "VirtualServices can be written")
    cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": "istio-system"}})
    server = {"port": {"number": PORT, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    spec = {"selector": {"app": NAME}, "servers": [server]}
    body = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": NAME}, "spec": spec}
    cluster.call("POST", f"{_NETWORKING}/gateways", body)
    mesh = cluster.folder / "mesh.yaml"
    # Certificates come from the agent beside each of Istio's own proxies.
    mesh.write_text("enableAutoMtls: false\n")
    kubeconfig = cluster.folder / "admin.conf"
    ports = (f"--grpcAddr=:{TOLD_AT}", "--secureGRPCAddr=", "--httpsAddr=", "--httpAddr=:18080")
    settings = {
        "ENABLE_CA_SERVER": "false",
        "INJECT_ENABLED": "false",
        # Filters that Envoy has where it is the one that Istio ships.
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "PILOT_ENABLE_ALPN_FILTER": "false",
        "POD_NAMESPACE": "istio-system",
    }
    cluster.part(
        "istiod",
        [
            "env",
            *(f"{name}={value}" for name, value in settings.items()),
            str(istiod),
            "discovery",
            f"--kubeconfig={kubeconfig}",
            f"--meshConfig={mesh}",
            "--monitoringAddr=:15014",
            *ports,
        ],
    )
    ready = f"http://{cluster.place.address}:18080/ready"
    cluster.until(lambda: requests.get(ready, timeout=2).ok or None, "istiod is ready")
    config = cluster.folder / "mesh-envoy.json"
    config.write_text(json.dumps(_bootstrap(cluster.place.address)))
    envoy = str(binary(cache, ENVOY, "_bin/envoy"))
    cluster.part("mesh-envoy", [envoy, "-c", str(config), "--concurrency", "1", "--disable-hot-restart"])
    return f"http://{cluster.place.address}:{PORT}"


def virtual_service(cluster: Cluster, name: str, service: str) -> None:
    """A VirtualService as people write one: every request to a host goes to one Service.

    :param cluster: where it is made.
    :param name: of it; its host is ``NAME.test``.
    :param service: that serves it.
    """
    route = {"route": [{"destination": {"host": service, "port": {"number": 80}}}]}
    spec = {"hosts": [f"{name}.test"], "gateways": [NAME], "http": [route]}
    body = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}, "spec": spec}
    cluster.call("POST", SERVICES, body)


def _built(source: Path, cache: Path) -> Path:
    folder = cache.resolve() / MODULE.partition("@")[2]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "pilot-discovery").exists():
            build = ["go", "build", "-C", str(source), "-ldflags=-s -w", "-o", f"{folder}/"]
            run(["env", "CGO_ENABLED=0", *build, "./pilot/cmd/pilot-discovery"])
    return folder / "pilot-discovery"


def _bootstrap(address: str) -> dict[str, object]:
    told = {"ads": {}, "resource_api_version": "V3"}
    by_istiod = {"envoy_grpc": {"cluster_name": "istiod"}}
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": TOLD_AT}}}}
    protocol = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    istiod = {
        "name": "istiod",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "istiod", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            protocol: {
                "@type": f"type.googleapis.com/{protocol}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }
    metadata = {"NAMESPACE": "default", "LABELS": {"app": NAME}, "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.28.0"}
    return {
        "node": {
            "id": f"router~{address}~{NAME}-0.default~default.svc.cluster.local",
            "cluster": NAME,
            "metadata": metadata,
        },
        "dynamic_resources": {
            "lds_config": told,
            "cds_config": told,
            "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [by_istiod]},
        },
        "static_resources": {"clusters": [istiod]},
    }
