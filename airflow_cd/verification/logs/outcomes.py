"""What went wrong without an error's level: outcomes never seen before, and messages that tell of failure.

A scheduler that writes ``exit status 137``, a router that writes ``state from Established to Idle`` or a supervisor
that gives up do so at INFO. Nobody would let such a release pass, and nobody would roll it back by that alone: it is
held.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.parameters import is_protected, tokenize
from airflow_cd.verification.logs.severity import at_least, title_of
from airflow_cd.verification.logs.slots import Tokens, asks_what_happened, says_what_happened
from airflow_cd.verification.verdict import Event, EventKind, Reason

_FEWEST, _FEWEST_WARNED = 4, 10  # records of what tells of failure, below a warning and at one
_FEWEST_OUTCOMES, _SHARE_OF_OUTCOMES = 4, 0.01  # records of a new outcome, and their share of all
_MOST_PLACES = 3  # that differ from a known message
_FEWEST_WORDS = 2  # in front of a number that says what happened
_TURNS = ("from", "to")
_NAMED = 6
_KEPT = re.compile(r"[A-Z]{0,4}-?[0-9][0-9A-Z]*|0x[0-9a-fA-F]+")  # a number that masking kept: it says what happened
_CONSTANT = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
_TROUBLE_IN_CAPITALS = re.compile(
    r"(?<![\w$.-])(?:[A-Z]{2,}FAIL(?:ED|URE)?|(?!NO[_-])[A-Z]+(?:[_-][A-Z]+)*[_-](?:FAIL(?:ED|URE)?|REJECT(?:ED)?|DENIED|REFUSED|ABORT(?:ED)?"
    r"|TIME_?OUT|ERROR|UNREACHABLE|EXPIRED|EXHAUSTED|LOST|MISMATCH|(?<=NOT_)FOUND|DISCONNECTED|OFFLINE|UNAVAILABLE)"
    r"|NO(?:_[A-Z]+)+_(?:CHOSEN|FOUND|AVAILABLE)"
    r"|(?:INVALID|LOST|MISSING|BROKEN|CORRUPT(?:ED)?|FAILED|REJECTED|DENIED|EXPIRED|ABORTED)(?:_[A-Z]+)+)"
    r"(?![\w$-]|[=:.]\S|: <\*>)"
)
_GOOD_PARTS = {"OK", "NORMAL", "NOERROR", "SUCCESS", "SUCCEEDED", "SUCCESSFUL", "COMPLETED", "HEALTHY", "PASSED"}
_GOOD = (
    *("ok", "success", "successful", "succeeded", "succeed", "complete", "completed", "done", "finished", "passed"),
    *("ready", "healthy", "active", "running", "up", "established", "connected", "open", "opened", "started", "online"),
    *("true", "yes", "enabled", "synced", "valid", "accepted", "approved", "normal", "0", "0000"),
)
_NAMES = re.compile(
    r"\"[^\"]{1,80}\"|(?<![\w'])'[^']{1,80}'(?!\w)"
    r"|(?<![\w<-])[A-Z][\w'&-]*(?: (?:[A-Z][\w'&-]*|&|of|de|la|von|van|<\*>))*"
)
_FEWEST_NAMES, _FEWEST_FIRST_NAMES = 2, 4  # different ones that were in the same places, and at the beginning
_LAST_PART = re.compile(r"[._-]")
_BECOMES = ("is", "now", "are", "became")
_GOOD_STATES = {"up", "ok", "ready", "healthy", "running", "online", "established", "connected", "synced", "normal"}
_BAD_STATES = {"down", "fail", "failed", "offline", "dead", "unhealthy", "disconnected", "unreachable", "notok", "nok"}
_GOOD_IF_TRUE = _GOOD_STATES | {
    "sync",
    "success",
    "successful",
    "valid",
    "alive",
    "available",
    "reachable",
    "consistent",
}


def new_outcomes(
    events: Sequence[Event], records: int, kinds: Mapping[str, Mapping[str, tuple[int, int]]]
) -> Reason | None:
    """That new events below an error tell of failure, or of an outcome never seen in a known message; None without.

    :param events: of the comparison, judged.
    :param records: of the canary.
    :param kinds: by template of an event, the records of each kind of message in it, of the canary and before.
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
    known = [tokenize(event.template) for event in events if event.kind is not EventKind.UNKNOWN] if new else []
    names = _PlacesOfNames(kinds) if new else None
    telling = _telling(
        [
            event
            for event in new
            if not _is_variant(tokenize(event.template), known) and not (names and names.hold_trouble_of(event))
        ]
    )
    found = [event for event in new if event in telling or _is_outcome(event, known, records)]
    if not found:
        return None
    named = "; ".join(f"{title_of(event)} ({event.counts['canary']:.0f} times)" for event in found[:_NAMED])
    text = f"Never seen before, and no error by its level, though it may well be one: {named}."
    return Reason("new_outcomes", text, {"events": len(found)})


