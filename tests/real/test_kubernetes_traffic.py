"""What clients notice while a canary comes and goes: where they stay with a pod, and behind a route."""

from __future__ import annotations

import threading

import pytest
import requests

from airflow_cd.instances import Track
from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.real.kubernetes import gateway
from tests.real.kubernetes.one_deployment import shared, target, web
from tests.real.kubernetes.releases import CONNECTION, OTHER, drain, give, put
from tests.real.kubernetes.web import Web, come_to

pytestmark = pytest.mark.real

__all__ = ["shared", "target", "web"]


def test_clients_that_stay_with_one_pod_come_back_from_a_canary(web: Web, target: KubernetesTarget) -> None:
    service = f"/api/v1/namespaces/default/services/{web.name}"
    put(target, Track.CANARY, OTHER)
    held = [_on_the_canary(web) for _ in range(3)]
    sticky = {"spec": {"sessionAffinity": "ClientIP"}}
    web.cluster.patch(service, sticky)
    try:
        web.cluster.until(lambda: set(web.answers(12)) == {"1.1 hello"} or _other(web), "a client stays", seconds=30)
        drain(target)
        come_to(web.answers, {"1.0 hi"}, 60, why="one that stuck to the canary is answered by stable")
        put(target, Track.CANARY, None)
        # Connections that were open end with the pods, and go on elsewhere.
        assert {session.get(web.url, timeout=5).text.strip() for session in held} == {"1.0 hi"}
    finally:
        web.cluster.patch(service, {"spec": {"sessionAffinity": "None"}})


def _on_the_canary(web: Web) -> requests.Session:
    while True:
        session = requests.Session()
        session.trust_env = False
        if session.get(web.url, timeout=5).text.strip() == "1.1 hello":
            return session


def _other(web: Web) -> bool:
    return len(set(web.answers(12))) == 1


def test_no_bad_answer_comes_while_a_routed_canary_is_taken_away(web: Web, address: str, connected: object) -> None:
    name = f"{web.name}-route"
    gateway.route(web.cluster, name, web.name)
    routed = KubernetesTarget(CONNECTION, "production", deployment=web.name, route=name, follows_within=gateway.FOLLOWS)
    session = requests.Session()
    session.trust_env = False

    def answer() -> str:
        found = session.get(f"{address}/{name}/", timeout=5)
        return found.text.strip() if found.ok else str(found.status_code)

    web.cluster.until(lambda: answer() == "1.0 hi", "the route is served")
    put(routed, Track.CANARY, OTHER, 50)
    give(routed)

    def answers(count: int) -> list[str]:
        return [answer() for _ in range(count)]

    come_to(answers, {"1.0 hi", "1.1 hello"}, 20)
    seen: list[str] = []
    drained, over = threading.Event(), threading.Event()

    def visit() -> None:
        while not over.is_set():
            after = drained.is_set()
            if (said := answer()) != "1.0 hi" and (after or said != "1.1 hello"):
                seen.append(said)

    visiting = threading.Thread(target=visit)
    visiting.start()
    try:
        drain(routed)
        come_to(answers, {"1.0 hi"}, 100)
        drained.set()
        put(routed, Track.CANARY, None)
    finally:
        over.set()
        visiting.join()
        web.cluster.call("DELETE", f"{gateway.ROUTES}/{name}")
    assert seen == []
