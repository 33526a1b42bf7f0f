"""Several clusters: what is asked through one connection never reaches the cluster of another."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import config

from airflow_cd.errors import TargetRejected
from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.http.scripted_server import Answer, ScriptedServer

PLACES = ("east", "west")


@pytest.fixture
def clusters() -> Iterator[dict[str, ScriptedServer]]:
    """Two of them, both without a Deployment."""
    made = {name: ScriptedServer() for name in PLACES}
    for one in made.values():
        one.answer_with(Answer(404))
    yield made
    for one in made.values():
        one.stop()


@pytest.fixture
def targets(clusters: dict[str, ScriptedServer], monkeypatch: pytest.MonkeyPatch) -> dict[str, KubernetesTarget]:
    """One in each, by two contexts of the same kubeconfig."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": one.url}} for name, one in clusters.items()],
        "users": [{"name": name, "user": {"token": f"token-of-{name}"}} for name in clusters],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in clusters],
        "current-context": PLACES[0],
    }
    for name in clusters:
        extra = {"kube_config": json.dumps(kubeconfig), "cluster_context": name}
        connection = json.dumps({"conn_type": "kubernetes", "extra": extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_KUBERNETES_{name.upper()}", connection)
    return {
        name: KubernetesTarget(f"kubernetes_{name}", name, namespace=f"shop-{name}", deployment="storefront")
        for name in clusters
    }


def asked(clusters: dict[str, ScriptedServer]) -> dict[str, set[tuple[str, str]]]:
    """By cluster, the namespaces that it was asked about, and with which token."""
    return {
        name: {(one.path.split("/")[5], one.headers["Authorization"]) for one in server.asked}
        for name, server in clusters.items()
    }


OWN = {name: {(f"shop-{name}", f"Bearer token-of-{name}")} for name in PLACES}


def read(target: KubernetesTarget) -> None:
    with pytest.raises(TargetRejected, match=f"in namespace '{target.namespace}'"):
        target.instances()


def test_each_target_asks_its_own_cluster_with_its_own_token(
    clusters: dict[str, ScriptedServer], targets: dict[str, KubernetesTarget]
) -> None:
    for _ in range(2):
        for target in targets.values():
            read(target)
    assert asked(clusters) == OWN


def test_connections_that_are_read_anew_at_the_same_time_do_not_get_each_others_cluster(
    clusters: dict[str, ScriptedServer], targets: dict[str, KubernetesTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, target in targets.items():
        read(target)
        clusters[name].answer_with(Answer(401), Answer(404))
    load: Callable[..., Any] = config.load_kube_config
    loaded = threading.Barrier(len(PLACES))

    def loads_slowly(*arguments: Any, **named: Any) -> None:
        load(*arguments, **named)
        with contextlib.suppress(threading.BrokenBarrierError):  # the other one waits for its turn
            loaded.wait(0.5)

    monkeypatch.setattr(config, "load_kube_config", loads_slowly)
    threads = [threading.Thread(target=read, args=(target,)) for target in targets.values()]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert asked(clusters) == OWN


def test_a_pod_that_has_gone_by_itself_needs_no_eviction(
    clusters: dict[str, ScriptedServer], targets: dict[str, KubernetesTarget]
) -> None:
    targets["east"].taken_over.cluster.evict("/api/v1/namespaces/shop-east/pods/web-2", "uid-7")
    (asked_for,) = clusters["east"].asked
    body = asked_for.body
    assert asked_for.path.startswith("/api/v1/namespaces/shop-east/pods/web-2/eviction")
    assert body["metadata"] == {"name": "web-2", "namespace": "shop-east"}
    assert body["deleteOptions"] == {"preconditions": {"uid": "uid-7"}}


def test_a_connection_that_is_not_there_is_to_be_created() -> None:
    with pytest.raises(
        TargetRejected, match="'kubernetes_nowhere' of Kubernetes cannot be read: there is none"
    ) as error:
        KubernetesTarget("kubernetes_nowhere", "shop", deployment="storefront").instances()
    assert "Create it in Airflow" in (error.value.next_step or "")
