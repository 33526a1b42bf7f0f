"""A platform of revisions as a target: what delivery asks of replicas, answered by weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from airflow_cd.errors import TargetConflict, TargetRejected, TargetUnavailable
from airflow_cd.instances import EMPTY, HEALTHY, STARTING, WHOLE, Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.revisions.dividing import (
    Weights,
    changed,
    require_known,
    stable_of,
    taken_over,
    unknown,
    weighed,
    without_canary,
)
from airflow_cd.targets.revisions.note import Note, rounded

if TYPE_CHECKING:
    from airflow_cd.targets.revisions.revision import Revision, Serving

ATTEMPTS = 10
"""Writes that are tried while others change the weights as well."""

Division = tuple[Weights, Note]


class RevisionTarget(ABC):
    """An environment on a platform of revisions: five methods of an author make it a target of replicas.

    The stable track is the revision that serves, the canary's is the one beside it, and a share is a weight: percent of
    the requests. Draining is a weight of 0, a switch; restoring sets the weight again, and nothing is started anew. A
    revision gets requests once it is healthy, and not before.

    Everything that has to be remembered is written together with the weights, in one conditional write: the fencing
    token, so that a process that was overruled cannot change them, and what was set, so that a change by somebody else
    is seen. A canary that somebody else has given other weights is not given more; taking it back is always possible.
    Where that is gone while several revisions serve, nobody knows which one the canary is: every change is refused
    until one of them has all requests. Whoever writes a platform has to know none of that.

    Errors are those of a :class:`~airflow_cd.targets.base.Target`, and so is what it may have beside these methods:
    ``from_connection``, ``label``, ``mistakes``, ``notes``, ``changed_by``.
    """

    tracks: ClassVar[tuple[Track, ...]] = (Track.CANARY, Track.STABLE)
    keeps_names: ClassVar[bool] = True

    # -- what a platform answers and does, written by its author ---------------------------------------------------

    @abstractmethod
    def serving(self) -> Serving:
        """Read which revisions serve, now; never a cache.

        :raises TargetUnavailable: it cannot be read now.
        :raises TargetRejected: there is no such service.
        """

    @abstractmethod
    def serve(self, weights: Mapping[str, float], note: str, *, mark: str) -> bool:
        """Divide the traffic, and keep the note with it, in one write; returns when the weights are in force.

        :param weights: percent by name of a revision, all above 0, together 100; empty for a service that serves
            nothing.
        :param note: one line of printable ASCII, some 160 letters and the names of four revisions.
        :param mark: of the state that this is decided from.
        :returns: False when the state is another one by now: nothing was changed then.
        :raises TargetRejected: the platform cannot divide it so.
        """

    @abstractmethod
    def revision(self, name: str) -> Revision | None:
        """Read one revision.

        :param name: as :meth:`serving` or :meth:`publish` has named it.
        :returns: None when there is none of that name any more.
        :raises TargetUnavailable: it cannot be read now.
        """

    @abstractmethod
    def publish(self, release: Release, *, beside: str = "") -> str:
        """Have a revision that runs exactly the release, without giving it requests.

        One that is there already is taken, since a revision never changes: repeating this makes no other, and a
        rollback finds what ran. One that is *unhealthy* or *failed* is better made anew. It may still be *starting*
        when this returns.

        :param release: what to run.
        :param beside: name of a revision that it must not be, though it may run the same release.
        :returns: its name.
        :raises ArtifactNotFound: the artifact does not exist.
        :raises DeploymentFailed: the platform has tried to make it, and it does not come up; ``unhealthy`` names what
            failed where that is the release's fault.
        """

    @abstractmethod
    def check(self, release: Release) -> None:
        """Check that a release could be deployed now, and gone back from; changes nothing.

        :param release: the release.
        :raises ArtifactNotFound: its artifact does not exist, which the message names.
        :raises TargetUnauthorized: a right is missing that the deployment or its rollback needs.
        """

    # -- what delivery asks --------------------------------------------------------------------------------------

    def instances(self) -> list[Instance]:
        """Every revision that serves, is the canary, or is to take over; each is one instance, called as it is.

        While a revision that is to take over is not up yet, it is the stable one, and what still serves has no track.
        Nor has any where several serve and nobody knows which one the canary is.

        :raises TargetError: it cannot be read.
        """
        serving = self.serving()
        note = Note.of(serving.note)
        kept = {note.stable} if note.canary and serving.weights.get(note.canary, 0.0) >= WHOLE else set()
        names = {*serving.weights, note.canary, note.coming, *kept} - {""}
        found = [self._instance(name, serving, note) for name in sorted(names)]
        return [one for one in found if one is not None] or [
            Instance("none", None, None, health=EMPTY, track=Track.STABLE)
        ]

    def traffic_mistake(self, share: int, traffic: int) -> str:
        """Why a canary cannot have a part of the requests: any part can be given.

        :param share: percent of the environment.
        :param traffic: percent of the requests.
        """
        return ""

    def deploy(
        self,
        release: Release | None,
        tracks: Sequence[Track],
        *,
        share: int,
        key: str,
        token: int,
        traffic: int | None = None,
    ) -> None:
        """Ask for a release on a track; see :meth:`~airflow_cd.targets.base.ReplicaTarget.deploy`.

        A revision that is new gets no request yet: :meth:`restore` gives it its part, once it is healthy.

        :param release: what to run; None takes the revision of the track away.
        :param tracks: one or both.
        :param share: percent of the requests that the canary is to have.
        :param traffic: the same, where it is not what the share says.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetRejected: somebody else has changed the canary's weights, or what was noted beside them is gone.
        :raises DeploymentFailed: the revision could not be made.
        :raises TargetError: it was not accepted.
        """

        def decide(weights: Weights, note: Note) -> Division:
            if Track.STABLE in tracks:
                weights, note = self._stable(release, weights, note)
            if Track.CANARY in tracks:
                part = share if traffic is None else traffic
                weights, note = self._canary(release, weights, note, part, at_once=traffic is None)
            return weights, note

        self._change(decide, key, token)

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Take the canary's weight away; returns when that is in force.

        :param tracks: the canary's. The stable revision cannot be taken out: somebody has to serve.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetRejected: the stable track is to be drained, or what was noted beside the weights is gone.
        """
        if Track.STABLE in tracks:
            raise TargetRejected(
                "the stable revision cannot be drained: then no revision would serve.", state="nothing was changed."
            )
        self._change(lambda weights, note: (without_canary(weights, note), replace(note, given=0)), key, token)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """Give a track's revision its weight: the canary's its part, and one that is to take over the stable one's.

        :param tracks: one or both.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a higher token has been seen.
        :raises TargetUnavailable: the revision is not healthy yet.
        :raises TargetRejected: somebody else has changed the canary's weights, or what was noted beside them is gone.
        """

        def decide(weights: Weights, note: Note) -> Division:
            if Track.STABLE in tracks and note.coming:
                self._require_up(note.coming)
                weights, note = taken_over(weights, note, note.coming)
            if Track.CANARY in tracks and note.canary and note.given != note.part:
                self._require_up(note.canary)
                self._require_as_set(weights, note)
                weights, note = weighed(weights, note, note.part), replace(note, given=note.part)
            return weights, note

        self._change(decide, key, token)

    # -- inside --------------------------------------------------------------------------------------------------

    def _stable(self, release: Release | None, weights: Weights, note: Note) -> Division:
        if release is None:
            canary = note.canary if weights.get(note.canary) else ""
            return ({canary: float(WHOLE)} if canary else {}), replace(
                note, stable="", coming="", given=WHOLE if canary else 0
            )
        name = self._running(release, [note.canary, note.coming, *stable_of(weights, note)], weights)
        if name and name == note.canary:
            self._require_as_set(weights, note)
        name = name or self.publish(release)
        # What serves beside the canary is not waited for: to give it the rest cannot make it worse.
        if not (name != note.canary and weights.get(name)) and not self._is_up(name):
            return weights, replace(note, coming=name)
        return taken_over(weights, note, name)

    def _canary(self, release: Release | None, weights: Weights, note: Note, part: int, *, at_once: bool) -> Division:
        if release is None:
            return without_canary(weights, note), note.without_canary()
        stable = next(iter(stable_of(weights, note)), "")
        if name := self._running(release, [note.canary], weights):
            self._require_as_set(weights, note)
            # What has no requests yet waits for restore; what has some is given more, or less, at once.
            given = 0 if part == 0 else part if note.given and at_once else note.given
            note = replace(note, canary=name, part=part, stable=note.stable or stable)
            return (weights if given == note.given else weighed(weights, note, given)), replace(note, given=given)
        name = self.publish(release, beside=stable)
        return without_canary(weights, note), replace(note.without_canary(), canary=name, part=part, stable=stable)

    def _running(self, release: Release, names: Sequence[str], weights: Weights) -> str:
        """The first of some revisions that runs the release, and serves or may come to serve; ``""`` for none."""
        for name in dict.fromkeys(names):
            revision = self.revision(name) if name else None
            usable = revision is not None and (weights.get(name) or revision.health in (HEALTHY, STARTING))
            if revision is not None and usable and revision.runs(release):
                return name
        return ""

    def _is_up(self, name: str) -> bool:
        revision = self.revision(name)
        return revision is not None and revision.health == HEALTHY

    def _require_up(self, name: str) -> None:
        revision = self.revision(name)
        if revision is None or revision.health != HEALTHY:
            how = f"{revision.health}: {revision.message}" if revision is not None else "gone"
            raise TargetUnavailable(
                f"revision {name} cannot be given requests: it is {how.removesuffix(': ')}.",
                state="nothing was changed by this call.",
            )

    def _require_as_set(self, weights: Weights, note: Note) -> None:
        if note.as_set(weights):
            return
        asked: Callable[[], str] | None = getattr(self, "changed_by", None)
        who = asked() if asked is not None else ""
        raise TargetRejected(
            f"{changed(weights, note)}{f' ({who})' if who else ''}.",
            state="nothing was changed by this call.",
            next_step="Find out who has changed it. The deployment goes back to what ran before; start it again when "
            "nobody else changes the weights.",
        )

    def _instance(self, name: str, serving: Serving, note: Note) -> Instance | None:
        revision = self.revision(name)
        if revision is None:
            return None
        track: Track | None = Track.CANARY if name == note.canary else Track.STABLE
        lost = unknown(serving.weights, note)
        if lost or (track is Track.STABLE and note.coming and name != note.coming):
            track = None
        weight = float(serving.weights.get(name, 0.0))
        found = Instance(
            revision.name,
            revision.version,
            revision.artifact,
            revision.configuration,
            revision.health,
            drained=weight <= 0,
            message=revision.message,
            started=revision.started,
            track=track,
            weight=weight,
        )
        if track is Track.CANARY and not note.as_set(serving.weights):
            return found.saying(changed(serving.weights, note))
        return found.saying(lost)

    def _change(self, decide: Callable[[Weights, Note], Division], key: str, token: int) -> None:
        """Decide from what is there, and write it if that is still so; from the beginning where it is not."""
        for _ in range(ATTEMPTS):
            serving = self.serving()
            note = Note.of(serving.note)
            if token < note.token:
                raise TargetConflict(
                    f"a newer owner of the environment has been seen: token {note.token}, this one is {token}.",
                    state="nothing was changed by this call.",
                    next_step="This process was overruled and must stop; see who holds the environment's lease.",
                )
            if token == note.token and note.has_done(key):
                return
            require_known(serving.weights, note)
            weights, after = decide(serving.weights, note)
            if self.serve(rounded(weights), after.after(key, token).text, mark=serving.mark):
                return
        raise TargetUnavailable(
            f"the weights are changed by somebody else all the time: {ATTEMPTS} attempts to set them have failed.",
            state="nothing was changed by this call.",
            next_step="Find out who changes them, and try again.",
        )