class _PlacesOfNames:
    """Messages that had several names, or quoted texts, in the same places: the words of others say nothing.

    A customer may be called Critical Mass, and somebody may look for a "fatal frame".

    :param kinds: as :func:`new_outcomes` takes them.
    """

    def __init__(self, kinds: Mapping[str, Mapping[str, tuple[int, int]]]) -> None:
        known = {one for of_event in kinds.values() for one, (_, before) in of_event.items() if before}
        self._names: dict[str, set[str]] = {}
        for message in known:
            without = _NAMES.sub("#", _without_level(message))
            self._names.setdefault(without, set()).add(message)

    def hold_trouble_of(self, event: Event) -> bool:
        """Whether it is such a message whose words of failure are all of a name.

        :param event: that is new.
        """
        without = _NAMES.sub("#", _without_level(event.template))
        fewest = _FEWEST_FIRST_NAMES if without.startswith("#") else _FEWEST_NAMES
        return len(self._names.get(without, ())) >= fewest and not _tells_of_failure(without)


def _telling(new: Sequence[Event]) -> list[Event]:
    """Those whose words tell of a failure, where they came again and again, all of them together."""
    found = []
    for warned, fewest in ((False, _FEWEST), (True, _FEWEST_WARNED)):
        alike = [event for event in new if (event.severity == "warning") is warned and _tells(event)]
        found += alike if sum(event.counts["canary"] for event in alike) >= fewest else []
    return found


def _is_variant(tokens: Tokens, known: Sequence[Tokens]) -> bool:
    """Whether it is a known message but for one word that tells of no failure itself."""
    for other in known:
        if len(other) == len(tokens):
            pairs = zip(tokens, other, strict=True)
            differing = [one for one, another in pairs if one != another]
            if len(differing) == 1 and not is_protected(differing[0]) and not _tells_of_failure(differing[0]):
                return True
    return False


def _tells(event: Event) -> bool:
    return _tells_of_failure(_without_level(event.template))


def _tells_of_failure(text: str) -> bool:
    return suggests_failure(text) or _TROUBLE_IN_CAPITALS.search(text) is not None


def _without_level(template: str) -> str:
    first, _, rest = template.partition(" ")
    return rest if first in LEVELS else template


def _is_outcome(event: Event, known: Sequence[Tokens], records: int) -> bool:
    """Whether it is a known message with another outcome, none of the good ones, that came often enough."""
    if event.counts["canary"] < max(_FEWEST_OUTCOMES, _SHARE_OF_OUTCOMES * records):
        return False
    if status_in(event.template) is not None:
        return False
    tokens = tokenize(event.template)
    if any(_differs_in_parameters(tokens, other) for other in known):
        return False
    return any(_differs_in_outcomes(tokens, other) or _differs_in_its_code(tokens, other) for other in known)


def _differs_in_parameters(tokens: Tokens, other: Tokens) -> bool:
    """Whether they are equal but for places where one of them has a parameter."""
    if len(tokens) != len(other):
        return False
    return all(one == another or WILDCARD in (one, another) for one, another in zip(tokens, other, strict=True))


def _differs_in_outcomes(tokens: Tokens, other: Tokens) -> bool:
    """Whether they are equal but for places that say what happened, and names beside those."""
    if len(tokens) != len(other):
        return False
    pairs = enumerate(zip(tokens, other, strict=True))
    places = [at for at, (one, another) in pairs if one != another and WILDCARD not in (one, another)]
    if not places or len(places) > _MOST_PLACES:
        return False
    telling = all(_tells_the_outcome(tokens, other, at) for at in places)
    return telling and not all(tokens[at].strip("\"'").lower() in _GOOD for at in places)


def _differs_in_its_code(tokens: Tokens, other: Tokens) -> bool:
    """Whether they are equal up to a number that masking kept; what follows explains the number."""
    both = enumerate(zip(tokens, other, strict=False))
    at = next((at for at, pair in both if pair[0] != pair[1] and WILDCARD not in pair), 0)
    words = sum(word != WILDCARD and any(map(str.isalpha, word)) for word in tokens[:at:2])
    numbers = at and not at % 2 and _KEPT.fullmatch(tokens[at]) and _KEPT.fullmatch(other[at])
    return bool(numbers) and words >= _FEWEST_WORDS and tokens[at].lower() not in _GOOD


def _tells_the_outcome(tokens: Tokens, other: Tokens, at: int) -> bool:
    if at % 2 or not tokens[at] or not other[at]:
        return False
    before = tokens[at - 2].lower() if at else ""
    if _KEPT.fullmatch(tokens[at]) and _KEPT.fullmatch(other[at]):
        return True
    if other[at].lower() in _GOOD_STATES and tokens[at].lower() in _BAD_STATES:
        return True  # `says UP` became `says DOWN`: the pair tells, whatever stands before it
    if before in _BECOMES and other[at].lower() in _GOOD_STATES:
        return True  # `is now UP` became `is now DOWN`
    if (other[at].lower(), tokens[at].lower()) in (("true", "false"), ("yes", "no")):
        return _LAST_PART.split(before)[-1] in _GOOD_IF_TRUE  # `in sync: true` became `in sync: false`
    if _CONSTANT.fullmatch(tokens[at]) and _CONSTANT.fullmatch(other[at]):
        return bool(_GOOD_PARTS & {*other[at].split("_")})  # NORMAL_CLEARING became USER_BUSY
    if "." in tokens[at]:
        return False  # a class or an action by its full name
    return asks_what_happened(tokens, at) or (before in _TURNS and says_what_happened(tokens, at))
