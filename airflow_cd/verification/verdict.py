"""Verdicts and the evidence they rest on, as plain values that turn into JSON and back."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification.json_values import json_value
from airflow_cd.verification.lag import SeenLag
from airflow_cd.verification.throttling import Throttling

EVIDENCE_VERSION = 1
SEVERITIES = ("debug", "info", "warning", "error", "fatal")
"""Of log events, from the least to the most severe."""


class Verdict(str, enum.Enum):
    """The verdict of a verification. INCONCLUSIVE is an answer of its own, never a weaker PASS."""

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    def __str__(self) -> str:
        return self.value


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict over several parts: FAIL outweighs INCONCLUSIVE, and that outweighs PASS.

    :param verdicts: at least one.
    """
    return min(verdicts, key=(Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS).index)


class EventKind(str, enum.Enum):
    """What an event is to the baseline."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    UNEXPECTED_FREQUENCY = "unexpected frequency"
    WENT_SILENT = "went silent"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Reason:
    """One reason of a verdict: a sentence with its numbers, and the numbers by name.

    :param text: the sentence.
    :param numbers: what the sentence rests on, by name.
    :param code: stable word for machines (``unknown_events``, ``metric_regressed``, ``no_data``, ``few_requests``,
        ``source_error``, ``source_behind``, ``no_baseline``, ``nothing_new``, ``no_regression``, ``learning``).
    """

    code: str
    text: str
    numbers: Mapping[str, float | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Feedback:
    """Feedback on an event, which outranks the rules.

    :param says: one of :data:`airflow_cd.verification.logs.feedback.SAYS`, or ``expected`` where the pipeline declared
        the event ahead of the deployment.
    :param who: who gave it.
    :param why: the reason that was given.
    :param when: ISO 8601 time, ``""`` if unknown.
    """

    says: str
    who: str
    why: str
    when: str = ""

    @property
    def words(self) -> str:
        """The feedback as people write it."""
        return self.says.replace("_", " ")


@dataclass(frozen=True)
class Event:
    """A cluster of log messages.

    :param kind: what it is to the baseline.
    :param p_value: probability of a count this far out by chance; None if unknown.
    :param last_seen: ISO 8601 time of the last record on the canary, ``""`` if there is none.
    :param id: content hash of the template; the same event has the same id in every run.
    :param severity: one of :data:`SEVERITIES`.
    :param risk: True when this event is a reason to fail the release: these are the red dots.
    :param template: the message with its variable parts masked.
    :param samples: a few original records, newest last, bounded in number and length.
    :param exception: class of the exception, if it is one.
    :param frames: its top application frames.
    :param counts: records on ``canary``, on ``control`` and in the ``baseline`` (its mean for each deployment).
    :param instances: records for each canary instance.
    :param expected: how many the baseline and control let expect on the canary in this window; None if unknown.
    :param first_seen: ISO 8601 time of the first record on the canary, ``""`` if there is none.
    :param stated: whether its records state how severe they are, by a level or by being a crash; else the severity is
        what their words suggest, which is a sign, but fails no release by itself.
    :param feedback: feedback of a person, or the pipeline's expectation, which outranks the rules; None without any.
    :param x: place in the picture, 0 to 1; like events are near.
    :param y: place in the picture, 0 to 1.
    """

    id: str
    kind: EventKind
    severity: str
    risk: bool
    template: str
    samples: Sequence[str] = ()
    exception: str | None = None
    frames: Sequence[str] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    expected: float | None = None
    p_value: float | None = None
    first_seen: str = ""
    last_seen: str = ""
    x: float = 0.5
    y: float = 0.5
    feedback: Feedback | None = None
    stated: bool = True


@dataclass(frozen=True)
class MetricResult:
    """One metric, judged.

    :param name: of the metric.
    :param group: which of its groups, ``""`` for all together.
    :param kind: how it was judged; see :class:`~airflow_cd.verification.samples.Metric`, as for ``unit`` and
        ``direction``.
    :param verdict: on this metric.
    :param reason: of the verdict.
    :param effect: relative change of the canary against what it is compared with, ``0.25`` for 25 % more.
    :param interval: confidence interval of the effect.
    :param threshold: the smallest relative change that counts as a regression.
    :param smallest_detectable: the smallest relative change this much data could have shown.
    :param canary: ``mean``, ``requests``, ``buckets`` (and more) of the canary; ``control`` likewise.
    :param compared_with: ``control``, ``before`` (the same instances before the deployment), ``baseline``, or
        ``limits`` for a number of the release as a whole, which is compared with nothing.
    :param series: for ``canary`` and ``control``, points ``[ISO 8601 time, value]`` pooled over instances.
    :param instances: mean for each canary instance.
    :param decides: whether it can fail or hold up the release; otherwise it informs.
    :param assumed: how the metric was read, in words: its kind, which way is worse, what its values turned out to be;
        ``""`` where its author said it all.
    """

    name: str
    group: str
    kind: str
    unit: str
    direction: str
    verdict: Verdict
    reason: Reason
    effect: float | None = None
    interval: tuple[float, float] | None = None
    threshold: float | None = None
    smallest_detectable: float | None = None
    canary: Mapping[str, float] = field(default_factory=dict)
    control: Mapping[str, float] = field(default_factory=dict)
    compared_with: str = "control"
    series: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    instances: Mapping[str, float] = field(default_factory=dict)
    decides: bool = True
    assumed: str = ""


@dataclass(frozen=True)
class Performance:
    """The performance of a canary: what its metrics come to.

    :param verdict: over all metrics.
    :param reasons: of the verdict, the decisive one first.
    :param metrics: the result of each metric, over all groups and for each group.
    :param queries: by the name of a source, the query as it was sent.
    """

    verdict: Verdict
    reasons: Sequence[Reason] = ()
    metrics: Sequence[MetricResult] = ()
    queries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Quality:
    """The quality of a canary: what its logs come to.

    :param verdict: over all events.
    :param reasons: of the verdict, the decisive one first.
    :param events: every event of the canary and of what it is compared with, risks first.
    :param queries: by the name of a source, the query as it was sent.
    :param records: number of log records read of ``canary``, ``control`` and ``baseline``.
    :param baseline: the deployments whose profiles were compared with, oldest first.
    :param levels: records of the canary by the severity that they state; ``none`` are those that state none.
    :param levels_stated: False when no record of either side states a level or is a crash: then nothing in these logs
        could have failed the release.
    """

    verdict: Verdict
    reasons: Sequence[Reason] = ()
    events: Sequence[Event] = ()
    records: Mapping[str, int] = field(default_factory=dict)
    baseline: Sequence[str] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)
    levels_stated: bool = True

    @property
    def risks(self) -> list[Event]:
        """The red dots."""
        return [event for event in self.events if event.risk]


@dataclass(frozen=True)
class Judgement:
    """The outcome of one verification, whole.

    :param verdict: over metrics and logs.
    :param performance: what the metrics come to; None when none were watched.
    :param quality: what the logs come to; None when none were watched.
    :param reasons: of the overall verdict, the decisive one first.
    :param started: ISO 8601, when watching began. ``decided``: when the verdict stood.
    :param first_bad: when the first event or measurement happened that the FAIL rests on; ``""`` if none.
    :param looks: how often the sources were read.
    :param canary: names of the instances on the new release; ``control`` those it was compared with.
    :param warnings: what a reader should know about the evidence, one sentence each.
    :param source_errors: what sources answered instead of data, in their words.
    :param final: False while it still watches.
    :param since: ISO 8601, when the watched time begins; ``until`` where it ends, as far as every source was read.
    :param lags: by the name of a source, how late its data came.
    :param throttling: by the name of a source that told to wait, what it said of its rate limit.
    """

    verdict: Verdict
    reasons: Sequence[Reason]
    performance: Performance | None = None
    quality: Quality | None = None
    started: str = ""
    decided: str = ""
    first_bad: str = ""
    looks: int = 0
    canary: Sequence[str] = ()
    control: Sequence[str] = ()
    source_errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    final: bool = True
    since: str = ""
    until: str = ""
    lags: Mapping[str, SeenLag] = field(default_factory=dict)
    throttling: Mapping[str, Throttling] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The decisive reason, for a person who has seconds."""
        return f"{self.verdict}: {self.reasons[0].text}" if self.reasons else str(self.verdict)

    def as_dict(self) -> dict[str, Any]:
        """JSON values only (NaN and infinity become None); read back by :meth:`from_dict`."""
        content: dict[str, Any] = json_value(self)
        return {"version": EVIDENCE_VERSION, **content}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Judgement:
        """Read what :meth:`as_dict` wrote, of this version or an older one.

        Fields that this version does not know are passed over.

        :param content: JSON values.
        :raises airflow_cd.errors.VerificationError: it is not a judgement, or one of a newer version.
        """
        version = content.get("version") if isinstance(content, Mapping) else None
        if not isinstance(version, int) or "verdict" not in content:
            raise VerificationError("this is not a stored judgement: it has no version or no verdict.")
        if version > EVIDENCE_VERSION:
            raise VerificationError(
                f"the stored judgement is of version {version}, this installation reads up to {EVIDENCE_VERSION}.",
                next_step="Upgrade airflow-cd here to the version that wrote it.",
            )
        try:
            judgement: Judgement = _read(cls, content)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise VerificationError(f"the stored judgement is damaged: {error}.") from error
        return judgement


