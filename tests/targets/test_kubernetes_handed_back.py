"""What is left of a deployment when it is over: the release it was for, and nothing else of anybody's."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.ownership import given_up
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory
from tests.targets.divided_in_memory import PLACES, SPECS, divided, over

pytestmark = pytest.mark.usefixtures("no_waiting")

OLD = Release("web", "1.0", "web:1.0", {})
NEW = Release("web", "1.1", "web:1.1", {"MODE": "new", "/etc/web.ini": "x"})
WEB = f"{APPS}/deployments/web"
STAYS = {"airflow-cd/token", "airflow-cd/keys", "airflow-cd/images", "airflow-cd/meant"}
"""What the Deployment keeps: who acted last and what was done, and what names of images have meant here."""
OURS = {"airflow-cd/artifact", "airflow-cd/version", "airflow-cd/image", "airflow-cd/configuration"}
"""What a release itself has in a pod template."""
tokens = itertools.count(1)


@pytest.fixture(params=["services", *PLACES])
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(by: str) -> ClusterInMemory:
    made = divided(by, labels={"team": "checkout"}, annotations={"note": "theirs"})
    there = made.objects[WEB]
    there["metadata"] |= {"labels": {"team": "checkout"}, "annotations": {"note": "theirs"}}
    env = [{"name": "MODE", "value": "old"}, {"name": "OTHER", "value": "kept"}]
    there["spec"]["template"]["spec"]["containers"][0]["env"] = env
    return made


def put(track: Track, release: Release | None, share: int = 50, traffic: int | None = None) -> Any:
    def act(target: TakenOverDeployment) -> None:
        token = next(tokens)
        target.deploy(release, [track], share=share, traffic=traffic, key=f"put-{token}", token=token)
        if traffic or (release is not None and track is Track.CANARY and traffic is None):
            target.restore([Track.CANARY], key=f"give-{token}", token=token)

    return act


def drained(target: TakenOverDeployment) -> None:
    target.drain([Track.CANARY], key=f"drain-{next(tokens)}", token=next(tokens))


BEGUN = [put(Track.CANARY, NEW, 20), put(Track.CANARY, NEW, 50)]
SIDE = [put(Track.CANARY, NEW, 100, 0), put(Track.CANARY, NEW, 100, 100)]
FINISHED = [put(Track.STABLE, NEW), put(Track.CANARY, None)]
BACK = [drained, put(Track.CANARY, None)]
ALL_BACK = [put(Track.STABLE, OLD), put(Track.CANARY, None)]


def left(cluster: ClusterInMemory) -> dict[str, Object]:
    """Everything but pods and what makes them, as its owners have it."""
    found = {}
    for path, one in cluster.objects.items():
        if "/pods/" in path or "/replicasets/" in path:
            continue
        labels, annotations = (dict(one["metadata"].get(name) or {}) for name in ("labels", "annotations"))
        spec = copy.deepcopy(one.get("spec"))
        if path == WEB:
            annotations = {name: value for name, value in annotations.items() if name not in STAYS}
            marks = spec["template"]["metadata"].pop("annotations", {})
            assert set(marks) <= {*OURS, "airflow-cd/replaced"}
        found[path] = {"labels": labels, "annotations": annotations, "spec": spec}
    return found


@pytest.mark.parametrize(
    "steps",
    [[*BEGUN, *BACK], [*BEGUN, *FINISHED, *ALL_BACK], [*SIDE, *BACK], [*SIDE, *FINISHED, *ALL_BACK]],
    ids=["a canary", "all", "a new side", "a new side and all"],
)
def test_whatever_is_gone_back_from_everything_is_as_it_was(
    cluster: ClusterInMemory, by: str, steps: list[Callable[[TakenOverDeployment], None]]
) -> None:
    before = left(cluster)
    for step in steps:
        step(over(cluster, by))
    over(cluster, by).settled(token=next(tokens))
    for pod in cluster.every(f"{CORE}/pods"):
        assert pod["spec"]["containers"][0]["image"] == "web:1.0"
    # A configuration goes with the last ReplicaSet that has it, which the cluster keeps for `kubectl rollout undo`.
    assert {path: one for path, one in left(cluster).items() if "/secrets/" not in path} == before


@pytest.mark.parametrize("begun", [BEGUN, SIDE], ids=["a canary", "a new side"])
def test_what_is_promoted_is_all_that_is_new(
    cluster: ClusterInMemory, by: str, begun: list[Callable[[TakenOverDeployment], None]]
) -> None:
    before = left(cluster)
    for step in [*begun, *FINISHED]:
        step(over(cluster, by))
    over(cluster, by).settled(token=next(tokens))
    after = left(cluster)
    (secret,) = after.keys() - before.keys()
    assert "/secrets/web-cd-" in secret
    container = after[WEB]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "web:1.1"
    assert [one["name"] for one in container["env"]] == ["OTHER", "MODE"]
    for one in (after, before):
        del one[WEB]["spec"]["template"]["spec"]
    assert {path: one for path, one in after.items() if path != secret} == before


def test_nothing_of_what_others_apply_is_held_once_it_is_over(cluster: ClusterInMemory, by: str) -> None:
    ours = {
        "manager": "airflow-cd",
        "fieldsV1": {"f:spec": {"f:template": {}}, "f:metadata": {"f:annotations": {"f:airflow-cd/token": {}}}},
    }
    theirs = {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    for step in (put(Track.CANARY, NEW, 100, 0), put(Track.CANARY, NEW, 100, 100)):
        step(over(cluster, by))
    held = [WEB, f"{CORE}/services/web"] if by == "services" else [WEB]
    held += [f"{PLACES[by]}/shop"] if by in ("route", "virtual_service") else []
    for path in held:
        cluster.objects[path]["metadata"]["managedFields"] = copy.deepcopy([theirs, ours])
    put(Track.CANARY, None)(over(cluster, by))
    over(cluster, by).settled(token=next(tokens))
    rest = {**ours, "fieldsV1": {"f:metadata": {"f:annotations": {"f:airflow-cd/token": {}}}}}
    for path in held:
        assert cluster.objects[path]["metadata"]["managedFields"] == [theirs, rest], path
        assert given_up(cluster.objects[path]) is None


@pytest.mark.parametrize("by", ["route", "virtual_service"], indirect=True)
def test_a_rule_that_somebody_adds_before_the_others_stays_and_no_note_of_ours_does(
    cluster: ClusterInMemory, by: str
) -> None:
    for step in BEGUN:
        step(over(cluster, by))
    there = cluster.objects[f"{PLACES[by]}/shop"]
    rules = there["spec"]["rules" if by == "route" else "http"]
    added: Object = {"backendRefs": [{"name": "other"}]}
    if by == "virtual_service":
        added = {"route": [{"destination": {"host": "other"}}]}
    rules.insert(0, added)
    for step in BACK:
        step(over(cluster, by))
    there = cluster.objects[f"{PLACES[by]}/shop"]
    assert there["metadata"]["annotations"] == {"note": "theirs"}
    expected = copy.deepcopy(SPECS[by])
    expected["rules" if by == "route" else "http"].insert(0, added)
    assert there["spec"] == expected
