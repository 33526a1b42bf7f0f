"""Waiting and reading back, on a target whose looks are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from airflow_cd.errors import DeploymentFailed, TargetUnauthorized, TargetUnavailable
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.base import EMPTY, FAILED, HEALTHY, STARTING, UNHEALTHY, Instance
from airflow_cd.targets.rollout import differences, left_over, read_back, wait_until

OLD = Release("shop", "1.0", "shop:1.0", {"limit": 5})
NEW = Release("shop", "1.1", "shop:1.1", {"limit": 5})


def on(name: str, release: Release | None, health: str = HEALTHY, message: str = "", drained: bool = False) -> Instance:
    if release is None:
        return Instance(name, None, None, {}, EMPTY)
    return Instance(name, release.version, release.artifact, release.configuration, health, drained, message)


@dataclass
class Played:
    """Shows its looks one after the other, the last one for ever; time passes only in sleep."""

    looks: list[list[Instance] | Exception]
    environment: str = "production"
    now: float = 0.0
    seen: int = 0
    slept: list[float] = field(default_factory=list)

    def instances(self) -> list[Instance]:
        look = self.looks[min(self.seen, len(self.looks) - 1)]
        self.seen += 1
        if isinstance(look, Exception):
            raise look
        return look

    def check(self, release: Release) -> None: ...
    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None: ...
    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None: ...
    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None: ...

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def wait(target: Played, wanted: dict[str, Release | None], timeout: float | timedelta = 1.0, **more: object) -> list:
    return wait_until(target, wanted, timeout=timeout, clock=target.clock, sleep=target.sleep, **more)  # type: ignore[arg-type]


class OneByOne(Played):
    """The same, with replicas that are changed in place."""

    in_place = True
    tracks = (Track.CANARY, Track.STABLE)


def replicas(done: int, total: int = 4) -> list[Instance]:
    """So many of an environment's replicas have the release."""
    return [replace(on(f"db-{place}", NEW if place < done else OLD), track=Track.STABLE) for place in range(total)]


def test_replicas_that_are_changed_one_by_one_have_the_time_each() -> None:
    looks = [replicas(done) for done in range(5) for _ in range(8)]
    ready = wait(OneByOne(looks), {Track.STABLE: NEW})
    assert {one.artifact for one in ready} == {NEW.artifact}
    with pytest.raises(DeploymentFailed, match=r"within 1 s\."):
        wait(Played(looks), {Track.STABLE: NEW})


def test_one_that_comes_and_goes_gets_no_more_time() -> None:
    target = OneByOne([replicas(done) for done in (0, 1, 2, *[1, 2] * 50)])
    with pytest.raises(DeploymentFailed, match=r"2 of 4 instances .* within 1 s of the last one that came up"):
        wait(target, {Track.STABLE: NEW})
    assert target.now < 1.5


def test_waits_until_all_are_healthy_on_it() -> None:
    target = Played(
        [
            [on("a", OLD), on("b", OLD), on("c", OLD)],
            [on("a", NEW, STARTING), on("b", NEW, STARTING), on("c", OLD)],
            [on("a", NEW), on("b", NEW, UNHEALTHY), on("c", OLD)],
            [on("a", NEW), on("b", NEW, drained=True), on("c", OLD)],
        ]
    )
    progress: list[tuple[int, list[str]]] = []
    ready = wait(target, {"a": NEW, "b": NEW}, on_progress=lambda *report: progress.append(report))
    assert [instance.name for instance in ready] == ["a", "b"]
    assert target.slept == [0.1, 0.1, 0.1]
    assert [count for count, _ in progress] == [0, 0, 1, 2]
    assert progress[2][1] == ["b is unhealthy"]


def test_progress_is_reported_only_when_it_changes() -> None:
    target = Played([[on("a", NEW, STARTING)]] * 5 + [[on("a", NEW)]])
    reported: list[list[str]] = []
    wait(target, {"a": NEW}, on_progress=lambda count, left: reported.append(left))
    assert reported == [["a is starting"], []]


