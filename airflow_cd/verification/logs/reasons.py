"""The reasons of a verdict on logs: sentences with their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.novelty import Novelty
from airflow_cd.verification.logs.parameters import is_protected
from airflow_cd.verification.logs.severity import title_of
from airflow_cd.verification.verdict import SEVERITIES, Event, EventKind, Reason

MUCH_OF_A_LOG = 0.2
"""Share of the expected records from which on an event's silence leaves a verdict open."""
_VITAL = ((100.0, 0.05), (30.0, 0.1))  # expected records, and their share, from which on it does so with fewer, too
_NEARLY = 0.2  # of the expected records of what made up so much of a log: all but gone
_NAMED = 6  # events named in a reason


def of_risks(events: Sequence[Event], records: Mapping[str, int], baselines: int) -> list[Reason]:
    """One reason for each kind of risk, or that there is none.

    :param events: of the comparison.
    :param records: of canary and control.
    :param baselines: how many deployments are compared with.
    """
    numbers: dict[str, float | int | str | None] = {
        "events": len(events),
        "canary_records": records["canary"],
        "control_records": records["control"],
        "baselines": baselines,
    }
    reasons = []
    for kind, code, words in (
        (EventKind.UNKNOWN, "unknown_events", "unknown"),
        (EventKind.UNEXPECTED_FREQUENCY, "unexpected_frequency", "unexpectedly frequent"),
        (EventKind.WENT_SILENT, "went_silent", "silent"),
        (EventKind.KNOWN, "always_a_risk", "known, but always a risk"),
    ):
        risks = [event for event in events if event.risk and event.kind is kind]
        if not risks:
            continue
        noun = "event is" if len(risks) == 1 else "events are"
        loudest = sorted(risks, key=lambda event: (-SEVERITIES.index(event.severity), -event.counts["canary"]))
        named = "; ".join(_named(event) for event in loudest[:_NAMED])
        more = f"; and {len(risks) - _NAMED} more" if len(risks) > _NAMED else ""
        text = f"{len(risks)} {noun} {words}: {named}{more}."
        reasons.append(Reason(code, text, {**numbers, "risks": len(risks)}))
    if not reasons:
        unknown = sum(event.kind is EventKind.UNKNOWN for event in events)
        text = f"{records['canary']} records of the canary show no event that is a risk"
        text += f" ({unknown} unknown, none of them severe enough)." if unknown else "."
        reasons.append(Reason("nothing_new", text, {**numbers, "risks": 0, "unknown": unknown}))
    return reasons


def _named(event: Event) -> str:
    name = title_of(event)
    count = "once" if event.counts["canary"] == 1 else f"{event.counts['canary']:.0f} times"
    return f"{name} ({count}, {event.expected:.1f} expected)" if event.expected is not None else f"{name} ({count})"


def no_proof(novelty: Novelty, new: Sequence[Event]) -> Reason:
    """Why new kinds of errors do not fail the release.

    :param novelty: of all of them.
    :param new: their events.
    """
    kinds = "1 new kind of error is" if len(new) == 1 else f"{len(new)} new kinds of errors are"
    usual = f"about {novelty.usual:.1f} such kinds come in as much of this log without any change"
    if novelty.ordinary:
        text = f"{kinds} as usual: {usual}."
    elif not novelty.kinds:
        text = f"{kinds} no proof: gateways answered no more requests than usual with such errors."
    elif not any(event.stated for event in new):
        text = f"{kinds} no proof: their records state no level, only their words tell of a failure; {usual}."
    elif novelty.proven:  # by all of them, of which only those that state a level can fail a release
        levels = sum(event.stated for event in new)
        one = "1 of them states a level" if levels == 1 else f"{levels} of them state a level"
        text = f"{kinds} no proof: only {one}, of the others words alone tell of a failure; {usual}."
    else:
        text = f"{kinds} no proof: {usual} (probability of so many {novelty.p_value:.2g})."
    numbers = {"kinds": len(new), "usual": round(novelty.usual, 3), "p_value": novelty.p_value}
    return Reason("new_errors_usual", text, numbers)


def other_layout(kinds: int) -> list[Reason]:
    """That the layout of the log has changed; empty if it has not.

    :param kinds: of messages that are known, with something else in front of them.
    """
    if not kinds:
        return []
    text = f"The layout of the log has changed: {kinds} kinds of messages are known, with something else before them."
    return [Reason("other_layout", text, {"kinds": kinds})]


def gone_silent(events: Sequence[Event], level: float) -> Reason | None:
    """That events which made up much of the log are gone, without others that took their place; None if none is.

    :param events: with what was expected of them.
    :param level: largest probability that chance alone does it.
    """
    everything = sum(event.expected or 0.0 for event in events)
    more = [event for event in events if event.counts["canary"] > (event.expected or 0.0)]
    silent = [
        event
        for event in events
        if event.feedback is None
        and (event.p_value if event.p_value is not None else 1.0) <= level
        and (_is_gone(event, everything) or _is_nearly_gone(event, everything))
        and not any(_replaces(other, event) for other in more)
    ]
    if not silent:
        return None
    text = f"What made up much of the log is gone: {'; '.join(_named(event) for event in silent[:_NAMED])}."
    return Reason("went_silent", text, {"silent": len(silent)})


def _is_gone(event: Event, everything: float) -> bool:
    return event.kind is EventKind.WENT_SILENT and _is_much(event, everything)


def _is_nearly_gone(event: Event, everything: float) -> bool:
    expected = event.expected or 0.0
    fewer = event.kind is EventKind.UNEXPECTED_FREQUENCY and event.counts["canary"] <= _NEARLY * expected
    return fewer and expected >= MUCH_OF_A_LOG * everything


def _is_much(event: Event, everything: float) -> bool:
    expected = event.expected or 0.0
    if event.severity == "debug":
        return expected >= MUCH_OF_A_LOG * everything
    return expected >= min(MUCH_OF_A_LOG * everything, *(max(least, share * everything) for least, share in _VITAL))


def _replaces(other: Event, gone: Event) -> bool:
    """Whether a new event is the one that is gone in other words."""
    words, before = _said(other), _said(gone)
    expected = max(gone.expected or 0.0, 1.0)
    if other.kind is EventKind.UNKNOWN:
        return 0.5 <= other.counts["canary"] / expected <= 2.0 and len(words & before) >= len(before) / 2
    missing = before - words
    return len(missing) <= 1 < len(before) and not any(map(_says_what, missing)) and _took_over(other, gone)


def _took_over(other: Event, gone: Event) -> bool:
    """Whether a known event has become more frequent by about what another one was before."""
    before = max(gone.counts["baseline"], gone.counts["control"])
    return other.counts["canary"] - max(other.counts["baseline"], other.counts["control"]) >= before / 2


def _says_what(word: str) -> bool:
    return is_protected(word.strip(",.:;()[]\"'"))


def _said(event: Event) -> set[str]:
    """Words of a message, without its level, its parameters and signs."""
    return {word for word in event.template.split() if any(map(str.isalpha, word)) and word not in LEVELS}
