"""What a target is: a few questions and a few actions, each of them idempotent.

An environment has one of three shapes. Its instances have names and are changed in place (:class:`Target`), or its
platform makes replicas and names them anew (:class:`ReplicaTarget`), or a release is a revision there, and its share of
the traffic a weight that is set and read back: of that :class:`~airflow_cd.targets.revisions.RevisionTarget` makes a
:class:`ReplicaTarget`. Authors of the first two import everything they need from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from airflow_cd.instances import (
    EMPTY,
    FAILED,
    HEALTH_STATES,
    HEALTHY,
    STARTING,
    UNHEALTHY,
    Instance,
    Track,
)
from airflow_cd.release import Release

__all__ = [
    "EMPTY",
    "FAILED",
    "HEALTHY",
    "HEALTH_STATES",
    "STARTING",
    "UNHEALTHY",
    "Instance",
    "Release",
    "ReplicaTarget",
    "Target",
    "Track",
    "in_place",
    "keeps_names",
    "makes_replicas",
]


@runtime_checkable
class Target(Protocol):
    """How one environment is reached and changed.

    Every action takes the fencing token of the lease under which it acts. A target remembers the highest token
    it has seen and raises :class:`~airflow_cd.errors.TargetConflict` for a lower one, so that a process that was
    overruled cannot change anything any more. Repeating an action with the same idempotency key changes nothing, even
    long afterwards.

    Every method raises :class:`~airflow_cd.errors.TargetError`, and nothing else: a
    :class:`~airflow_cd.errors.TargetUnavailable` for what may be tried again (no answer, a time-out, too many
    requests, a server error; with ``retry_after`` where the platform asks for a pause), else one of
    :class:`~airflow_cd.errors.TargetUnauthorized`, :class:`~airflow_cd.errors.TargetRejected`,
    :class:`~airflow_cd.errors.ArtifactNotFound` and :class:`~airflow_cd.errors.TargetConflict`.

    A target may have a method ``mistakes() -> list[str]`` as well: what is wrong with its own specification, one
    sentence each, found without reaching anything, when a DAG file is parsed. So it may have ``settled(*, token:
    int)``, called when a deployment is over, promoted or rolled back, and what was kept for the way back may go; and
    ``notes() -> list[str]``, what works otherwise there than a person may expect, for ``airflow-cd target check``; and
    ``changed_by() -> str``, who else has changed what was given last, and when, as its platform says it: asked when
    what was rolled back runs again; and a property ``label``, a :class:`~airflow_cd.targets.label.TargetLabel`: its
    kind and name, as pages show them.
    """

    def instances(self) -> list[Instance]:
        """Read what runs where, now; never a cache, and never what was asked for in place of what is.

        :returns: every instance of the environment, each name once, sorted by name.
        :raises TargetUnavailable: they cannot be read now.
        :raises TargetRejected: there is no such environment.
        """
        ...

    def check(self, release: Release) -> None:
        """Check that a release could be deployed now; changes nothing.

        :param release: the release.
        :raises ArtifactNotFound: its artifact does not exist, which the message names.
        """
        ...

    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None:
        """Ask for a release on some instances, all of them or none; the others are left alone.

        Returns when the request is accepted, not when the instances are healthy: from then on they are listed as
        *starting* on the new release, or whatever became of them. A drained instance stays drained.

        :param release: what to run; None empties the instances.
        :param instances: their names.
        :param key: idempotency key, any text; the same key has the same effect only once.
        :param token: fencing token of the lease, at least 0.
        :raises ArtifactNotFound: the artifact does not exist; nothing was changed.
        :raises TargetRejected: an instance does not exist, or the request is wrong; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep some instances out of the traffic; returns when no request reaches them any more.

        :param instances: their names. Draining one that is drained changes nothing.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetRejected: an instance does not exist; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give some instances their traffic back; one that is not healthy gets it once it is.

        :param instances: their names. Restoring one that is not drained changes nothing.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetRejected: an instance does not exist; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...