def test_ends_at_once_when_one_has_failed_on_it() -> None:
    target = Played([[on("a", NEW, STARTING), on("b", NEW, FAILED, "ImportError: pricing\n"), on("c", OLD)]])
    with pytest.raises(DeploymentFailed) as caught:
        wait(target, {"a": NEW, "b": NEW})
    text = str(caught.value)
    assert "a is starting" in text
    assert "b is failed: ImportError: pricing" in text
    assert "2 of 2 instances are not healthy on shop 1.1" in text
    assert "[production]" in text
    assert " c " not in text
    failed = caught.value
    assert (failed.service, failed.environment, failed.release) == ("shop", "production", str(NEW))
    assert failed.instances == ("a", "b")
    assert target.slept == []


def test_what_was_left_as_it_is_has_not_failed() -> None:
    target = Played([[on("a", NEW, FAILED, "exited with code 3"), on("b", OLD), on("c", OLD)]])
    before = dict.fromkeys("abc", OLD)
    with pytest.raises(DeploymentFailed) as caught:
        wait(target, dict.fromkeys("abc", NEW), before=before, asked_at=-13.0)
    lines = caught.value.what.splitlines()
    assert lines[0] == f"1 of 3 instances is not healthy on {NEW} after 13.0 s; 2 were not begun."
    assert lines[1:] == [
        "  - a is failed: exited with code 3",
        f"  - b was not begun, and still runs {OLD}",
        f"  - c was not begun, and still runs {OLD}",
    ]
    assert caught.value.unhealthy == ("a",)


def test_a_target_that_has_begun_nothing_says_so() -> None:
    target = Played([[on("a", OLD)]])
    with pytest.raises(DeploymentFailed, match=r"1 of 1 instances was not begun on shop 1\.1 .* within 1 s\."):
        wait(target, {"a": NEW}, before={"a": OLD})


def test_an_earlier_failure_on_another_release_may_pass() -> None:
    target = Played([[on("a", OLD, FAILED, "died")], [on("a", NEW, STARTING)], [on("a", NEW)]])
    assert wait(target, {"a": NEW})


def test_ends_at_once_when_one_vanishes() -> None:
    target = Played([[on("a", NEW, STARTING), on("b", NEW)], [on("b", NEW)]])
    with pytest.raises(DeploymentFailed, match="a is gone: the target no longer lists it"):
        wait(target, {"a": NEW, "b": NEW})
    assert target.slept == [0.1]


@pytest.mark.parametrize("timeout", [2.0, timedelta(seconds=2)])
def test_ends_when_the_time_is_over(timeout: float | timedelta) -> None:
    target = Played([[on("a", OLD), on("b", NEW, UNHEALTHY, "no answer from /health"), on("c", NEW)]])
    with pytest.raises(DeploymentFailed) as caught:
        wait(target, {"a": NEW, "b": NEW, "c": NEW}, timeout, poll=0.5)
    text = str(caught.value)
    assert "within 2 s" in text
    assert "a runs shop:1.0, wanted shop:1.1" in text
    assert "b is unhealthy: no answer from /health" in text
    assert "1 of 3 instances run what was asked for" in text
    assert target.now <= 2.0


@pytest.mark.parametrize("takes", [0.5, 8.0, 61.7, 900.0])
def test_a_long_wait_asks_seldom_and_ends_soon_after_what_it_waits_for(takes: float) -> None:
    target = Played([[on("a", OLD)]])

    def instances() -> list[Instance]:
        target.seen += 1
        return [on("a", NEW if target.now >= takes else OLD)]

    target.instances = instances  # type: ignore[method-assign]
    wait(target, {"a": NEW}, 1000.0)
    assert target.now - takes <= max(0.1, min(2.0, 0.05 * takes)) + 1e-9
    assert target.seen <= 100 + takes / 2


@pytest.mark.parametrize("timeout", [7.0, 33.3, 300.0])
def test_the_last_look_of_a_long_wait_is_when_its_time_is_over(timeout: float) -> None:
    target = Played([[on("a", OLD)]])
    with pytest.raises(DeploymentFailed):
        wait(target, {"a": NEW}, timeout)
    assert timeout - 0.1 <= target.now <= timeout + 1e-9


def test_looks_once_even_without_time() -> None:
    assert wait(Played([[on("a", NEW)]]), {"a": NEW}, 0)


