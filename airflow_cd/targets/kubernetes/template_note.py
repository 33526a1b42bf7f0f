"""What a pod template was when it was taken over or last written; whatever differs since, somebody else has changed.

It is noted beside the template while a deployment is under way, part by part, as keyed digests: a template may hold
passwords, and these must not be found in a note that outlives it. What the API fills in, and what admission makes of a
write, is noted as it came back.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_cd.hooks.kubernetes import MERGE, Cluster, Object
from airflow_cd.targets.kubernetes.names import CONFIGURATION, NOTED, OURS, TRACK, called
from airflow_cd.targets.kubernetes.ownership import TEMPLATE, changed_since, last_writer, newest_writing
from airflow_cd.targets.kubernetes.template import name_of_container
from airflow_cd.wording import first_of

_LISTED = 5
_ORDER = "the order of its parts"
_CONFIGURATION = "the configuration of its release"
RESTARTED = "annotation kubectl.kubernetes.io/restartedAt"
"""What ``kubectl rollout restart`` changes, and other tools that have pods made anew."""


@dataclass(frozen=True)
class Note:
    """What a pod template was.

    :param parts: by the name of a part, as people call it, its digest.
    :param salt: key of the digests.
    :param since: when somebody else had last written to it by then, as the API writes it; ``""`` if nobody had.
    :param labelled: whether its labels count: a canary's say which requests it gets, and change with them.
    """

    parts: Mapping[str, str]
    salt: str
    since: str = ""
    labelled: bool = True

    @classmethod
    def begun(cls, workload: Object) -> Note:
        """The note of a template as it is, or as it is about to be created.

        :param workload: the Deployment, a canary's too, or the StatefulSet that has it.
        """
        labelled = TRACK not in (workload["metadata"].get("labels") or {})
        empty = cls({}, secrets.token_hex(8), newest_writing(workload, TEMPLATE), labelled)
        return empty.after(None, workload["spec"]["template"])

    @classmethod
    def of(cls, workload: Object) -> Note | None:
        """The note beside a template; None where there is none, or none that can be read.

        :param workload: as it was read.
        """
        written = (workload["metadata"].get("annotations") or {}).get(NOTED)
        try:
            return cls(**json.loads(written)) if written else None
        except (ValueError, TypeError):
            return None  # written by somebody else, or by another version

    def after(self, before: Object | None, template: Object) -> Note:
        """The note once a template has been written: the parts that the write left alone stay as they were noted.

        :param before: the template that was written over, as it was then; None where there was none.
        :param template: the template that was written.
        """
        now = self._digests(template)
        if before is None:
            return replace(self, parts=now)
        ran = self._digests(before)
        left = now.keys() & {part for part in ran if ran[part] == now.get(part)}
        kept = {part: one for part, one in self.parts.items() if part in left or part not in {*now, *ran}}
        return replace(self, parts={**kept, **{part: one for part, one in now.items() if part not in left}})

    def changed(self, template: Object) -> list[str]:
        """The parts that are different now, sorted.

        :param template: as it was read.
        """
        now = self._digests(template)
        found = {part for part in {*self.parts, *now} if self.parts.get(part) != now.get(part)}
        return sorted(found - {_ORDER}) or sorted(found)

    @property
    def annotation(self) -> dict[str, str]:
        """The annotation that holds the note."""
        return {NOTED: json.dumps({**self.__dict__, "parts": dict(self.parts)}, sort_keys=True)}

    def _digests(self, template: Object) -> dict[str, str]:
        key = self.salt.encode()
        return {
            part: hashlib.blake2s(json.dumps(value, sort_keys=True).encode(), key=key, digest_size=6).hexdigest()
            for part, value in _parts_of(template, labelled=self.labelled).items()
        }


def as_admitted(cluster: Cluster, path: str, written: Object, note: Note, before: Object | None = None) -> None:
    """Note what admission has made of a template as it was written, where it has changed it.

    :param cluster: the API.
    :param path: path of the workload.
    :param written: the workload, as the API answered the write.
    :param note: the note that was written with it.
    :param before: as of :meth:`Note.after`.
    """
    admitted = note.after(before, written["spec"]["template"])
    if admitted != note:
        cluster.patch(path, {"metadata": {"annotations": admitted.annotation}}, MERGE)


def changed_parts(workload: Object) -> list[str]:
    """What somebody else has changed in a pod template since it was noted, in words; nothing where it was not noted.

    :param workload: a Deployment, a canary's too, or a StatefulSet, as it was read.
    """
    note = Note.of(workload)
    return note.changed(workload["spec"]["template"]) if note is not None else []


def told_of_changes(workload: Object, but: Collection[str] = ()) -> str:
    """Who has changed what in a pod template since it was noted, as a sentence without its full stop; ``""`` if nobody.

    :param workload: as it was read.
    :param but: parts that are reported elsewhere; none by default.
    """
    note, parts = Note.of(workload), [one for one in changed_parts(workload) if one not in but]
    if note is None or not parts:
        return ""
    by = last_writer(workload, TEMPLATE, after=note.since)
    if parts == [RESTARTED]:
        return f"{called(workload)} was restarted{by}: all of its pods are made anew"
    listed = ["a restart" if one == RESTARTED else one for one in parts]
    return f"{called(workload)} was changed{by} in the middle of a deployment: {first_of(listed, _LISTED)}"


def told_of_others(workload: Object, container: str) -> str:
    """Who has changed the release that was given, or anything else, without a full stop; ``""`` where nobody has.

    :param workload: a Deployment or a StatefulSet, as it was read.
    :param container: name of the container that holds the release, ``""`` for the first.
    """
    given = changed_since(workload, container)
    more = told_of_changes(workload, release_parts(workload, container) if given else ())
    return "; ".join(filter(None, (given, more)))


def release_parts(workload: Object, container: str) -> set[str]:
    """The parts of a pod template that say which release it has.

    :param workload: as it was read.
    :param container: name of the container that holds the release, ``""`` for the first.
    """
    return {f"image of container {name_of_container(workload, container)}", _CONFIGURATION}


def _parts_of(template: Object, *, labelled: bool) -> dict[str, Any]:
    """The parts of a pod template, by what people call them."""
    meta, spec = template.get("metadata") or {}, template["spec"]
    annotations: Mapping[str, Any] = meta.get("annotations") or {}
    # Our other annotations only repeat which image it has.
    found = {f"annotation {name}": one for name, one in annotations.items() if not name.startswith(OURS)}
    found |= {_CONFIGURATION: annotations[CONFIGURATION]} if CONFIGURATION in annotations else {}
    if labelled:
        found |= {f"label {name}": one for name, one in (meta.get("labels") or {}).items()}
    found |= {f"volume {one['name']}": one for one in spec.get("volumes") or ()}
    found |= {name: one for name, one in spec.items() if name not in ("volumes", "containers", "initContainers")}
    order = [[one["name"] for one in spec.get("volumes") or ()]]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        of = f"of container {container['name']}"
        variables, mounts = container.get("env") or (), container.get("volumeMounts") or ()
        found |= {f"variable {one['name']} {of}": one for one in variables}
        found |= {f"mount {one['mountPath']} {of}": one for one in mounts}
        found |= {f"{name} {of}": one for name, one in container.items() if name not in ("name", "env", "volumeMounts")}
        order.append([container["name"], *(one["name"] for one in variables), *(one["mountPath"] for one in mounts)])
    found[_ORDER] = order
    return found
