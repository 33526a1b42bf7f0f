"""Logs of pods, as the containers wrote them: read from the cluster itself, without anything that collects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.pieces import in_one_piece
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.kubernetes import Cluster

MOST_BYTES = 16 * 1024 * 1024
"""Of one container's log in one read."""


@keeps_misspelt_keywords
@dataclass(frozen=True)
class KubernetesLogs:
    """What the containers of pods have written to their outputs.

    A container that was started again is read with what it wrote before its end. Of a pod that is gone nothing can be
    read any more; what was read of it before counts.

    :param conn_id: Airflow connection of type ``kubernetes``; ``kubernetes_default`` by default.
    :param namespace: where the pods are; ``default`` by default.
    :param container: name of the container; the first of each pod by default.
    :param delay: how long after it was written a line can usually be read, a duration; one second by default.
    :param name: what reports call the source; ``Kubernetes <namespace>`` by default.
    """

    conn_id: str = "kubernetes_default"
    namespace: str = "default"
    container: str = ""
    delay: DurationField = DurationField("1s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Kubernetes {self.namespace}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = []
        for name, text in (("conn_id", self.conn_id), ("namespace", self.namespace)):
            if not isinstance(text, str) or not text.strip():
                found.append(f"{name}: {text!r} is empty or not a text")
        if wrong := DurationField.mistake(self.delay, "delay"):
            found.append(wrong)
        return [f"{type(self).__name__}({self.namespace!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read what some pods have written over a window.

        :param window: half-open, aware.
        :param instances: names of the pods.
        :returns: a row for each line, oldest first; ``truncated`` when a container wrote more than one read holds.
        :raises SourceQueryRejected: this specification is wrong.
        :raises SourceError: the cluster cannot be read.
        """
        from airflow_cd.hooks.kubernetes import Cluster
        from airflow_cd.http.family import SOURCE
        from airflow_cd.sources.frames import identified_log_frame

        if mistakes := self.mistakes():
            raise SourceQueryRejected("; ".join(mistakes) + ".", next_step="Correct the source in the pipeline's file.")
        cluster = Cluster(self.conn_id, errors=SOURCE)
        rows: list[tuple[datetime, str, str, str, None]] = []
        warnings, truncated = [], False
        for pod in sorted(set(instances)):
            lines, more = self._lines(cluster, pod, window)
            truncated = truncated or more
            if more:
                warnings.append(f"{pod} wrote more than {MOST_BYTES // 1024 // 1024} MiB in the window.")
            rows += [(moment, pod, text, "", None) for moment, text in lines]
        rows.sort(key=lambda row: row[0])
        query = f"pods/log in namespace {self.namespace}" + (f", container {self.container}" if self.container else "")
        return LogSample(identified_log_frame(rows), query, truncated, tuple(warnings))

    def _lines(self, cluster: Cluster, pod: str, window: Window) -> tuple[list[tuple[datetime, str]], bool]:
        """The lines of one pod, those from before its container was started again among them."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        # The API takes whole seconds; what is older is left out below.
        since = (window.since - timedelta(seconds=1)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked: dict[str, Any] = {"timestamps": "true", "sinceTime": since, "limitBytes": MOST_BYTES}
        if self.container:
            asked["container"] = self.container
        found: list[tuple[datetime, str]] = []
        truncated = False
        for previous in ("true", "false"):
            content = cluster.content(path, {**asked, "previous": previous}) or b""
            truncated = truncated or len(content) >= MOST_BYTES
            # By the ends that a runtime writes alone: a line may hold what else ends lines of text.
            for line in content.split(b"\n"):
                moment, message = _stamped(in_one_piece(line).decode("utf-8", "replace").removesuffix("\r"))
                if moment is not None and window.since <= moment < window.until:
                    found.append((moment, message))
        return found, truncated


def _stamped(line: str) -> tuple[datetime | None, str]:
    """Time and text of a line as the API stamps it: ``2026-11-29T04:00:00.123456789Z the text``."""
    stamp, _, text = line.partition(" ")
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
        return moment + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0"))), text
    except ValueError:
        return None, line
