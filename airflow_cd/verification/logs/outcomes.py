"""What went wrong without an error's level: outcomes never seen before, and messages that tell of failure.

A scheduler that writes ``exit status 137``, a router that writes ``state from Established to Idle`` or a supervisor
that gives up do so at INFO. Nobody would let such a release pass, and nobody would roll it back by that alone: it is
held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from airflow_cd.verification.logs.clustering import tokenize
from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.severity import at_least, title_of
from airflow_cd.verification.logs.slots import Tokens, is_asked_what_happened, says_what_happened
from airflow_cd.verification.verdict import Event, EventKind, Reason

_FEWEST, _FEWEST_WARNED = 4, 10  # records of what tells of failure, below a warning and at one
_FEWEST_OUTCOMES, _SHARE_OF_OUTCOMES = 4, 0.01  # records of a new outcome, and their share of all
_MOST_PLACES = 3  # that differ from a known message
_NAMED = 6
_KEPT = re.compile(r"[A-Z]{0,4}-?[0-9][0-9A-Z]*|0x[0-9a-fA-F]+")  # a number that masking kept: it says what happened
_GOOD = frozenset(
    "ok success successful succeeded succeed complete completed done ready healthy active running up established "
    "connected open opened started finished passed true yes enabled online synced valid accepted approved normal 0 0000".split()  # noqa: SIM905
)


def new_outcomes(events: Sequence[Event], records: int) -> Reason | None:
    """That new events below an error tell of failure, or of an outcome never seen in a known message; None without.

    :param events: of the comparison, judged.
    :param records: of the canary.
    """
    new = [
        event
        for event in events
        if event.kind is EventKind.UNKNOWN
        and not event.risk
        and event.feedback is None
        and not at_least(event.severity, "error")
        and not event.exception
    ]
    known = _by_shape(event.template for event in events if event.kind is not EventKind.UNKNOWN)
    found = [event for event in new if _tells(event) or _is_outcome(event, known, records)]
    if not found:
        return None
    named = "; ".join(f"{title_of(event)} ({event.counts['canary']:.0f} times)" for event in found[:_NAMED])
    text = f"Never seen before, and no error by its level, though it may well be one: {named}."
    return Reason("new_outcomes", text, {"events": len(found)})


def _tells(event: Event) -> bool:
    """Whether its words tell of a failure, and it came again and again."""
    fewest = _FEWEST_WARNED if at_least(event.severity, "warning") else _FEWEST
    return event.counts["canary"] >= fewest and suggests_failure(_without_level(event.template))


def _without_level(template: str) -> str:
    first, _, rest = template.partition(" ")
    return rest if first in LEVELS else template


def _by_shape(templates: Iterable[str]) -> dict[int, list[Tokens]]:
    shapes: dict[int, list[Tokens]] = {}
    for template in templates:
        tokens = tokenize(template)
        shapes.setdefault(len(tokens), []).append(tokens)
    return shapes


def _is_outcome(event: Event, known: Mapping[int, Sequence[Tokens]], records: int) -> bool:
    """Whether it is a known message with another outcome, none of the good ones, that came often enough."""
    if event.counts["canary"] < max(_FEWEST_OUTCOMES, _SHARE_OF_OUTCOMES * records):
        return False
    if status_in(event.template) is not None:
        return False
    tokens = tokenize(event.template)
    return any(_differs_in_outcomes(tokens, other) for other in known.get(len(tokens), ()))


def _differs_in_outcomes(tokens: Tokens, other: Tokens) -> bool:
    places = [at for at, (one, another) in enumerate(zip(tokens, other, strict=True)) if one != another]
    if not places or len(places) > _MOST_PLACES:
        return False
    return all(_tells_the_outcome(tokens, other, at) for at in places) and not all(
        tokens[at].strip("\"'").lower() in _GOOD for at in places
    )


def _tells_the_outcome(tokens: Tokens, other: Tokens, at: int) -> bool:
    if at % 2 or WILDCARD in (tokens[at], other[at]) or not tokens[at] or not other[at]:
        return False
    if _KEPT.fullmatch(tokens[at]) and _KEPT.fullmatch(other[at]):
        return True
    return says_what_happened(tokens, at) or is_asked_what_happened(tokens, at)
