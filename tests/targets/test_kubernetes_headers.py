"""Requests with a header, which reach a canary whatever its weight is: while there is one, and nobody else's."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.headers import drop_rules, set_rules
from airflow_cd.targets.kubernetes.rules import divide, mirrors_of
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
HEADER = "X-Canary: always"
NEW = Release("web", "1.1", "web:1.1", {})
REWRITE = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
tokens = itertools.count(1)


def path(value: str = "/", **more: Any) -> Object:
    return {"path": {"type": "PathPrefix", "value": value}, **more}


def matching(name: str, value: str) -> list[Object]:
    return [{"type": "Exact", "name": name, "value": value}]


def to(service: str, *matches: Object, **more: Any) -> Object:
    return {**({"matches": list(matches)} if matches else {}), "backendRefs": [{"name": service, "port": 80}], **more}


SHOP = to("web", path("/shop"), path("/basket", method="GET"), filters=[REWRITE], timeouts={"request": "5s"})
ADMIN = to("admin", path("/shop/admin"))


@pytest.fixture
def cluster(no_waiting: None) -> ClusterInMemory:
    made = ClusterInMemory()
    serve(made, SHOP, ADMIN)
    return made


def serve(cluster: ClusterInMemory, *rules: Object) -> None:
    meta = {"name": "web", "annotations": {"team": "shop"}}
    cluster.objects.pop(f"{ROUTES}/web", None)
    cluster.create(ROUTES, {"metadata": meta, "spec": {"rules": copy.deepcopy(list(rules))}})


def over(cluster: ClusterInMemory, header: str = HEADER, **more: Any) -> TakenOverDeployment:
    return TakenOverDeployment(
        cast("Cluster", cluster), "production", "shop", "web", route="web", header=header, **more
    )


def put(cluster: ClusterInMemory, release: Release | None = NEW, traffic: int | None = None, **more: Any) -> None:
    token = next(tokens)
    tracks, key = [Track.CANARY], f"put-{token}"
    over(cluster, **more).deploy(release, tracks, share=50, key=key, token=token, traffic=traffic)


def drain(cluster: ClusterInMemory) -> None:
    token = next(tokens)
    over(cluster).drain([Track.CANARY], key=f"drain-{token}", token=token)


def restore(cluster: ClusterInMemory) -> None:
    token = next(tokens)
    over(cluster).restore([Track.CANARY], key=f"restore-{token}", token=token)


def rules(cluster: ClusterInMemory) -> list[Object]:
    return cast("list[Object]", cluster.objects[f"{ROUTES}/web"]["spec"]["rules"])


def parts(cluster: ClusterInMemory, at: str, **headers: str) -> dict[str, int]:
    """By Service, the weight that requests to a path are divided by, as the Gateway API prefers rules."""
    fitting = [
        ((len(each["path"]["value"]), len(each.get("headers") or ()), -number), rule)
        for number, rule in enumerate(rules(cluster))
        for each in rule.get("matches") or [path()]
        if at.startswith(each["path"]["value"])
        and all(headers.get(one["name"].replace("-", "_")) == one["value"] for one in each.get("headers") or ())
    ]
    _, rule = max(fitting, key=lambda one: one[0])
    return {one["name"]: one.get("weight", 1) for one in rule["backendRefs"] if one.get("weight", 1)}


def reached(cluster: ClusterInMemory) -> list[str]:
    """Which Services requests with the header reach."""
    return list(parts(cluster, "/shop/1", X_Canary="always"))


def canary(cluster: ClusterInMemory) -> list[str]:
    """What is said of the canary's instances."""
    return [one.message for one in over(cluster).instances() if one.track == Track.CANARY]


# -- who is reached ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("traffic", [None, 0])
def test_whoever_has_the_header_reaches_a_canary_before_it_serves_anybody(
    cluster: ClusterInMemory, traffic: int | None
) -> None:
    put(cluster, traffic=traffic)
    for at in ("/shop/1", "/basket"):
        assert parts(cluster, at, X_Canary="always") == {"web-canary": 1}
        assert parts(cluster, at) == parts(cluster, at, X_Canary="never") == {"web": 100}
    assert parts(cluster, "/shop/admin", X_Canary="always") == {"admin": 1}
    assert {one.drained for one in over(cluster).instances() if one.track == Track.CANARY} == {True}
    assert canary(cluster) == [""] * 3


