"""What makes log records the same kind, and how often each kind was logged."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from airflow_cd.verification.logs.headers.failures import exception_in, suggests_failure
from airflow_cd.verification.logs.headers.levels import level_in, severity_of
from airflow_cd.verification.logs.headers.requests import status_in

SAMPLE_LENGTH = 4_000  # characters kept of a record


@dataclass(frozen=True)
class Signature:
    """What makes records the same kind; hashable, equal in every process and release.

    :param template: the masked message; for a stack trace, severity, classes and frames in one line.
    :param severity: one of :data:`~airflow_cd.verification.verdict.SEVERITIES`.
    :param exception: class of the exception, if it is one.
    :param causes: classes of its causes, the root last.
    :param frames: functions the root cause came through, nearest first; empty without a stack trace.
    """

    template: str
    severity: str
    exception: str | None = None
    causes: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()

    @property
    def traced(self) -> bool:
        """Whether it is a stack trace, known by its classes and functions instead of its text."""
        return bool(self.frames or self.causes)

    @property
    def stated(self) -> bool:
        """Whether it states how severe it is, by a level, a status or by being a crash."""
        return self.traced or level_in(self.template) is not None or status_in(self.template) is not None

    @property
    def weight(self) -> str:
        """Its severity, or where none is stated what its words suggest: ``error`` if they tell of a failure."""
        if self.severity == "info" and not self.stated and suggests_failure(self.template):
            return "error"
        return self.severity

    @property
    def id(self) -> str:
        """Content hash, 12 hexadecimal digits."""
        return content_id(self.template)

    @classmethod
    def of_line(cls, template: str) -> Signature:
        """The signature of a masked message without a stack trace.

        :param template: the masked message.
        """
        severity = severity_of(template)
        exception = exception_in(template) if severity not in ("debug", "info") else None
        return cls(template, severity, exception)

    @classmethod
    def of_trace(cls, severity: str, classes: tuple[str, ...], frames: tuple[str, ...]) -> Signature:
        """The signature of a stack trace.

        :param severity: of the record.
        :param classes: of the exceptions, outermost first, root cause last.
        :param frames: functions of the root cause, nearest to the fault first.
        """
        chain = " <- ".join(classes)
        place = f" in {' < '.join(frames)}" if frames else ""
        return cls(f"{severity.upper()} {chain}{place}", severity, classes[0], classes[1:], frames)


def content_id(template: str) -> str:
    """The id of an event with this template.

    :param template: of the event.
    """
    return blake2b(template.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


@dataclass
class Tally:
    """How often one signature was logged, where, when, and what it looked like.

    :param instances: records for each instance; their sum is the count.
    :param first: time of the first record in milliseconds since 1970, None if no record has a time. ``last`` likewise.
    :param samples: up to two of the records, shortened: the first and the last read of one log, of several logs those
        that sort first and last, which with a leading time are the oldest and newest. Not part of what makes equal.
    """

    instances: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    samples: tuple[str, ...] = field(default=(), compare=False)

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(self.instances.values())

    def add(self, other: Tally) -> None:
        """Take the other's records in.

        :param other: of the same signature.
        """
        for instance, count in other.instances.items():
            self.instances[instance] = self.instances.get(instance, 0) + count
        times = [time for time in (self.first, other.first) if time is not None]
        self.first = min(times, default=None)
        times = [time for time in (self.last, other.last) if time is not None]
        self.last = max(times, default=None)
        texts = self.samples + other.samples
        self.samples = tuple(sorted({min(texts), max(texts)})) if texts else ()
