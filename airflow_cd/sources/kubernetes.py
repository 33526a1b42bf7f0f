"""Logs of pods, as the containers wrote them: read from the cluster itself, without anything that collects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_cd.durations import DurationField
from airflow_cd.sources.pod_logs import read_pod
from airflow_cd.sources.specification import reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

_LISTED = 5


@keeps_misspelt_keywords
@dataclass(frozen=True)
class KubernetesLogs:
    """What the containers of pods have written to their outputs.

    A container that was started again is read with what it wrote before its end. Of a pod that is gone nothing can be
    read any more, of a container's earlier runs the last alone, and of a log that was rotated what was written since:
    the report says so where the window began before, and why a container does not run.

    :param conn_id: Airflow connection of type ``kubernetes``; ``kubernetes_default`` by default.
    :param namespace: where the pods are; ``default`` by default.
    :param container: name of the container, or names; ``*`` for all of a pod. By default the one that the annotation
        ``kubectl.kubernetes.io/default-container`` names, else the first. Unless names are given, an init container
        that fails is read too.
    :param delay: how long after it was written a line can usually be read, a duration; one second by default.
    :param name: what reports call the source; ``Kubernetes <namespace>`` by default.
    """

    conn_id: str = "kubernetes_default"
    namespace: str = "default"
    container: str | Sequence[str] = ""
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
        given = (self.container,) if isinstance(self.container, str) else self.container
        if not isinstance(given, (list, tuple)) or not all(isinstance(name, str) for name in given):
            found.append(f"container: {self.container!r} is neither a name nor names")
        return [f"{type(self).__name__}({self.namespace!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read what some pods have written over a window.

        :param window: half-open, aware.
        :param instances: names of the pods.
        :returns: a row for each line, oldest first; ``truncated`` when a container wrote more than one read holds.
        :raises SourceQueryRejected: this specification is wrong.
        :raises SourceError: the cluster cannot be read, or a container's log.
        """
        from airflow_cd.hooks.kubernetes import Cluster
        from airflow_cd.http.family import SOURCE
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        cluster = Cluster(self.conn_id, errors=SOURCE)
        rows: list[tuple[datetime, str, str, str, None]] = []
        warnings, truncated, cut, gone = [], False, False, bool(instances)
        for pod in sorted(set(instances)):
            log = read_pod(cluster, self.namespace, pod, self._wanted, window)
            gone = gone and log.gone
            rows += [(moment, pod, text, "", None) for moment, text in log.lines]
            warnings += log.warnings
            truncated, cut = truncated or log.truncated, cut or log.cut
        if gone and not cluster.every(f"/api/v1/namespaces/{self.namespace}/pods"):
            said = f"The namespace {self.namespace} has no pod at all (connection {self.conn_id!r}), or is not there: "
            warnings = [f"{said}nothing of {', '.join(sorted(set(instances))[:_LISTED])} can be read."]
        rows.sort(key=lambda row: row[0])
        query = f"pods/log in namespace {self.namespace}"
        query += f", container {', '.join(self._wanted)}" if self._wanted else ""
        return LogSample(identified_log_frame(rows), query, truncated, tuple(warnings), cut=cut)

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """The pods of the namespace now, but for those whose work is done.

        :param window: of no matter.
        :raises SourceQueryRejected: this specification is wrong.
        :raises SourceError: the cluster cannot be read.
        """
        from airflow_cd.hooks.kubernetes import Cluster
        from airflow_cd.http.family import SOURCE

        refuse(self.mistakes())
        pods = Cluster(self.conn_id, errors=SOURCE).every(f"/api/v1/namespaces/{self.namespace}/pods")
        return sorted(pod["metadata"]["name"] for pod in pods if pod.get("status", {}).get("phase") != "Succeeded")

    @property
    def _wanted(self) -> tuple[str, ...]:
        """Names of containers; none for the one that a pod names itself."""
        given = (self.container,) if isinstance(self.container, str) else tuple(self.container)
        return tuple(name for name in given if name)
