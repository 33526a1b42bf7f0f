"""A StatefulSet that was taken over: its canary is some of its own pods, the last ones, with their volumes.

Nothing can stand beside pods that have an identity and storage each. So a canary is what Kubernetes has for it: the pod
template has the release, and ``updateStrategy.rollingUpdate.partition`` says which places get it, the highest first.
Both are one write, and so is the way back.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping, Sequence

from airflow_cd.clock import now
from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.instances import WHOLE, Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.canary import replicas_of
from airflow_cd.targets.kubernetes.images import remembered
from airflow_cd.targets.kubernetes.in_order import refuse_unsuitable, replace_misplaced, require_answering
from airflow_cd.targets.kubernetes.names import BEFORE, LEFT, NOTED, SHARE
from airflow_cd.targets.kubernetes.ordinals import Ordered, instances_in, refusals_of, revision_of
from airflow_cd.targets.kubernetes.ownership import changed_since, meant, require_unowned
from airflow_cd.targets.kubernetes.replicas import Reading
from airflow_cd.targets.kubernetes.revisions import template_with
from airflow_cd.targets.kubernetes.rights import FOR_PULLS, FOR_STATEFUL_SETS, require_rights
from airflow_cd.targets.kubernetes.stateful_set_notes import notes_of
from airflow_cd.targets.kubernetes.stateful_set_reader import StatefulSetReader
from airflow_cd.targets.kubernetes.template import Running, name_of_container, running, with_release
from airflow_cd.targets.kubernetes.template_note import Note, as_admitted
from airflow_cd.targets.kubernetes.writing import until_written


class TakenOverStatefulSet(StatefulSetReader):
    """One StatefulSet of a cluster. Its methods are those of :class:`~airflow_cd.targets.base.ReplicaTarget`.

    It is made with the parameters of :class:`~airflow_cd.targets.kubernetes.workload.Workload`.
    """

    def instances(self) -> list[Instance]:
        """As of the target."""
        with self._located():
            state, routing = self._state()
            there = state.stateful_set
            read = Reading(
                name_of_container(there, self.container),
                routing,
                now(),
                functools.cache(self._configuration),
                self._output,
                remembered(there),
            )
            refusals = refusals_of(self.cluster, self.namespace, state)
            found = instances_in(state, self._templates(there), read, refusals)
            self._read_last = now(), found
            return sorted(found, key=lambda one: one.name)

    def check(self, release: Release) -> None:
        """As of the target."""
        with self._located():
            state, routing = self._state()
            there = state.stateful_set
            if not state.replicas:
                raise self._no_replicas()
            refuse_unsuitable(state)
            if not self.shared_with_gitops:
                require_unowned(there, self.kind, "pod template and updateStrategy")
            pulls = FOR_PULLS if self._artifacts.looks(there) else ()
            require_rights(self.cluster, self.namespace, *FOR_STATEFUL_SETS, *pulls)
            self._require_usable(release, there["spec"]["template"])
            routing.check(shared_with_gitops=self.shared_with_gitops)
            self._artifacts.check(self._stable(state), state.pods, release)

    def notes(self) -> list[str]:
        """As of the target."""
        with self._located():
            state, routing = self._state()
            return notes_of(self.cluster, self.namespace, state, routing, self.container)

    def changed_by(self) -> str:
        """As of the target."""
        with self._located():
            return changed_since(self._read(), self.container)

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
        if Track.CANARY in tracks and release is not None and (share >= WHOLE or traffic is not None):
            raise TargetRejected(
                f"a canary of StatefulSet {self.name} is some of its own pods, with the requests that these have: it "
                f"can be neither {share} % of them beside the others nor have another part of the requests.",
                environment=self.environment,
                state="nothing was changed.",
                next_step="Deploy it in phases below 100 without traffic, and no blue/green.",
            )

        def act() -> None:
            if release is not None:
                self._require_usable(release, self._read()["spec"]["template"])
            for track in tracks:
                if release is None:
                    self._take_back(track, token)
                elif track == Track.STABLE:
                    self._put_all(release, token)
                else:
                    self._put_canary(release, share, token)

        self._do(act, key, token)

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """As of the target."""
        if Track.STABLE in tracks:
            raise TargetRejected(
                f"the pods of StatefulSet {self.name} that are no canary cannot be kept out of the traffic: nobody "
                "would answer.",
                environment=self.environment,
                state="nothing was changed.",
                next_step="Drain the canary, or scale the StatefulSet.",
            )

        def act() -> None:
            state, routing = self._state()
            # Where somebody else has given all of them the release, nobody else is there to answer.
            if state.staying:
                require_answering(state, routing)
                self._require_current(token)
                routing.narrow(state.before, state.others)

        self._do(act, key, token)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        """As of the target."""

        def act() -> None:
            state, routing = self._state()
            if state.wants_canary or not state.others:
                self._require_current(token)
                routing.widen()
            if (state.before or state.left) and not state.wants_canary and not any(map(state.is_left, state.pods)):
                until_written(lambda: self._hand_back(token), f"StatefulSet {self.name}")

        self._do(act, key, token)

    # -- inside --------------------------------------------------------------------------------------------------

    def _put_canary(self, release: Release, share: int, token: int) -> None:
        state, routing = self._state()
        if state.replicas < 2:
            raise TargetRejected(
                f"StatefulSet {self.name} has {state.replicas} replica{'s' if state.replicas != 1 else ''}, of which "
                "there can be no canary: nothing would be left beside it.",
                state="nothing was changed.",
                next_step="Give it two or more, or deploy without a canary.",
            )
        if not state.wants_canary:
            self._require_current(token)
            routing.widen()
        secret = self._keep_configuration(release)
        image = self._image(release, state, token, begins=True)

        def attempt() -> None:
            state, _ = self._state_for(token)
            refuse_unsuitable(state)
            template = with_release(
                state.stateful_set["spec"]["template"],
                release,
                image,
                secret=secret,
                container=self.container,
            )
            partition = state.replicas - replicas_of(share, state.replicas)
            given = meant(template, self.container)
            marks = {BEFORE: state.before or state.current, SHARE: str(share), LEFT: None}
            self._write(state, template, partition, {**marks, **given})

        until_written(attempt, f"StatefulSet {self.name}")
        replace_misplaced(self.cluster, lambda: self._state_for(token))

    def _put_all(self, release: Release, token: int) -> None:
        state, routing = self._state()
        if state.before and self._ran_before(state).is_of(release):
            self._take_back(Track.CANARY, token)
            return
        # Pods that have the release count as well from here on, or nobody would answer in the end.
        self._require_current(token)
        routing.widen()
        secret = self._keep_configuration(release)
        image = self._image(release, state, token, begins=False)

        def attempt() -> None:
            state, _ = self._state_for(token)
            there = state.stateful_set
            kept = self._templates(there)
            ran = template_with(
                kept,
                there,
                release,
                image,
                container=self.container,
                configuration=self._configuration,
            )
            template = ran or with_release(
                there["spec"]["template"], release, image, secret=secret, container=self.container
            )
            marks = {BEFORE: None, SHARE: None, LEFT: _left(state, template, kept, goes_back=ran is not None)}
            self._write(state, template, 0, {**marks, **meant(template, self.container)})

        until_written(attempt, f"StatefulSet {self.name}")
        replace_misplaced(self.cluster, lambda: self._state_for(token))

    def _ran_before(self, state: Ordered) -> Running:
        """What the pods that are no canary run."""
        return running(self._stable(state)["spec"]["template"], self.container, self._configuration)

    def _take_back(self, track: Track, token: int) -> None:
        """Let the canary's places have again what the others have."""
        if track == Track.STABLE:
            raise self._no_replicas()
        state, routing = self._state()
        if state.before:
            require_answering(state, routing)
            gone, stays = (self._artifacts.of(one) for one in (state.stateful_set, self._stable(state)))
            if gone != stays:
                # Once the template is written over, nobody knows any more which artifact it had.
                self._artifacts.forget(lambda: self._read_for(token), self._path(self.name), gone)

            def attempt() -> None:
                state, _ = self._state_for(token)
                template = self._stable(state)["spec"]["template"]
                # Whatever somebody else gives the template meanwhile, the others are kept from: nobody else answers.
                partition = min([state.partition, *map(state.place_of, state.others)])
                self._write(state, template, partition, {SHARE: None, **meant(template, self.container)})

            until_written(attempt, f"StatefulSet {self.name}")
            state = replace_misplaced(self.cluster, lambda: self._state_for(token))
        if not state.others:
            self._require_current(token)
            routing.widen()
        self._sweep()

    def _write(self, state: Ordered, template: Object, partition: int, annotations: dict[str, str | None]) -> None:
        """Write template, partition and annotations at once, onto what was read; nothing where they are so."""
        changed = copy.deepcopy(state.stateful_set)
        changed["spec"]["template"] = template
        strategy = changed["spec"].setdefault("updateStrategy", {})
        strategy["rollingUpdate"] = {**(strategy.get("rollingUpdate") or {}), "partition": partition}
        meta, before = changed["metadata"].get("annotations") or {}, state.stateful_set["spec"]["template"]
        known = Note.of(changed) if state.before or not annotations.get(BEFORE) else None
        note = known.after(before, template) if known is not None else Note.begun(changed)
        changed["metadata"]["annotations"] = {
            name: value for name, value in {**meta, **note.annotation, **annotations}.items() if value is not None
        }
        if changed["spec"] != state.stateful_set["spec"] or changed["metadata"]["annotations"] != meta:
            changed.pop("status", None)
            # With the version that was read: the replicas that an autoscaler has set since are not written over.
            written = self.cluster.put(self._path(self.name), changed)
            if NOTED in changed["metadata"]["annotations"]:
                as_admitted(self.cluster, self._path(self.name), written, note, before)

    def _hand_back(self, token: int) -> None:
        """Nothing is left of a canary."""
        state, _ = self._state_for(token)
        self._write(state, state.stateful_set["spec"]["template"], 0, {BEFORE: None, LEFT: None, NOTED: None})

    def _image(self, release: Release, state: Ordered, token: int, *, begins: bool) -> str:
        """What stands for the release's artifact; what runs is remembered by its digest before anything is changed."""
        stable, begun = self._stable(state), bool(state.before)
        known = self._artifacts.known(stable, state.pods, begun=begun)
        image = self._artifacts.image_of(stable, state.pods, release, known, begins=begins and not begun)
        self._artifacts.remember(lambda: self._read_for(token), self._path(self.name), known, release.artifact, image)
        return image


def _left(state: Ordered, template: Object, kept: Mapping[str, Object], *, goes_back: bool) -> str | None:
    """The revisions that no pod is to have any more when all of them go back to a template, as JSON.

    :param state: as it was read.
    :param template: that all are to have.
    :param kept: templates by revision.
    :param goes_back: whether it has run here before.
    """
    if template in (state.stateful_set["spec"]["template"], kept.get(state.newest)):
        return json.dumps(state.left) if state.left else None
    pods = state.others if state.before else state.pods if goes_back else []
    found = {one for one in map(revision_of, pods) if kept.get(one) != template}
    return json.dumps(sorted(found)) if found else None
