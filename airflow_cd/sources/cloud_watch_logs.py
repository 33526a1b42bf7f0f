"""Logs from Amazon CloudWatch: what authors write in a DAG, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.cloud_watch import CloudWatch

_INSTANCE = "{instance}"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS = timedelta(milliseconds=1)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class CloudWatchLogs:
    """Log events of a group, whose streams are the instances.

    :param group: name of the log group.
    :param stream: name of an instance's stream, in which ``{instance}`` stands for its name: ``web/app/{instance}``;
        ``{instance}`` by default.
    :param pattern: a filter pattern of CloudWatch Logs; none (``""``) by default.
    :param conn_id: Airflow connection of type ``aws``; ``aws_default`` by default.
    :param region: ``eu-central-1``; the connection's by default.
    :param delay: how long after an event CloudWatch usually has it, a duration; 15 seconds by default. What comes later
        counts too: each event says when it was ingested.
    :param name: what reports call the source; ``CloudWatch <group>`` by default.
    """

    group: str
    stream: str = _INSTANCE
    pattern: str = ""
    conn_id: str = "aws_default"
    region: str = ""
    delay: DurationField = DurationField("15s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"CloudWatch {self.group}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        from airflow_cd.hooks.cloud_watch import installed

        found = [] if installed() else ["the client of AWS is not installed: pip install 'airflow-cd[aws]'"]
        found += mistakes_of_texts(group=self.group, stream=self.stream, conn_id=self.conn_id)
        found += mistakes_of_durations(delay=self.delay)
        if isinstance(self.stream, str) and _INSTANCE not in self.stream:
            found.append(f"stream: {_INSTANCE} is missing in {self.stream!r}")
        return [f"{type(self).__name__}({self.group!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read the events of some instances over a window.

        :param window: half-open, aware; CloudWatch's own is of whole milliseconds.
        :param instances: their names, in any order; each counts once.
        :returns: a sample with ids and times of receipt.
        :raises SourceQueryRejected: this specification is wrong, or there is no such group.
        :raises SourceUnauthorized: the credentials are refused.
        :raises SourceUnavailable: CloudWatch does not answer.
        """
        from airflow_cd.hooks.cloud_watch import CloudWatch
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        cloud_watch = CloudWatch(self.conn_id, self.region)
        rows: list[tuple[datetime, str, str, str, datetime]] = []
        queries: list[str] = []
        warnings: list[str] = []
        for instance in sorted(set(instances)) if window.since < window.until else ():
            stream = self.stream.replace(_INSTANCE, instance)
            queries.append(f"filter_log_events of {self.group}, stream {stream}, pattern {self.pattern!r}")
            if not self._is_there(cloud_watch, stream):
                warnings.append(f"{self.group} has no stream {stream}.")
                continue
            for event in self._events(cloud_watch, stream, window):
                moment = _instant(event.get("timestamp"))
                if window.since <= moment < window.until:
                    received = _instant(event.get("ingestionTime", event.get("timestamp")))
                    text = str(event.get("message", "")).rstrip("\n")
                    rows.append((moment, instance, text, str(event.get("eventId", "")), received))
        query = "\n".join(queries) or "no query: no instance, or no time"
        return LogSample(identified_log_frame(rows), query, warnings=tuple(warnings))

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances have a stream that has had an event since the window began.

        :param window: when.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks.cloud_watch import CloudWatch

        refuse(self.mistakes())
        before, _, behind = self.stream.partition(_INSTANCE)
        since = (window.since - _EPOCH) // _MS
        found = set()
        given = {"logGroupName": self.group, **({"logStreamNamePrefix": before} if before else {})}
        for page in CloudWatch(self.conn_id, self.region).pages("logs", "describe_log_streams", **given):
            for stream in page.get("logStreams", ()):
                name = str(stream.get("logStreamName", ""))
                if (
                    name.startswith(before)
                    and name.endswith(behind)
                    and stream.get("lastEventTimestamp", since) >= since
                ):
                    found.add(name[len(before) : len(name) - len(behind)])
        return sorted(found - {""})

    def _is_there(self, cloud_watch: CloudWatch, stream: str) -> bool:
        """Whether there is such a stream; a name that cannot be one is none."""
        if not stream or len(stream) > 512 or set(stream) & set(":*"):
            return False
        given = {"logGroupName": self.group, "logStreamNamePrefix": stream}
        pages = cloud_watch.pages("logs", "describe_log_streams", **given)
        return any(one.get("logStreamName") == stream for page in pages for one in page.get("logStreams", ()))

    def _events(self, cloud_watch: CloudWatch, stream: str, window: Window) -> list[dict[str, Any]]:
        # Its end belongs to it, and what is no whole millisecond is cut off below.
        begin = (window.since - _EPOCH) // _MS
        end = -((_EPOCH - window.until) // _MS) - 1
        if begin < 0 or end < 0:
            raise SourceQueryRejected(f"{self.name}: CloudWatch knows no time before 1970.", next_step="Look later.")
        given: dict[str, Any] = {
            "logGroupName": self.group,
            "logStreamNames": [stream],
            "startTime": begin,
            "endTime": max(begin, end),
            **({"filterPattern": self.pattern} if self.pattern else {}),
        }
        found: dict[str, dict[str, Any]] = {}
        for page in cloud_watch.pages("logs", "filter_log_events", **given):
            for number, event in enumerate(page.get("events", ())):
                found.setdefault(str(event.get("eventId") or f"{len(found)} {number}"), dict(event))
        return list(found.values())


def _instant(milliseconds: Any) -> datetime:
    return _EPOCH + int(milliseconds) * _MS
