"""What a pod says of its containers: which are to be read, and why one has not run, or runs no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.pod_lines import instant
from airflow_cd.spelling import suggestion
from airflow_cd.verification.samples import Window
from airflow_cd.wording import ended

ALL = "*"
_DEFAULT = "kubectl.kubernetes.io/default-container"
_OWN_NAME = "statefulset.kubernetes.io/pod-name"
_UNDER_WAY = ("ContainerCreating", "PodInitializing", "")
_BEING_MADE = timedelta(minutes=1)
_QUOTED = 200

Object = Mapping[str, Any]


def states_of(pod: Object) -> dict[str, Object]:
    """The state of each container by its name, those that run before the others too.

    :param pod: as the API has it.
    """
    status = pod.get("status") or {}
    found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return {str(one.get("name")): one for one in found}


def chosen(pod: Object, name: str, wanted: Sequence[str]) -> list[str]:
    """Which containers are read.

    An init container that fails is read where none is named: nothing else has run, and its log says why.

    :param pod: as the API has it.
    :param name: of the pod.
    :param wanted: names of containers, or :data:`ALL`; none for the one that the pod names itself.
    :raises SourceQueryRejected: the pod has no such container.
    """
    spec, states = pod.get("spec") or {}, states_of(pod)
    own = [str(one.get("name")) for one in spec.get("containers") or ()]
    before = {str(one.get("name")): one.get("restartPolicy") == "Always" for one in spec.get("initContainers") or ()}
    sidecars = [one for one, stays in before.items() if stays]
    failing = [one for one, stays in before.items() if not stays and _fails(states.get(one) or {})]
    if ALL in wanted:
        return [*failing, *sidecars, *own]
    if not wanted:
        named = ((pod.get("metadata") or {}).get("annotations") or {}).get(_DEFAULT)
        return [*failing, *([named] if named in (*own, *sidecars) else own[:1])]
    for one in wanted:
        if one not in (*own, *before):
            raise SourceQueryRejected(
                ended(f"pod {name} has no container {one}; {suggestion(one, [*own, *before])}"),
                instances=(name,),
                next_step="Name one of its containers, or * for all of them.",
            )
    return list(wanted)


def has_a_run_besides(state: Object, before: Object) -> bool:
    """Whether a container has a run of its own besides the one before.

    Where it has none, a kubelet hands out the one before for the present one.

    :param state: of the container, as the API has it.
    :param before: how the run before ended; empty where there was none.
    """
    present = state.get("state") or {}
    if not before or present.get("running"):
        return True
    identity = (present.get("terminated") or {}).get("containerID")
    return bool(identity) and identity != before.get("containerID")


def has_run(state: Object) -> bool:
    """Whether a container runs, or has run.

    :param state: as of :func:`has_a_run_besides`.
    """
    return any((state.get(when) or {}).get(how) for when in ("state", "lastState") for how in ("running", "terminated"))


def failed(pod: Object) -> str:
    """Why a pod was ended as a whole, such as ``Evicted``; ``""`` where it was not.

    :param pod: as the API has it.
    """
    status = pod.get("status") or {}
    return (_words(status) or "Failed") if status.get("phase") == "Failed" else ""


def run_ended(pod: Object, state: Object) -> datetime | None:
    """When a container, or else its pod, came to its end; None where nobody knows, or it has none.

    :param pod: as the API has it.
    :param state: as of :func:`has_a_run_besides`.
    """
    own = instant(((state.get("state") or {}).get("terminated") or {}).get("finishedAt"))
    if own is not None or not failed(pod):
        return own
    changes = (instant(one.get("lastTransitionTime")) for one in (pod.get("status") or {}).get("conditions") or ())
    return max((change for change in changes if change is not None), default=None)


def why_it_waits(pod: Object, state: Object, now: datetime) -> str:
    """Why a container does not run; ``""`` where it is only being made, or started again.

    :param pod: as the API has it.
    :param state: as of :func:`has_a_run_besides`.
    :param now: until when a pod that was made a moment ago may still be under way.
    """
    waiting = (state.get("state") or {}).get("waiting") or {}
    last = (state.get("lastState") or {}).get("terminated") or {}
    reason = str(waiting.get("reason") or "")
    if last:
        said = f" ({_words(last)})" if last.get("reason") else ""
        end = f"{reason}: its last run ended with code {last.get('exitCode')}{said}"
        return "" if reason in _UNDER_WAY else end
    if reason not in _UNDER_WAY:
        return _words(waiting)
    if said := next(_troubles_before(pod), ""):
        return said
    made = instant((pod.get("metadata") or {}).get("creationTimestamp"))
    if made is not None and made > now - _BEING_MADE:
        return ""
    return _words(waiting) or str((pod.get("status") or {}).get("phase") or "nothing is said of it")


def made_again(pod: Object, name: str, window: Window) -> datetime | None:
    """When a pod was made whose name another may have had before, if that was in a window; None for all others.

    Pods of a StatefulSet are called alike for ever; those of a Deployment, a DaemonSet or a Job never are.

    :param pod: as the API has it.
    :param name: of the pod.
    :param window: half-open.
    """
    about = pod.get("metadata") or {}
    made = instant(about.get("creationTimestamp"))
    again = (about.get("labels") or {}).get(_OWN_NAME) == name
    return made if again and made is not None and window.since < made < window.until else None


def _fails(state: Object) -> bool:
    end = (state.get("state") or {}).get("terminated")
    if end:
        return bool(end.get("exitCode"))
    last = (state.get("lastState") or {}).get("terminated") or {}
    return bool(last.get("exitCode") or state.get("restartCount"))


def _troubles_before(pod: Object) -> Iterator[str]:
    """What keeps all of a pod's containers from running: where it cannot be placed, or what runs before them."""
    status = pod.get("status") or {}
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            yield _words(one)
    for one in status.get("initContainerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        end = (one.get("state") or {}).get("terminated") or {}
        if str(waiting.get("reason") or "") not in _UNDER_WAY:
            yield f"its init container {one.get('name')} is waiting: {_words(waiting)}"
        elif end.get("exitCode"):
            yield f"its init container {one.get('name')} ended with code {end['exitCode']}"


def _words(said: Object) -> str:
    """Reason and message of a state, in one line."""
    # How long it backs off differs from look to look.
    names = ("reason",) if said.get("reason") == "CrashLoopBackOff" else ("reason", "message")
    parts = (str(said.get(name) or "").strip().rstrip(".") for name in names)
    return " ".join(": ".join(part for part in parts if part).split())[:_QUOTED]
