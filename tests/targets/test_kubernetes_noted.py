"""What somebody else changes of a pod template in the middle of a canary: told, kept where it was, and never half."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.deployment import TakenOverDeployment
from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet
from tests.targets.cluster_in_memory import APPS, ClusterInMemory
from tests.targets.stateful_set_in_memory import SET, StatefulSetInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

OLD, NEW = Release("web", "1.0", "web:1.0", {}), Release("web", "1.1", "web:1.1", {"MODE": "new", "/etc/web": "x"})
WEB, CANARY = f"{APPS}/deployments/web", f"{APPS}/deployments/web-canary"
NOTED = "airflow-cd/noted"
AT = "2026-11-30T08:00:00Z"
tokens = itertools.count(1)

Change = Callable[[Object], None]
"""What is done to a pod template, in place."""


@pytest.fixture
def cluster() -> ClusterInMemory:
    made = ClusterInMemory()
    made.objects[WEB]["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
    ]
    written_by(made, WEB, "kubectl-create", "2026-11-01T08:00:00Z")
    return made


def over(cluster: ClusterInMemory) -> TakenOverDeployment | TakenOverStatefulSet:
    shape = TakenOverStatefulSet if isinstance(cluster, StatefulSetInMemory) else TakenOverDeployment
    return shape(cast("Cluster", cluster), "production", "shop", "web")


def put(cluster: ClusterInMemory, track: Track, release: Release | None, share: int = 34) -> None:
    token = next(tokens)
    over(cluster).deploy(release, [track], share=share, key=f"put-{token}", token=token)


def settle(cluster: ClusterInMemory) -> None:
    over(cluster).settled(token=next(tokens))


def said(cluster: ClusterInMemory, track: Track) -> str:
    (found,) = {one.message for one in over(cluster).instances() if one.track == track}
    return found


def written_by(cluster: ClusterInMemory, path: str, manager: str, when: str = AT) -> None:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}}
    entry = {"manager": manager, "time": when, "fieldsV1": fields}
    cluster.objects[path]["metadata"].setdefault("managedFields", []).append(entry)


def change(cluster: ClusterInMemory, path: str, what: Change, manager: str = "kubectl-edit") -> None:
    there = cast("Object", cluster.get(path))
    what(there["spec"]["template"])
    cluster.put(path, there)
    written_by(cluster, path, manager)


def first(template: Object) -> Object:
    return cast("Object", template["spec"]["containers"][0])


def restarts(template: Object) -> None:
    template["metadata"].setdefault("annotations", {})["kubectl.kubernetes.io/restartedAt"] = AT


def adds_a_variable(template: Object) -> None:
    first(template).setdefault("env", []).append({"name": "FEATURE", "value": "on"})


CHANGES: dict[str, Change] = {
    "variable FEATURE of container web": adds_a_variable,
    "variable A of container web": lambda template: first(template)["env"].pop(0),
    "resources of container web": lambda template: first(template).update(resources={"limits": {"cpu": "1"}}),
    "label team": lambda template: template["metadata"]["labels"].update(team="checkout"),
    "annotation scrape": lambda template: template["metadata"].update(annotations={"scrape": "yes"}),
    "volume scratch": lambda template: template["spec"].update(volumes=[{"name": "scratch", "emptyDir": {}}]),
    "serviceAccountName": lambda template: template["spec"].update(serviceAccountName="web"),
    "image of container proxy": lambda template: template["spec"]["containers"].append({"name": "proxy", "image": "p"}),
}


@pytest.mark.parametrize("part", CHANGES)
def test_what_is_changed_beside_a_canary_is_told_kept_and_in_the_next_phase(
    cluster: ClusterInMemory, part: str
) -> None:
    put(cluster, Track.CANARY, NEW)
    change(cluster, WEB, CHANGES[part])
    told = said(cluster, Track.STABLE)
    assert told.startswith(f"Deployment web was changed by kubectl-edit at {AT} in the middle of a deployment: ")
    assert part in told.partition(": ")[2]
    assert said(cluster, Track.CANARY) == ""
    theirs = copy.deepcopy(cluster.objects[WEB]["spec"]["template"])
    put(cluster, Track.CANARY, NEW, share=50)
    canary = cluster.objects[CANARY]["spec"]["template"]
    assert [one["name"] for one in canary["spec"]["containers"]] == [
        one["name"] for one in theirs["spec"]["containers"]
    ]
    assert [one for one in first(canary)["env"] if "value" in one] == first(theirs)["env"]
    assert first(canary).get("resources") == first(theirs).get("resources")
    for track, release in ((Track.STABLE, NEW), (Track.CANARY, None), (Track.STABLE, OLD)):
        put(cluster, track, release)
        assert said(cluster, Track.STABLE) == told, "it is told as long as the deployment lasts"
    settle(cluster)
    assert said(cluster, Track.STABLE) == ""
    after = cluster.objects[WEB]["spec"]["template"]
    assert first(after) == first(theirs)
    assert after["metadata"]["labels"] == theirs["metadata"]["labels"]


def test_that_variables_stand_in_another_order_is_told(cluster: ClusterInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    change(cluster, WEB, lambda template: first(template)["env"].reverse())
    assert said(cluster, Track.STABLE).endswith(": the order of its parts"), (
        "one may name another that stands before it"
    )


def test_whoever_has_written_before_is_not_named(cluster: ClusterInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    there = cast("Object", cluster.get(WEB))
    first(there["spec"]["template"])["env"].pop()
    # The API has nobody for what is taken away.
    cluster.put(WEB, there)
    told = "Deployment web was changed in the middle of a deployment: variable B of container web"
    assert said(cluster, Track.STABLE) == told


@pytest.mark.parametrize("part", ["variable FEATURE of container web", "resources of container web"])
@pytest.mark.parametrize("then", [(Track.CANARY, 50), (Track.STABLE, 100)])
def test_what_is_changed_of_a_canary_is_told_and_not_written_over(
    cluster: ClusterInMemory, part: str, then: tuple[Track, int]
) -> None:
    put(cluster, Track.CANARY, NEW)
    before = copy.deepcopy(cluster.objects[WEB]["spec"])
    change(cluster, CANARY, CHANGES[part])
    told = f"Deployment web-canary was changed by kubectl-edit at {AT} in the middle of a deployment: {part}"
    assert said(cluster, Track.CANARY) == told
    assert said(cluster, Track.STABLE) == ""
    theirs = copy.deepcopy(cluster.objects[CANARY]["spec"])
    with pytest.raises(TargetRejected, match=f"{told}, so what was verified is not what would be deployed"):
        put(cluster, then[0], NEW, share=then[1])
    assert cluster.objects[CANARY]["spec"] == theirs
    put(cluster, Track.STABLE, OLD)
    put(cluster, Track.CANARY, None)
    assert cluster.objects[WEB]["spec"]["template"]["spec"] == before["template"]["spec"]


@pytest.mark.parametrize("then", [(Track.CANARY, 50), (Track.STABLE, 100)])
def test_a_release_that_somebody_gives_beside_a_canary_is_not_written_over(
    cluster: ClusterInMemory, then: tuple[Track, int]
) -> None:
    put(cluster, Track.CANARY, NEW)
    change(cluster, WEB, lambda template: first(template).update(image="web:1.0.1"), "kubectl-set")
    told = f"Deployment web was changed by kubectl-set at {AT} in the middle of a deployment: image of container web"
    assert said(cluster, Track.STABLE) == told
    with pytest.raises(TargetRejected, match=f"{told}, and the canary's release would be written over it"):
        put(cluster, then[0], NEW, share=then[1])
    put(cluster, Track.CANARY, None)
    assert {one.artifact for one in over(cluster).instances()} == {"web:1.0.1"}


def test_a_release_that_runs_already_can_be_gone_back_to_whoever_has_changed_its_canary(
    cluster: ClusterInMemory,
) -> None:
    put(cluster, Track.STABLE, NEW)
    put(cluster, Track.CANARY, NEW)
    change(cluster, CANARY, adds_a_variable)
    put(cluster, Track.STABLE, NEW)
    put(cluster, Track.CANARY, None)
    assert {one.artifact for one in over(cluster).instances()} == {"web:1.1"}


@pytest.mark.parametrize(("path", "track"), [(WEB, Track.STABLE), (CANARY, Track.CANARY)])
def test_a_restart_is_told_and_stands_in_nobodys_way(cluster: ClusterInMemory, path: str, track: Track) -> None:
    put(cluster, Track.CANARY, NEW)
    change(cluster, path, restarts, "kubectl-rollout")
    name = path.rpartition("/")[2]
    told = f"Deployment {name} was restarted by kubectl-rollout at {AT}: all of its pods are made anew"
    assert said(cluster, track) == told
    put(cluster, Track.CANARY, NEW, share=50)
    put(cluster, Track.STABLE, NEW)
    put(cluster, Track.CANARY, None)
    assert {one.artifact for one in over(cluster).instances()} == {"web:1.1"}


def test_a_restart_beside_something_else_is_told_with_it(cluster: ClusterInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    change(cluster, WEB, lambda template: (restarts(template), adds_a_variable(template))[0])
    assert said(cluster, Track.STABLE).endswith(": a restart, variable FEATURE of container web")


# -- no false alarms ---------------------------------------------------------------------------------------------------


class Admitting(ClusterInMemory):
    """A cluster whose admission changes Deployments that are written.

    :ivar admits: what is done to their templates in every write.
    """

    admits: Change = staticmethod(lambda template: None)

    def _write(self, method: str, path: str, body: Object) -> Object:
        if "/deployments/" in path:
            self.admits(body["spec"]["template"])
        return super()._write(method, path, body)


def injects(template: Object) -> None:
    if not any(one["name"] == "INJECTED" for one in first(template).setdefault("env", [])):
        first(template)["env"].append({"name": "INJECTED", "value": "yes"})


def clamps(template: Object) -> None:
    first(template).pop("lifecycle", None)
    first(template)["resources"] = {"limits": {"memory": "1Gi"}}


@pytest.mark.parametrize("admits", [lambda template: None, injects, clamps])
def test_nothing_is_told_of_what_the_api_and_its_admission_do(admits: Change) -> None:
    cluster = Admitting()
    cluster.admits = admits
    # What a webhook has come to after the Deployment was made it puts into everything that is written from then on.
    first(cluster.objects[WEB]["spec"]["template"])["lifecycle"] = {}
    steps: list[Callable[[], Any]] = [
        lambda: put(cluster, Track.CANARY, NEW),
        lambda: over(cluster).drain([Track.CANARY], key="drain", token=next(tokens)),
        lambda: cluster.patch(WEB, {"spec": {"replicas": 5}}, MERGE),
        lambda: over(cluster).restore([Track.CANARY], key="restore", token=next(tokens)),
        lambda: put(cluster, Track.CANARY, NEW, share=50),
        lambda: put(cluster, Track.STABLE, NEW),
        lambda: put(cluster, Track.CANARY, None),
        lambda: settle(cluster),
        lambda: put(cluster, Track.CANARY, OLD),
        lambda: put(cluster, Track.CANARY, None),
        lambda: put(cluster, Track.STABLE, OLD),
    ]
    for number, step in enumerate(steps):
        step()
        assert {one.message for one in over(cluster).instances()} == {""}, number


def test_nothing_is_said_once_a_deployment_is_over_or_where_an_earlier_version_has_begun_it(
    cluster: ClusterInMemory,
) -> None:
    put(cluster, Track.CANARY, NEW)
    for path in (WEB, CANARY):
        del cluster.objects[path]["metadata"]["annotations"][NOTED]
    change(cluster, WEB, adds_a_variable)
    change(cluster, CANARY, adds_a_variable)
    put(cluster, Track.CANARY, NEW, share=50)
    assert {one.message for one in over(cluster).instances()} == {""}


def test_a_note_that_cannot_be_read_is_none(cluster: ClusterInMemory) -> None:
    put(cluster, Track.CANARY, NEW)
    for written in ("{", "[]", '{"parts": {}, "salt": "x", "more": 1}'):
        cluster.objects[WEB]["metadata"]["annotations"][NOTED] = written
        assert said(cluster, Track.STABLE) == ""
    put(cluster, Track.STABLE, NEW)
    assert said(cluster, Track.STABLE) == ""


def test_an_undo_is_told_by_what_it_has_brought_back(cluster: ClusterInMemory) -> None:
    before = copy.deepcopy(cluster.objects[WEB]["spec"]["template"])
    put(cluster, Track.CANARY, NEW)
    put(cluster, Track.STABLE, NEW)

    def undone(template: Object) -> None:
        template.clear()
        template.update(before)

    change(cluster, WEB, undone, "kubectl-rollout")
    given, _, more = said(cluster, Track.STABLE).partition("; ")
    assert given.startswith(f"Deployment web was given web:1.0 by kubectl-rollout at {AT}, after Airflow CD had given")
    assert "variable MODE of container web" in more
    assert "airflow-cd/" not in more, "marks of ours say nothing to anybody"


def test_a_note_gives_no_value_away(cluster: ClusterInMemory) -> None:
    first(cluster.objects[WEB]["spec"]["template"])["env"].append({"name": "PASSWORD", "value": "winter-2026"})
    put(cluster, Track.CANARY, NEW)
    one, other = (cluster.objects[path]["metadata"]["annotations"][NOTED] for path in (WEB, CANARY))
    assert "PASSWORD" in one
    assert "winter-2026" not in one + other
    digests = {note.partition('"variable PASSWORD of container web": "')[2][:12] for note in (one, other)}
    assert len(digests) == 2, "nobody finds it by trying"


# -- StatefulSets ------------------------------------------------------------------------------------------------------


def test_what_is_changed_of_a_stateful_set_in_the_middle_is_told_of_the_pods_that_get_it() -> None:
    cluster = StatefulSetInMemory()
    put(cluster, Track.CANARY, NEW)
    assert {one.message for one in over(cluster).instances()} == {""}
    change(cluster, SET, adds_a_variable)
    told = f"StatefulSet web was changed by kubectl-edit at {AT} in the middle of a deployment: variable FEATURE"
    assert said(cluster, Track.CANARY).startswith(told)
    assert said(cluster, Track.STABLE) == "", "these keep the template that they have"
    put(cluster, Track.STABLE, NEW)
    put(cluster, Track.CANARY, None)
    assert said(cluster, Track.STABLE).startswith(told)
    settle(cluster)
    assert said(cluster, Track.STABLE) == ""
    assert {"name": "FEATURE", "value": "on"} in first(cluster.objects[SET]["spec"]["template"])["env"]
