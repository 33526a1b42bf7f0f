"""What leaves a PASS of logs open, though no event in them fails the release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from airflow_cd.verification.logs.events import Comparison
from airflow_cd.verification.logs.frequency import expectations
from airflow_cd.verification.logs.headers.json_news import SUCCESSES
from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.severity import at_least, title_of, weight_of
from airflow_cd.verification.verdict import Event, EventKind, Reason

SERVER_ERROR = 500  # status from which on a request failed at the server
_FEWEST = 10  # records of an error, or of failed requests
_PROBABLE = 0.01  # largest probability that chance alone brings so many failed requests
_UNREAD, _TIMES, _FEWEST_UNREAD = 0.1, 10.0, 20  # share of the records, times what references have, and how many
_FLOOD = 0.3  # share of the records that a warning must have come to be
_NAMED = 6
_FAILED = re.compile(rf"(?<!\S)(?:{'|'.join(SUCCESSES)})=false(?!\S)")
_FEWEST_GONE, _HALF, _UNLIKELY = 5.0, 0.5, 0.05  # of an exception that seems to have moved


def more_errors(events: Sequence[Event], least: str, ratio: float) -> Reason | None:
    """That known errors stand out as several times as frequent, without being sure enough to fail; None if none do.

    :param events: of the comparison, judged.
    :param least: severity from which on a frequency matters.
    :param ratio: smallest ratio between observed and expected that counts.
    """
    records = sum(event.counts["canary"] for event in events)
    more = [
        event
        for event in events
        if event.kind is EventKind.UNEXPECTED_FREQUENCY
        and not event.risk
        and event.feedback is None
        and (_FAILED.search(event.template) or event.stated)
        and (_is_error(event, least) or _floods(event, records))
        and event.counts["canary"] >= max(_FEWEST, ratio * (event.expected or 0.0))
    ]
    if not more:
        return None
    named = "; ".join(
        f"{title_of(event)} ({event.counts['canary']:.0f} times, {event.expected or 0.0:.1f} expected)"
        for event in more[:_NAMED]
    )
    what = "errors" if any(_is_error(event, least) for event in more) else "warnings"
    return Reason("more_errors", f"Known {what} are several times as frequent: {named}.", {"events": len(more)})


def _is_error(event: Event, least: str) -> bool:
    """Whether it matters by its severity, or says that what it is about did not succeed."""
    return at_least(weight_of(event), least) or _FAILED.search(event.template) is not None


def _floods(event: Event, records: float) -> bool:
    """Whether a warning has become much of all that is logged."""
    return event.severity == "warning" and event.counts["canary"] >= _FLOOD * records


def more_failed_requests(
    comparison: Comparison, events: Sequence[Event], watched: float, ratio: float
) -> Reason | None:
    """That requests failed (5xx) several times as often, all routes and statuses together; None if they did not.

    :param comparison: of the canary with its references.
    :param events: the same events, judged.
    :param watched: seconds the canary was watched, summed over instances; 0 when unknown.
    :param ratio: smallest ratio between observed and expected that counts.
    """
    failed = {
        event.template
        for event in events
        if (status_in(event.template) or 0) >= SERVER_ERROR and event.feedback is None and not event.risk
    }
    observed = sum(comparison.canary.get(template, 0) for template in failed)
    if len(failed) < 2 or observed < _FEWEST:
        return None
    total = "\0failed requests"
    references = [
        replace(one, counts={**one.counts, total: sum(one.counts.get(template, 0) for template in failed)})
        for one in comparison.references
    ]
    expected = expectations({**comparison.canary, total: observed}, watched, references, [total]).get(total)
    if expected is None or observed < ratio * expected.expected or expected.p_value > _PROBABLE:
        return None
    text = (
        f"{observed:,} requests failed (5xx), {expected.expected:.1f} expected, though none of the {len(failed)} kinds "
        "of them stands out enough by itself."
    )
    return Reason("more_failed_requests", text, {"observed": observed, "expected": expected.expected})


def unreadable(canary: LogProfile, references: Sequence[LogProfile]) -> Reason | None:
    """That many records of the canary state no level, or are broken, where those of no reference do; None if not.

    :param canary: what the canary logged.
    :param references: what it is compared with.
    """
    count = _unread(canary)
    share = count / canary.records if canary.records else 0.0
    usual = max((_unread(one) / one.records for one in references if one.records), default=0.0)
    if count < _FEWEST_UNREAD or share < _UNREAD or share < _TIMES * usual:
        return None
    text = (
        f"{count:,} of {canary.records:,} records of the canary state no level or cannot be read, {usual:.1%} of what "
        "it is compared with: what they say is not known."
    )
    return Reason("unreadable_records", text, {"records": count, "share": share, "usual": usual})


def moved(new: Sequence[Event], events: Sequence[Event]) -> dict[str, Event]:
    """By template, for new exceptions the known event that they seem to be from another function.

    One of the same class has become rare, or is gone, by about as much.

    :param new: events that are new.
    :param events: all of the comparison.
    """
    found = {}
    for event in new:
        for other in events:
            expected, count = other.expected or 0.0, other.counts["canary"]
            gone = expected >= _FEWEST_GONE and count <= _HALF * expected and (other.p_value or 0.0) <= _UNLIKELY
            if (
                event.exception is not None
                and event.frames
                and other.frames
                and other.exception == event.exception
                and other.kind is not EventKind.UNKNOWN
                and gone
                and event.counts["canary"] <= 1.5 * (expected - count)
            ):
                found[event.template] = other
    return found


def moved_reason(new: Sequence[Event], known: dict[str, Event]) -> Reason:
    """Why exceptions that moved do not fail the release.

    :param new: events that are new.
    :param known: as of :func:`moved`.
    """
    texts = [
        f"{event.exception} comes from another function ({event.counts['canary']:.0f} times in {event.frames[0]}), and "
        f"has become rare where it was known ({known[event.template].counts['canary']:.0f} times in "
        f"{known[event.template].frames[0]}, {known[event.template].expected or 0.0:.1f} expected)"
        for event in new
        if event.template in known
    ]
    return Reason("moved", f"{'; '.join(texts[:_NAMED])}: has it moved?", {"events": len(texts)})


def _unread(profile: LogProfile) -> int:
    return sum(tally.count for signature, tally in profile.tallies.items() if not signature.stated)
