"""A service on the cluster, as people write one: nothing in it knows of Airflow CD."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.pace import slowness
from tests.real.kubernetes.cluster import Cluster

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SERVICES = "/api/v1/namespaces/default/services"


FOLLOWED_WITHIN = 5.0
"""Seconds within which proxies and gateways follow what the API says."""


def come_to(answers: Callable[[int], list[str]], wanted: set[str], count: int = 40, why: str = "") -> float:
    """Ask until so many answers are all that is wanted, and nothing else.

    :param answers: what so many requests are answered.
    :param wanted: the answers.
    :param count: how many are asked for at a time.
    :param why: what is shown by it, where that does not come.
    :returns: seconds that whoever divides the requests was behind; 0 where the first answers were so.
    """
    began = time.monotonic()
    while True:
        asked = time.monotonic() - began
        found = set(answers(count))
        if found == wanted:
            return asked
        assert asked < FOLLOWED_WITHIN * slowness(), f"{count} requests were answered {found}, not {wanted}: {why}"


@contextmanager
def made(cluster: Cluster, path: str, body: dict[str, Any]) -> Iterator[Any]:
    """An object of the cluster for as long as the block lasts."""
    created = cluster.call("POST", path, body)
    try:
        yield created
    finally:
        cluster.call("DELETE", f"{path}/{created['metadata']['name']}")


def container_of(image: str, policy: str = "Never", port: int = 8080, **more: Any) -> dict[str, Any]:
    """The container of the small web server.

    :param image: of :func:`tests.real.kubernetes.images.web`.
    :param policy: when the nodes pull it.
    :param port: that it listens on.
    :param more: what it has beside, or instead.
    """
    return {
        "name": "web",
        "image": image,
        "imagePullPolicy": policy,
        "ports": [{"containerPort": port}],
        "readinessProbe": {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1},
        "env": [{"name": "GREETING", "value": "hi"}, {"name": "OTHERS", "value": "kept"}],
        **more,
    }


class Web:
    """A Deployment and its Service.

    :param cluster: where they are made.
    :param name: of both.
    :param replicas: how many pods.
    :param image: of :func:`tests.real.kubernetes.images.web`.
    :param policy: when the nodes pull it.
    :param more: labels that its pods are selected by and the Service does not ask for.
    :param strategy: of the Deployment.
    :param port: that its container listens on.
    :param container: what its container has beside, or instead.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        replicas: int = 3,
        image: str = "localhost/web:1.0",
        *,
        policy: str = "Never",
        more: dict[str, str] | None = None,
        strategy: dict[str, Any] | None = None,
        port: int = 8080,
        **container: Any,
    ) -> None:
        self.cluster, self.name = cluster, name
        self.path = f"{DEPLOYMENTS}/{name}"
        written = container_of(image, policy, port, **container)
        labels = {"app": name}
        spec = {"terminationGracePeriodSeconds": 1, "containers": [written]}
        selected = {**labels, **(more or {})}
        cluster.call(
            "POST",
            DEPLOYMENTS,
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": selected},
                    "strategy": strategy or {"type": "RollingUpdate"},
                    "template": {"metadata": {"labels": selected}, "spec": spec},
                },
            },
        )
        self.serve(port)

    def serve(self, port: int = 8080) -> None:
        """Make its Service, and wait until it answers."""
        ports = [{"port": 80, "targetPort": port}]
        service = {"selector": {"app": self.name}, "ports": ports, "type": "NodePort"}
        made = self.cluster.call("POST", SERVICES, {"metadata": {"name": self.name}, "spec": service})
        host = self.cluster.url.rpartition(":")[0].replace("https", "http")
        self.url = f"{host}:{made['spec']['ports'][0]['nodePort']}"
        self.cluster.until(lambda: self.answers(8), f"{self.name} answers")

    def answers(self, count: int = 40) -> list[str]:
        """What so many requests are answered, each on a connection of its own."""
        session = requests.Session()
        session.trust_env = False
        headers = {"Connection": "close"}
        return [session.get(self.url, timeout=5, headers=headers).text.strip() for _ in range(count)]

    def remove(self) -> None:
        """Take everything of it away."""
        for path in (self.path, f"{self.path}-canary", f"{SERVICES}/{self.name}"):
            try:
                self.cluster.call("DELETE", path)
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code != 404:
                    raise
