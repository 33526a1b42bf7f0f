"""What every platform of revisions must do, as tests to run against your own.

Subclass :class:`RevisionContract` in a test module, with fixtures for the target and two of its releases, as
:class:`~airflow_cd.targets.contract.TargetContract` is subclassed for instances that have names. It needs a service of
its own. Needs pytest.
"""

# ruff: noqa: S101 - assertions are what a test-suite is made of

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_cd.errors import DeploymentFailed, TargetRejected
from airflow_cd.release import Release
from airflow_cd.targets.base import Instance, ReplicaTarget, Track
from airflow_cd.targets.contract import _tokens
from airflow_cd.targets.replica_contract import ReplicaContract, _next_key
from airflow_cd.targets.revisions import RevisionTarget
from airflow_cd.targets.rollout import Wanted, differences

Meddle = Callable[[Mapping[str, float]], None]


class RevisionContract(ReplicaContract):
    """The contract: that of replicas, and what weights add to it.

    Every test begins with ``good`` on a revision that has all requests, without a canary.
    """

    @pytest.fixture
    def target(self) -> RevisionTarget:
        """The target under test."""
        raise pytest.UsageError("a RevisionContract needs a fixture `target`")

    @pytest.fixture
    def meddle(self) -> Meddle | None:
        """Sets weights past the target, as a person would: percent by name of a revision; None, the default, cannot."""
        return None

    @pytest.fixture(autouse=True)
    def begun(self, target: ReplicaTarget, good: Release, token: int) -> None:
        """``good`` with all requests, and no canary."""
        self.put(target, {Track.STABLE: good}, token)
        self.put(target, {Track.CANARY: None}, token)

    def put(
        self, target: ReplicaTarget, wanted: Wanted, token: int, share: int = 100, traffic: int | None = None
    ) -> list[Instance]:
        """As of replicas; what comes up has no requests yet, and gets them here where ``traffic`` does not say more.

        :param target: the target under test.
        :param wanted: the release of a track; None for nothing.
        :param token: fencing token.
        :param share: percent that a canary is to have.
        :param traffic: the same, without giving it yet.
        """
        found = super().put(target, wanted, token, share, traffic)
        if traffic is None and any(one.drained for one in found):
            target.restore([Track(unit) for unit in wanted], key=_next_key("given"), token=token)
            names = {one.name for one in found}
            return [one for one in target.instances() if one.name in names]
        return found

    def weights(self, target: ReplicaTarget) -> dict[str, float]:
        """Percent of the requests by name of a revision, as it is read back.

        :param target: the target under test.
        """
        return {one.name: one.weight for one in target.instances() if one.weight}

    # -- publishing ----------------------------------------------------------------------------------------------

    def test_a_canary_has_its_share_and_leaves_the_others_alone(
        self, target: ReplicaTarget, good: Release, other: Release, token: int
    ) -> None:
        """A share is a weight, which is read back; the same revision has every share."""
        (stable,) = self.names(target, Track.STABLE)
        seen = set()
        for share in (1, 20, 50):
            self.put(target, {Track.CANARY: other}, token, share)
            (canary,) = self.names(target, Track.CANARY)
            assert self.weights(target) == pytest.approx({stable: 100 - share, canary: share}, abs=0.1)
            seen.add(canary)
        assert len(seen) == 1
        assert differences(target.instances(), {Track.STABLE: good, Track.CANARY: other}) == []

    def test_a_revision_gets_no_request_before_it_is_given_any(
        self, target: ReplicaTarget, other: Release, token: int
    ) -> None:
        """Being published gives it none, however it is published."""
        (stable,) = self.names(target, Track.STABLE)
        target.deploy(other, [Track.CANARY], share=50, key=_next_key("quiet"), token=token)
        assert self.weights(target) == {stable: 100}

    def test_going_back_makes_no_revision(
        self, target: ReplicaTarget, good: Release, other: Release, token: int
    ) -> None:
        """What ran serves again, under its name: a rollback needs nothing that may be missing."""
        before = self.names(target, Track.STABLE)
        self.put(target, {Track.CANARY: other}, token, 20)
        self.put(target, {Track.STABLE: other}, token)
        self.put(target, {Track.CANARY: None}, token)
        assert self.names(target, Track.STABLE) != before
        self.put(target, {Track.STABLE: good}, token)
        assert self.names(target, Track.STABLE) == before
        assert self.weights(target) == dict.fromkeys(before, 100)

    def test_a_canary_of_what_serves_is_another_revision(
        self, target: ReplicaTarget, good: Release, token: int
    ) -> None:
        """A release may be tried against itself."""
        self.put(target, {Track.CANARY: good}, token, 50)
        assert self.names(target, Track.CANARY).isdisjoint(self.names(target, Track.STABLE))
        assert differences(target.instances(), {Track.STABLE: good, Track.CANARY: good}) == []

    def test_a_release_that_does_not_start_is_reported(
        self, target: ReplicaTarget, good: Release, broken: Release | None, token: int
    ) -> None:
        """It is the release's fault, with the reason in the first sentence, and no request ever reaches it."""
        if broken is None:
            pytest.skip("this target has no release that does not start (fixture `broken`)")
        (stable,) = self.names(target, Track.STABLE)
        with pytest.raises(DeploymentFailed) as caught:
            self.put(target, {Track.CANARY: broken}, token, 50)
        assert caught.value.unhealthy, "what does not start on its own release is the release's fault"
        assert self.weights(target) == {stable: 100}
        self.put(target, {Track.CANARY: None}, token)
        assert differences(target.instances(), {Track.STABLE: good}) == []

    # -- traffic -------------------------------------------------------------------------------------------------

    def test_draining_is_a_switch(self, target: ReplicaTarget, other: Release, token: int) -> None:
        """The weight is 0 when it returns, and the same as before once it is restored; no revision is made."""
        self.put(target, {Track.CANARY: other}, token, 30)
        before = self.weights(target)
        stable, canary = self.names(target, Track.STABLE), self.names(target, Track.CANARY)
        target.drain([Track.CANARY], key=_next_key("off"), token=token)
        assert self.weights(target) == dict.fromkeys(stable, 100)
        target.restore([Track.CANARY], key=_next_key("on"), token=token)
        assert self.weights(target) == before
        assert (self.names(target, Track.STABLE), self.names(target, Track.CANARY)) == (stable, canary)

    @pytest.mark.parametrize("action", ["more", "restore", "take over"])
    def test_what_somebody_else_has_undone_is_not_done_again(
        self, target: ReplicaTarget, other: Release, token: int, meddle: Meddle | None, action: str
    ) -> None:
        """Weights that a person has changed under a canary are not raised over their head, and it can go."""
        if meddle is None:
            pytest.skip("nobody changes weights past this target (fixture `meddle`)")
        (stable,) = self.names(target, Track.STABLE)
        self.put(target, {Track.CANARY: other}, token, 20)
        if action == "restore":
            target.drain([Track.CANARY], key=_next_key("off"), token=token)
            meddle(dict.fromkeys(self.names(target, Track.CANARY), 100.0))
        else:
            meddle({stable: 100.0})
        late: dict[str, Any] = {"key": _next_key("over"), "token": token}
        actions: dict[str, Callable[[], None]] = {
            "more": lambda: target.deploy(other, [Track.CANARY], share=50, **late),
            "restore": lambda: target.restore([Track.CANARY], **late),
            "take over": lambda: target.deploy(other, [Track.STABLE], share=100, **late),
        }
        with pytest.raises(TargetRejected, match="somebody else has changed the weights"):
            actions[action]()
        target.drain([Track.CANARY], key=_next_key("away"), token=next(_tokens))
        assert self.weights(target) == {stable: 100}
        self.put(target, {Track.CANARY: None}, next(_tokens))
        assert self.names(target, Track.STABLE) == {stable}
