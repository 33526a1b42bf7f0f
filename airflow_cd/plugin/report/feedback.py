"""What people said of the events of a report by now, whatever was said when their verdict was reached."""

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
class Spoken:
    """A statement on an event, with its end.

    :param undo: who took it back; None while it stands.
    :param counts: whether it is the one that counts now: several may stand, of which one outranks the others.
    """

    record: FeedbackRecord
    undo: FeedbackRecord | None
    counts: bool

    @property
    def words(self) -> str:
        """What it says, for a person."""
        return self.record.statement.feedback.words


@dataclass(frozen=True)
class Said:
    """Everything said of an event.

    :param history: newest first.
    :param judged: what its verdict went by.
    :param in_verdict: whether that is what counts now, too.
    """

    history: Sequence[Spoken]
    judged: Feedback | None
    in_verdict: bool

    @property
    def now(self) -> Spoken | None:
        """The statement that counts at the next look."""
        return next((spoken for spoken in self.history if spoken.counts), None)

    @property
    def note(self) -> str:
        """What counts now, in a word or two; ``""`` if nobody spoke."""
        if self.now is not None:
            return self.now.words
        return self.judged.words if self.judged is not None and self.in_verdict else ""


NOTHING = Said((), None, True)


def said_of(ledger: Ledger, service: str, environment: str, events: Iterable[Event]) -> dict[str, Said]:
    """What was said of these events, by their ids; those that nobody spoke of are left out."""
    records = ledger.feedback.history(service, environment)
    undone = {record.undoes: record for record in records if record.undoes is not None}
    spoken = [(record, record.statement) for record in records if record.undoes is None]
    opinions = Opinions([record.statement for record in ledger.feedback.in_force(service, environment)])
    known = [(record, statement, statement.ids()) for record, statement in spoken]
    found = {}
    for event in events:
        concerned = [record for record, statement, ids in known if event.id in ids or statement.covers(event)]
        if concerned or event.feedback is not None:
            found[event.id] = _said(event, concerned, undone, opinions.statement_of(event))
    return found


def _said(
    event: Event,
    records: Sequence[FeedbackRecord],
    undone: Mapping[int, FeedbackRecord],
    standing: Statement | None,
) -> Said:
    # The ledger has one statement in force for each event id and place, the newest.
    counting = next(
        (record.id for record in records if record.id not in undone and record.statement == standing),
        None,
    )
    now = standing.feedback if standing is not None else None
    meant = None if now is not None and now.says == DEFAULT else now
    if now is None and event.feedback is not None and event.feedback.says == EXPECTED:
        meant = event.feedback
    return Said(
        [Spoken(record, undone.get(record.id), record.id == counting) for record in records],
        event.feedback,
        event.feedback == meant,
    )


@dataclass(frozen=True)
class Refused:
    """What a person sent that was not taken, to be shown to them again.

    :param place: id of the event it was about, or ``"baseline"``.
    :param undoes: number of the statement that was to be undone.
    """

    place: str
    words: str
    says: str = ""
    where: str = ""
    why: str = ""
    undoes: int = 0