@runtime_checkable
class ReplicaTarget(Protocol):
    """How an environment is reached and changed whose platform makes what runs, and names it.

    Its replicas are on two *tracks*: *stable* ones, and a *canary* beside them for as long as a deployment lasts. What
    runs on which is read back from every replica's :attr:`~airflow_cd.instances.Instance.track`; no name of a replica
    is remembered, since it may be gone. Everything that :class:`Target` says about keys, tokens and errors holds here.

    One that can give a canary another part of the requests than its replicas bring has a method
    ``traffic_mistake(share: int, traffic: int) -> str`` as well: why it cannot give that part of the requests, in
    percent, to that share of the replicas, found without reaching anything; ``""`` when it can. Then its ``deploy``
    takes ``traffic`` too: with 0 the canary is made without requests, and with any other part it gets that by
    ``restore``. With all of the requests at the canary the stable replicas are kept and listed as drained; draining the
    canary gives them back. Where a canary made without requests gets copies of some, a property ``mirror`` says of how
    many per cent.

    One that cannot have a canary beside its replicas, since these have an identity or storage each, makes it of some of
    them and has a property ``in_place`` that is true. They are listed on the canary's track until they have again what
    the others run, and :meth:`restore` gives their traffic back then too. One that clients reach past whoever divides
    requests is not listed as drained. While it is waited for, and where it raises
    :class:`~airflow_cd.errors.TargetUnavailable`, ``deploy`` is called again under other keys; ``instances`` of that
    error, where it has any, are those that keep it from being done.

    One whose replicas keep their names for as long as they serve, since they are revisions, has a property
    ``keeps_names`` that is true: what is not listed on the canary's track any more, somebody has taken out of it.
    """

    tracks: tuple[Track, ...]
    """Both of them: what tells this shape from the other."""

    def instances(self) -> list[Instance]:
        """Read what runs where, now, each with its track.

        A replica that is wanted and is not there yet is listed too, *starting*, with a message that says what keeps it
        (a quota, no node), and so is one that still answers although it is to go. An environment without replicas has
        one instance that is *empty*.

        :returns: every replica, each name once, sorted by name.
        :raises TargetUnavailable: they cannot be read now.
        :raises TargetRejected: there is no such environment.
        """
        ...

    def check(self, release: Release) -> None:
        """Check that a release could be deployed now, and gone back from; changes nothing.

        :param release: the release.
        :raises ArtifactNotFound: its artifact does not exist, which the message names.
        :raises TargetUnauthorized: a right is missing that the deployment or its rollback needs.
        """
        ...

    def deploy(self, release: Release | None, tracks: Sequence[Track], *, share: int, key: str, token: int) -> None:
        """Ask for a release on a track; returns when the request is accepted.

        :param release: what to run; None takes the replicas of the track away.
        :param tracks: one or both.
        :param share: percent of the environment that the canary's replicas are to be, from 1 to 99; the target keeps
            it while the stable ones grow and shrink. 100 is as many as there are stable ones. The stable track keeps
            the replicas that it has.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises ArtifactNotFound: the artifact does not exist; nothing was changed.
        :raises TargetRejected: the request is wrong; nothing was changed.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Keep a track's replicas out of the traffic; returns when no request reaches them any more.

        What the platform makes in the place of one of them, or beside them, gets none either.

        :param tracks: one or both.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Give a track's replicas their traffic back.

        :param tracks: one or both.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen; nothing was changed.
        """
        ...


def makes_replicas(target: Any) -> bool:
    """Whether a target is one of replicas, a canary's beside the stable ones.

    :param target: of either shape, or what stands for it.
    """
    return bool(getattr(target, "tracks", None))


def in_place(target: Any) -> bool:
    """Whether a target's canary is made of some of its replicas, and no others are made for it.

    :param target: of either shape, or what stands for it.
    """
    return bool(getattr(target, "in_place", False))


def mirrors(target: Any) -> bool:
    """Whether a target's canary gets copies of requests while it has none of its own.

    :param target: of either shape, or what stands for it.
    """
    return bool(getattr(target, "mirror", 0))


def keeps_names(target: Any) -> bool:
    """Whether what a target's platform makes keeps its name, and no other comes in its place.

    :param target: of either shape, or what stands for it.
    """
    return bool(getattr(target, "keeps_names", False))
