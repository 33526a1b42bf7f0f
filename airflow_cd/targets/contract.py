"""What every target must do, as tests to run against your own.

Subclass :class:`TargetContract` in a test module, with fixtures for the target and two of its releases::

    class TestOurTarget(TargetContract):
        @pytest.fixture
        def target(self): return OurTarget("test")

        @pytest.fixture
        def good(self): return Release("shop", "1.0", "shop:1.0", {"greeting": "hello"})

        @pytest.fixture
        def other(self): return Release("shop", "1.1", "shop:1.1", {"greeting": "good day"})

It needs an environment of its own with two instances or more: it deploys, drains and empties them, and leaves a high
fencing token behind. Fixtures that may be overridden beside these three: ``broken`` and ``missing``; the attribute
``timeout`` is the time a deployment may take, 60 seconds by default. Needs pytest.
"""

# ruff: noqa: S101 - assertions are what a test-suite is made of

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_cd.errors import ArtifactNotFound, DeploymentFailed, TargetConflict, TargetRejected
from airflow_cd.release import Release
from airflow_cd.targets.base import EMPTY, FAILED, HEALTH_STATES, HEALTHY, Instance, Target
from airflow_cd.targets.rollout import read_back, wait_until

_tokens = itertools.count(int(time.time()))
_keys = itertools.count(1)


def _next_key(what: str) -> str:
    return f"contract-{int(time.time())}-{next(_keys)}-{what}"


