"""Logs from Amazon CloudWatch: what authors write in a DAG, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.cloud_watch_streams import INSTANCE, Streams
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.hooks.cloud_watch import CloudWatch

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS = timedelta(milliseconds=1)


@keeps_misspelt_keywords
@dataclass(frozen=True)
class CloudWatchLogs:
    """Log events of a group, of whose streams each is of an instance.

    :param group: name of the log group.
    :param stream: name of an instance's stream, in which ``{instance}`` stands for its name: ``web/app/{instance}``;
        ``{instance}`` by default. One that ends with ``*`` is how the names of an instance's streams begin, and in it
        ``%Y``, ``%m`` and ``%d`` are the day on which a stream was made: ``%Y/%m/%d/[{instance}]*`` is a version of a
        function on Lambda. Of names that fit one stream the longest has it.
    :param pattern: a filter pattern of CloudWatch Logs; none (``""``) by default.
    :param conn_id: Airflow connection of type ``aws``; ``aws_default`` by default.
    :param region: ``eu-central-1``; the connection's by default.
    :param delay: how long after an event CloudWatch usually has it, a duration; 15 seconds by default. What comes later
        counts too: each event says when it was ingested.
    :param name: what reports call the source; ``CloudWatch <group>`` by default.
    """

    group: str
    stream: str = INSTANCE
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
        if isinstance(self.stream, str):
            found += Streams(self.stream).mistakes()
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
        names, streams = sorted(set(instances)), Streams(self.stream)
        for instance in names if window.since < window.until else ():
            stream = self.stream.replace(INSTANCE, instance)
            queries.append(f"filter_log_events of {self.group}, stream {stream}, pattern {self.pattern!r}")
            known = {one: streams.of_longer_names(one, names, window) for one in streams.of(instance, window)}
            there = [one for one, others in known.items() if self._is_there(cloud_watch, one, others)]
            if not there:
                warnings.append(f"{self.group} has no stream {stream}.")
            for event in (event for one in there for event in self._events(cloud_watch, one, known[one], window)):
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
        streams = Streams(self.stream)
        since = (window.since - _EPOCH) // _MS
        found = set()
        cloud_watch = CloudWatch(self.conn_id, self.region)
        for before in streams.prefixes(window):
            given = {"logGroupName": self.group, **({"logStreamNamePrefix": before} if before else {})}
            for page in cloud_watch.pages("logs", "describe_log_streams", **given):
                for stream in page.get("logStreams", ()):
                    if stream.get("lastEventTimestamp", since) >= since:
                        found.add(streams.instance_in(str(stream.get("logStreamName", ""))))
        return sorted(found - {""})

    def _is_there(self, cloud_watch: CloudWatch, stream: str, others: tuple[str, ...]) -> bool:
        """Whether there is a stream of that name, or one whose name begins so and not as others' do."""
        given = {"logGroupName": self.group, "logStreamNamePrefix": stream}
        pages = cloud_watch.pages("logs", "describe_log_streams", **given)
        names = (one.get("logStreamName") for page in pages for one in page.get("logStreams", ()))
        many = Streams(self.stream).many
        return any(not str(name).startswith(others) if many else name == stream for name in names)

    def _events(
        self, cloud_watch: CloudWatch, stream: str, others: tuple[str, ...], window: Window
    ) -> list[dict[str, Any]]:
        # Its end belongs to it, and what is no whole millisecond is cut off below.
        begin = (window.since - _EPOCH) // _MS
        end = -((_EPOCH - window.until) // _MS) - 1
        if begin < 0 or end < 0:
            raise SourceQueryRejected(f"{self.name}: CloudWatch knows no time before 1970.", next_step="Look later.")
        given: dict[str, Any] = {
            "logGroupName": self.group,
            **({"logStreamNamePrefix": stream} if Streams(self.stream).many else {"logStreamNames": [stream]}),
            "startTime": begin,
            "endTime": max(begin, end),
            **({"filterPattern": self.pattern} if self.pattern else {}),
        }
        found: dict[str, dict[str, Any]] = {}
        for page in cloud_watch.pages("logs", "filter_log_events", **given):
            for number, event in enumerate(page.get("events", ())):
                name = str(event.get("logStreamName", stream))
                if name.startswith(stream) and not name.startswith(others):
                    found.setdefault(str(event.get("eventId") or f"{len(found)} {number}"), dict(event))
        return list(found.values())


def _instant(milliseconds: Any) -> datetime:
    return _EPOCH + int(milliseconds) * _MS
