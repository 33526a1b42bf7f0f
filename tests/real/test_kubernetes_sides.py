"""A new side of a Deployment beside the old one, on real pods: who gets the requests, and how fast they come back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from airflow_cd.errors import TargetRejected, TargetUnauthorized
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.rights import FOR_PULLS, FOR_SHARES, NEEDED
from airflow_cd.targets.rollout import wait_until
from tests.real.images import CACHE
from tests.real.kubernetes import gateway
from tests.real.kubernetes.accounts import account
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.copying import NAME, Copying
from tests.real.kubernetes.releases import CONNECTION, OTHER, UP_WITHIN, drain, give, put, tokens
from tests.real.kubernetes.web import DEPLOYMENTS, SERVICES, Web, come_to

pytestmark = pytest.mark.real

AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
keys = itertools.count(1)

Answers = Callable[[int], list[str]]


@pytest.fixture
def web(loaded: Cluster, connected: object) -> Iterator[Web]:
    web = Web(loaded, f"sides-{next(keys)}", 3)
    yield web
    web.remove()


@pytest.fixture(params=["services", "route"])
def sides(web: Web, address: str, request: pytest.FixtureRequest) -> tuple[KubernetesTarget, Answers]:
    """A target, and what so many requests to it are answered."""
    if request.param == "services":
        return KubernetesTarget(CONNECTION, "production", deployment=web.name), web.answers
    gateway.route(web.cluster, web.name, web.name)

    answers = gateway.answers_at(f"{address}/{web.name}/")
    web.cluster.until(lambda: set(answers(3)) == {"1.0 hi"}, "the route is served")
    return KubernetesTarget(
        CONNECTION, "production", deployment=web.name, route=web.name, follows_within=gateway.FOLLOWS
    ), answers


def side(target: KubernetesTarget, release: Release, traffic: int) -> None:
    """Have a new side with a part of the requests, which it gets once it is healthy."""
    token = next(tokens)
    target.deploy(release, [Track.CANARY], share=100, traffic=traffic, key=f"side-{token}", token=token)
    wait_until(target, {Track.CANARY: release}, timeout=UP_WITHIN)  # type: ignore[arg-type]
    if traffic:
        target.restore([Track.CANARY], key=f"give-{token}", token=token)


@contextmanager
def steadily(answers: Answers) -> Iterator[list[str]]:
    """Ask all the time; what went wrong."""
    failed: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answers(1)
            except requests.RequestException as error:
                failed.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield failed
    finally:
        over.set()
        asking.join()


def test_requests_go_over_to_the_new_side_and_back_and_none_is_lost(
    web: Web, sides: tuple[KubernetesTarget, Answers], measured: Callable[[str], None]
) -> None:
    target, answers = sides
    before = [web.cluster.call("GET", f"{SERVICES}/{web.name}")["spec"], web.cluster.call("GET", web.path)["spec"]]
    with steadily(answers) as failed:
        side(target, OTHER, 0)
        come_to(answers, {"1.0 hi"}, 100)
        side(target, OTHER, 100)
        come_to(answers, {"1.1 hello"}, 100)
        began = time.monotonic()
        target.drain([Track.CANARY], key="back", token=next(tokens))
        back = time.monotonic() - began
        behind = come_to(answers, {"1.0 hi"}, 100)
        put(target, Track.CANARY, None)
    assert failed == []
    after = [web.cluster.call("GET", f"{SERVICES}/{web.name}")["spec"], web.cluster.call("GET", web.path)["spec"]]
    assert after == before
    names = [one["metadata"]["name"] for one in web.cluster.call("GET", SERVICES)["items"]]
    assert f"{web.name}-canary" not in names
    measured(f"all requests back after {back:.2f} s, whoever divides them {behind:.2f} s behind that")


def test_the_old_side_gets_the_release_without_requests_and_no_request_is_lost(
    web: Web, sides: tuple[KubernetesTarget, Answers]
) -> None:
    target, answers = sides
    side(target, OTHER, 0)
    side(target, OTHER, 100)
    with steadily(answers) as failed:
        put(target, Track.STABLE, OTHER)
        assert {one.track for one in target.instances() if not one.drained} == {Track.CANARY}
        put(target, Track.CANARY, None)
        come_to(answers, {"1.1 hello"}, 60)
    assert failed == []
    assert {(one.track, one.drained) for one in target.instances()} == {(Track.STABLE, False)}


def test_a_new_side_has_a_service_of_its_own_for_tests(web: Web) -> None:
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name)
    side(target, OTHER, 0)
    assert web.cluster.text(f"{SERVICES}/{web.name}-canary:80/proxy/").strip() == "1.1 hello"
    put(target, Track.CANARY, None)


def test_a_service_of_several_deployments_is_not_switched(web: Web) -> None:
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name)
    labels = {"app": web.name, "part": "admin"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "localhost/web:1.0"}]}}
    other = {"replicas": 1, "selector": {"matchLabels": {"part": "admin"}}, "template": pod}
    web.cluster.call("POST", DEPLOYMENTS, {"metadata": {"name": f"{web.name}-admin"}, "spec": other})
    try:
        web.cluster.until(
            lambda: web.cluster.call("GET", "/api/v1/namespaces/default/pods?labelSelector=part%3Dadmin")["items"],
            "the other's pod is there",
        )
        with pytest.raises(TargetRejected, match=rf"sends requests to {web.name}-admin-\S+ too"):
            side(target, OTHER, 0)
        assert set(web.answers(10)) <= {"1.0 hi", "1.0 none"}
        listed = [one["metadata"]["name"] for one in web.cluster.call("GET", DEPLOYMENTS)["items"]]
        assert f"{web.name}-canary" not in listed, "nothing was made"
    finally:
        web.cluster.call("DELETE", f"{DEPLOYMENTS}/{web.name}-admin")


def test_an_autoscaler_that_would_take_the_old_side_away_is_named(web: Web, address: str) -> None:
    gateway.route(web.cluster, web.name, web.name)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": web.name}
    spec = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 6}
    web.cluster.call("POST", AUTOSCALERS, {"metadata": {"name": "load"}, "spec": spec})
    try:
        target = KubernetesTarget(
            CONNECTION, "production", deployment=web.name, route=web.name, follows_within=gateway.FOLLOWS
        )
        with pytest.raises(TargetRejected, match="load may take 2 of the 3 stable pods"):
            side(target, OTHER, 0)
    finally:
        web.cluster.call("DELETE", f"{AUTOSCALERS}/load")


def test_a_service_of_somebody_else_is_neither_used_nor_deleted(web: Web) -> None:
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name)
    theirs = {"selector": {"app": "elsewhere"}, "ports": [{"port": 80}]}
    web.cluster.call("POST", SERVICES, {"metadata": {"name": f"{web.name}-canary"}, "spec": theirs})
    try:
        with pytest.raises(TargetRejected, match=f"Service {web.name}-canary is somebody else's"):
            side(target, OTHER, 0)
        put(target, Track.CANARY, OTHER)
        put(target, Track.CANARY, None)
        kept = web.cluster.call("GET", f"{SERVICES}/{web.name}-canary")
        assert kept["spec"]["selector"] == {"app": "elsewhere"}
    finally:
        web.cluster.call("DELETE", f"{SERVICES}/{web.name}-canary")


def test_a_plain_canary_comes_and_goes_with_the_rights_that_are_asked_for(
    web: Web, connected: Callable[[str, str], None]
) -> None:
    connected("kubernetes_plain", account(web.cluster, "plain", (*NEEDED, *FOR_SHARES, *FOR_PULLS)))
    target = KubernetesTarget("kubernetes_plain", "production", deployment=web.name)
    target.check(OTHER)
    put(target, Track.CANARY, OTHER)
    drain(target)
    put(target, Track.CANARY, None)
    come_to(web.answers, {"1.0 hi"})
    with pytest.raises(TargetUnauthorized, match="may not get services, patch services, create services"):
        side(target, OTHER, 0)


# -- requests with a header --------------------------------------------------------------------------------------------


def test_whoever_has_the_header_reaches_the_new_side_and_nobody_else_does(web: Web, address: str) -> None:
    gateway.route(web.cluster, web.name, web.name)
    target = KubernetesTarget(
        CONNECTION,
        "production",
        deployment=web.name,
        route=web.name,
        header="X-Canary: always",
        follows_within=gateway.FOLLOWS,
        pull_check=False,
    )
    session = requests.Session()
    session.trust_env = False

    def answers(count: int, **headers: str) -> list[str]:
        asked = f"{address}/{web.name}/"
        return [session.get(asked, headers=headers, timeout=5).text.strip() for _ in range(count)]

    def testers(count: int) -> list[str]:
        return answers(count, **{"x-canary": "always"})

    web.cluster.until(lambda: set(answers(3)) == {"1.0 hi"}, "the route is served")
    before = web.cluster.call("GET", f"{gateway.ROUTES}/{web.name}")
    target.check(OTHER)
    side(target, OTHER, 0)
    come_to(testers, {"1.1 hello"})
    assert set(answers(40) + answers(40, **{"X-Canary": "never"})) == {"1.0 hi"}
    drain(target)
    come_to(testers, {"1.0 hi"}, why="it is drained for them too")
    side(target, OTHER, 50)
    come_to(testers, {"1.1 hello"})
    web.cluster.until(lambda: 20 < answers(100).count("1.1 hello") < 80 or None, "half of the others are its own")
    put(target, Track.CANARY, None)
    come_to(testers, {"1.0 hi"})
    after = web.cluster.call("GET", f"{gateway.ROUTES}/{web.name}")
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")


# -- a canary Ingress --------------------------------------------------------------------------------------------------


def test_requests_are_divided_by_the_weight_of_a_canary_ingress(web: Web, address: str) -> None:
    gateway.ingress(web.cluster, web.name, web.name)
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name, ingress=web.name, follows_within=0.5)
    session = requests.Session()
    session.trust_env = False

    def answers(count: int) -> list[str]:
        host = {"Host": f"{web.name}.test"}
        return [session.get(f"{address}/", headers=host, timeout=5).text.strip() for _ in range(count)]

    web.cluster.until(lambda: set(answers(3)) == {"1.0 hi"} or None, "the Ingress is served")
    before = web.cluster.call("GET", f"{gateway.INGRESSES}/{web.name}")
    target.check(OTHER)
    with steadily(answers) as failed:
        put(target, Track.CANARY, OTHER, 34)
        assert {one.drained for one in target.instances() if one.track == Track.CANARY} == {True}
        come_to(answers, {"1.0 hi"}, why="no weight before somebody gives it")
        give(target)
        web.cluster.until(lambda: 20 < answers(100).count("1.1 hello") < 50 or None, "a third is the canary's")
        drain(target)
        come_to(answers, {"1.0 hi"}, 100)
        side(target, OTHER, 100)
        come_to(answers, {"1.1 hello"}, 100)
        put(target, Track.CANARY, None)
        come_to(answers, {"1.0 hi"}, 100)
    assert failed == []
    after = web.cluster.call("GET", f"{gateway.INGRESSES}/{web.name}")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "it was never touched"
    listed = [one["metadata"]["name"] for one in web.cluster.call("GET", gateway.INGRESSES)["items"]]
    assert f"{web.name}-canary" not in listed


# -- copies of requests ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copying(loaded: Cluster, address: str) -> Iterator[Copying]:
    """A gateway that copies requests, beside Traefik, which does not."""
    running = Copying(loaded, CACHE)
    yield running
    running.stop()


def test_a_new_side_gets_copies_of_requests_before_it_serves_anybody(
    loaded: Cluster, connected: object, copying: Copying
) -> None:
    # Its output has a line for every request.
    shown = "/bin/busybox sed 's/httpd -f/httpd -f -vvv/' /bin/run > /bin/shown && exec /bin/busybox sh /bin/shown"
    web = Web(loaded, "copied", 2, command=["/bin/busybox", "sh", "-c", shown])
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name, route=web.name, mirror=100)
    gateway.route(web.cluster, web.name, web.name, NAME)
    before = web.cluster.call("GET", f"{gateway.ROUTES}/{web.name}")["spec"]
    session = requests.Session()
    session.trust_env = False

    def answers(count: int) -> list[str]:
        asked = f"{copying.address}/{web.name}/index.html"
        return [session.get(asked, timeout=5).text.strip() for _ in range(count)]

    def copied() -> int:
        pods = [one.name for one in target.instances() if one.track == Track.CANARY]
        logs = [web.cluster.text(f"/api/v1/namespaces/default/pods/{name}/log") for name in pods]
        return sum(text.count("url:/index.html") for text in logs)

    try:
        web.cluster.until(lambda: set(answers(3)) == {"1.0 hi"} or None, "the route is served")
        target.check(OTHER)
        side(target, OTHER, 0)
        web.cluster.until(lambda: (answers(1) and copied() > 0) or None, "the gateway copies requests")
        so_far = copied()
        assert answers(40) == ["1.0 hi"] * 40, "nobody is served by the new side"
        web.cluster.until(lambda: copied() == so_far + 40 or None, "every request was copied", seconds=10)
        assert {one.drained for one in target.instances() if one.track == Track.CANARY} == {True}
        drain(target)
        so_far = copied()
        answers(40)
        assert copied() == so_far, "one that was drained gets no copies either"
        put(target, Track.CANARY, None)
        assert web.cluster.call("GET", f"{gateway.ROUTES}/{web.name}")["spec"] == before
    finally:
        web.remove()


def test_a_gateway_that_makes_no_copies_is_refused_and_serves_on(web: Web, address: str) -> None:
    gateway.route(web.cluster, web.name, web.name)
    session = requests.Session()
    session.trust_env = False
    asked = f"{address}/{web.name}/"
    web.cluster.until(lambda: session.get(asked, timeout=5).text.strip() == "1.0 hi" or None, "the route is served")
    target = KubernetesTarget(CONNECTION, "production", deployment=web.name, route=web.name, mirror=100)
    for act in (lambda: target.check(OTHER), lambda: side(target, OTHER, 0)):
        with pytest.raises(TargetRejected, match=r"Gateway gateway of HTTPRoute .* \(HTTPRouteRequestMirror\)"):
            act()
    assert session.get(asked, timeout=5).text.strip() == "1.0 hi"
