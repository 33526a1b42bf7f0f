"""What a host remembers, however many write at once and wherever one of them is killed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_cd.errors import TargetConflict
from airflow_cd.targets.docker.register import KEYS_KEPT, LABEL, Register


class Killed(BaseException):
    """The process ends here."""


class Volumes:
    """A daemon's volumes: one of a name that is there stays as it was made."""

    settings = SimpleNamespace(title="the Docker host")

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.calls_left = 10**9
        self._lock = threading.Lock()

    def _call(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise Killed

    def volumes(self, label: str) -> list[dict[str, Any]]:
        self._call()
        key, _, value = label.partition("=")
        with self._lock:
            return [volume for volume in self.there.values() if volume["Labels"].get(key) == value]

    def create_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        self._call()
        with self._lock:
            return dict(self.there.setdefault(name, {"Name": name, "Labels": dict(labels)})["Labels"])

    def remove_volume(self, name: str) -> None:
        self._call()
        with self._lock:
            self.there.pop(name, None)


@pytest.fixture
def volumes() -> Volumes:
    return Volumes()


def register(volumes: Volumes, environment: str = "production") -> Register:
    return Register(volumes, environment)  # type: ignore[arg-type]


def test_a_higher_token_voids_the_lower_ones_and_stays(volumes: Volumes) -> None:
    register(volumes).claim(7)
    register(volumes).claim(7)
    for act in (register(volumes).claim, register(volumes).require):
        with pytest.raises(TargetConflict, match="token 7, newer than 6"):
            act(6)
    with pytest.raises(TargetConflict):
        register(volumes).note(6, key="late")
    assert not register(volumes).read().knows("late")


def test_environments_do_not_know_each_other(volumes: Volumes) -> None:
    register(volumes).claim(7)
    for other in ("staging", "Production", "production eu/1"):
        assert register(volumes, other).claim(1).token == 1
    assert register(volumes).read().token == 7


def test_keys_drains_and_images_are_remembered_and_only_one_volume_stays(volumes: Volumes) -> None:
    one = register(volumes)
    one.claim(1)
    one.note(1, key="a", drain=frozenset({"web-1", "web-2"}), images={"web:1": "sha256:1"})
    one.note(1, key="b", restore=frozenset({"web-1"}), images={"web:2": "sha256:2"})
    state = register(volumes).read()
    assert (state.knows("a"), state.knows("b"), state.knows("c")) == (True, True, False)
    assert state.drained == {"web-2"}
    assert state.images == {"web:1": "sha256:1", "web:2": "sha256:2"}
    assert len(volumes.there) == 1


def test_of_many_keys_the_newest_are_kept(volumes: Volumes) -> None:
    one = register(volumes)
    for number in range(KEYS_KEPT + 5):
        one.note(1, key=f"key {number}")
    state = one.read()
    assert not state.knows("key 0")
    assert state.knows("key 5")
    assert state.knows(f"key {KEYS_KEPT + 4}")


def test_many_who_write_at_once_lose_nothing(volumes: Volumes) -> None:
    def write(number: int) -> None:
        register(volumes).note(1, key=f"key {number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(register(volumes).read().knows(f"key {number}") for number in range(8))


def test_a_writer_that_slept_while_others_went_on_does_not_take_them_back(volumes: Volumes) -> None:
    late, quick = register(volumes), register(volumes)
    late.claim(1)
    made = volumes.create_volume

    def meanwhile(name: str, labels: Mapping[str, str]) -> dict[str, str]:
        volumes.create_volume = made  # type: ignore[method-assign]
        for number in range(3):
            quick.note(1, key=f"quick {number}")
        return made(name, labels)

    volumes.create_volume = meanwhile  # type: ignore[method-assign]
    late.note(1, key="late")
    state = register(volumes).read()
    assert all(state.knows(key) for key in ("late", "quick 0", "quick 1", "quick 2"))


def test_wherever_a_writer_is_killed_the_next_one_goes_on(volumes: Volumes) -> None:
    register(volumes).claim(5)
    for calls in range(1, 12):
        volumes.calls_left = calls
        with contextlib.suppress(Killed):
            register(volumes).note(5, key=f"killed {calls}")
        volumes.calls_left = 10**9
        assert register(volumes).read().token == 5
        register(volumes).note(5, key=f"after {calls}")
        assert register(volumes).read().knows(f"after {calls}")
    assert len({volume["Labels"][LABEL] for volume in volumes.there.values()}) == 1