def test_a_target_that_is_away_for_a_while_is_asked_again() -> None:
    away = TargetUnavailable("the API is away.")
    assert wait(Played([away, [on("a", NEW, STARTING)], away, [on("a", NEW)]]), {"a": NEW})


def test_a_target_that_stays_away_is_not_an_application_failure() -> None:
    target = Played([TargetUnavailable("the API is away.")])
    with pytest.raises(TargetUnavailable, match="State: unknown"):
        wait(target, {"a": NEW})
    assert 0.8 <= target.now <= 1.0


def test_a_target_that_asks_for_a_pause_gets_it() -> None:
    busy = TargetUnavailable("too many requests.", retry_after=0.5)
    target = Played([busy, busy, [on("a", NEW)]])
    wait(target, {"a": NEW}, timeout=0.7)
    assert target.slept == [0.5, pytest.approx(0.2)]


def test_a_target_that_stays_away_names_what_is_unknown() -> None:
    target = Played([TargetUnavailable("the API is away.")])
    with pytest.raises(TargetUnavailable) as caught:
        wait(target, {"b": NEW, "a": OLD})
    assert (caught.value.environment, caught.value.instances) == ("production", ("a", "b"))


def test_a_target_that_refuses_is_not_asked_again() -> None:
    target = Played([TargetUnauthorized("no.")])
    with pytest.raises(TargetUnauthorized):
        wait(target, {"a": NEW})
    assert target.seen == 1


def test_waits_for_instances_to_be_emptied() -> None:
    target = Played([[on("a", OLD)], [on("a", None)]])
    assert wait(target, {"a": None})[0].artifact is None
    with pytest.raises(DeploymentFailed, match=r"a runs shop:1\.0, wanted nothing"):
        wait(Played([[on("a", OLD)]]), {"a": None})


def test_each_instance_may_have_a_release_of_its_own() -> None:
    target = Played([[on("a", OLD), on("b", NEW), on("c", None)]])
    assert len(wait(target, {"a": OLD, "b": NEW, "c": None})) == 3


def test_differences_name_every_key_of_a_configuration() -> None:
    wanted = Release("shop", "1.1", "shop:1.1", {"same": 1, "flag": True, "gone": None, "deep": {"a": [1]}})
    running = Instance("a", "1.1", "shop:1.1", {"same": 1, "flag": 1, "deep": {"a": ["1"]}, "extra": "x" * 500})
    (sentence,) = differences([running], {"a": wanted})
    assert "has flag 1, wanted true" in sentence
    assert "was not given gone, wanted null" in sentence
    assert 'has deep {"a": ["1"]}, wanted {"a": [1]}' in sentence
    assert "same" not in sentence
    assert len(sentence) < 400


def test_no_differences_when_all_is_as_wanted() -> None:
    assert differences([on("a", NEW), on("b", None), on("z", OLD, FAILED)], {"a": NEW, "b": None}) == []


def test_what_was_taken_back_and_still_gets_requests_is_left_over() -> None:
    """Whichever way the target divides them; what was wanted of a unit is for differences to say."""
    fleet = [on("1", OLD), on("2", NEW), on("3", NEW, drained=True), on("4", NEW)]
    assert left_over(fleet, NEW, [OLD], {"4": OLD}) == [f"2 still gets requests and runs {NEW}"]
    weighed = [replace(on("5", NEW, message="moved by hand"), weight=20.0), replace(on("6", NEW), weight=0.0)]
    assert left_over(weighed, NEW, [OLD, None], {}) == [
        f"5 still gets 20 % of the requests and runs {NEW}: moved by hand"
    ]
    assert left_over(fleet, NEW, [OLD, replace(NEW, version="1.0.9")], {}) == [], "it ran before as well"


def test_read_back_looks_at_what_runs_and_not_at_health() -> None:
    target = Played([[on("a", NEW, UNHEALTHY, "busy"), on("b", OLD)]])
    assert read_back(target, {"a": NEW, "b": NEW, "c": NEW}) == [
        "b runs shop:1.0, wanted shop:1.1",
        "c is gone: the target no longer lists it",
    ]
    assert read_back(Played([[on("a", None)]]), {"a": NEW}) == ["a is empty, wanted shop:1.1"]
