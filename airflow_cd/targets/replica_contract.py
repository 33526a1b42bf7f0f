"""What every target of replicas must do, as tests to run against your own.

Subclass :class:`ReplicaContract` in a test module, with fixtures for the target and two of its releases, as
:class:`~airflow_cd.targets.contract.TargetContract` is subclassed for instances that have names. It needs an
environment of its own with two stable replicas or more, which have traffic. Needs pytest.
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
from airflow_cd.targets.base import FAILED, HEALTH_STATES, HEALTHY, Instance, ReplicaTarget, Track, in_place
from airflow_cd.targets.contract import _tokens
from airflow_cd.targets.rollout import Wanted, differences, wait_until

_keys = itertools.count(1)


def _next_key(what: str) -> str:
    return f"contract-{int(time.time())}-{next(_keys)}-{what}"


class ReplicaContract:
    """The contract; every test begins with ``good`` healthy on all stable replicas, with traffic and no canary.

    :cvar timeout: seconds that a deployment of all replicas may take.
    """

    timeout: float = 60.0

    @pytest.fixture
    def target(self) -> ReplicaTarget:
        """The target under test."""
        raise pytest.UsageError("a ReplicaContract needs a fixture `target`")

    @pytest.fixture
    def good(self) -> Release:
        """A release that comes up, of the same service as the others."""
        raise pytest.UsageError("a ReplicaContract needs a fixture `good`")

    @pytest.fixture
    def other(self) -> Release:
        """Another release that comes up."""
        raise pytest.UsageError("a ReplicaContract needs a fixture `other`")

    @pytest.fixture
    def broken(self) -> Release | None:
        """A release that does not come up; None, the default, where there is none."""
        return None

    @pytest.fixture
    def missing(self, good: Release) -> Release:
        """A release whose artifact does not exist."""
        return replace(good, artifact=f"{good.artifact}-is-missing")

    @pytest.fixture
    def token(self) -> int:
        """A fencing token higher than all before."""
        return next(_tokens)

    @pytest.fixture(autouse=True)
    def begun(self, target: ReplicaTarget, good: Release, token: int) -> None:
        """``good`` on the stable replicas, and no canary."""
        self.put(target, {Track.STABLE: good}, token)
        self.take_back(target, good, token)
        assert len(target.instances()) >= 2, f"the contract needs two replicas or more: {target.instances()}"

    def put(
        self, target: ReplicaTarget, wanted: Wanted, token: int, share: int = 100, traffic: int | None = None
    ) -> list[Instance]:
        """Ask for releases and wait until they are there.

        :param target: the target under test.
        :param wanted: the release of a track; None for nothing.
        :param token: fencing token.
        :param share: percent that a canary is to have.
        :param traffic: percent of the requests that it is to have, where its share does not say it.
        """
        part: dict[str, Any] = {"share": share} if traffic is None else {"share": share, "traffic": traffic}
        for track, release in wanted.items():
            target.deploy(release, [Track(track)], key=_next_key("put"), token=token, **part)
        return wait_until(target, wanted, timeout=self.timeout)  # type: ignore[arg-type]

    def take_back(self, target: ReplicaTarget, good: Release, token: int) -> None:
        """Take the canary away and wait until all stable replicas are healthy and have their traffic, as before it.

        :param target: the target under test.
        :param good: what they run.
        :param token: fencing token.
        """
        self.put(target, {Track.CANARY: None}, token)
        wait_until(target, {Track.STABLE: good}, timeout=self.timeout)  # type: ignore[arg-type]
        if in_place(target):
            target.restore([Track.CANARY], key=_next_key("whole"), token=token)

    def names(self, target: ReplicaTarget, track: Track) -> set[str]:
        """The names of a track's replicas now.

        :param target: the target under test.
        :param track: which.
        """
        return {one.name for one in target.instances() if one.track == track}

    def drained(self, target: ReplicaTarget) -> set[str]:
        """The names of the replicas that get no requests now.

        :param target: the target under test.
        """
        return {one.name for one in target.instances() if one.drained}

    # -- reading -------------------------------------------------------------------------------------------------

    def test_replicas_are_listed_once_and_in_order(self, target: ReplicaTarget, good: Release) -> None:
        """Replicas are sorted, unique, on the stable track, and complete."""
        listed = target.instances()
        assert [one.name for one in listed] == sorted({one.name for one in listed})
        assert {one.health for one in listed} <= set(HEALTH_STATES)
        for one in listed:
            assert one.runs(good), f"{one} should run {good}"
            assert (one.version, one.health, one.drained, one.track) == (good.version, HEALTHY, False, Track.STABLE)

    def test_a_release_that_can_be_deployed_can_be_checked(self, target: ReplicaTarget, other: Release) -> None:
        """``check`` raises nothing, and changes nothing."""
        before = self.names(target, Track.STABLE)
        target.check(other)
        assert self.names(target, Track.STABLE) == before

    # -- deploying -----------------------------------------------------------------------------------------------

    def test_a_canary_has_its_share_and_leaves_the_others_alone(
        self, target: ReplicaTarget, good: Release, other: Release, token: int
    ) -> None:
        """The stable replicas are the same as before, and the canary's number comes near to its share."""
        before = {one.name: one.started for one in target.instances()}
        for share in (20, 50):
            self.put(target, {Track.CANARY: other}, token, share)
            canary = self.names(target, Track.CANARY)
            stable = {one.name: one.started for one in target.instances() if one.track == Track.STABLE}
            left = before
            if in_place(target):
                left = {name: before[name] for name in before if name not in canary}
                assert set(before) == canary | set(stable), "no replica is made beside the others"
            assert stable == left
            whole = len(before) if in_place(target) else None
            near = [count / (whole or count + len(before)) for count in range(len(canary) - 1, len(canary) + 2)]
            assert len(canary) == 1 or abs(near[1] - share / 100) <= min(abs(one - share / 100) for one in near)
        assert differences(target.instances(), {Track.STABLE: good, Track.CANARY: other}) == []

    def test_a_canary_goes_when_nothing_is_wanted_of_it(
        self, target: ReplicaTarget, good: Release, other: Release, token: int
    ) -> None:
        """It is gone, twice, and the stable replicas were not touched."""
        before = self.names(target, Track.STABLE)
        self.put(target, {Track.CANARY: other}, token, 50)
        for _ in range(2):
            self.put(target, {Track.CANARY: None}, token)
            assert self.names(target, Track.CANARY) == set()
        assert self.names(target, Track.STABLE) == before

    def test_the_stable_replicas_take_a_release_and_go_back(
        self, target: ReplicaTarget, good: Release, other: Release, token: int
    ) -> None:
        """All of them, as many as before."""
        count = len(self.names(target, Track.STABLE))
        self.put(target, {Track.STABLE: other}, token)
        assert len(self.names(target, Track.STABLE)) == count
        self.put(target, {Track.STABLE: good}, token)
        assert len(self.names(target, Track.STABLE)) == count
        assert differences(target.instances(), {Track.STABLE: good}) == []

    def test_the_configuration_comes_back_exactly(self, target: ReplicaTarget, good: Release, token: int) -> None:
        """Nested values, types and letters of a configuration survive, and a key that is dropped is gone."""
        content: dict[str, Any] = {
            "contract_text": 'Grüße, "世界" \\ $HOME %s $(HOME)',
            "contract_empty": "",
            "contract_number": 0.5,
            "contract_integer": 12345678901,
            "contract_flag": True,
            "contract_nested": {"list": [1, "1", False, None, []], "object": {}},
        }
        release = replace(good, configuration={**good.configuration, **content})
        found = self.put(target, {Track.CANARY: release}, token, 50)
        assert found
        for one in found:
            assert json.dumps(one.configuration, sort_keys=True) == json.dumps(release.configuration, sort_keys=True)
        for one in self.put(target, {Track.CANARY: good}, token, 50):
            assert one.configuration == good.configuration

    def test_the_same_key_again_changes_nothing(self, target: ReplicaTarget, other: Release, token: int) -> None:
        """A deployment that is repeated late does not undo what came after it."""
        key = _next_key("first")
        for _ in range(2):
            target.deploy(other, [Track.CANARY], share=50, key=key, token=token)
        wait_until(target, {Track.CANARY: other}, timeout=self.timeout)  # type: ignore[arg-type]
        self.put(target, {Track.CANARY: None}, token)
        target.deploy(other, [Track.CANARY], share=50, key=key, token=token)
        assert self.names(target, Track.CANARY) == set()

    def test_a_release_that_does_not_start_is_reported(
        self, target: ReplicaTarget, good: Release, broken: Release | None, token: int
    ) -> None:
        """A replica is listed as failed, with its artifact and the reason, and it can be taken away."""
        if broken is None:
            pytest.skip("this target has no release that does not start (fixture `broken`)")
        with pytest.raises(DeploymentFailed) as caught:
            self.put(target, {Track.CANARY: broken}, token, 50)
        assert caught.value.unhealthy, "what does not start on its own release is the release's fault"
        failed = [one for one in target.instances() if one.health == FAILED]
        assert failed
        for one in failed:
            assert (one.track, one.artifact) == (Track.CANARY, broken.artifact)
            assert one.message.strip(), "a failed replica needs a message with the reason"
        self.take_back(target, good, token)
        assert differences(target.instances(), {Track.STABLE: good}) == []

    def test_a_missing_artifact_is_named(
        self, target: ReplicaTarget, good: Release, missing: Release, token: int
    ) -> None:
        """Before anything is changed, or by a replica that has failed; the stable replicas are as they were."""
        with pytest.raises((ArtifactNotFound, TargetRejected, DeploymentFailed)) as caught:
            self.put(target, {Track.CANARY: missing}, token, 50)
        assert missing.artifact in str(caught.value)
        assert differences(target.instances(), {Track.STABLE: good}) == []

    # -- traffic -------------------------------------------------------------------------------------------------

    def test_a_canary_is_drained_and_gets_its_traffic_back(
        self, target: ReplicaTarget, other: Release, token: int
    ) -> None:
        """All of its replicas and no other; draining twice changes nothing."""
        self.put(target, {Track.CANARY: other}, token, 50)
        for _ in range(2):
            target.drain([Track.CANARY], key=_next_key("drain"), token=token)
            assert {one.name for one in target.instances() if one.drained} == self.names(target, Track.CANARY)
        for _ in range(2):
            target.restore([Track.CANARY], key=_next_key("restore"), token=token)
            assert not [one.name for one in target.instances() if one.drained]

    def test_the_same_key_drains_once(self, target: ReplicaTarget, other: Release, token: int) -> None:
        """A drain that is repeated late does not take the traffic away again."""
        self.put(target, {Track.CANARY: other}, token, 50)
        key = _next_key("drain-once")
        target.drain([Track.CANARY], key=key, token=token)
        target.restore([Track.CANARY], key=_next_key("restore-once"), token=token)
        target.drain([Track.CANARY], key=key, token=token)
        assert not [one.name for one in target.instances() if one.drained]

    def test_a_new_side_gets_all_requests_and_gives_them_back(
        self, target: ReplicaTarget, other: Release, token: int
    ) -> None:
        """As many replicas as the stable ones, none of which is replaced: first with no request, then with all."""
        refuse = getattr(target, "traffic_mistake", None)
        if refuse is None or refuse(100, 0) or refuse(100, 100):
            pytest.skip("this target gives a canary no other part of the requests than its replicas have")
        stable = self.names(target, Track.STABLE)
        self.put(target, {Track.CANARY: other}, token, 100, traffic=0)
        canary = self.names(target, Track.CANARY)
        assert len(canary) == len(stable)
        assert self.drained(target) == canary
        self.put(target, {Track.CANARY: other}, token, 100, traffic=100)
        for _ in range(2):
            target.restore([Track.CANARY], key=_next_key("over"), token=token)
            assert self.drained(target) == stable
            target.drain([Track.CANARY], key=_next_key("back"), token=token)
            assert self.drained(target) == canary
        assert (self.names(target, Track.STABLE), self.names(target, Track.CANARY)) == (stable, canary)
        target.restore([Track.CANARY], key=_next_key("over"), token=token)
        self.put(target, {Track.STABLE: other}, token)
        self.put(target, {Track.CANARY: None}, token)
        assert self.drained(target) == set()
        assert differences(target.instances(), {Track.STABLE: other}) == []

    # -- fencing -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("action", ["deploy", "remove", "drain", "restore"])
    def test_a_caller_that_was_overruled_changes_nothing(
        self, target: ReplicaTarget, good: Release, other: Release, token: int, action: str
    ) -> None:
        """A higher token voids the lower ones, for every action; the same token is still accepted."""
        self.put(target, {Track.CANARY: other}, token, 50)
        newer = next(_tokens)
        target.drain([Track.CANARY], key=_next_key("newer"), token=newer)
        late: dict[str, Any] = {"key": _next_key("late"), "token": token}
        actions: dict[str, Callable[[], None]] = {
            "deploy": lambda: target.deploy(other, [Track.STABLE], share=100, **late),
            "remove": lambda: target.deploy(None, [Track.CANARY], share=100, **late),
            "drain": lambda: target.drain([Track.CANARY], **late),
            "restore": lambda: target.restore([Track.CANARY], **late),
        }
        with pytest.raises(TargetConflict):
            actions[action]()
        assert differences(target.instances(), {Track.STABLE: good, Track.CANARY: other}) == []
        assert {one.name for one in target.instances() if one.drained} == self.names(target, Track.CANARY)
        target.restore([Track.CANARY], key=_next_key("newer-again"), token=newer)
