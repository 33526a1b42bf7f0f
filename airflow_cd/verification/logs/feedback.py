"""What outranks the rules for an event: a person's feedback, and what a pipeline expects ahead of a deployment.

A person outranks the pipeline, and both outrank the rules. Neither hides anything: an event that is no risk because
of them stays in the report, with who decided that and why.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from airflow_cd.errors import VerificationError
from airflow_cd.verification.logs.learned_statuses import readings_of
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.parameters import is_protected, tokenize
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import content_id
from airflow_cd.verification.verdict import Event, EventKind, Feedback

NOT_A_RISK = "not_a_risk"
NOT_AT_ANY_FREQUENCY = "not_a_risk_at_any_frequency"
ALWAYS_A_RISK = "always_a_risk"
DEFAULT = "default"
EXPECTED = "expected"
SAYS = (NOT_A_RISK, NOT_AT_ANY_FREQUENCY, ALWAYS_A_RISK, DEFAULT)
"""The feedback that a person may give: the event is no risk, though an unexpected frequency of it still is one; nor is
its frequency; it always is one; the rules alone decide."""

_REGEX = "re:"
_FEWEST_LETTERS = 3
_FREQUENCIES = (EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT)


@dataclass(frozen=True)
class Expected:
    """An event that a release is meant to bring; where it is unknown it is no risk.

    :param pattern: is searched for in the message, in its template, and in the class of its exception. ``*`` stands
        for anything on one line and ``?`` for one character, and words match whole: ``PaymentRetried*`` matches
        ``shop.errors.PaymentRetriedError``. A pattern that starts with ``re:`` is a regular expression of Python's.
        Matches case; must name at least three letters or digits.
    :param why: what the event is for; shown in the report. ``""`` by default.
    """

    pattern: str
    why: str = ""

    def mistake(self, setting: str = "expected") -> str | None:
        """What is wrong with it, as a sentence; None when it can be used.

        :param setting: what holds it.
        """
        if not isinstance(self.pattern, str) or not isinstance(self.why, str):
            return f"{setting} holds {self.pattern!r}, which is not a text"
        if not self.pattern.startswith(_REGEX):
            if len(re.sub(r"[*?\W_]", "", self.pattern)) < _FEWEST_LETTERS:
                return f"{setting} holds {self.pattern!r}, which would match nearly everything: name the event"
            return None
        try:
            matches_nothing = self._regex.search("") is not None
        except re.error as error:
            return f"{setting} holds {self.pattern!r}, which is not a regular expression: {error}"
        return f"{setting} holds {self.pattern!r}, which would match everything" if matches_nothing else None

    def matches(self, event: Event) -> bool:
        """Whether the event is what was expected.

        :param event: of the canary.
        """
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

    :param event_id: the event's id when the feedback was given.
    :param feedback: the feedback.
    :param template: the event's template then. Ids are made from templates, and a later version of this package may
        mask messages otherwise.
    :param sample: a record of the event, which any version can mask anew; ``""`` if there is none.
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
        """Whether the event is a part of the one the feedback is about, or for what always is a risk, the reverse.

        What is one event to one comparison may be several to another, which saw fewer values of a parameter.

        :param event: of the canary.
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
    return frozenset(one.id for signature in LogProfile.of([sample]).tallies for one in readings_of(signature))


@dataclass(frozen=True)
class Opinions:
    """The feedback and expectations that apply to the events of one service in one environment.

    :param statements: feedback of people that is in force; where two are about one event, the first counts.
    :param expected: what the pipeline expects.
    :param errors: patterns of what is an error, whatever level its records state.
    """

    statements: Sequence[Statement] = ()
    expected: Sequence[Expected] = ()
    errors: Sequence[Expected] = ()
    _by_id: dict[str, Statement] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        # Feedback on exactly this event comes before feedback on one that looked like it.
        for statement in self.statements:
            self._by_id.setdefault(statement.event_id, statement)
        for statement in self.statements:
            for event_id in sorted(statement.ids()):
                self._by_id.setdefault(event_id, statement)

    def statement_of(self, event: Event) -> Statement | None:
        """The person's statement that counts for the event, if there is one.

        :param event: of the canary.
        """
        statement = self._by_id.get(event.id)
        return statement or next((one for one in self.statements if one.covers(event)), None)

    def of(self, event: Event) -> Feedback | None:
        """The feedback that applies to the event, None if the rules alone decide.

        :param event: of the canary.
        """
        statement = self.statement_of(event)
        if statement is not None:
            return None if statement.feedback.says == DEFAULT else statement.feedback
        if event.kind is EventKind.UNKNOWN:
            for expected in self.expected:
                if expected.matches(event):
                    return Feedback(EXPECTED, "the pipeline", expected.why or f"it expects {expected.pattern}")
        return None

    def weighed(self, event: Event) -> Event:
        """The event as an error, where one of the patterns for errors matches it.

        :param event: before it is judged.
        """
        if not any(error.matches(event) for error in self.errors):
            return event
        severity = event.severity if event.severity == "fatal" else "error"
        return replace(event, severity=severity, stated=True)

    def applied(self, event: Event) -> Event:
        """The event as it counts after the feedback on it.

        :param event: as the rules judge it.
        """
        feedback = self.of(event)
        if feedback is None:
            return event
        risk = {
            NOT_A_RISK: event.risk and event.kind in _FREQUENCIES,
            ALWAYS_A_RISK: event.risk or event.counts.get("canary", 0) > 0,
        }.get(feedback.says, False)
        return replace(event, risk=risk, feedback=feedback)


def unmatched(expected: Iterable[Expected], events: Iterable[Event], *, option: str = "expected ") -> list[str]:
    """Expectations that nothing came of: a typing error, or an event that the release has not logged (yet).

    :param expected: what the release is meant to bring.
    :param events: of the canary and of what it is compared with.
    :param option: what a person calls an expectation.
    :returns: a sentence for each that matches no event of the canary.
    """
    logged = [event for event in events if event.counts.get("canary")]
    return [
        f"{option}{one.pattern!r} matched nothing that the canary logged."
        for one in expected
        if not any(one.matches(event) for event in logged)
    ]


def expectations_of(given: Iterable[object]) -> tuple[Expected, ...]:
    """Turn what an author wrote into :class:`Expected`.

    :param given: patterns, or :class:`Expected`; anything else is kept, for :meth:`Expected.mistake` to name.
    """
    return tuple(one if isinstance(one, Expected) else Expected(one) for one in given)  # type: ignore[arg-type]


def usable_expectations(patterns: Iterable[str], option: str = "--expected") -> tuple[Expected, ...]:
    """Turn the patterns of a command line into :class:`Expected`.

    :param patterns: as they were given.
    :param option: to which.
    :raises airflow_cd.errors.VerificationError: patterns cannot be used; names each of them.
    """
    expected = expectations_of(patterns)
    mistakes = [mistake for one in expected if (mistake := one.mistake(option.lstrip("-")))]
    if mistakes:
        raise VerificationError(
            f"{option}: {'; '.join(mistakes)}.",
            next_step="Name the event's class or a part of its message; * stands for anything, re:... is a regex.",
        )
    return expected
