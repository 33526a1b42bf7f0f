"""Statuses of requests in lines whose layout does not say where they stand: learned from what the log has there.

Every program writes the answer to a request in its own way: ``<<< 200 GET /tea``, ``[302]: GET /tea``,
``/tea | 404 | 9``, ``call to the teahouse got 201``. A line alone does not tell its status from a size or a number of
milliseconds; many lines do. A place whose numbers are all ones that servers answer with, most of them successes and
one of those much more frequent than chance makes it, is the place of a status. It is learned from the references
alone, so that a canary of nothing but failures does not change what the place is.

Where the place is known, a request is known by it like one of an access log, and one that failed (5xx) is an error.
Everywhere else the numbers become parameters, as if they had never been noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from airflow_cd.verification.logs.headers.levels import LEVELS, NAMES
from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.masking import LIKELY_STATUS, MAYBE, METHOD, VARIABLE, WILDCARD
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.refining import refine
from airflow_cd.verification.logs.signatures import Signature, Tally

_ENOUGH = 10  # records that have a number in one place
_MOST_OTHERS = 0.02  # of its values are none that servers answer with
_SUCCESSES = 0.5  # of them at least are successes,
_ONE_SUCCESS = 0.25  # and so many are the same one
_SERVER_ERROR = 500
_NUMBER = re.compile(
    rf"{MAYBE}([0-9]{{3}})|(?<![\w.:/<>#$%&+-])({LIKELY_STATUS})(?![\w/<>#$%&+-]|[.:]\w)|{re.escape(WILDCARD)}|\b[0-9]+\b"
)
_METHODS = re.compile(rf"\b{METHOD}\b|\b(?:get|post|put|delete|patch|head|options)(?= [/#])")
_PATH = re.compile(r"[^\s,;|()\[\]\"']*/[^\s,;|()\[\]\"']*")
_LEFT = re.compile(r"(?:\S+\s+){0,4}\S*$")
_REQUEST = re.compile(
    rf"\b({METHOD}|get|post|put|delete|patch|head|options)[ ,;|\t]+(?:uri=)?((?:/|<\*>|https?://)[^\s,;|()\[\]\"']*)"
)
_SAID = re.compile(r"(?:[=-]> ?|HTTP |code=|status[=:]? ?)$")
_NAMED = re.compile(r"(?i)(?:status|code|http[\w.]*|respon\w*|answer\w*|return\w*|replied|got|\bst|\bsc|\brc)[:=]? ?$")
_IN_FRONT = re.compile(rf"\[{MAYBE}[0-9]{{3}}(?: [^\]]*)?\]:? ")  # what the reader of headers would have taken off
_WORD = re.compile(r"[A-Za-z]=? ?$")


@dataclass
class _Place:
    """What the references have in one place.

    :param statuses: records of each number that may be a status.
    :param others: records of anything else.
    """

    statuses: dict[int, int] = field(default_factory=dict)
    others: int = 0

    def is_for_statuses(self, before: str) -> bool:
        """Whether it is the place of a status.

        :param before: what stands before it.
        """
        records = sum(self.statuses.values())
        if records < _ENOUGH or self.others > _MOST_OTHERS * records:
            return False
        successes = {status: count for status, count in self.statuses.items() if status < 400}
        if sum(successes.values()) < _SUCCESSES * records or max(successes.values()) < _ONE_SUCCESS * records:
            return False
        # One and the same number behind a word (`limit=200`) may as well be a setting.
        return len(self.statuses) > 1 or _NAMED.search(before) is not None or _WORD.search(before) is None


class LearnedStatuses:
    """Where the lines of a log have the status of a request.

    :param references: what to learn it from.
    """

    def __init__(self, references: Sequence[LogProfile]) -> None:
        places: dict[str, _Place] = {}
        for profile in references:
            for signature, tally in profile.tallies.items():
                if signature.traced or "\n" in signature.template:
                    continue
                for _, before, status in _numbers(signature.template):
                    place = places.setdefault(before, _Place())
                    if status is None:
                        place.others += tally.count
                    else:
                        place.statuses[status] = place.statuses.get(status, 0) + tally.count
        self._places = frozenset(before for before, place in places.items() if place.is_for_statuses(before))

    def applied(self, profile: LogProfile) -> LogProfile:
        """The profile with its requests known by their statuses; no number is left undecided in it.

        :param profile: of the same log.
        """
        tallies: dict[Signature, Tally] = {}
        changed = False
        for signature, tally in profile.tallies.items():
            decided = self._decided(signature)
            changed |= decided is not signature
            tallies.setdefault(decided, Tally()).add(tally)
        return LogProfile(tallies, profile.watched_ms, dict(profile.troubles)) if changed else profile

    def _decided(self, signature: Signature) -> Signature:
        template = signature.template
        if signature.traced or "\n" in template:
            return signature
        if self._places and (MAYBE in template or status_in(template) is None):
            for found, before, status in _numbers(template) if _may_hold(template) else ():
                if status is None or before not in self._places:
                    continue
                if MAYBE in template or status >= _SERVER_ERROR:
                    return as_request(signature, found.start(), status)
        return undecided_as_parameters(signature)


def with_statuses(
    canary: LogProfile, control: LogProfile | None, baseline: Sequence[LogProfile]
) -> tuple[LogProfile, LogProfile | None, list[LogProfile]]:
    """The same profiles, with every number that may be a status decided.

    :param canary: what the canary logged.
    :param control: what the control logged, None without one.
    :param baseline: what earlier deployments logged.
    """
    learned = LearnedStatuses([*([control] if control is not None else []), *baseline])
    decided = learned.applied(control) if control is not None else None
    return learned.applied(canary), decided, [learned.applied(one) for one in baseline]


def readings_of(signature: Signature) -> list[Signature]:
    """What the signature may become, whatever the log teaches.

    :param signature: of a record.
    """
    found = [(number.start(), int(number[1])) for number in _NUMBER.finditer(signature.template) if number[1]]
    return [undecided_as_parameters(signature), *(as_request(signature, at, status) for at, status in found)]


def as_request(signature: Signature, at: int, status: int) -> Signature:
    """The signature of a request that was answered with a status.

    :param signature: of the line.
    :param at: where in its template the status stands.
    :param status: of the answer.
    """
    level, text = _level_and_text(signature.template)
    at -= len(signature.template) - len(text)
    if status >= _SERVER_ERROR and level not in (NAMES["error"], NAMES["fatal"]):
        level = NAMES["error"]
    request = _REQUEST.search(text)
    if request is not None:
        route = re.split(r"[?#;]", re.sub(r"^[a-z]+://[^/]*", "", request[2]), maxsplit=1)[0]
        message = f"{request[1].upper()} {route} {status}"
    else:
        before, after = text[:at], text[at:].removeprefix(MAYBE).removeprefix(str(status))
        message = _without_marks(f"{_SAID.sub('', before)}status={status}{after}")
    return Signature.of_line(f"{level} {message}" if level else message)


def undecided_as_parameters(signature: Signature) -> Signature:
    """The signature with every number in it that may be a status as a parameter.

    :param signature: of a line.
    """
    if MAYBE not in signature.template:
        return signature
    level, text = _level_and_text(signature.template)
    message = _without_marks(text)
    return Signature.of_line(f"{level} {message}" if level else message)


def _without_marks(text: str) -> str:
    in_front = _IN_FRONT.match(text)
    text = text[in_front.end() :] if in_front is not None else text
    marked = re.sub(rf"{MAYBE}[0-9]{{3}}", VARIABLE, text)
    return refine(marked.replace(WILDCARD, VARIABLE)) if marked != text else text


def _may_hold(template: str) -> bool:
    return MAYBE in template or any(digit in template for digit in "2345")


def _numbers(template: str) -> Iterator[tuple[re.Match[str], str, int | None]]:
    """The numbers of a template that may be a status and its parameters: what stands before, and the number if any."""
    begin = len(template) - len(_level_and_text(template)[1])
    for number in _NUMBER.finditer(template, begin):
        before = _NUMBER.sub("#", template[begin : number.start()])
        before = _LEFT.search(_PATH.sub("/", _METHODS.sub("M", before)))[0]  # type: ignore[index]
        status = number[1] or number[2]
        yield number, before, int(status) if status else None


def _level_and_text(template: str) -> tuple[str, str]:
    first, space, rest = template.partition(" ")
    return (first, rest) if space and first in LEVELS else ("", template)
