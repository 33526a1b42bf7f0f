"""What an INCONCLUSIVE verdict leaves open: whether anything points to harm, and how much longer would decide.

An estimate, and no test: the verdict of watching longer decides. It is made for a person who has to choose between
going on, watching longer and going back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_cd.durations import format_duration
from airflow_cd.verification.health import INSTANCE_FAILED, INSTANCE_RESTARTED
from airflow_cd.verification.metrics.changed_since import CHANGED_SINCE
from airflow_cd.verification.verdict import (
    SEVERITIES,
    Event,
    EventKind,
    Judgement,
    MetricResult,
    Performance,
    Quality,
    Reason,
    Verdict,
)

LONGEST = timedelta(days=1)
"""What would take longer than this is not decided by watching."""

_ERROR = SEVERITIES.index("error")
_BAD_SIGNS = ("went_silent", "instance_silent", "instance_differs")
_SAID_SAFE = ("not_a_risk", "not_a_risk_at_any_frequency", "expected")


@dataclass(frozen=True)
class Open:
    """One thing that is not decided.

    :param what: a metric, or what is missing.
    :param more: how much longer would probably decide it; None where time alone decides nothing.
    """

    what: str
    more: timedelta | None

    @property
    def text(self) -> str:
        """The same in words."""
        if self.more is None:
            return f"{self.what}: watching longer alone does not decide it"
        return f"{self.what}: about {format_duration(self.more)} more would decide it, if traffic stays as it is"


def points_to_harm(judgement: Judgement) -> list[str]:
    """What in an undecided judgement speaks against the canary, without being proof: a reason to drain it.

    New errors in logs that have not passed, metrics that are certainly worse while it is open whether by enough, what
    went silent or differs on a single instance, and instances that are in trouble or have died. That nothing was ever
    read, a source is away, or the release did well before and is slower now, points to nothing.

    :param judgement: INCONCLUSIVE.
    :returns: one phrase each; empty when nothing does.
    """
    died = [_short(reason.text) for reason in judgement.reasons if reason.code in (INSTANCE_FAILED, INSTANCE_RESTARTED)]
    return [*_of_logs(judgement.quality), *_of_metrics(judgement.performance), *died]


def still_open(judgement: Judgement, watched: timedelta) -> list[Open]:
    """What is not decided, and how much longer would decide it at the traffic seen so far.

    A count grows with the time, and the width of an interval shrinks with its square root.

    :param judgement: INCONCLUSIVE.
    :param watched: how long the canary has been watched.
    """
    found = [*_open_metrics(judgement.performance, watched)]
    if judgement.quality is not None and judgement.quality.verdict is Verdict.INCONCLUSIVE:
        found += [Open(_short(reason.text), None) for reason in judgement.quality.reasons[:1]]
    if not found:
        found = [Open(_short(reason.text), None) for reason in judgement.reasons[:1]]
    return found


def longest(opens: list[Open]) -> timedelta | None:
    """How much longer would decide all that time decides; None where it decides nothing.

    :param opens: what is not decided.
    """
    return max((one.more for one in opens if one.more is not None), default=None)


def watched_time(judgement: Judgement, since: datetime) -> timedelta:
    """How long a canary has been watched when its verdict stood.

    :param judgement: a final one.
    :param since: when its time began.
    """
    try:
        return max(timedelta(0), datetime.fromisoformat(judgement.decided) - since)
    except ValueError:
        return timedelta(0)


def _of_logs(quality: Quality | None) -> Iterator[str]:
    if quality is None or quality.verdict is Verdict.PASS:
        return
    for event in quality.events:
        if event.risk or _new_error(event):
            yield event.exception or _short(event.template)
    yield from _of_reasons(quality.reasons)


def _of_reasons(reasons: Sequence[Reason]) -> Iterator[str]:
    """What went silent, and single instances that differ: no proof, and no good sign."""
    yield from (_short(reason.text) for reason in reasons if reason.code in _BAD_SIGNS)


def _new_error(event: Event) -> bool:
    if event.kind is not EventKind.UNKNOWN or not event.counts.get("canary"):
        return False
    if event.feedback is not None and event.feedback.says in _SAID_SAFE:
        return False
    return event.exception is not None or SEVERITIES.index(event.severity) >= _ERROR


def _of_metrics(performance: Performance | None) -> Iterator[str]:
    if performance is None or performance.verdict is Verdict.PASS:
        return
    for result in performance.metrics:
        worse = _worse(result)
        if result.verdict is not Verdict.PASS and worse is not None and result.reason.code != CHANGED_SINCE:
            low, _, estimate = worse
            if low > 0.0 and estimate >= (result.threshold or 0.0):
                yield f"{result.name}{f' of {result.group}' if result.group else ''}"
    yield from _of_reasons(performance.reasons)


def _worse(result: MetricResult) -> tuple[float, float, float] | None:
    """By how much it is worse: at least, at most, probably; None where that is not known."""
    if result.effect is None or result.interval is None:
        return None
    low, high, effect = (math.inf if end is None else float(end) for end in (*result.interval, result.effect))
    if result.direction == "lower_is_worse" or (result.direction == "either" and effect < 0):
        low, high, effect = -high, -low, -effect
    return low, high, effect


def _open_metrics(performance: Performance | None, watched: timedelta) -> Iterator[Open]:
    if performance is None or performance.verdict is not Verdict.INCONCLUSIVE:
        return
    undecided = [one for one in performance.metrics if not one.group and one.verdict is Verdict.INCONCLUSIVE]
    for result in undecided:
        yield Open(result.name, _more(result, watched))
    for reason in () if undecided else performance.reasons[:1]:
        requests, least = reason.numbers.get("canary_requests"), reason.numbers.get("least")
        factor = _ratio(least, requests)
        yield Open(_short(reason.text), _grown(watched, factor))


def _more(result: MetricResult, watched: timedelta) -> timedelta | None:
    numbers = result.reason.numbers
    if (least := numbers.get("least")) is not None:
        sides = [_ratio(least, numbers.get(name)) for name in ("canary_requests", "control_requests")]
        return _grown(watched, max((side for side in sides if side is not None), default=None))
    worse = _worse(result)
    if worse is None or result.threshold is None:
        return None
    low, high, effect = worse
    half, gap = (high - low) / 2.0, abs(result.threshold - effect)
    if not math.isfinite(half) and result.smallest_detectable:
        half, gap = result.smallest_detectable, result.threshold
    return _grown(watched, (half / gap) ** 2 if math.isfinite(half) and gap > 0.0 else None)


def _ratio(least: object, has: object) -> float | None:
    if not isinstance(least, (int, float)) or not isinstance(has, (int, float)) or has <= 0:
        return None
    return least / has


def _grown(watched: timedelta, factor: float | None) -> timedelta | None:
    """The time until it has grown by a factor, in round numbers; None where that is no use."""
    if factor is None or not math.isfinite(factor) or factor * watched.total_seconds() > LONGEST.total_seconds():
        return None
    seconds = max(0.0, factor - 1.0) * watched.total_seconds()
    step = 60 if seconds > 60 else 10
    return timedelta(seconds=max(1, math.ceil(seconds / step)) * step)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else line[:119] + "…"