def test_whatever_weight_it_has_they_reach_it_and_others_by_its_weight(cluster: ClusterInMemory) -> None:
    put(cluster, traffic=20)
    restore(cluster)
    assert parts(cluster, "/shop/1") == {"web": 80, "web-canary": 20}
    assert reached(cluster) == ["web-canary"]
    assert len(rules(cluster)) == 3, "it is added once"


def test_the_rule_that_is_added_is_theirs_with_the_header(cluster: ClusterInMemory) -> None:
    serve(cluster, {**SHOP, "name": "shop"})
    put(cluster, traffic=0)
    added, divided = rules(cluster)
    headers = [{"type": "Exact", "name": "X-Canary", "value": "always"}]
    assert added == {
        **to("web-canary", path("/shop", headers=headers), path("/basket", method="GET", headers=headers)),
        "filters": [REWRITE],
        "timeouts": {"request": "5s"},
    }, "names are unique in a route"
    assert divided["name"] == "shop"


def test_a_rule_for_everything_is_one_for_everything_with_the_header(cluster: ClusterInMemory) -> None:
    serve(cluster, to("web"))
    put(cluster)
    assert rules(cluster)[0]["matches"] == [path(headers=matching("X-Canary", "always"))]


def test_one_that_is_reached_gets_no_copies_of_the_same_requests(cluster: ClusterInMemory) -> None:
    gateways = "/apis/gateway.networking.k8s.io/v1"
    cluster.create(f"{gateways}/gatewayclasses", {"metadata": {"name": "some"}})
    cluster.objects[f"{gateways}/gatewayclasses/some"]["status"]["supportedFeatures"] = ["HTTPRouteRequestMirror"]
    spec = {"gatewayClassName": "some"}
    cluster.create(f"{gateways}/namespaces/shop/gateways", {"metadata": {"name": "front"}, "spec": spec})
    cluster.patch(f"{ROUTES}/web", {"spec": {"parentRefs": [{"name": "front"}]}})
    put(cluster, traffic=0, mirror=100)
    assert [len(mirrors_of(rule)) for rule in rules(cluster)] == [0, 1, 0]


# -- taken away --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("traffic", [0, 20])
def test_a_drain_holds_for_them_too_and_ends_when_it_gets_its_traffic_back(
    cluster: ClusterInMemory, traffic: int
) -> None:
    put(cluster, traffic=traffic)
    restore(cluster)
    drain(cluster)
    assert reached(cluster) == ["web"]
    assert canary(cluster) == [""] * 3, "nobody else has undone it"
    put(cluster, traffic=20)
    assert reached(cluster) == ["web"], "one that grows stays drained"
    restore(cluster)
    assert reached(cluster) == ["web-canary"]


def test_one_that_was_drained_before_it_served_anybody_is_reached_when_it_is_asked_for_again(
    cluster: ClusterInMemory,
) -> None:
    put(cluster, traffic=0)
    drain(cluster)
    put(cluster, traffic=0)
    assert reached(cluster) == ["web-canary"]


def test_the_route_is_handed_back_as_it_was(cluster: ClusterInMemory) -> None:
    before = cluster.get(f"{ROUTES}/web")
    put(cluster, traffic=20)
    restore(cluster)
    put(cluster, None)
    after = cluster.get(f"{ROUTES}/web")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


def test_a_header_that_is_another_one_by_now_is_taken_away_all_the_same(cluster: ClusterInMemory) -> None:
    put(cluster, header="X-Preview: 1")
    put(cluster, header=HEADER, traffic=0)
    assert parts(cluster, "/shop/1", X_Preview="1") == {"web": 100}
    assert reached(cluster) == ["web-canary"]
    put(cluster, None, header="")
    assert rules(cluster) == [SHOP, ADMIN]


HEADERS = st.sampled_from([HEADER, "X-Canary: other", "X-Tester: 1", ""])


