"""The log of one pod: of its containers, their runs before, and what of both the cluster has no more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import SourceUnavailable
from airflow_cd.sources import pod_states
from airflow_cd.sources.pod_lines import instant, read_lines
from airflow_cd.sources.rotation import begins_late, would_have_filled
from airflow_cd.verification.samples import Window
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.hooks.kubernetes import Cluster

MOST_BYTES = 16 * 1024 * 1024
"""Of one container's log in one read."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")
_ROTATED = 1024 * 1024  # bytes that a kubelet keeps in one file at the least
_HEAD = 4096
_SECOND = timedelta(seconds=1)


@dataclass
class PodLog:
    """What was read of a pod.

    :param lines: time and text, in the order of each container.
    :param warnings: what could not be read any more, and what has not run, one sentence each.
    :param truncated: whether there was more.
    :param cut: whether a shorter window would hold all of it.
    :param gone: whether there is no such pod.
    """

    lines: list[tuple[datetime, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    truncated: bool = False
    cut: bool = False
    gone: bool = False


def read_pod(cluster: Cluster, namespace: str, pod: str, wanted: Sequence[str], window: Window) -> PodLog:
    """Read what the containers of a pod wrote over a window.

    :param cluster: where it is.
    :param namespace: of the pod.
    :param pod: its name.
    :param wanted: names of containers, or ``*`` for all; none for the one that the pod names itself.
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
        log.gone = True
        log.warnings.append(f"{pod} is gone: nothing of it can be read any more.")
        return log
    made = pod_states.made_again(found, pod, window)
    if made is not None:
        log.truncated = True
        log.warnings.append(
            f"{pod} was made {_at(made)}: what a pod of that name wrote before cannot be read any more."
        )
    states = pod_states.states_of(found)
    for container in pod_states.chosen(found, pod, wanted):
        _Container(cluster, f"{pods}/{pod}/log", pod, container, window, log, found).read(states.get(container) or {})
    return log


@dataclass
class _Container:
    cluster: Cluster
    path: str
    pod: str
    name: str
    window: Window
    log: PodLog
    found: Mapping[str, Any]

    def read(self, state: Mapping[str, Any]) -> None:
        restarts = int(state.get("restartCount") or 0)
        before = (state.get("lastState") or {}).get("terminated") or {}
        last = self._run_before(state, before, restarts) if restarts or before else b""
        if not pod_states.has_a_run_besides(state, before):
            self._say_why_it_waits(state)
            return
        content = self._content_of_run(previous=False)
        if content is None:
            self._without_a_log(state)
            return
        if last and _first_line(content) == _first_line(last):  # it has ended since its state was asked for
            return
        first, said = self._keep(content, previous=False)
        if said:
            self._ended_by(said, state, nothing=first is None)
        began = instant(((state.get("state") or {}).get("running") or {}).get("startedAt"))
        if first is not None and began is not None and first > self.window.since:
            self._look_for_rotation(len(content), first, began)

    def _run_before(self, state: Mapping[str, Any], before: Mapping[str, Any], restarts: int) -> bytes:
        """Read the run before the present one; what the API hands out of it, empty where that is no log."""
        content = self._content_of_run(previous=True)
        first, said = self._keep(content or b"", previous=True)
        if content is None or said:
            present = ((state.get("state") or {}).get("running") or {}).get("startedAt")
            end = instant(before.get("finishedAt") or present)
            # Times of an object are of whole seconds.
            if end is None or end + _SECOND > self.window.since:
                why = f"the cluster says {said!r}" if said else "the cluster has that run's log no more"
                self._lost(f"it was started again, and {why}")
            return (content or b"") if first is not None else b""
        began = instant(before.get("startedAt"))
        if restarts > 1 and began is not None and began > self.window.since:
            self._lost(f"it was started again {restarts} times, and the cluster keeps its last end alone")
        return content

    def _content_of_run(self, *, previous: bool) -> bytes | None:
        # The API takes whole seconds; what is older is left out of what is kept.
        since = (self.window.since - _SECOND).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._content(previous=previous, sinceTime=since, limitBytes=MOST_BYTES)

    def _keep(self, content: bytes, *, previous: bool) -> tuple[datetime | None, str]:
        """Keep the lines of the window; the time of the first line that was read, and what the cluster says."""
        full = len(content) >= MOST_BYTES
        # A full answer ends anywhere: the rest of its last line would be another message.
        read = read_lines(content[: content.rfind(b"\n") + 1] if full else content)
        lines = read.lines
        # There is no end to what is asked for: what ends behind the window holds all of it.
        if full and (not lines or lines[-1][0] < self.window.until):
            self.log.truncated = self.log.cut = True
            self.log.warnings.append(f"{self.pod} wrote more than {MOST_BYTES >> 20} MiB in the window.")
        self.log.lines += [line for line in lines if self.window.since <= line[0] < self.window.until]
        rest = read.open and content.endswith(b"\n") and self._head(previous=previous) is not None
        return lines[0][0] if lines else None, "" if rest else read.said

    def _ended_by(self, said: str, state: Mapping[str, Any], *, nothing: bool) -> None:
        """Say that the cluster has failed while it handed out the log, behind some lines or before any."""
        end = pod_states.run_ended(self.found, state)
        if end is not None and end + _SECOND <= self.window.since:
            return
        if not nothing or end is not None or self._head() is not None:
            self._lost(f"the cluster ends its log with {said!r}")
            return
        raise SourceUnavailable(
            ended(f"the log of {self.name} of {self.pod} cannot be read; the cluster says: {said}"),
            instances=(self.pod,),
            next_step="See the kubelet and the container runtime of its node.",
        )

    def _without_a_log(self, state: Mapping[str, Any]) -> None:
        """Say what it means that the cluster has no log of the container at all."""
        failed = pod_states.failed(self.found)
        if not failed and not pod_states.has_run(state):
            self._say_why_it_waits(state)
            return
        end = pod_states.run_ended(self.found, state)
        if end is None or end + _SECOND > self.window.since:
            why = f"{self.pod} has failed ({failed})" if failed else "it has run"
            self._lost(f"{why}, and the cluster has its log no more")
        elif failed:
            self.log.warnings.append(f"{self.pod} has failed ({failed}) {_at(end)}: it writes no more.")

    def _say_why_it_waits(self, state: Mapping[str, Any]) -> None:
        if why := pod_states.why_it_waits(self.found, state, self.window.until):
            self.log.warnings.append(f"{self.name} of {self.pod} does not run: {why}.")

    def _look_for_rotation(self, size: int, first: datetime, began: datetime) -> None:
        """Whether the log begins later than its container: what is in the file before cannot be read."""
        head = self._head()
        if head is None or not begins_late(head, self.window.since, began):
            return
        written = min(self.window.until, datetime.now(timezone.utc)) - first
        if would_have_filled(size, written, head - began, _ROTATED):
            self._lost("the log was rotated, and the cluster hands out the newest file alone", before=head)

    def _head(self, *, previous: bool = False) -> datetime | None:
        """Time of the first line that there still is."""
        lines = read_lines(self._content(previous=previous, limitBytes=_HEAD) or b"").lines
        return lines[0][0] if lines else None

    def _content(self, *, previous: bool, **more: Any) -> bytes | None:
        asked = {"container": self.name, "timestamps": "true", "previous": str(previous).lower(), **more}
        return self.cluster.content(self.path, asked)

    def _lost(self, why: str, before: datetime | None = None) -> None:
        of = f" before {before.astimezone(timezone.utc):%H:%M:%S} UTC" if before is not None else ""
        self.log.truncated = True
        self.log.warnings.append(f"A part of what {self.name} of {self.pod} wrote{of} is lost: {why}.")


def _first_line(content: bytes) -> bytes:
    return content.partition(b"\n")[0]


def _at(moment: datetime) -> str:
    return f"at {moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
