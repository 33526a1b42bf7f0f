"""What is logged in one moment of a long time, as when a process starts: where it does not come it is not gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import Signature

_MOMENT = 0.15  # of the time that the other lines were logged in
_LEAST_TIME = 10_000  # milliseconds: in a shorter time everything is logged in a moment


def momentary(references: Sequence[LogProfile], members: Mapping[Signature, str]) -> set[str]:
    """Templates of the events that came in one moment of every reference that has them.

    :param references: what the canary is compared with; without times nothing is known of them.
    :param members: by signature the template of its event.
    """
    found: set[str] = set()
    lasting: set[str] = set()
    for reference in references:
        times = _times(reference, members)
        if not times:
            lasting.update(members.get(one, one.template) for one in reference.tallies)
            continue
        whole = max(last for _, last in times.values()) - min(first for first, _ in times.values())
        for template, (first, last) in times.items():
            short = whole >= _LEAST_TIME and last - first <= _MOMENT * whole
            (found if short else lasting).add(template)
    return found - lasting


def _times(reference: LogProfile, members: Mapping[Signature, str]) -> dict[str, tuple[int, int]]:
    """First and last time of each event."""
    times: dict[str, tuple[int, int]] = {}
    for signature, tally in reference.tallies.items():
        if tally.first is None or tally.last is None:
            continue
        template = members.get(signature, signature.template)
        first, last = times.get(template, (tally.first, tally.last))
        times[template] = min(first, tally.first), max(last, tally.last)
    return times