@given(
    services=st.lists(st.sampled_from(["web", "admin"]), min_size=1, max_size=5),
    weights=st.lists(st.integers(0, 100), min_size=1, max_size=4),
    headers=st.lists(HEADERS, min_size=4, max_size=4),
    weight=st.none() | st.integers(0, 100),
)
def test_no_weight_goes_to_another_rule_because_one_was_added(
    services: list[str], weights: list[int], headers: list[str], weight: int | None
) -> None:
    given = [to(service, path(f"/{number}")) for number, service in enumerate(services)]
    for rule in given:
        rule["backendRefs"][0].update({} if weight is None else {"weight": weight})
    route: Object = {"metadata": {"annotations": {}}, "spec": {"rules": given}}
    before = copy.deepcopy(route)
    for share, header in zip(weights, headers, strict=False):
        drop_rules(route, "web", header)
        divide(route, "web", share)
        if header:
            set_rules(route, "web", header)
    drop_rules(route, "web", "")
    divide(route, "web", None)
    assert route == before


# -- broken off --------------------------------------------------------------------------------------------------------


def writes(cluster: ClusterInMemory, act: Callable[[], None]) -> int:
    seen: list[str] = []
    cluster.before_write = lambda method, path: seen.append(path)
    act()
    cluster.before_write = lambda method, path: None
    return len(seen)


def broken_off(cluster: ClusterInMemory, act: Callable[[], None], at: int) -> None:
    count = itertools.count()

    def die(method: str, path: str) -> None:
        if next(count) == at:
            raise ConnectionResetError

    cluster.before_write = die
    with pytest.raises(ConnectionResetError):
        act()
    cluster.before_write = lambda method, path: None


def test_wherever_it_is_broken_off_the_way_back_leaves_nothing(cluster: ClusterInMemory) -> None:
    steps: list[Callable[[], None]] = [
        lambda: put(cluster, traffic=20),
        lambda: restore(cluster),
        lambda: drain(cluster),
        lambda: put(cluster, None),
    ]
    for number, step in enumerate(steps):
        there = copy.deepcopy(cluster.objects)
        for at in range(writes(cluster, step)):
            cluster.objects = copy.deepcopy(there)
            broken_off(cluster, step, at)
            drain(cluster)
            assert reached(cluster) == ["web"], f"write {at} of step {number}: safe after the drain that follows"
            put(cluster, None)
            assert rules(cluster) == [SHOP, ADMIN]
            assert cluster.objects[f"{ROUTES}/web"]["metadata"]["annotations"] == {"team": "shop"}
            assert not {f"{CORE}/services/web-canary", f"{APPS}/deployments/web-canary"} & set(cluster.objects)
        cluster.objects = copy.deepcopy(there)
        step()


# -- what others do ----------------------------------------------------------------------------------------------------


def test_whoever_puts_the_route_back_is_named_and_a_next_phase_adds_it_again(cluster: ClusterInMemory) -> None:
    put(cluster, traffic=20)
    restore(cluster)
    written = {"manager": "kubectl-client-side-apply", "time": "2026-11-29T11:30:00Z"}
    written["fieldsV1"] = {"f:spec": {"f:rules": {}}}
    weighted = rules(cluster)[1:]
    cluster.patch(f"{ROUTES}/web", {"metadata": {"managedFields": [written]}, "spec": {"rules": weighted}})
    said = "HTTPRoute web was changed by kubectl-client-side-apply at 2026-11-29T11:30:00Z, and requests with "
    assert canary(cluster) == [f"{said}'X-Canary: always' do not reach the canary any more"] * 3
    restore(cluster)
    assert reached(cluster) == ["web-canary"]
    assert canary(cluster) == [""] * 3


def test_rules_that_are_added_or_go_meanwhile_stay_as_they_are_meant(cluster: ClusterInMemory) -> None:
    put(cluster, traffic=20)
    theirs = [*rules(cluster), to("news", path("/news"))]
    cluster.patch(f"{ROUTES}/web", {"spec": {"rules": theirs}})
    put(cluster, None)
    assert rules(cluster) == [SHOP, ADMIN, to("news", path("/news"))]


