"""One instance brought from a release to another, and what becomes of it when that ends at any step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from airflow_cd.errors import TargetConflict
from airflow_cd.hooks.docker_naming import Role, name_as
from airflow_cd.release import Release
from airflow_cd.targets.docker.reading import content_of
from airflow_cd.targets.docker.replacing import Replacement
from tests.targets.docker.engine_in_memory import Containers, Killed, host_of

OLD = Release("web", "1.0", "web:1.0", {})
NEW = Release("web", "1.1", "web:1.1", {"TIMEOUT": 1, "/etc/motd": "hi"})
NEWER = Release("web", "1.2", "web:1.2", {"TIMEOUT": 2})
KEPT, EMPTY = name_as("web-1", Role.KEPT), name_as("web-1", Role.EMPTY)


@pytest.fixture
def containers() -> Containers:
    made = Containers()
    made.add("web-1")
    made.add("web-2")
    return made


def bring(
    containers: Containers,
    release: Release | None,
    *,
    leave: Callable[[], None] = lambda: None,
    allowed: Callable[[], None] = lambda: None,
) -> None:
    replacement = Replacement(host_of(containers), "web-1", allowed=allowed, leave_traffic=leave, drained=False)
    replacement.bring(release, f"id of {release.artifact}" if release is not None else None)


def runs(containers: Containers, name: str = "web-1") -> Release:
    content = content_of(containers, containers.inspect(containers.names()[name]))  # type: ignore[arg-type]
    return Release("web", content.version, content.artifact, dict(content.configuration))


def test_the_one_before_is_kept_stopped_and_is_what_comes_back(containers: Containers) -> None:
    before = containers.names()["web-1"]
    bring(containers, NEW)
    assert runs(containers) == NEW
    assert containers.names()[KEPT] == before
    assert containers.running() == ["web-1", "web-2"]
    # Nor does the daemon start it when it starts anew.
    assert containers.boxes[before]["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    bring(containers, OLD)
    assert containers.names()["web-1"] == before
    assert containers.boxes[before]["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert runs(containers, KEPT) == NEW


def test_it_is_called_by_the_name_of_its_image_unless_that_means_another(containers: Containers) -> None:
    containers.tags["web:1.1"] = "id of web:1.1"
    bring(containers, NEW)
    made = containers.inspect(containers.names()["web-1"])
    assert (made["Config"]["Image"], made["Image"]) == ("web:1.1", "id of web:1.1")
    containers.tags["web:1.2"] = "id of something else"
    bring(containers, NEWER)
    made = containers.inspect(containers.names()["web-1"])
    assert (made["Config"]["Image"], made["Image"]) == ("id of web:1.2", "id of web:1.2")


def test_a_name_that_is_moved_while_it_is_used_does_not_count(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.tags["web:1.1"] = "id of web:1.1"
    asked = containers.image

    def moves(name: str) -> Any:
        answer = asked(name)
        containers.tags["web:1.1"] = "id of something else"
        return answer

    monkeypatch.setattr(containers, "image", moves)
    bring(containers, NEW)
    assert containers.inspect(containers.names()["web-1"])["Image"] == "id of web:1.1"
    assert runs(containers) == NEW


def test_only_one_generation_is_kept(containers: Containers) -> None:
    for release in (NEW, NEWER):
        bring(containers, release)
    assert runs(containers, KEPT) == NEW
    assert len(containers.boxes) == 3


def test_what_runs_already_is_left_alone_and_started_when_it_does_not(containers: Containers) -> None:
    bring(containers, NEW)
    made = containers.names()["web-1"]
    containers.stop(made, 1)
    bring(containers, NEW)
    assert (containers.names()["web-1"], containers.running()) == (made, ["web-1", "web-2"])


def test_traffic_is_left_before_the_old_one_stops_and_after_the_new_one_is_made(containers: Containers) -> None:
    seen = []
    bring(
        containers,
        NEW,
        leave=lambda: seen.append((containers.running(), name_as("web-1", Role.NEXT) in containers.names())),
    )
    assert seen == [(["web-1", "web-2"], True)]


def test_emptied_and_filled_again(containers: Containers) -> None:
    bring(containers, NEW)
    bring(containers, None)
    assert sorted(containers.names()) == [EMPTY, "web-2"]
    bring(containers, None)
    bring(containers, NEWER)
    assert (runs(containers), containers.running()) == (NEWER, ["web-1", "web-2"])


def test_one_that_does_not_start_stays_to_say_why(containers: Containers) -> None:
    containers.refused = {"web-1"}
    bring(containers, NEW)
    assert (runs(containers), containers.running()) == (NEW, ["web-2"])
    containers.refused = set()
    bring(containers, OLD)
    assert (runs(containers), containers.running()) == (OLD, ["web-1", "web-2"])


def test_a_caller_that_is_overruled_in_the_middle_changes_nothing_more(containers: Containers) -> None:
    asked = itertools.count()

    def allowed() -> None:
        if next(asked) == 2:
            raise TargetConflict("a newer token")

    with pytest.raises(TargetConflict):
        bring(containers, NEW, allowed=allowed)
    assert containers.running() == ["web-1", "web-2"]
    assert runs(containers) == OLD


@pytest.mark.parametrize("begun", [[], [NEW], [None], [NEW, None]])
@pytest.mark.parametrize("killed", [NEW, NEWER, OLD, None])
@pytest.mark.parametrize("then", [OLD, NEW, None])
def test_killed_at_any_step_the_next_one_puts_it_right(
    begun: list[Release | None], killed: Release | None, then: Release | None
) -> None:
    for steps in itertools.count():
        containers = Containers()
        containers.add("web-1")
        containers.add("web-2")
        for release in begun:
            bring(containers, release)
        containers.steps_left = steps
        try:
            bring(containers, killed)
            ended = True
        except Killed:
            ended = False
        containers.steps_left = 10**9
        assert containers.running() in (["web-1", "web-2"], ["web-2"])
        assert {name.partition(".airflow-cd.")[0] for name in containers.names()} == {"web-1", "web-2"}
        bring(containers, then)
        if then is None:
            assert (EMPTY in containers.names(), containers.running()) == (True, ["web-2"])
        else:
            assert (runs(containers), containers.running()) == (then, ["web-1", "web-2"])
        assert set(containers.names()) <= {"web-1", "web-2", KEPT, EMPTY}
        if ended:
            break


def test_what_somebody_has_started_that_was_kept_is_stopped_before_it_goes(containers: Containers) -> None:
    bring(containers, NEW)
    containers.start(containers.names()[KEPT])
    bring(containers, NEWER)
    assert containers.running() == ["web-1", "web-2"]
