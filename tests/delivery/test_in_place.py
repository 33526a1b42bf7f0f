"""A deployment whose canary is some of the environment's own replicas: shares, the way back, and kills anywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.delivery import Delivery, asking
from airflow_cd.delivery.causes import Why
from airflow_cd.delivery.handover import Handover, restore_unrecorded
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.errors import TargetUnavailable
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import Track
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState, RollbackCause
from tests.targets.cluster_in_memory import CORE
from tests.targets.stateful_set_in_memory import SET, InPlaceTarget, StatefulSetInMemory

pytestmark = pytest.mark.usefixtures("no_waiting")

NEW = Release("web", "1.1", "web:1.1", {"GREETING": "hello"})


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def cluster() -> StatefulSetInMemory:
    return StatefulSetInMemory(5)


def delivery(
    ledger: Ledger, cluster: StatefulSetInMemory, log: list[str] | None = None, *, timeout: float = 0.3
) -> Delivery:
    return Delivery(
        ledger,
        InPlaceTarget(cluster),
        pipeline="web",
        run_id="run-1",
        service="web",
        environment="production",
        log=log.append if log is not None else lambda line: None,
        timeout=timedelta(seconds=timeout),
    )


def whole(cluster: StatefulSetInMemory) -> None:
    """Everything is as it was before."""
    assert cluster.images() == ["web:1.0"] * 5
    assert cluster.objects[f"{CORE}/services/web"]["spec"]["selector"] == {"app": "web"}
    assert cluster.spec["updateStrategy"]["rollingUpdate"] == {"partition": 0}
    assert not {"airflow-cd/before", "airflow-cd/share"} & set(cluster.objects[SET]["metadata"]["annotations"])


def test_a_canary_is_drained_and_brought_back_and_requests_come_back_with_it(
    ledger: Ledger, cluster: StatefulSetInMemory
) -> None:
    mine = delivery(ledger, cluster)
    mine.deploy(NEW, phase="phase_40", share=40)
    assert cluster.images() == ["web:1.0"] * 3 + ["web:1.1"] * 2
    selectors = []
    cluster.before_write = lambda method, path: selectors.append(cluster.served())
    restored = mine.roll_back("four exceptions never seen before")
    assert restored is not None
    assert restored.release == Release("web", "1.0", "web:1.0", {})
    assert selectors[-1] == {"web:1.0"}
    whole(cluster)


def test_a_release_is_promoted_and_all_of_it_goes_back_from_the_last_phase(
    ledger: Ledger, cluster: StatefulSetInMemory
) -> None:
    before = cluster.spec
    mine = delivery(ledger, cluster)
    mine.deploy(NEW, phase="phase_40", share=40)
    mine.deploy(NEW, phase="phase_100", share=100)
    assert cluster.images() == ["web:1.1"] * 5
    mine.roll_back("it is slow")
    assert cluster.spec == before
    whole(cluster)


def test_canary_and_control_keep_their_share_when_somebody_scales(ledger: Ledger, cluster: StatefulSetInMemory) -> None:
    log: list[str] = []
    mine = delivery(ledger, cluster, log)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    first = sides.now()
    assert first is not None
    assert (first.canary, len(first.control)) == (("web-4",), 4)
    cluster.set(replicas=10)
    while cluster.images() != ["web:1.0"] * 8 + ["web:1.1"] * 2:
        before = len(cluster.deleted)
        sides.now()
        assert len(cluster.deleted) == before + 1, "one pod is replaced at every look"
    asked = len(log)
    for _ in range(3):
        sides.now()
    assert len(log) == asked, "what it has moved itself is no change"


@pytest.mark.parametrize("why", ["a headless Service alone", "a Service of leaders", "nobody else is left"])
def test_a_canary_that_requests_reach_all_the_same_is_not_said_to_be_drained(
    ledger: Ledger, cluster: StatefulSetInMemory, why: str
) -> None:
    if why == "a headless Service alone":
        cluster.delete(f"{CORE}/services/web")
    log: list[str] = []
    mine = delivery(ledger, cluster, log)
    given: list[Handover] = []
    mine.deploy(NEW, phase="phase_40", share=40, hand_over=given.append)
    if why == "nobody else is left":
        cluster.set(updateStrategy={"rollingUpdate": {"partition": 0}})
    if why == "a Service of leaders":
        spec = {"selector": {"app": "web", "role": "leader"}}
        cluster.create(f"{CORE}/services", {"metadata": {"name": "leader"}, "spec": spec})
        cluster.objects[f"{CORE}/pods/web-4"]["metadata"]["labels"]["role"] = "leader"
    deployment = mine.require_deployment()
    assert not mine.drain(mine.lease(), deployment, [Track.CANARY])
    assert log[-1] == "Requests still reach canary, which no drain keeps them from: the rollback does."
    assert mine.require_deployment().safe_at is None
    assert mine.drained(deployment), "a part of its requests is kept from it"
    target, timeout = InPlaceTarget(cluster), timedelta(seconds=10)
    done = restore_unrecorded(target, given[-1], environment="production", timeout=timeout, log=log.append)
    assert done.safe_at == done.restored_at
    assert not any(line.startswith("Drained") for line in log)


def test_a_drain_that_cannot_be_read_back_is_recorded_and_not_taken_for_safe(
    ledger: Ledger, cluster: StatefulSetInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = delivery(ledger, cluster)
    mine.deploy(NEW, phase="phase_20", share=20)
    deployment, lease = mine.require_deployment(), mine.lease()
    with monkeypatch.context() as away:
        away.setattr(InPlaceTarget, "instances", _away)
        assert not mine.drain(lease, deployment, [Track.CANARY])
    assert mine.require_deployment().safe_at is None
    assert mine.drained(deployment)


def _away(target: InPlaceTarget) -> list[Any]:
    raise TargetUnavailable("the cluster does not answer.")


def test_a_drain_of_a_part_of_the_requests_is_undone_by_the_next_phase(
    ledger: Ledger, cluster: StatefulSetInMemory
) -> None:
    spec = {"selector": {"app": "web", "role": "leader"}}
    cluster.create(f"{CORE}/services", {"metadata": {"name": "leader"}, "spec": spec})
    mine = delivery(ledger, cluster)
    mine.deploy(NEW, phase="phase_20", share=20)
    cluster.objects[f"{CORE}/pods/web-4"]["metadata"]["labels"]["role"] = "leader"
    assert not mine.drain(mine.lease(), mine.require_deployment(), [Track.CANARY])
    assert cluster.served() == {"web:1.0"}
    mine.deploy(NEW, phase="phase_40", share=40)
    assert cluster.served() == {"web:1.0", "web:1.1"}


def test_without_the_ledger_it_is_brought_back_too(ledger: Ledger, cluster: StatefulSetInMemory) -> None:
    given: list[Handover] = []
    delivery(ledger, cluster).deploy(NEW, phase="phase_40", share=40, hand_over=given.append)
    restore_unrecorded(
        InPlaceTarget(cluster), given[-1], environment="production", timeout=timedelta(seconds=0.3), log=[].append
    )
    whole(cluster)


def test_a_pod_that_breaks_while_the_others_come_back_is_replaced_too(
    ledger: Ledger, cluster: StatefulSetInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASKED_EVERY", 0.02)
    mine = delivery(ledger, cluster, timeout=10)
    mine.deploy(NEW, phase="phase_40", share=40)
    _break_after_the_way_back_has_begun(cluster)
    mine.roll_back("it ends again and again")
    assert cluster.deleted == ["web-3"]
    whole(cluster)


def test_without_the_ledger_a_pod_that_breaks_meanwhile_is_replaced_too(
    ledger: Ledger, cluster: StatefulSetInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASKED_EVERY", 0.02)
    given: list[Handover] = []
    delivery(ledger, cluster).deploy(NEW, phase="phase_40", share=40, hand_over=given.append)
    _break_after_the_way_back_has_begun(cluster)
    target, timeout = InPlaceTarget(cluster), timedelta(seconds=10)
    restore_unrecorded(target, given[-1], environment="production", timeout=timeout, log=[].append)
    assert cluster.deleted == ["web-3"]
    whole(cluster)


def _break_after_the_way_back_has_begun(cluster: StatefulSetInMemory) -> None:
    """The controller is slow, and when it comes to its work, one of the canary's pods is ready no more."""
    every, looks = cluster.every, iter(range(1000))

    def slow(method: str, path: str) -> None:
        if (method, path) == ("PUT", SET):
            cluster.before_write = lambda method, path: None
            cluster.works = False
            cluster.every = broken  # type: ignore[method-assign]

    def broken(path: str, selector: str = "", **params: Any) -> list[Object]:
        if next(looks) == 12:
            cluster.objects[f"{CORE}/pods/web-3"]["status"]["conditions"][0]["status"] = "False"
            cluster.works = True
            cluster._control()
        return every(path, selector, **params)

    cluster.before_write = slow