def test_a_rule_that_is_left_without_weights_is_taken_out_all_the_same(cluster: ClusterInMemory) -> None:
    put(cluster, traffic=20)
    added = rules(cluster)[0]
    cluster.patch(f"{ROUTES}/web", {"spec": {"rules": [added, SHOP, ADMIN]}})
    drain(cluster)
    assert reached(cluster) == ["web"]


# -- what is refused ---------------------------------------------------------------------------------------------------

GET_ONE = path("/shop", queryParams=[{"name": "admin", "value": "1"}])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([SHOP, *(to("news", path(f"/{number}")) for number in range(15))], "would have 17 rules, and there can be 16"),
        (
            [to("web", *(path(f"/{number}") for number in range(64))), to("web", path("/65"))],
            "would have 130 matches, and there can be 128",
        ),
        ([SHOP, to("news", path(headers=matching("x-canary", "no")))], "rule 2 matches X-Canary already"),
        (
            [to("web", path(headers=[one for number in range(16) for one in matching(f"H{number}", "1")]))],
            "rule 1 has a match with 16 headers",
        ),
        ([SHOP, to("admin", GET_ONE)], "requests that rule 2 takes from rule 1 would be taken from it"),
        (
            [to("web", path()), to("admin", path(headers=matching("X-Admin", "1")))],
            "requests that rule 2 takes from rule 1 would be taken from it",
        ),
    ],
)
def test_a_route_that_cannot_have_the_rule_is_refused_before_anything_is_touched(
    cluster: ClusterInMemory, given: list[Object], said: str
) -> None:
    serve(cluster, *given)
    before = {name: one for name, one in cluster.objects.items() if "/deployments/" not in name}
    for act in (lambda: over(cluster).check(NEW), lambda: put(cluster)):
        with pytest.raises(TargetRejected, match=f"HTTPRoute web cannot send requests with '{HEADER}'.*{said}"):
            act()
    assert {name: one for name, one in cluster.objects.items() if "/deployments/" not in name} == before
    assert f"{APPS}/deployments/web-canary" not in cluster.objects


@pytest.mark.parametrize(
    "other",
    [
        to("admin", path("/shop", headers=matching("X-Admin", "1") + matching("X-More", "1"))),
        to("admin", path("/shop", method="POST")),
        to("admin", path("/shop/sub", queryParams=[{"name": "admin", "value": "1"}])),
    ],
)
def test_a_rule_that_wins_still_is_not_in_the_way(cluster: ClusterInMemory, other: Object) -> None:
    serve(cluster, SHOP, other)
    over(cluster).check(NEW)


def test_one_that_stands_before_wins_still(cluster: ClusterInMemory) -> None:
    serve(cluster, to("admin", path("/shop", headers=matching("X-Admin", "1"))), SHOP)
    over(cluster).check(NEW)


def test_one_that_no_same_request_fits_is_not_in_the_way(cluster: ClusterInMemory) -> None:
    german, english = (path("/shop", headers=matching("Language", each)) for each in ("de", "en"))
    serve(cluster, to("admin", english), to("web", german))
    over(cluster).check(NEW)


def test_a_deployment_under_way_can_be_checked_again(cluster: ClusterInMemory) -> None:
    put(cluster, traffic=0)
    over(cluster).check(NEW)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"header": HEADER}, "needs the HTTPRoute that matches it"),
        ({"header": "X-Canary", "route": "web"}, "is a name and a value, 'X-Canary: always', got 'X-Canary'"),
        ({"header": "X Canary: 1", "route": "web"}, "is a name and a value"),
        ({"header": "X-Canary: 1\nX: 2", "route": "web"}, "is a name and a value"),
    ],
)
def test_a_header_is_a_name_and_a_value_of_a_route(given: dict[str, str], said: str) -> None:
    (found,) = KubernetesTarget("kubernetes_production", "production", **given).mistakes()
    assert said in found
    assert KubernetesTarget("kubernetes_production", "production", route="web", header=HEADER).mistakes() == []
