"""A target whose every change is recorded in the ledger, fenced by a lease, and read back."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.clock import now
from airflow_cd.delivery.asking import ask_until_healthy
from airflow_cd.delivery.division import division_of
from airflow_cd.delivery.draining import are_out, was_drained_last
from airflow_cd.errors import AirflowCdError, LedgerError, LedgerUnavailable, TargetError
from airflow_cd.states import ActionKind
from airflow_cd.targets.base import in_place
from airflow_cd.targets.rollout import Wanted, wait_until

if TYPE_CHECKING:
    from airflow_cd.delivery.sealed_target import SealedTarget
    from airflow_cd.ledger import Deployment, Lease, Ledger
    from airflow_cd.release import Release
    from airflow_cd.targets.base import Instance


SHOWN_EVERY, SHOWN_AT_LEAST_EVERY = 1.0, 15.0
"""Seconds between two records of what runs while somebody waits for it: of what changes, and of what does not."""
SHOWN_AGAIN_AFTER = 60.0
"""Seconds until that is tried again with a ledger that did not record it."""


class RecordedTarget:
    """One environment's target, and the ledger that remembers what was done to it.

    :param ledger: where changes, and what was seen to run, are recorded.
    :param target: the environment.
    :param service: name of the service, under which the ledger keeps them.
    :param environment: name of the environment.
    :param timeout: how long instances may take to come up healthy.
    :param log: called with one line at a time, for the person who reads the task's log.
    :ivar division: how deployments divide it.
    """

    def __init__(
        self,
        ledger: Ledger,
        target: SealedTarget,
        *,
        service: str,
        environment: str,
        timeout: timedelta,
        log: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self.target = target
        self.service = service
        self.environment = environment
        self.timeout = timeout
        self.log = log
        self.division = division_of(target)
        self._shown: list[Instance] = []
        self._shown_at = -SHOWN_AT_LEAST_EVERY

    def put(
        self,
        deployment: Deployment,
        lease: Lease,
        steps: Sequence[Wanted],
        *,
        kind: ActionKind,
        share: int = 100,
        traffic: int | None = None,
    ) -> None:
        """Bring each unit to its release and wait until it is healthy; the same release in one call.

        :param steps: what should run on each unit, None where nothing should; a step begins when the one before it is
            done.
        :param kind: what the ledger calls it: a deploy or a rollback.
        :param share: percent of the environment that a canary's replicas are to be.
        :param traffic: percent of the requests that a canary is to have, where its share does not say it.
        :raises DeploymentFailed: instances did not come up on their release.
        :raises TargetError: the target refused, or did not answer until the time was over.
        """
        for wanted in steps:
            self.ask(deployment, lease, wanted, kind=kind, share=share, traffic=traffic, wait=True)

    def ask(
        self,
        deployment: Deployment,
        lease: Lease,
        wanted: Wanted,
        *,
        kind: ActionKind = ActionKind.DEPLOY,
        share: int = 100,
        traffic: int | None = None,
        wait: bool = False,
    ) -> None:
        """Ask for a release on each unit, the same release in one call.

        :param wanted: what should run on each unit, None where nothing should.
        :param kind: what the ledger calls it: a deploy or a rollback.
        :param share: percent of the environment that a canary's replicas are to be.
        :param traffic: percent of the requests that a canary is to have, where its share does not say it.
        :param wait: whether to wait until it is healthy there.
        :raises DeploymentFailed: instances did not come up on their release.
        :raises TargetError: the target refused, or did not answer until the time was over.
        """
        by_release: dict[Release | None, list[str]] = {}
        for unit, release in sorted(wanted.items()):
            by_release.setdefault(release, []).append(unit)
        key = _key(deployment, kind, lease)
        names = {str(release or "nothing"): [str(unit) for unit in units] for release, units in by_release.items()}
        self.ledger.actions.begin(deployment.id, kind, key, token=lease.token, detail={"put": names})
        give = self.target.give_back if kind is ActionKind.ROLLBACK else self.target.deploy
        numbers = itertools.count()

        def give_all() -> None:
            for release, units in by_release.items():
                give(release, units, key=f"{key}-{next(numbers)}", token=lease.token, share=share, traffic=traffic)

        try:
            if wait:
                ask_until_healthy(
                    self.target,
                    wanted,
                    give_all,
                    timeout=self.timeout,
                    log=self.log,
                    before=_before(deployment, kind, wanted),
                    on_progress=self._progress,
                    on_read=self.show,
                )
            else:
                give_all()
        except AirflowCdError as error:
            self.ledger.actions.finish(key, ok=False, detail={"put": names, "error": error.what})
            error.instances = error.instances or tuple(sorted(wanted))
            raise
        finally:
            self.observe()
        self.ledger.actions.finish(key, ok=True, detail={"put": names})

    def await_healthy(self, wanted: Wanted) -> None:
        """Wait until what was not asked for is healthy as well.

        :param wanted: the release of each unit.
        :raises DeploymentFailed: instances are not healthy on their release.
        :raises TargetError: the target did not answer until the time was over.
        """
        wait_until(self.target, wanted, timeout=self.timeout, on_progress=self._progress, on_read=self.show)

    def drain(self, deployment: Deployment, lease: Lease, instances: Sequence[str]) -> bool:
        """Keep the instances out of the traffic; returns when no request reaches them any more.

        :returns: False where requests reach them all the same, as :func:`~airflow_cd.delivery.draining.are_out` says.
        :raises TargetError: the target refused, or does not answer.
        """
        key = _key(deployment, ActionKind.DRAIN, lease)
        began = now()
        self.target.drain(instances, key=key, token=lease.token)
        safe = now()
        out = are_out(self.target, instances)
        # Every second of a bad canary counts, so the ledger's record of a drain begins and ends after it.
        detail = {"instances": list(instances), "seconds": [f"{(safe - began).total_seconds():.3f}"]}
        try:
            with self.ledger.quickly():
                if out:
                    self.ledger.deployments.set_clock(deployment.id, safe_at=safe)
                self.ledger.actions.begin(deployment.id, ActionKind.DRAIN, key, token=lease.token, detail=detail)
                self.ledger.actions.finish(key, ok=True, detail=detail)
        except LedgerUnavailable as error:
            self.log(f"Drained, which is not recorded: {error.what}")
        return out

    def restore_traffic(self, deployment: Deployment, lease: Lease, instances: Sequence[str]) -> None:
        """Give the instances their traffic back.

        :raises TargetError: the target refused, or does not answer.
        """
        key = _key(deployment, ActionKind.RESTORE, lease)
        detail = {"instances": list(instances)}
        self.ledger.actions.begin(deployment.id, ActionKind.RESTORE, key, token=lease.token, detail=detail)
        self.target.restore(instances, key=key, token=lease.token)
        self.ledger.actions.finish(key, ok=True, detail=detail)

    def undrain(self, deployment: Deployment, lease: Lease, instances: Iterable[str]) -> None:
        """Give those of the instances that are drained their traffic back.

        Where a drain may have kept only a part of the requests away, nothing but its record says so.

        :raises TargetError: the target refused, or does not answer.
        """
        drained = {instance.unit for instance in self.target.instances() if instance.drained}
        if in_place(self.target) and was_drained_last(self.ledger, deployment):
            drained.update(instances)
        if mine := sorted(drained & set(instances)):
            self.restore_traffic(deployment, lease, mine)
            self.observe()

    def observe(self) -> None:
        """Record what runs where, if the target says it now."""
        try:
            instances = self.target.instances()
        except TargetError:
            return
        self.record(instances)

    def record(self, instances: Sequence[Instance]) -> None:
        """Record what was just seen to run."""
        self.ledger.instances.record(self.service, self.environment, instances, at=now())

    def show(self, instances: Sequence[Instance]) -> None:
        """Record what was just seen to run for those who look on: now and then, and only if the ledger is there."""
        changed = list(instances) != self._shown
        if time.monotonic() < self._shown_at + (SHOWN_EVERY if changed else SHOWN_AT_LEAST_EVERY):
            return
        try:
            with self.ledger.quickly():
                self.record(instances)
        except LedgerError:
            # Whoever waits for instances is not held up by a ledger that is away.
            self._shown_at = time.monotonic() + SHOWN_AGAIN_AFTER
        else:
            self._shown, self._shown_at = list(instances), time.monotonic()

    def describe(self) -> str:
        """What runs where, in one line for an error's state."""
        try:
            instances = self.target.instances()
        except TargetError as error:
            return f"unknown: {error.what}"
        return "; ".join(
            f"{i.name}: {i.artifact or 'empty'}, {i.health}{', drained' if i.drained else ''}" for i in instances
        )

    def _progress(self, done: int, left: Sequence[str]) -> None:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        self.log(f"{done} ready" + (f"; waiting: {'; '.join(left[:3])}{more}" if left else ""))


def _before(deployment: Deployment, kind: ActionKind, wanted: Wanted) -> Wanted:
    """What each unit ran before it was asked for what is wanted."""
    return dict.fromkeys(wanted, deployment.release) if kind is ActionKind.ROLLBACK else deployment.previous


def _key(deployment: Deployment, kind: ActionKind, lease: Lease) -> str:
    # One side effect has one key; a new attempt works under a new token and must not be taken for the old one.
    return f"{deployment.id}-{kind}-{lease.token}-{uuid.uuid4().hex[:8]}"
