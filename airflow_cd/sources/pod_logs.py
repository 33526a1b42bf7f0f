"""The log of one pod: of its containers, their runs before, and what of both the cluster has no more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.pieces import in_one_piece
from airflow_cd.sources.rotation import begins_late, would_have_filled
from airflow_cd.spelling import suggestion
from airflow_cd.verification.samples import Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.kubernetes import Cluster

MOST_BYTES = 16 * 1024 * 1024
"""Of one container's log in one read."""

ALL = "*"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")
_DEFAULT = "kubectl.kubernetes.io/default-container"
_ROTATED = 1024 * 1024  # bytes that a kubelet keeps in one file at the least


@dataclass
class PodLog:
    """What was read of a pod.

    :param lines: time and text, in the order of each container.
    :param warnings: what could not be read any more, one sentence each.
    :param truncated: whether there was more.
    :param cut: whether a shorter window would hold all of it.
    """

    lines: list[tuple[datetime, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    truncated: bool = False
    cut: bool = False


def read_pod(cluster: Cluster, namespace: str, pod: str, wanted: Sequence[str], window: Window) -> PodLog:
    """Read what the containers of a pod wrote over a window.

    :param cluster: where it is.
    :param namespace: of the pod.
    :param pod: its name.
    :param wanted: names of containers, or :data:`ALL`; none for the one that the pod names itself.
    :param window: half-open.
    :raises SourceQueryRejected: the pod has no such container.
    :raises SourceError: the cluster cannot be read.
    """
    log = PodLog()
    pods = f"/api/v1/namespaces/{namespace}/pods"
    # By a list, which who watches replicas may read: no right is needed for each pod alone.
    named = cluster.every(pods, fieldSelector=f"metadata.name={pod}") if _NAME.match(pod) else []
    found = next(iter(named), None)
    if found is None:
        log.warnings.append(f"{pod} is gone: nothing of it can be read any more.")
        return log
    states = {str(one.get("name")): one for one in (found.get("status") or {}).get("containerStatuses") or ()}
    for container in _chosen(found, pod, wanted):
        _Container(cluster, f"{pods}/{pod}/log", pod, container, window, log).read(states.get(container) or {})
    return log


def _chosen(found: Mapping[str, Any], pod: str, wanted: Sequence[str]) -> list[str]:
    names = [str(one.get("name")) for one in (found.get("spec") or {}).get("containers") or ()]
    if ALL in wanted:
        return names
    if not wanted:
        named = ((found.get("metadata") or {}).get("annotations") or {}).get(_DEFAULT)
        return [named] if named in names else names[:1]
    for name in wanted:
        if name not in names:
            raise SourceQueryRejected(
                ended(f"pod {pod} has no container {name}; {suggestion(name, names)}"),
                instances=(pod,),
                next_step="Name one of its containers, or * for all of them.",
            )
    return list(wanted)


@dataclass
class _Container:
    cluster: Cluster
    path: str
    pod: str
    name: str
    window: Window
    log: PodLog

    def read(self, state: Mapping[str, Any]) -> None:
        restarts = int(state.get("restartCount") or 0)
        before = (state.get("lastState") or {}).get("terminated") or {}
        last = b""
        if restarts or before:
            last = self._content_of_run(previous=True)
            self._keep(last)
            began = _instant(before.get("startedAt"))
            if restarts > 1 and began is not None and began > self.window.since:
                self._lost(f"it was started again {restarts} times, and the cluster keeps its last end alone")
        if not _has_a_run_besides(state, before):
            return
        content = self._content_of_run(previous=False)
        if last and _first_line(content) == _first_line(last):  # it has ended since its state was asked for
            return
        first = self._keep(content)
        began = _instant(((state.get("state") or {}).get("running") or {}).get("startedAt"))
        if first is not None and began is not None and first > self.window.since:
            self._look_for_rotation(len(content), first, began)

    def _content_of_run(self, *, previous: bool) -> bytes:
        # The API takes whole seconds; what is older is left out of what is kept.
        since = (self.window.since - timedelta(seconds=1)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._content(previous=previous, sinceTime=since, limitBytes=MOST_BYTES)

    def _keep(self, content: bytes) -> datetime | None:
        """Keep the lines of the window; the time of the first line that was read."""
        full = len(content) >= MOST_BYTES
        # A full answer ends anywhere: the rest of its last line would be another message.
        lines = list(_lines(content[: content.rfind(b"\n") + 1] if full else content))
        # There is no end to what is asked for: what ends behind the window holds all of it.
        if full and (not lines or lines[-1][0] < self.window.until):
            self.log.truncated = self.log.cut = True
            self.log.warnings.append(f"{self.pod} wrote more than {MOST_BYTES >> 20} MiB in the window.")
        self.log.lines += [line for line in lines if self.window.since <= line[0] < self.window.until]
        return lines[0][0] if lines else None

    def _look_for_rotation(self, size: int, first: datetime, began: datetime) -> None:
        """Whether the log begins later than its container: what is in the file before cannot be read."""
        head = next(_lines(self._content(previous=False, limitBytes=4096)), None)
        if head is None or not begins_late(head[0], self.window.since, began):
            return
        written = min(self.window.until, datetime.now(timezone.utc)) - first
        if would_have_filled(size, written, head[0] - began, _ROTATED):
            self._lost("the log was rotated, and the cluster hands out the newest file alone", before=head[0])

    def _content(self, *, previous: bool, **more: Any) -> bytes:
        asked = {"container": self.name, "timestamps": "true", "previous": str(previous).lower(), **more}
        return self.cluster.content(self.path, asked) or b""

    def _lost(self, why: str, before: datetime | None = None) -> None:
        of = f" before {before.astimezone(timezone.utc):%H:%M:%S} UTC" if before is not None else ""
        self.log.truncated = True
        self.log.warnings.append(f"A part of what {self.name} of {self.pod} wrote{of} is lost: {why}.")


def _has_a_run_besides(state: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
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


def _first_line(content: bytes) -> bytes:
    return content.partition(b"\n")[0]


def _lines(content: bytes) -> Iterator[tuple[datetime, str]]:
    # By the ends that a runtime writes alone: a line may hold what else ends lines of text.
    for line in content.split(b"\n"):
        moment, message = _stamped(in_one_piece(line).decode("utf-8", "replace").removesuffix("\r"))
        if moment is not None:
            yield moment, message


def _stamped(line: str) -> tuple[datetime | None, str]:
    """Time and text of a line as the API stamps it: ``2026-11-29T04:00:00.123456789Z the text``."""
    stamp, _, text = line.partition(" ")
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
        return moment + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0"))), text
    except ValueError:
        return None, line


def _instant(text: Any) -> datetime | None:
    return _stamped(f"{text} ")[0] if text else None
