"""A Deployment that was taken over, with the canary beside it: what is asked of it and done to it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

from airflow_cd.clock import now
from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.kubernetes import MERGE, Object
from airflow_cd.instances import WHOLE, Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.autoscalers import require_steady, told_of_autoscalers
from airflow_cd.targets.kubernetes.canary import canary_deployment, replicas_for, share_of
from airflow_cd.targets.kubernetes.deployment_notes import notes_of
from airflow_cd.targets.kubernetes.deployment_reader import DeploymentReader
from airflow_cd.targets.kubernetes.going_on import (
    goes_on_with,
    require_as_noted,
    require_as_weighed,
    require_not_abandoned,
)
from airflow_cd.targets.kubernetes.headroom import require_headroom
from airflow_cd.targets.kubernetes.images import remembered
from airflow_cd.targets.kubernetes.names import canary_of
from airflow_cd.targets.kubernetes.ownership import changed_since, meant, require_unowned
from airflow_cd.targets.kubernetes.replicas import Reading, instances_of, read_canary, read_stable
from airflow_cd.targets.kubernetes.rights import FOR_ENDPOINTS, FOR_PULLS, FOR_SHARES, NEEDED, require_rights
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.kubernetes.template import name_of_container, with_release
from airflow_cd.targets.kubernetes.template_note import Note, as_admitted
from airflow_cd.targets.kubernetes.writing import until_written


class TakenOverDeployment(DeploymentReader):
    """One Deployment of a cluster. Its methods are those of :class:`~airflow_cd.targets.base.ReplicaTarget`.

    It is made with the parameters of :class:`~airflow_cd.targets.kubernetes.deployment_reader.DeploymentReader`.
    """

    def instances(self) -> list[Instance]:
        """As of the target."""
        with self._located():
            stable = self._stable()
            routing, canary = self._routing(stable), self._canary()
            states = (
                read_stable(self.cluster, self.namespace, stable, routing),
                read_canary(self.cluster, self.namespace, self.name, canary, routing),
            )
            read = Reading(
                name_of_container(stable, self.container),
                routing,
                now(),
                functools.cache(self._configuration),
                self._output,
                remembered(stable),
            )
            found = [one for state in states for one in instances_of(state, read)]
            if canary is not None:
                told = (told_of_autoscalers(self.cluster, self.namespace, stable, canary), routing.undone())
                for said in filter(None, told):
                    found = [one if one.track != Track.CANARY else one.saying(said) for one in found]
            self._read_last = now(), found
            return sorted(found, key=lambda one: one.name)

    def check(self, release: Release) -> None:
        """As of the target."""
        with self._located():
            stable = self._stable()
            if not int(stable["spec"].get("replicas", 1)):
                raise self._no_replicas()
            if stable["spec"].get("paused"):
                raise TargetRejected(
                    f"Deployment {self.name} is paused: nothing that is written to it takes effect.",
                    state="nothing was changed.",
                    next_step=f"kubectl rollout resume deployment {self.name} -n {self.namespace}",
                )
            if not self.shared_with_gitops:
                require_unowned(stable)
            pulls = FOR_PULLS if self._artifacts.looks(stable) else ()
            require_rights(self.cluster, self.namespace, *NEEDED, *self._for_requests(), *pulls)
            self._require_usable(release, stable["spec"]["template"])
            routing = self._routing(stable)
            routing.check(shared_with_gitops=self.shared_with_gitops)
            self._require_headroom(stable, 1 if self._canary() is None else 0)
            pods = read_stable(self.cluster, self.namespace, stable, routing).pods
            self._artifacts.check(stable, pods, release)

    def notes(self) -> list[str]:
        """As of the target."""
        with self._located():
            stable = self._stable()
            routing = self._routing(stable)
            known = bool(self._artifacts.digest_now(stable, self._pods(stable, routing)))
            by_labels = self._for_requests() == FOR_SHARES
            slow = by_labels and bool(self.cluster.missing_rights(self.namespace, FOR_ENDPOINTS))
            return notes_of(stable, routing, self.container, image_known=known, one_by_one=slow)

    def changed_by(self) -> str:
        """As of the target."""
        with self._located():
            return changed_since(self._stable(), self.container)

    # -- actions -------------------------------------------------------------------------------------------------

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
        """As of the target."""

        def act() -> None:
            if release is not None:
                self._require_usable(release, self._stable()["spec"]["template"])
            for track in tracks:
                if track == Track.STABLE:
                    self._put_stable(release, token)
                elif release is None:
                    self._remove_canary(token)
                else:
                    self._put_canary(release, share, traffic, token)

        self._do(act, key, token)

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """As of the target."""
        if Track.STABLE in tracks:
            raise TargetRejected(
                f"the stable replicas of Deployment {self.name} cannot be kept out of the traffic: they would be "
                "replaced at once.",
                environment=self.environment,
                state="nothing was changed.",
                next_step="Drain the canary, or scale the Deployment.",
            )

        def act() -> None:
            stable = self._stable()
            routing = self._routing(stable)
            pods = self._dispensable(stable, routing)
            self._require_current(token)
            routing.take_out(pods)

        self._do(act, key, token)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """As of the target."""

        def act() -> None:
            if Track.CANARY not in tracks:
                return
            canary, routing = self._canary(), self._routing(self._stable())
            if canary is not None and (part := share_of(canary)):
                pods = self._canary_pods(routing)
                self._require_current(token)
                routing.give(pods, part)

        self._do(act, key, token)

    # -- inside --------------------------------------------------------------------------------------------------

    def _canary_of(
        self, stable: Object, release: Release, image: str, share: int, traffic: int | None, routing: Routing
    ) -> Object:
        secret = self._keep_configuration(release)
        template = with_release(stable["spec"]["template"], release, image, secret=secret, container=self.container)
        replicas = replicas_for(share, max(1, int(stable["spec"].get("replicas", 1))))
        there = self._canary()
        has = there["spec"]["template"]["metadata"].get("labels") or {} if there is not None else None
        labels = routing.labels(template.get("metadata", {}).get("labels") or {}, traffic, has)
        part = share if traffic is None else traffic
        return canary_deployment(stable, template, replicas, labels=labels, share=part)

    def _put_canary(self, release: Release, share: int, traffic: int | None, token: int) -> None:
        stable = self._stable()
        routing = self._routing(stable)
        if share >= WHOLE:
            require_steady(self.cluster, self.namespace, stable)
        image = self._image(release, stable, routing, token)
        wanted = self._canary_of(stable, release, image, share, traffic, routing)
        has = self._canary()
        more = wanted["spec"]["replicas"] - (int(has["spec"].get("replicas", 1)) if has is not None else 0)
        if more > 0:
            self._require_headroom(stable, more)
        self._require_current(token)
        if has is None:
            require_not_abandoned(routing, canary_of(self.name))
            self._note(stable, token)
        else:
            require_as_weighed(routing)
            require_as_noted(stable, has, self.container)
        routing.prepare(traffic)
        # Where its replicas decide what it gets, a phase changes that at once; any other part it gets by `restore`.
        self._write_canary(wanted, routing, share if traffic is None else None, token)

    def _write_canary(self, wanted: Object, routing: Routing, share: int | None, token: int) -> None:
        """Create the canary, or write over it; with a share its traffic is given at once, unless it is drained."""
        note = Note.begun(wanted)
        wanted["metadata"]["annotations"] |= note.annotation
        path = self._path(canary_of(self.name))

        def attempt() -> None:
            # The canary is another object than that of the token: this is as near to its write as can be.
            self._require_current(token)
            there = self._canary()
            if there is None:
                as_admitted(self.cluster, path, self.cluster.create(self._path(), wanted), note)
                return
            meta = {**wanted["metadata"], "resourceVersion": there["metadata"]["resourceVersion"]}
            as_admitted(self.cluster, path, self.cluster.put(path, {**wanted, "metadata": meta}), note)
            # What its pods are made with says whether it is drained: one of them may have been made just before.
            if share is not None and not routing.drained(there["spec"]["template"]):
                routing.give(self._canary_pods(routing), share)

        until_written(attempt, f"Deployment {canary_of(self.name)}")

    def _note(self, taken_over: Object, token: int) -> None:
        """Note the pod template that a canary is made after."""
        note = Note.begun(taken_over)

        def attempt() -> None:
            meta = {"resourceVersion": self._read_for(token)["metadata"]["resourceVersion"]}
            meta["annotations"] = note.annotation
            self.cluster.patch(self._path(self.name), {"metadata": meta}, MERGE)

        until_written(attempt, f"Deployment {self.name}")

    def _put_stable(self, release: Release | None, token: int) -> None:
        if release is None:
            raise self._no_replicas()

        stable, canary = self._stable(), self._canary()
        if canary is not None and goes_on_with(stable, canary, release, self.container, self._configuration):
            require_as_noted(stable, canary, self.container)
        secret = self._keep_configuration(release)
        image = self._image(release, stable, self._routing(stable), token, begins=False)

        def attempt() -> None:
            stable = copy.deepcopy(self._read_for(token))
            before = stable["spec"]["template"]
            stable["spec"]["template"] = template = with_release(
                before, release, image, secret=secret, container=self.container
            )
            known = Note.of(stable)
            note = known.after(before, template) if known is not None else Note.begun(stable)
            given = {**meant(template, self.container), **note.annotation}
            stable["metadata"]["annotations"] = {**(stable["metadata"].get("annotations") or {}), **given}
            stable.pop("status", None)
            # With the version that was read: the replicas that an autoscaler has set since are not written over.
            written = self.cluster.put(self._path(self.name), stable)
            as_admitted(self.cluster, self._path(self.name), written, note, before)

        until_written(attempt, f"Deployment {self.name}")

    def _dispensable(self, stable: Object, routing: Routing) -> list[Object]:
        """The canary's pods, unless they are all that answers."""
        own = read_stable(self.cluster, self.namespace, stable, routing)
        canary = read_canary(self.cluster, self.namespace, self.name, self._canary(), routing)
        ready = canary.ready
        answering = [one for one in canary.pods if one["metadata"]["name"] in ready and not routing.drained(one)]
        if answering and not own.ready:
            raise TargetUnavailable(
                f"none of the stable pods of Deployment {self.name} is ready, so only the canary's pods answer.",
                instances=[one["metadata"]["name"] for one in answering],
                state="the canary still has its traffic.",
                next_step=f"Bring the stable pods up first: kubectl describe deployment {self.name} -n "
                f"{self.namespace}. To have nothing answer instead, delete Deployment {canary_of(self.name)}.",
            )
        return canary.pods

    def _require_headroom(self, stable: Object, canaries: int) -> None:
        require_headroom(self.cluster.every(f"/api/v1/namespaces/{self.namespace}/resourcequotas"), stable, canaries)

    def _image(self, release: Release, stable: Object, routing: Routing, token: int, *, begins: bool = True) -> str:
        """What stands for the release's artifact; what runs is remembered by its digest before anything is changed."""
        begun, pods = self._canary() is not None, self._pods(stable, routing)
        known = self._artifacts.known(stable, pods, begun=begun)
        image = self._artifacts.image_of(stable, pods, release, known, begins=begins and not begun)
        self._artifacts.remember(lambda: self._read_for(token), self._path(self.name), known, release.artifact, image)
        return image

    def _remove_canary(self, token: int) -> None:
        stable, canary = self._stable(), self._canary()
        routing = self._routing(stable)
        self._dispensable(stable, routing)
        self._require_current(token)
        routing.clear()
        if canary is not None:
            gone, stays = (self._artifacts.of(one) for one in (canary, stable))
            if gone != stays:
                # Once the canary is deleted, nobody knows any more which artifact it had.
                self._artifacts.forget(lambda: self._read_for(token), self._path(self.name), gone)
            self._require_current(token)
            self.cluster.delete(self._path(canary_of(self.name)))
        self._sweep()
