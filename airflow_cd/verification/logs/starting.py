"""What a canary logs because its process has just started, or the one before has just ended: no change of the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from airflow_cd.verification.logs.headers.moments import time_in
from airflow_cd.verification.verdict import Event, EventKind

_MOMENT = 0.15  # of the time in which the canary logged
_LEAST_TIME = 10.0  # seconds: in a shorter time everything is logged in a moment
_MOST = 3  # records of an event: a process says each of these once, and a canary may have several
_STARTS = re.compile(
    r"(?i)\b(?:start(?:ing|ed|up)|boot(?:ing|ed|strapped)?|listening|launch(?:ing|ed)|initiali[sz](?:ing|ed)|ready"
    r"|gestartet|démarré|démarrage|iniciad[oa]|avviat[oa]|gestart|uruchomion[oya]|запущен[оа]?|启动|起動)\b"
)


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