# How a field is read back where plain JSON is not what it holds.
_READERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("Judgement", "verdict"): Verdict,
    ("Judgement", "reasons"): lambda rows: [_read(Reason, row) for row in rows],
    ("Judgement", "performance"): lambda row: None if row is None else _read(Performance, row),
    ("Judgement", "quality"): lambda row: None if row is None else _read(Quality, row),
    ("Judgement", "lags"): lambda lags: {name: _read(SeenLag, row) for name, row in lags.items()},
    ("Judgement", "throttling"): lambda said: {name: _read(Throttling, row) for name, row in said.items()},
    ("Performance", "verdict"): Verdict,
    ("Performance", "reasons"): lambda rows: [_read(Reason, row) for row in rows],
    ("Performance", "metrics"): lambda rows: [_read(MetricResult, row) for row in rows],
    ("Quality", "verdict"): Verdict,
    ("Quality", "reasons"): lambda rows: [_read(Reason, row) for row in rows],
    ("Quality", "events"): lambda rows: [_read(Event, row) for row in rows],
    ("Event", "kind"): EventKind,
    ("Event", "feedback"): lambda row: None if row is None else _read(Feedback, row),
    ("MetricResult", "verdict"): Verdict,
    ("MetricResult", "reason"): lambda row: _read(Reason, row),
    ("MetricResult", "interval"): lambda pair: None if pair is None else (pair[0], pair[1]),
    ("MetricResult", "series"): lambda series: {
        name: [(point[0], point[1]) for point in points] for name, points in series.items()
    },
}


def _read(kind: type[Any], content: Mapping[str, Any]) -> Any:
    values = {}
    for known in fields(kind):
        if known.name in content:
            reader = _READERS.get((kind.__name__, known.name))
            values[known.name] = reader(content[known.name]) if reader else content[known.name]
    return kind(**values)
