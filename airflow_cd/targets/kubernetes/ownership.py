"""Who else writes to a Deployment: tools that put it back, and people who change it while it is deployed to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

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


def kept_by(deployment: Object) -> str | None:
    """The tool that puts a Deployment back to what stands in its repository; None where none is known to.

    :param deployment: as it was read.
    """
    meta = deployment["metadata"]
    marks = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    by_mark = next((tool for mark, tool in _MARKS.items() if mark in marks), None)
    return by_mark or next((_MANAGERS[name] for name, _ in _writers(deployment) if name in _MANAGERS), None)


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
    by = _last(_writers(deployment))
    return f"{called(deployment)} was given {what}{by}, after Airflow CD had given it {before[0]}"


def last_writer(one: Object, field: str) -> str:
    """Who else has written to a field of an object's specification last, and when: `` by ... at ...``.

    :param one: the object, as it was read.
    :param field: as the API names it where it says who writes to what.
    :returns: ``""`` where the API does not say it.
    """
    entries = one["metadata"].get("managedFields") or ()
    written = [each for each in entries if field in ((each.get("fieldsV1") or {}).get("f:spec") or {})]
    return _last(_writer(each) for each in written if each.get("manager") != FIELD_MANAGER)


def _last(writers: Iterable[tuple[str, str]]) -> str:
    others = sorted((when, who) for who, when in writers)
    return f" by {others[-1][1]} at {others[-1][0]}" if others else ""


def _writer(entry: Object) -> tuple[str, str]:
    return str(entry.get("manager") or "somebody"), str(entry.get("time") or "")


def _given(template: Object, container: str) -> list[str]:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return [str(container_of(template, container)["image"]), annotations.get(CONFIGURATION) or ""]


def _writers(deployment: Object) -> Iterator[tuple[str, str]]:
    """Who else has written to the containers of the pod template, and when."""
    for entry in deployment["metadata"].get("managedFields") or ():
        template = ((entry.get("fieldsV1") or {}).get("f:spec") or {}).get("f:template") or {}
        ours = entry.get("manager") == FIELD_MANAGER
        if not ours and "f:containers" in (template.get("f:spec") or {}):
            yield _writer(entry)
