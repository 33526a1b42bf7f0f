"""Search jobs: their states over time, their results, and when they are gone."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from airflow_cd.demo.sumo_logic.messages import Row, message
from airflow_cd.demo.sumo_logic.query import Query
from airflow_cd.demo.telemetry import LogReader, LogRecord

NOT_STARTED = "NOT STARTED"
GATHERING = "GATHERING RESULTS"
FORCE_PAUSED = "FORCE PAUSED"
DONE = "DONE GATHERING RESULTS"
CANCELLED = "CANCELLED"

_ERROR = re.compile(r"\S+ (?:ERROR|CRITICAL|FATAL)\b")
_BUCKETS_AT_MOST = 60
_BUCKET_LENGTHS = (1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000)


@dataclass(frozen=True)
class Settings:
    """What can be turned on and off; durations in seconds.

    :param rate_limit: requests a second for each user.
    :param concurrent: requests at a time for each access key.
    :param active_jobs: search jobs of the organisation that are neither deleted nor expired.
    :param message_limit: messages after which a search without aggregation is force paused.
    :param page_limit: the most messages or records of one page; Sumo Logic's limit is 10,000.
    :param page_bytes: the most bytes of raw messages on one page.
    :param keep_alive: seconds after which a job that is not requested is cancelled.
    :param job_lifetime: a job is cancelled after so long whatever happens.
    :param start_delay: how long a job is ``NOT STARTED``; ``gather_seconds`` how long it gathers after that.
    :param lag: seconds until a record is received (``_receipttime``); what is not received cannot be found.
    :param error_lag: the same for records of level ERROR and above, where that is more.
    :param ingest_delay: seconds until a record that was received can be found.
    :param cookies: whether follow-up requests need the session's cookie.
    :param final_state: what jobs end in instead of ``DONE GATHERING RESULTS``, such as ``CANCELLED``.
    :param warning: every job reports this warning, once.
    :param error: every job reports this error, once, and finds nothing.
    """

    rate_limit: int = 4
    concurrent: int = 10
    active_jobs: int = 200
    message_limit: int = 100_000
    page_limit: int = 10_000
    page_bytes: int = 100_000_000
    keep_alive: float = 25.0
    job_lifetime: float = 8 * 3600.0
    start_delay: float = 0.05
    gather_seconds: float = 0.2
    lag: float = 0.0
    error_lag: float = 0.0
    ingest_delay: float = 0.0
    cookies: bool = True
    final_state: str = ""
    warning: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        counts = ("rate_limit", "concurrent", "active_jobs", "message_limit", "page_limit", "page_bytes")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in (
            "keep_alive",
            "job_lifetime",
            "start_delay",
            "gather_seconds",
            "lag",
            "error_lag",
            "ingest_delay",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative")


@dataclass
class Job:
    """A search job.

    :param session: the session it belongs to.
    :param found: every message it will find, the newest first.
    :param raw: whether messages are kept; aggregate queries keep them only when asked to.
    """

    id: str
    session: str
    query: Query
    found: list[Row]
    since_ms: int
    until_ms: int
    raw: bool
    created: float
    touched: float
    settings: Settings
    scanned_bytes: int = 0
    pending_warnings: list[str] = field(default_factory=list)
    pending_errors: list[str] = field(default_factory=list)
    _reported: set[int] = field(default_factory=set)

    @property
    def _paused(self) -> bool:
        return not self.query.is_aggregate and len(self.found) > self.settings.message_limit

    def state(self, now: float) -> str:
        """Its state at a moment (monotonic seconds)."""
        age = now - self.created
        if age < self.settings.start_delay:
            return NOT_STARTED
        if age < self.settings.start_delay + self.settings.gather_seconds:
            return GATHERING
        if self.settings.final_state:
            return self.settings.final_state
        return FORCE_PAUSED if self._paused else DONE

    def _gathered(self, now: float) -> list[Row]:
        """Messages found so far: a search works from the end of its time range to the beginning."""
        available = self.found[: self.settings.message_limit] if self._paused else self.found
        state = self.state(now)
        if state in {NOT_STARTED, CANCELLED}:
            return []
        if state == GATHERING:
            share = (now - self.created - self.settings.start_delay) / self.settings.gather_seconds
            return available[: int(len(available) * share)]
        return available

    def messages(self, now: float) -> list[Row]:
        """Messages that can be read now, the newest first."""
        return self._gathered(now) if self.raw else []

    def records(self, now: float) -> list[Row]:
        """Records that can be read now; they may still change while the job gathers."""
        if not self.query.is_aggregate or self.state(now) in {NOT_STARTED, CANCELLED}:
            return []
        return self.query.records(self._gathered(now))

    def status(self, now: float) -> dict[str, object]:
        """What the status call answers; warnings, errors and histogram buckets only since the last one."""
        warnings: list[str] = []
        errors: list[str] = []
        if self.state(now) != NOT_STARTED:
            warnings, self.pending_warnings = self.pending_warnings, []
            errors, self.pending_errors = self.pending_errors, []
        return {
            "state": self.state(now),
            "messageCount": len(self._gathered(now)),
            "histogramBuckets": self._new_buckets(now),
            "pendingErrors": errors,
            "pendingWarnings": warnings,
            "recordCount": len(self.records(now)),
            "usageDetails": {"dataScannedInBytes": self.scanned_bytes},
            "warning": "",
        }

    def _new_buckets(self, now: float) -> list[dict[str, int]]:
        """Buckets completed since the last call, the newest first."""
        gathered = self._gathered(now)
        span = max(self.until_ms - self.since_ms, 1)
        length = next((size for size in _BUCKET_LENGTHS if span / size <= _BUCKETS_AT_MOST), _BUCKET_LENGTHS[-1])
        counts: dict[int, int] = {}
        for row in gathered:
            start = int(row["_messagetime"]) // length * length
            counts[start] = counts.get(start, 0) + 1
        if self.state(now) == GATHERING and counts:
            del counts[min(counts)]
        new = [start for start in sorted(counts, reverse=True) if start not in self._reported]
        self._reported.update(new)
        return [{"length": length, "count": counts[start], "startTimestamp": start} for start in new]

    def page(self, rows: Sequence[Row], offset: int, limit: int) -> list[Row]:
        """A page of rows; shorter than asked for where it would exceed a limit."""
        chosen: list[Row] = []
        size = 0
        for row in rows[offset : offset + min(limit, self.settings.page_limit)]:
            size += int(row.get("_size", 0))
            if chosen and size > self.settings.page_bytes:
                break
            chosen.append(row)
        return chosen


def received_late(record: LogRecord, settings: Settings) -> LogRecord:
    """The record as it is when it arrives with the lag of the settings."""
    lag = max(settings.lag, settings.error_lag) if _ERROR.match(record.text) else settings.lag
    return replace(record, arrival_ms=record.arrival_ms + round(lag * 1000)) if lag else record


class Jobs:
    """The organisation's search jobs over the fleet's logs.

    :param clock: seconds, monotonic.
    :param wall: seconds since 1970.
    """

    def __init__(
        self,
        reader: LogReader,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._wall = wall
        self._jobs: dict[str, Job] = {}

    def active(self) -> int:
        """The number of jobs, without those that have expired."""
        now = self._clock()
        for job in list(self._jobs.values()):
            idle, age = now - job.touched, now - job.created
            if idle > job.settings.keep_alive or age > job.settings.job_lifetime:
                del self._jobs[job.id]
        return len(self._jobs)

    def create(
        self,
        query: Query,
        since_ms: int,
        until_ms: int,
        session: str,
        settings: Settings,
        *,
        by_receipt_time: bool = False,
        raw_messages: bool = False,
    ) -> Job:
        """Start a search over ``since <= time < until``."""
        self._reader.refresh()
        index = self._reader.index
        if by_receipt_time:
            found = self._visible(index.all(), settings)
            visible = [record for record in found if since_ms <= record.arrival_ms < until_ms]
        else:
            visible = self._visible(index.between(since_ms, until_ms), settings)
        # One millisecond may hold many records; the later one in a file counts as the newer.
        rows = [message(record, number) for number, record in enumerate(visible)][::-1]
        now = self._clock()
        job = Job(
            id=secrets.token_hex(8).upper(),
            session=session,
            query=query,
            found=[] if settings.error else query.messages(rows),
            since_ms=since_ms,
            until_ms=until_ms,
            raw=raw_messages or not query.is_aggregate,
            created=now,
            touched=now,
            settings=settings,
            scanned_bytes=sum(int(row["_size"]) for row in rows),
            pending_warnings=[settings.warning] if settings.warning else [],
            pending_errors=[settings.error] if settings.error else [],
        )
        self._jobs[job.id] = job
        return job

    def _visible(self, records: Sequence[LogRecord], settings: Settings) -> list[LogRecord]:
        """The records that can be found by now, with the time at which they were received."""
        newest = (self._wall() - settings.ingest_delay) * 1000
        received = [received_late(record, settings) for record in records]
        return [record for record in received if record.arrival_ms <= newest]

    def get(self, job_id: str, session: str) -> Job | None:
        """A job of the session that has not expired; requesting it keeps it alive."""
        self.active()
        job = self._jobs.get(job_id)
        if job is None or (job.settings.cookies and job.session != session):
            return None
        job.touched = self._clock()
        return job

    def delete(self, job: Job) -> None:
        """Forget a job."""
        self._jobs.pop(job.id, None)
