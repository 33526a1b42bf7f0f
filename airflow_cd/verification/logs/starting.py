"""What a process logs when it starts: once, it is no change of the log; again and again, the process may be dying."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from airflow_cd.verification.logs.headers.moments import time_in
from airflow_cd.verification.logs.severity import title_of
from airflow_cd.verification.verdict import Event, EventKind, Reason

_MOMENT = 0.15  # of the time in which the canary logged
_LEAST_TIME = 10.0  # seconds: in a shorter time everything is logged in a moment
_MOST = 3  # records of an event: a process says each of these once, and a canary may have several
_STARTS = re.compile(
    r"(?i)\b(?:start(?:ing|ed|up)|boot(?:ing|ed|strapped)?|listening|launch(?:ing|ed)|initiali[sz](?:ing|ed)|ready"
    r"|gestartet|démarré|démarrage|iniciad[oa]|avviat[oa]|gestart|uruchomion[oya]|запущен[оа]?|启动|起動)\b"
)
# What a process alone says, and not each of its jobs, sessions or requests.
_PROCESS = r"(?:(?:\w+[ -]?)?(?:server|service|application|app|daemon|worker|broker)|process)"
_IS_UP = re.compile(
    rf"(?i)\b(?:listening (?:on|at)|(?:running|accepting connections|serving \w+) (?:on|at|for)\b|ready for connections"
    rf"|(?:ready to accept|accepting) connections|start-?up (?:is |was )?(?:completed?|in)\b|(?:ready|started) in\b"
    rf"|{_PROCESS}(?: [\w<*>.-]+)? (?:has |is |was )?(?:successfully )?(?:started|launched|booted|ready|running)\b"
    rf"|(?:boot|start|launch)(?:ing|ed)? (?:\w+ )?{_PROCESS}\b|booting \w+"
    rf"|(?:start(?:ing|ed)?|launch(?:ing|ed)?) [\w.-]+ (?:in|using|with)\b)"
)
_OFTEN, _TIMES, _RARELY = 6, 4.0, 8.0  # starts of one instance, times what is expected, and what may be expected of it
_NAMED = 3


def starts_again(events: Sequence[Event]) -> Reason | None:
    """That an instance of the canary started several times where one start was to be expected; None if none did.

    :param events: of the comparison, judged.
    """
    found = []
    for event in events:
        if event.kind not in (EventKind.KNOWN, EventKind.UNEXPECTED_FREQUENCY) or event.feedback is not None:
            continue
        expected = (event.expected or 0.0) / max(1, len(event.instances))
        times, instance = max((count, name) for name, count in event.instances.items()) if event.instances else (0, "")
        if times >= max(_OFTEN, _TIMES * expected) and expected <= _RARELY and _IS_UP.search(event.template):
            found.append((event, times, instance, expected))
    if not found:
        return None
    _, times, instance, expected = max(found, key=lambda one: one[1])
    named = "; ".join(title_of(event) for event, *_ in found[:_NAMED])
    text = (
        f"{instance or 'The canary'} started {times:.0f} times, {expected:.1f} expected ({named}): does its process "
        "end and start again?"
    )
    return Reason("starts_again", text, {"starts": times, "expected": expected})


def of_a_start(events: Sequence[Event]) -> set[str]:
    """Templates of the unknown events that came in the first moment, where one of them says that something starts.

    :param events: of the canary; those without a time are of no moment.
    """
    times = {event.template: _times(event) for event in events}
    known = [time for found in times.values() for time in found]
    if not known or max(known) - min(known) < _LEAST_TIME:
        return set()
    end = min(known) + _MOMENT * (max(known) - min(known))
    first = [
        event
        for event in events
        if event.kind is EventKind.UNKNOWN
        and event.counts["canary"] <= _MOST
        and times[event.template]
        and max(times[event.template]) <= end
    ]
    return {event.template for event in first} if any(_STARTS.search(event.template) for event in first) else set()


def _times(event: Event) -> Sequence[float]:
    """When it was logged first and last, in seconds since 1970, by the source or else by the records that were kept."""
    if event.first_seen and event.last_seen:
        return [
            datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
            for text in (event.first_seen, event.last_seen)
        ]
    return [time for text in event.samples if (time := time_in(text.split("\n", 1)[0])) is not None]
