"""Others who keep or change what divides a canary's requests: refused beforehand, noticed and named afterwards."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from typing import cast

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.by_ingress import WEIGHT
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory
from tests.targets.divided_in_memory import PLACES, SPECS, divided, over, serve

pytestmark = pytest.mark.usefixtures("no_waiting")

NEW = Release("web", "1.1", "web:1.1", {})
CALLED = {"route": "HTTPRoute shop", "virtual_service": "VirtualService shop", "ingress": "Ingress shop-canary"}
WRITTEN = {
    "route": {"f:spec": {"f:rules": {}}},
    "virtual_service": {"f:spec": {"f:http": {}}},
    "ingress": {"f:metadata": {"f:annotations": {f"f:{WEIGHT}": {}}}},
}
AT = "2026-11-30T04:00:00Z"
tokens = itertools.count(1)


@pytest.fixture(params=PLACES)
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(by: str) -> ClusterInMemory:
    return divided(by)


def put(cluster: ClusterInMemory, by: str, release: Release | None = NEW) -> None:
    token = next(tokens)
    over(cluster, by).deploy(release, [Track.CANARY], share=50, key=f"put-{token}", token=token)


def begin(cluster: ClusterInMemory, by: str) -> None:
    put(cluster, by)
    token = next(tokens)
    over(cluster, by).restore([Track.CANARY], key=f"restore-{token}", token=token)


def said(cluster: ClusterInMemory, by: str) -> str:
    (found,) = {one.message for one in over(cluster, by).instances() if one.track == Track.CANARY}
    return found


def give_another_weight(cluster: ClusterInMemory, by: str) -> None:
    """A person lets the canary have 90 %."""
    name = "shop-canary" if by == "ingress" else "shop"
    there = cast("Object", cluster.get(f"{PLACES[by]}/{name}"))
    for rule in there["spec"].get("rules") or there["spec"]["http"]:
        for one in rule.get("backendRefs") or rule.get("route") or ():
            own = str(one.get("name") or one["destination"]["host"]).endswith("-canary")
            one["weight"] = 90 if own else 10
    if by == "ingress":
        there["metadata"]["annotations"][WEIGHT] = "90"
    entry = {"manager": "kubectl-edit", "time": AT, "fieldsV1": WRITTEN[by]}
    there["metadata"]["managedFields"] = [entry]
    cluster.put(f"{PLACES[by]}/{name}", there)


def put_back(cluster: ClusterInMemory, by: str) -> None:
    """A tool brings back what stands in its repository, and prunes what does not."""
    if by == "ingress":
        cluster.delete(f"{PLACES[by]}/shop-canary")
    else:
        serve(cluster, by, managedFields=[{"manager": "argocd-controller", "time": AT, "fieldsV1": WRITTEN[by]}])


@pytest.mark.parametrize("by", ["route", "virtual_service"], indirect=True)
@pytest.mark.parametrize(
    "meta",
    [
        lambda by: {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
        lambda by: {"managedFields": [{"manager": "kustomize-controller", "fieldsV1": WRITTEN[by]}]},
    ],
)
def test_what_a_tool_keeps_is_refused_before_anything_is_touched(
    cluster: ClusterInMemory, by: str, meta: Callable[[str], Object]
) -> None:
    over(cluster, by).check(NEW)
    assert not any("keeps" in note for note in over(cluster, by).notes())
    serve(cluster, by, **meta(by))
    with pytest.raises(TargetRejected, match=f"{CALLED[by]} is kept by Flux"):
        over(cluster, by).check(NEW)
    shared = over(cluster, by, shared_with_gitops=True)
    shared.check(NEW)
    assert any(note.startswith(f"Flux keeps {CALLED[by]}: it must ignore its ") for note in shared.notes())


@pytest.mark.parametrize("by", ["ingress"], indirect=True)
def test_an_ingress_that_a_tool_keeps_is_not_written_to_and_may_stay(cluster: ClusterInMemory, by: str) -> None:
    serve(cluster, by, labels={"argocd.argoproj.io/instance": "shop"})
    before = cluster.get(f"{PLACES[by]}/shop")
    over(cluster, by).check(NEW)
    begin(cluster, by)
    assert cluster.get(f"{PLACES[by]}/shop") == before
    assert not cluster.objects[f"{PLACES[by]}/shop-canary"]["metadata"]["labels"].get("argocd.argoproj.io/instance")


def test_another_weight_is_told_with_who_has_set_it_and_nothing_more_is_given(
    cluster: ClusterInMemory, by: str
) -> None:
    begin(cluster, by)
    put(cluster, by)
    assert said(cluster, by) == ""
    give_another_weight(cluster, by)
    told = f"{CALLED[by]} was changed by kubectl-edit at {AT}: the canary has 90 % of the requests, and was given 50 %"
    assert said(cluster, by) == told
    with pytest.raises(TargetRejected, match=told):
        put(cluster, by)


def test_a_place_that_was_taken_away_is_told_and_nothing_more_is_given(cluster: ClusterInMemory, by: str) -> None:
    begin(cluster, by)
    put_back(cluster, by)
    how = "deleted" if by == "ingress" else f"changed by argocd-controller at {AT}"
    assert said(cluster, by) == f"{CALLED[by]} was {how}: the canary has no requests by it any more"
    with pytest.raises(TargetRejected, match="has no requests by it any more"):
        put(cluster, by)


def test_the_canarys_service_that_somebody_deletes_is_there_again_with_the_next_phase(
    cluster: ClusterInMemory, by: str
) -> None:
    begin(cluster, by)
    cluster.delete(f"{CORE}/services/web-canary")
    begin(cluster, by)
    assert f"{CORE}/services/web-canary" in cluster.objects
    assert {one.weight for one in over(cluster, by).instances() if one.track == Track.CANARY} == {50 / 3}


@pytest.mark.parametrize("change", [give_another_weight, put_back])
def test_whoever_has_changed_it_the_canary_is_drained_and_taken_away(
    cluster: ClusterInMemory, by: str, change: Callable[[ClusterInMemory, str], None]
) -> None:
    begin(cluster, by)
    change(cluster, by)
    token = next(tokens)
    over(cluster, by).drain([Track.CANARY], key=f"drain-{token}", token=token)
    assert {one.drained for one in over(cluster, by).instances() if one.track == Track.CANARY} == {True}
    put(cluster, by, None)
    assert cluster.objects[f"{PLACES[by]}/shop"]["spec"] == SPECS[by]
    assert not [path for path in cluster.objects if path.endswith("-canary")]


def test_a_canary_that_an_earlier_version_has_given_its_weight_goes_on(cluster: ClusterInMemory, by: str) -> None:
    begin(cluster, by)
    for path in list(cluster.objects):
        if path.startswith(PLACES[by]):
            cluster.objects[path]["metadata"]["annotations"] = {
                name: value
                for name, value in (cluster.objects[path]["metadata"].get("annotations") or {}).items()
                if name != "airflow-cd/given"
            }
    assert said(cluster, by) == ""
    put(cluster, by)


def delete(cluster: ClusterInMemory, by: str) -> None:
    """A person deletes what divides requests."""
    cluster.delete(f"{PLACES[by]}/shop")


def send_elsewhere(cluster: ClusterInMemory, by: str) -> None:
    """A person lets it send requests to another Service alone."""
    there = cast("Object", cluster.get(f"{PLACES[by]}/shop"))
    there["spec"] = json.loads(json.dumps(SPECS[by]).replace('"web"', '"other"'))
    cluster.put(f"{PLACES[by]}/shop", there)


@pytest.mark.parametrize("change", [delete, send_elsewhere])
def test_the_way_back_is_open_whatever_somebody_has_done_to_what_divides_requests(
    cluster: ClusterInMemory, by: str, change: Callable[[ClusterInMemory, str], None]
) -> None:
    begin(cluster, by)
    change(cluster, by)
    if by != "ingress":
        assert said(cluster, by).endswith(": the canary has no requests by it any more")
    token = next(tokens)
    over(cluster, by).drain([Track.CANARY], key=f"drain-{token}", token=token)
    put(cluster, by, None)
    over(cluster, by).settled(token=next(tokens))
    assert not [path for path in cluster.objects if path.endswith("-canary")]
    assert {one.version for one in over(cluster, by).instances()} == {"1.0"}
    with pytest.raises(TargetRejected, match=r"there is no|none of these is a Service of Deployment web"):
        put(cluster, by)


def test_what_sends_requests_elsewhere_is_refused_also_where_a_canary_has_left_its_service(
    cluster: ClusterInMemory, by: str
) -> None:
    begin(cluster, by)
    send_elsewhere(cluster, by)
    cluster.delete(f"{APPS}/deployments/web-canary")
    if by == "ingress":
        cluster.delete(f"{PLACES[by]}/shop-canary")
    before = copy.deepcopy(cluster.objects)
    for act in (lambda: over(cluster, by).check(NEW), lambda: put(cluster, by)):
        with pytest.raises(TargetRejected, match="none of these is a Service of Deployment web"):
            act()
    left = {path: one["spec"] for path, one in cluster.objects.items() if path.startswith((PLACES[by], CORE))}
    assert left == {path: one["spec"] for path, one in before.items() if path.startswith((PLACES[by], CORE))}