class TargetContract:
    """The contract; every test begins with ``good`` healthy on all instances, with traffic.

    :cvar timeout: seconds that a deployment of all instances may take.
    """

    timeout: float = 60.0

    @pytest.fixture
    def target(self) -> Target:
        """The target under test."""
        raise pytest.UsageError("a TargetContract needs a fixture `target`")

    @pytest.fixture
    def good(self) -> Release:
        """A release that comes up, of the same service as the others."""
        raise pytest.UsageError("a TargetContract needs a fixture `good`")

    @pytest.fixture
    def other(self) -> Release:
        """Another release that comes up, of another artifact."""
        raise pytest.UsageError("a TargetContract needs a fixture `other`")

    @pytest.fixture
    def broken(self) -> Release | None:
        """A release whose artifact exists and does not start; None, the default, where the target cannot have one."""
        return None

    @pytest.fixture
    def missing(self, good: Release) -> Release:
        """A release whose artifact does not exist; ``good`` with another artifact by default."""
        return Release(good.service, "0.0.0-missing", f"{good.artifact}-missing", good.configuration)

    @pytest.fixture
    def token(self) -> int:
        """A fencing token higher than any before."""
        return next(_tokens)

    @pytest.fixture
    def names(self, target: Target, good: Release, token: int) -> list[str]:
        """The instances, all of them healthy on ``good`` and not drained."""
        found = [instance.name for instance in target.instances()]
        assert len(found) >= 2, f"the contract needs two instances or more, the target lists {found}"
        target.deploy(good, found, key=_next_key("begin"), token=token)
        target.restore(found, key=_next_key("begin"), token=token)
        wait_until(target, dict.fromkeys(found, good), timeout=self.timeout)
        return found

    def state(self, target: Target) -> dict[str, Instance]:
        """Read the instances, by name and without what may change by itself.

        :param target: the target under test.
        """
        return {instance.name: replace(instance, message="", started=None) for instance in target.instances()}

    # -- reading ---------------------------------------------------------------------------------------------------

    def test_instances_are_listed_once_and_in_order(self, target: Target, names: list[str]) -> None:
        """Instances are sorted, unique, and in a health that has a name."""
        listed = target.instances()
        assert [instance.name for instance in listed] == sorted(set(names))
        assert {instance.health for instance in listed} <= set(HEALTH_STATES)

    def test_a_new_release_does_not_begin_before_the_one_it_replaces(
        self, target: Target, good: Release, other: Release, names: list[str], token: int
    ) -> None:
        """Where the target says since when something runs alone, that is a time, and later for what came later."""
        before = {instance.name: instance.started for instance in target.instances()}
        target.deploy(other, names[:1], key=_next_key("began"), token=token)
        wait_until(target, {names[0]: other}, timeout=self.timeout)
        for instance in target.instances():
            if instance.started is not None:
                assert instance.started.tzinfo is not None
                earlier = before[instance.name]
                assert earlier is None or (
                    instance.started > earlier if instance.name == names[0] else instance.started == earlier
                )

    def test_what_runs_is_listed_completely(self, target: Target, good: Release, names: list[str]) -> None:
        """Every instance is listed with version, artifact and configuration of what was deployed."""
        for instance in target.instances():
            assert instance.runs(good), f"{instance} should run {good}"
            assert (instance.version, instance.health, instance.drained) == (good.version, HEALTHY, False)

    def test_an_artifact_that_exists_can_be_checked(self, target: Target, good: Release) -> None:
        """``check`` of a release that can be deployed raises nothing."""
        target.check(good)

    def test_an_unknown_artifact_is_found_out_before_a_deployment(self, target: Target, missing: Release) -> None:
        """``check`` of a release whose artifact does not exist raises, and names the artifact."""
        with pytest.raises(ArtifactNotFound) as caught:
            target.check(missing)
        assert missing.artifact in str(caught.value)

    # -- deploying -------------------------------------------------------------------------------------------------

    def test_a_deployment_to_some_leaves_the_others_alone(
        self, target: Target, other: Release, names: list[str], token: int
    ) -> None:
        """Only the named instances change."""
        before = self.state(target)
        target.deploy(other, names[:1], key=_next_key("some"), token=token)
        wait_until(target, {names[0]: other}, timeout=self.timeout)
        after = self.state(target)
        assert after[names[0]].runs(other)
        assert {name: after[name] for name in names[1:]} == {name: before[name] for name in names[1:]}

    def test_the_configuration_comes_back_exactly(
        self, target: Target, good: Release, names: list[str], token: int
    ) -> None:
        """Nested values, types and letters of a configuration survive, and a key that is dropped is gone."""
        content: dict[str, Any] = {
            "contract_text": 'Grüße, "世界" \\ $HOME %s',
            "contract_empty": "",
            "contract_number": 0.5,
            "contract_integer": 12345678901,
            "contract_flag": True,
            "contract_null": None,
            "contract_nested": {"list": [1, "1", False, None, []], "object": {}},
        }
        release = Release(good.service, good.version, good.artifact, {**good.configuration, **content})
        target.deploy(release, names[:1], key=_next_key("configuration"), token=token)
        (instance,) = wait_until(target, {names[0]: release}, timeout=self.timeout)
        assert json.dumps(instance.configuration, sort_keys=True) == json.dumps(release.configuration, sort_keys=True)
        target.deploy(good, names[:1], key=_next_key("configuration-back"), token=token)
        (instance,) = wait_until(target, {names[0]: good}, timeout=self.timeout)
        assert instance.configuration == good.configuration

    def test_the_same_key_again_changes_nothing(
        self, target: Target, good: Release, other: Release, names: list[str], token: int
    ) -> None:
        """A deployment that is repeated late does not undo what came after it."""
        first, second = _next_key("first"), _next_key("second")
        target.deploy(other, names[:1], key=first, token=token)
        target.deploy(other, names[:1], key=first, token=token)
        wait_until(target, {names[0]: other}, timeout=self.timeout)
        target.deploy(good, names[:1], key=second, token=token)
        wait_until(target, {names[0]: good}, timeout=self.timeout)
        target.deploy(other, names[:1], key=first, token=token)
        self.stays(target, {names[0]: good})

    def test_none_empties(self, target: Target, good: Release, names: list[str], token: int) -> None:
        """Deploying nothing leaves an empty instance, which can be filled again."""
        target.deploy(None, names[:1], key=_next_key("empty"), token=token)
        (instance,) = wait_until(target, {names[0]: None}, timeout=self.timeout)
        assert (instance.artifact, instance.health) == (None, EMPTY)
        target.deploy(good, names[:1], key=_next_key("fill"), token=token)
        wait_until(target, {names[0]: good}, timeout=self.timeout)

    def test_an_unknown_artifact_is_never_deployed(
        self, target: Target, good: Release, missing: Release, names: list[str], token: int
    ) -> None:
        """A release whose artifact does not exist is refused, and everything stays as it was."""
        with pytest.raises((ArtifactNotFound, TargetRejected)):
            target.deploy(missing, names, key=_next_key("missing"), token=token)
        self.stays(target, dict.fromkeys(names, good))

    def test_an_unknown_instance_is_refused_whole(
        self, target: Target, good: Release, other: Release, names: list[str], token: int
    ) -> None:
        """When one of the named instances does not exist, none of them is touched."""
        with pytest.raises(TargetRejected):
            target.deploy(other, [names[0], "no-such-instance"], key=_next_key("unknown"), token=token)
        self.stays(target, dict.fromkeys(names, good))

    def test_a_release_that_does_not_start_is_reported(
        self, target: Target, good: Release, broken: Release | None, names: list[str], token: int
    ) -> None:
        """The instance is listed as failed, with its artifact and the reason; and it can be brought back."""
        if broken is None:
            pytest.skip("this target has no release that does not start (fixture `broken`)")
        target.deploy(broken, names[:1], key=_next_key("broken"), token=token)
        with pytest.raises(DeploymentFailed) as caught:
            wait_until(target, {names[0]: broken}, timeout=self.timeout)
        assert caught.value.instances == (names[0],)
        failed = {instance.name: instance for instance in target.instances()}[names[0]]
        assert (failed.health, failed.artifact) == (FAILED, broken.artifact)
        assert failed.message.strip(), "a failed instance needs a message with the reason"
        target.deploy(good, names[:1], key=_next_key("repair"), token=token)
        wait_until(target, dict.fromkeys(names, good), timeout=self.timeout)

    # -- traffic ---------------------------------------------------------------------------------------------------

    def test_drain_and_restore(self, target: Target, names: list[str], token: int) -> None:
        """Only the named instances are drained, draining twice changes nothing, and restore undoes it."""
        for _ in range(2):
            target.drain(names[:1], key=_next_key("drain"), token=token)
            assert [name for name, instance in self.state(target).items() if instance.drained] == names[:1]
        for _ in range(2):
            target.restore(names[:1], key=_next_key("restore"), token=token)
            assert not [name for name, instance in self.state(target).items() if instance.drained]

    def test_the_same_key_drains_once(self, target: Target, names: list[str], token: int) -> None:
        """A drain that is repeated late does not take the traffic away again."""
        key = _next_key("drain-once")
        target.drain(names[:1], key=key, token=token)
        target.restore(names[:1], key=_next_key("restore-once"), token=token)
        target.drain(names[:1], key=key, token=token)
        assert not self.state(target)[names[0]].drained

    def test_a_deployment_keeps_an_instance_drained(
        self, target: Target, other: Release, names: list[str], token: int
    ) -> None:
        """Traffic comes back only when it is asked for: a rollback drains, deploys, checks, and restores then."""
        target.drain(names[:1], key=_next_key("drain"), token=token)
        target.deploy(other, names[:1], key=_next_key("deploy-drained"), token=token)
        (instance,) = wait_until(target, {names[0]: other}, timeout=self.timeout)
        assert instance.drained

    # -- fencing ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("action", ["deploy", "drain", "restore"])
    def test_a_caller_that_was_overruled_changes_nothing(
        self, target: Target, good: Release, other: Release, names: list[str], token: int, action: str
    ) -> None:
        """Any action under a higher token voids the lower ones, for every action; the same token is still accepted."""
        newer = next(_tokens)
        target.drain(names[:1], key=_next_key("newer"), token=newer)
        actions: dict[str, Callable[[], None]] = {
            "deploy": lambda: target.deploy(other, names, key=_next_key("late"), token=token),
            "drain": lambda: target.drain(names, key=_next_key("late"), token=token),
            "restore": lambda: target.restore(names, key=_next_key("late"), token=token),
        }
        with pytest.raises(TargetConflict):
            actions[action]()
        self.stays(target, dict.fromkeys(names, good))
        assert [name for name, instance in self.state(target).items() if instance.drained] == names[:1]
        target.restore(names[:1], key=_next_key("newer-again"), token=newer)

    def stays(self, target: Target, wanted: dict[str, Release]) -> None:
        """Assert that for a second nothing else runs than what is wanted, healthy.

        :param target: the target under test.
        :param wanted: the release of each instance by name.
        """
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            assert read_back(target, wanted) == []
            assert {instance.health for instance in target.instances() if instance.name in wanted} == {HEALTHY}
            time.sleep(0.1)
