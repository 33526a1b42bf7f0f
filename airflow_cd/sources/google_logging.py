"""Logs from Google Cloud Logging: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.absence import unknown_instances, why_nothing
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.google_logging import GoogleLoggingHook

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_FIELD = re.compile(r'[A-Za-z_][\w-]*(?:\.(?:[\w/-]+|"[^"\\]+"))*\Z')
_PART = re.compile(r'"([^"]+)"|([^.]+)')
_TIMES = re.compile(r"\b(timestamp)\s*[<>=]", re.IGNORECASE)
_PAYLOADS = ("jsonPayload", "protoPayload")
_UNSAID = ("", "DEFAULT")
_INSTANCES_A_QUERY = 100
_HOUR = timedelta(hours=1)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class GoogleCloudLogs:
    """Log entries of an application.

    :param query: a filter of Logging's query language without a time, ``resource.type="k8s_container" AND
        resource.labels.container_name="shop"``.
    :param instance_field: field that holds the instance's name: ``resource.labels.pod_name`` (the default),
        ``resource.labels.instance_id``, ``labels."compute.googleapis.com/resource_name"``.
    :param resource: what is read, such as the view of a bucket
        (``projects/P/locations/L/buckets/B/views/V``); the connection's project by default.
    :param conn_id: Airflow connection of type ``google_observability``; ``google_observability_default`` by default.
    :param delay: how long after an event Google usually has it, a duration; 30 seconds by default. What comes later
        counts too: each entry says when it was received.
    :param name: what reports call the source; ``Google Cloud Logging <query>`` by default.
    """

    query: str
    instance_field: str = "resource.labels.pod_name"
    resource: str = ""
    conn_id: str = "google_observability_default"
    delay: DurationField = DurationField("30s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Google Cloud Logging {self.query}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        from airflow_cd.hooks.google_cloud import installed

        found = [] if installed() else ["Google's library for credentials is not installed: airflow-cd[google]"]
        found += mistakes_of_texts(query=self.query, conn_id=self.conn_id)
        found += mistakes_of_durations(delay=self.delay)
        if not _FIELD.match(str(self.instance_field)):
            found.append(f"instance_field: {self.instance_field!r} is not the name of a field")
        if self.resource and str(self.resource).partition("/")[0] not in ("projects", "folders", "organizations"):
            found.append(
                f"resource: {self.resource!r} is not a project, a folder, an organization or a view of a bucket"
            )
        bare = _STRING.sub("", str(self.query))
        if bare.count("(") != bare.count(")") or '"' in bare:
            found.append("query: a quote or a parenthesis does not close")
        if _TIMES.search(bare):
            found.append("query: the time is added when the query is sent")
        return [f"{type(self).__name__}({self.query!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the log entries of some instances over a window.

        :param window: half-open, aware.
        :param instances: their names, in any order; each counts once.
        :returns: a sample with ids and times of receipt; ``truncated`` where there are more entries than one read
            takes.
        :raises SourceQueryRejected: this specification is wrong, or Google rejects the filter.
        :raises SourceUnauthorized: Google does not accept the key, or the account may not read logs.
        :raises SourceUnavailable: Google does not answer.
        """
        from airflow_cd.hooks.google_logging import GoogleLoggingHook
        from airflow_cd.sources import records
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        names = sorted(name for name in set(instances) if name)
        hook = GoogleLoggingHook(self.conn_id)
        rows: list[tuple[Any, str, str, str, Any]] = []
        queries: list[str] = []
        without_time, cut = 0, False
        for start in range(0, len(names) if window.since < window.until else 0, _INSTANCES_A_QUERY):
            if cut:
                break
            queries.append(self.resolved(window, names[start : start + _INSTANCES_A_QUERY]))
            for entry in hook.entries(queries[-1], self.resource):
                if cut := len(rows) >= records.MOST_RECORDS:
                    break
                row = self._row(entry)
                if row is None:
                    without_time += 1
                elif row[1] in names and window.since <= row[0] < window.until:
                    rows.append(row)
        warnings = [f"{without_time} entries without a time were left out."] if without_time else []
        warnings += [records.left_out()] if cut else []
        if queries and not rows:
            warnings += why_nothing(names, lambda: self._nothing(hook, names, window))
        query = "\n".join(queries) or "no query: no instance, or no time"
        return LogSample(identified_log_frame(rows), query, cut or bool(without_time), tuple(warnings), cut=cut)

    def resolved(self, window: Window, instances: Sequence[str] = ()) -> str:
        """Return the filter as it is sent.

        :param window: when.
        :param instances: their names; all of them by default.
        """
        parts = [f"({self.query.strip()})"]
        if instances:
            listed = " OR ".join(json.dumps(name, ensure_ascii=False) for name in instances)
            parts.append(f"{self.instance_field}=({listed})")
        parts += [f'timestamp>="{_iso(window.since)}"', f'timestamp<"{_iso(window.until)}"']
        return " AND ".join(parts)

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances the newest entries are of that the filter finds.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.google_logging import GoogleLoggingHook

        refuse(self.mistakes())
        return self._known(GoogleLoggingHook(self.conn_id), window)[0]

    def _row(self, entry: Mapping[str, Any]) -> tuple[Any, str, str, str, Any] | None:
        from airflow_cd.hooks.google_logging import identity_of
        from airflow_cd.sources.records import instant, record_text

        moment = instant(entry.get("timestamp"))
        if moment is None:
            return None
        payloads = [entry.get(name) for name in _PAYLOADS]
        told = next((dict(one) for one in payloads if isinstance(one, Mapping)), dict[str, Any]())
        if isinstance(entry.get("textPayload"), str):
            told["message"] = entry["textPayload"].rstrip("\n")
        elif not told:
            told = dict(entry.get("httpRequest") or {})
        if entry.get("severity", "") not in _UNSAID:
            told.setdefault("level", entry["severity"])
        received = entry.get("receiveTimestamp")
        text = record_text(told, "message")
        return moment, self._instance(entry), text, identity_of(entry), instant(received) if received else None

    def _instance(self, entry: Mapping[str, Any]) -> str:
        found: Any = entry
        for quoted, plain in _PART.findall(self.instance_field):
            found = found.get(quoted or plain) if isinstance(found, Mapping) else None
        return "" if found is None else str(found)

    def _known(self, hook: GoogleLoggingHook, window: Window) -> tuple[list[str], int]:
        """Names of instances that the newest entries are of, and how many entries there are."""
        found = hook.first(self.resolved(window), self.resource)
        return sorted({self._instance(entry) for entry in found} - {""}), len(found)

    def _nothing(self, hook: GoogleLoggingHook, names: Sequence[str], window: Window) -> Iterator[str]:
        """Why there is nothing of the last hour: no entry, none with the field, or none of these instances."""
        known, entries = self._known(hook, Window(window.since - _HOUR, window.until))
        if not entries:
            yield f"Nothing that {self.query} finds was logged in the hour before, of any instance."
        elif not known:
            raise SourceQueryRejected(
                f"{self.name}: none of the newest {entries:,} entries has the field {self.instance_field}.",
                next_step="Name the field that holds the instances' names as instance_field.",
            )
        else:
            yield from unknown_instances(names, known, f"the field {self.instance_field}")


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