def test_a_good_release_goes_on_when_somebody_has_scaled_between_two_phases(
    ledger: Ledger, cluster: StatefulSetInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "REFUSED_EVERY", 0.01)
    log: list[str] = []
    mine = delivery(ledger, cluster, log, timeout=10)
    mine.deploy(NEW, phase="phase_20", share=20)
    cluster.set(replicas=10)
    mine.deploy(NEW, phase="phase_40", share=40)
    assert cluster.images() == ["web:1.0"] * 6 + ["web:1.1"] * 4
    assert any("since somebody has scaled StatefulSet web" in line for line in log)


@pytest.mark.parametrize("back", [False, True], ids=["forward", "on the way back"])
def test_nothing_is_left_half_whichever_write_is_the_last(ledger: Ledger, back: bool) -> None:
    for last in range(60):
        cluster = StatefulSetInMemory(5)
        written = []

        def die(method: str, path: str, written: list[str] = written, last: int = last) -> None:
            written.append(path)
            if len(written) > last:
                raise SystemExit(path)

        mine = delivery(ledger, cluster)
        mine.run_id = f"run-{back}-{last}"
        if not back:
            cluster.before_write = die
        done = _try(mine, cluster, die if back else None)
        cluster.before_write = lambda method, path: None
        next_one = delivery(ledger, cluster)
        next_one.run_id = mine.run_id
        settled = next_one.settle()
        assert settled is None or settled.state == DeploymentState.ROLLED_BACK
        assert cluster.images() == ["web:1.0"] * 5, f"after {last} writes"
        assert cluster.objects[f"{CORE}/services/web"]["spec"]["selector"] == {"app": "web"}, f"after {last} writes"
        assert {one.track for one in InPlaceTarget(cluster).instances()} == {Track.STABLE}
        if done:
            return
    raise AssertionError("it never came to its end")


def _try(mine: Delivery, cluster: StatefulSetInMemory, dies_back: Any) -> bool:
    """Deploy to a part, to all, and go back; whether it came to its end."""
    try:
        mine.deploy(NEW, phase="phase_40", share=40)
        if dies_back is None:
            mine.deploy(NEW, phase="phase_100", share=100)
        else:
            cluster.before_write = dies_back
        mine.roll_back(Why(RollbackCause.FAULT, "it is to be struck on the way back as well"))
    except SystemExit:
        return False
    return True
