"""What is said of events beside the rules: a person's feedback, and what a pipeline expects ahead of a deployment.

A person outranks the pipeline, and both outrank the rules. Neither hides anything: an event that is no risk because
somebody said so stays in the report, with who said it and why.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from airflow_cd.errors import VerificationError
from airflow_cd.verification.logs.clustering import is_protected, tokenize
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import content_id
from airflow_cd.verification.verdict import Event, EventKind, Feedback

NOT_A_RISK = "not_a_risk"
NOT_AT_ANY_FREQUENCY = "not_a_risk_at_any_frequency"
ALWAYS_A_RISK = "always_a_risk"
DEFAULT = "default"
EXPECTED = "expected"
SAYS = (NOT_A_RISK, NOT_AT_ANY_FREQUENCY, ALWAYS_A_RISK, DEFAULT)
"""What a person may say: it is no risk that the event is there, though an unexpected frequency still is one; nor is
its frequency; it always is one; the rules alone decide."""

_REGEX = "re:"
_FEWEST_LETTERS = 3
_FREQUENCIES = (EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT)


@dataclass(frozen=True)
class Expected:
    """An event that a release is meant to bring; where it is unknown it is no risk.

    :param pattern: found in the message, in its template, or in the class of its exception. In a text ``*`` stands
        for anything on one line and ``?`` for one character, and words match whole: ``PaymentRetried*`` matches
        ``shop.errors.PaymentRetriedError``. A text that starts with ``re:`` is a regular expression.
    :param why: what it is for; shown in the report.
    """

    pattern: str
    why: str = ""

    def mistake(self) -> str | None:
        """What is wrong with it, as a sentence; None when it can be used."""
        if not isinstance(self.pattern, str) or not isinstance(self.why, str):
            return f"expected holds {self.pattern!r}, which is no text"
        if not self.pattern.startswith(_REGEX):
            if len(re.sub(r"[*?\W_]", "", self.pattern)) < _FEWEST_LETTERS:
                return f"expected holds {self.pattern!r}, which would match nearly everything: name the event"
            return None
        try:
            matches_nothing = self._regex.search("") is not None
        except re.error as error:
            return f"expected holds {self.pattern!r}, which is no regular expression: {error}"
        return f"expected holds {self.pattern!r}, which would match everything" if matches_nothing else None

    def matches(self, event: Event) -> bool:
        """Whether the event is what was expected."""
        texts = (event.exception or "", event.template, *event.samples)
        return any(self._regex.search(text) is not None for text in texts)

    @property
    def _regex(self) -> re.Pattern[str]:
        return _compiled(self.pattern)


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.startswith(_REGEX):
        return re.compile(pattern[len(_REGEX) :])
    wild = {"*": r"[^\n]*?", "?": r"[^\n]"}
    body = "".join(wild.get(character) or re.escape(character) for character in pattern)
    begin = r"(?<!\w)" if pattern[0].isalnum() else ""
    # A closing star is lazy, so that only the end of the word ends it.
    end = r"(?!\w)" if pattern[-1].isalnum() or pattern[-1] in wild else ""
    return re.compile(begin + body + end)


@dataclass(frozen=True)
class Statement:
    """A person's feedback on one event, and how that event is found again.

    :param event_id: its id when it was said.
    :param template: its template then. Ids are made from templates, and a later version of this package may mask
        messages otherwise.
    :param sample: a record of it, which any version can mask anew; ``""`` if there is none.
    """

    event_id: str
    feedback: Feedback
    template: str = ""
    sample: str = ""

    def ids(self) -> set[str]:
        """Every id that the event may have by now."""
        ids = {self.event_id}
        if self.template:
            ids.add(content_id(self.template))
        if self.sample:
            ids |= _ids_of(self.sample)
        return ids

    def covers(self, event: Event) -> bool:
        """Whether the event is a part of what was judged, or for what always is a risk, the other way round.

        What is one event to one comparison may be several to another, which saw fewer values of a parameter.
        """
        if _is_part(event.template, self.template):
            return True
        return self.feedback.says == ALWAYS_A_RISK and _is_part(self.template, event.template)


def _is_part(template: str, whole: str) -> bool:
    """Whether the template is the other one with some of its parameters filled in."""
    if WILDCARD not in whole or template == whole:
        return False
    words, parameters = _tokens(template), _tokens(whole)
    if WILDCARD not in parameters or len(words) != len(parameters):
        return False
    # No parameter ever stands for a word that says what happened.
    return all(
        word == parameter or (parameter == WILDCARD and word != "" and not is_protected(word))
        for word, parameter in zip(words, parameters, strict=True)
    )


# Every statement is held against every event, again at every look.
_tokens = functools.lru_cache(maxsize=8192)(tokenize)


@functools.lru_cache(maxsize=4096)
def _ids_of(sample: str) -> frozenset[str]:
    return frozenset(signature.id for signature in LogProfile.of([sample]).tallies)


@dataclass(frozen=True)
class Opinions:
    """Everything said of the events of one service in one environment.

    :param statements: what people said and is in force; where two speak of one event, the first counts.
    :param expected: what the pipeline expects.
    """

    statements: Sequence[Statement] = ()
    expected: Sequence[Expected] = ()
    _by_id: dict[str, Statement] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        # What was said of exactly this event comes before what was said of one that looked like it.
        for statement in self.statements:
            self._by_id.setdefault(statement.event_id, statement)
        for statement in self.statements:
            for event_id in sorted(statement.ids()):
                self._by_id.setdefault(event_id, statement)

    def statement_of(self, event: Event) -> Statement | None:
        """The person's statement that counts for the event, if there is one."""
        said = self._by_id.get(event.id)
        return said or next((one for one in self.statements if one.covers(event)), None)

    def of(self, event: Event) -> Feedback | None:
        """What was said of the event, if anything."""
        said = self.statement_of(event)
        if said is not None:
            return None if said.feedback.says == DEFAULT else said.feedback
        if event.kind is EventKind.UNKNOWN:
            for expected in self.expected:
                if expected.matches(event):
                    return Feedback(EXPECTED, "the pipeline", expected.why or f"it expects {expected.pattern}")
        return None

    def applied(self, event: Event) -> Event:
        """The event as it counts after all that was said of it."""
        said = self.of(event)
        if said is None:
            return event
        risk = {
            NOT_A_RISK: event.risk and event.kind in _FREQUENCIES,
            ALWAYS_A_RISK: event.risk or event.counts.get("canary", 0) > 0,
        }.get(said.says, False)
        return replace(event, risk=risk, feedback=said)


def expectations_of(given: Iterable[object]) -> tuple[Expected, ...]:
    """What an author wrote, patterns alone turned into :class:`Expected`; mistakes are kept, to be named later."""
    return tuple(one if isinstance(one, Expected) else Expected(one) for one in given)  # type: ignore[arg-type]


def usable_expectations(patterns: Iterable[str]) -> tuple[Expected, ...]:
    """Patterns of a command line; raises :class:`~airflow_cd.errors.VerificationError` naming every wrong one."""
    expected = expectations_of(patterns)
    mistakes = [mistake for one in expected if (mistake := one.mistake())]
    if mistakes:
        raise VerificationError(
            f"--expected: {'; '.join(mistakes)}.",
            next_step="Name the event's class or a part of its message; * stands for anything, re:... is a regex.",
        )
    return expected
