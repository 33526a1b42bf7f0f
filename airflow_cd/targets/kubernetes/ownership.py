"""Who else writes to what was taken over: tools that put it back, and people who change it while it is deployed to."""

from __future__ import annotations

import json
from collections.abc import Iterator

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import FIELD_MANAGER, Object
from airflow_cd.targets.kubernetes.names import CONFIGURATION, MEANT, called
from airflow_cd.targets.kubernetes.template import container_of

_MARKS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}

_Field = tuple[str, ...]
CONTAINERS: _Field = ("f:spec", "f:template", "f:spec", "f:containers")
"""Path in ``managedFields`` of the containers of a pod template."""
TEMPLATE: _Field = ("f:spec", "f:template")
"""The same for all of the pod template."""
SERVICE_SELECTOR: _Field = ("f:spec", "f:selector")
"""The same for the selector of a Service."""


def kept_by(one: Object, field: _Field = CONTAINERS) -> str | None:
    """The tool that puts an object back to what its repository says; None where none is known to.

    :param one: the object, as it was read.
    :param field: the field whose writers count, by default the containers of a pod template.
    """
    meta = one["metadata"]
    marks = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    by_mark = next((tool for mark, tool in _MARKS.items() if mark in marks), None)
    return by_mark or next((_MANAGERS[name] for name, _ in _writers(one, field) if name in _MANAGERS), None)


def require_unowned(
    one: Object, kind: str = "Deployment", part: str = "pod template", field: _Field = CONTAINERS
) -> None:
    """Refuse an object that another tool puts back to what its repository says.

    :param one: as it was read.
    :param kind: its kind.
    :param part: which part of it would be put back.
    :param field: the same part as a path in ``managedFields``.
    :raises TargetRejected: a tool does.
    """
    meta, owner = one["metadata"], kept_by(one, field)
    if owner is not None:
        raise TargetRejected(
            f"{kind} {meta['name']} is kept by {owner}, which would put back what a deployment or a rollback changes.",
            state="nothing was changed.",
            next_step=f"Let {owner} ignore the {part} of this {kind}, and say so: "
            "KubernetesTarget(..., shared_with_gitops=True).",
        )


def meant(template: Object, container: str) -> dict[str, str]:
    """The annotation that says what a Deployment was given: image and configuration.

    :param template: its pod template.
    :param container: name of the container, ``""`` for the first.
    """
    return {MEANT: json.dumps(_given(template, container))}


def changed_since(deployment: Object, container: str) -> str:
    """Whether somebody else has changed what a Deployment was given last, as a sentence; ``""`` where nobody has.

    :param deployment: as it was read.
    :param container: name of the container, ``""`` for the first.
    """
    written = (deployment["metadata"].get("annotations") or {}).get(MEANT)
    given = _given(deployment["spec"]["template"], container)
    if not written or (before := json.loads(written)) == given:
        return ""
    what = "another configuration" if before[0] == given[0] else str(given[0])
    by = last_writer(deployment, CONTAINERS)
    return f"{called(deployment)} was given {what}{by}, after Airflow CD had given it {before[0]}"


def last_writer(one: Object, field: _Field, *, after: str = "") -> str:
    """Who else has last written to a field of an object, and when: `` by ... at ...``.

    :param one: the object, as it was read.
    :param field: its path in ``managedFields``.
    :param after: a time as of :func:`newest_writing`: who has written up to then does not count. By default everybody
        does.
    :returns: ``""`` where the API does not say it, as for somebody who has only removed something.
    """
    others = sorted((when, who) for who, when in _writers(one, field) if not after or when > after)
    return f" by {others[-1][1]} at {others[-1][0]}" if others else ""


def given_up(one: Object) -> list[Object] | None:
    """The ``managedFields`` of an object without what Airflow CD has of its specification.

    Once they are written back, nobody who applies what they own meets a conflict with a deployment that is over.

    :param one: the object, as it was read.
    :returns: None where Airflow CD has none of it.
    """
    entries, found = one["metadata"].get("managedFields") or [], list[Object]()
    for entry in entries:
        fields = entry.get("fieldsV1") or {}
        if entry.get("manager") == FIELD_MANAGER and "f:spec" in fields:
            rest = {name: value for name, value in fields.items() if name != "f:spec"}
            found += [{**entry, "fieldsV1": rest}] if rest else []
        else:
            found.append(entry)
    return found if found != entries else None


def newest_writing(one: Object, field: _Field) -> str:
    """When somebody else has last written to a field of an object, as the API writes times; ``""`` where nobody has.

    :param one: the object, as it was read.
    :param field: its path, as of :func:`last_writer`.
    """
    return max((when for _, when in _writers(one, field)), default="")


def _given(template: Object, container: str) -> list[str]:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return [str(container_of(template, container)["image"]), annotations.get(CONFIGURATION) or ""]


def _writers(one: Object, field: _Field) -> Iterator[tuple[str, str]]:
    """Who else has written to a field of an object, and when."""
    for entry in one["metadata"].get("managedFields") or ():
        written: Object | None = entry.get("fieldsV1") or {}
        for name in field:
            written = (written or {}).get(name)
        if written is not None and entry.get("manager") != FIELD_MANAGER:
            yield str(entry.get("manager") or "somebody"), str(entry.get("time") or "")
