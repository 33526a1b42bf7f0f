"""The feedback on the events of a report as it is now, which may be newer than the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.ledger import FeedbackRecord, Ledger
from airflow_cd.verification.logs.feedback import (
    ALWAYS_A_RISK,
    DEFAULT,
    EXPECTED,
    NOT_A_RISK,
    NOT_AT_ANY_FREQUENCY,
    Opinions,
    Statement,
)
from airflow_cd.verification.verdict import Event, Feedback

CHOICES: Mapping[str, str] = {
    NOT_A_RISK: "not a risk",
    NOT_AT_ANY_FREQUENCY: "not a risk at any frequency",
    ALWAYS_A_RISK: "always a risk",
    DEFAULT: "default: the rules decide",
}


@dataclass(frozen=True)
class FeedbackEntry:
    """One statement on an event.

    :param record: as the ledger keeps it.
    :param undo: the record that undid it; None while it stands.
    :param counts: whether it is the one that counts now: of several that stand, one overrides the others.
    """

    record: FeedbackRecord
    undo: FeedbackRecord | None
    counts: bool

    @property
    def label(self) -> str:
        """What it says, as people say it."""
        return self.record.statement.feedback.words


@dataclass(frozen=True)
class EventFeedback:
    """All feedback on one event.

    :param history: newest first.
    :param judged: what the verdict took into account.
    :param in_verdict: whether that is what counts now, too.
    """

    history: Sequence[FeedbackEntry]
    judged: Feedback | None
    in_verdict: bool

    @property
    def now(self) -> FeedbackEntry | None:
        """The statement that counts at the next look."""
        return next((entry for entry in self.history if entry.counts), None)

    @property
    def note(self) -> str:
        """What counts now, in a word or two; ``""`` without feedback."""
        if self.now is not None:
            return self.now.label
        return self.judged.words if self.judged is not None and self.in_verdict else ""


NO_FEEDBACK = EventFeedback((), None, True)


def feedback_by_event(
    ledger: Ledger, service: str, environment: str, events: Iterable[Event]
) -> dict[str, EventFeedback]:
    """The feedback on events, by their ids; events without any are left out.

    :param ledger: where it is.
    :param service: what was deployed.
    :param environment: where.
    :param events: of the report.
    """
    records = ledger.feedback.history(service, environment)
    undone = {record.undoes: record for record in records if record.undoes is not None}
    statements = [(record, record.statement) for record in records if record.undoes is None]
    opinions = Opinions([record.statement for record in ledger.feedback.in_force(service, environment)])
    known = [(record, statement, statement.ids()) for record, statement in statements]
    found = {}
    for event in events:
        concerned = [record for record, statement, ids in known if event.id in ids or statement.covers(event)]
        if concerned or event.feedback is not None:
            found[event.id] = _event_feedback(event, concerned, undone, opinions.statement_of(event))
    return found


def _event_feedback(
    event: Event,
    records: Sequence[FeedbackRecord],
    undone: Mapping[int, FeedbackRecord],
    standing: Statement | None,
) -> EventFeedback:
    # The ledger has one statement in force for each event id and place, the newest.
    counting = next(
        (record.id for record in records if record.id not in undone and record.statement == standing),
        None,
    )
    now = standing.feedback if standing is not None else None
    meant = None if now is not None and now.says == DEFAULT else now
    if now is None and event.feedback is not None and event.feedback.says == EXPECTED:
        meant = event.feedback
    return EventFeedback(
        [FeedbackEntry(record, undone.get(record.id), record.id == counting) for record in records],
        event.feedback,
        event.feedback == meant,
    )


@dataclass(frozen=True)
class RejectedForm:
    """A form that was refused, to be shown again as it was filled in.

    :param place: id of the event it was about, or ``"baseline"``.
    :param message: why it was refused, and what to do.
    :param says: the option that was chosen.
    :param where: ``"here"`` or ``"everywhere"``.
    :param why: the reason.
    :param undoes: number of the statement that was to be undone, 0 for none.
    """

    place: str
    message: str
    says: str = ""
    where: str = ""
    why: str = ""
    undoes: int = 0
