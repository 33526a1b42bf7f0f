"""What a source says of its rate limit while it is read: how often it told to wait, how long that was, the limit.

Whatever calls a service notes it here (:func:`note_wait`, :func:`note_limit`), whoever reads the source collects it
(:func:`noted`): a source itself has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Throttling:
    """What a source said of its rate limit.

    :param times: how often it told to wait; 0 by default.
    :param waited: seconds that were waited for it, in all; 0 by default.
    :param limit: the limit that it stated last, in words; ``""``, the default, where it stated none.
    """

    times: int = 0
    waited: float = 0.0
    limit: str = ""

    def __add__(self, other: Throttling) -> Throttling:
        return Throttling(self.times + other.times, self.waited + other.waited, other.limit or self.limit)

    @property
    def words(self) -> str:
        """One sentence for a person."""
        stated = f"; it states a limit of {self.limit}" if self.limit else "; it does not state its limit"
        if not self.times:
            return f"it did not tell to wait{stated}."
        times = "once" if self.times == 1 else f"{self.times} times"
        return f"it told to wait {times}, {self.waited:.1f} s in all{stated}."


class Notes:
    """What was noted so far.

    :ivar all: of it.
    """

    def __init__(self) -> None:
        self.all = Throttling()


_notes: ContextVar[Notes | None] = ContextVar("throttling", default=None)


@contextmanager
def noted() -> Iterator[Notes]:
    """Collect what is noted inside, in this thread; whoever collects around it gets it too."""
    outer, notes = _notes.get(), Notes()
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)
        if outer is not None:
            outer.all += notes.all


def note_wait(seconds: float, limit: str = "") -> None:
    """Note that a service told to wait.

    :param seconds: that are waited for it; 0 where it is not waited for.
    :param limit: that it stated, in words; ``""`` by default.
    """
    note(Throttling(1, seconds, limit))


def note_limit(limit: str) -> None:
    """Note the limit that a service states.

    :param limit: in words; ``""`` for none.
    """
    if limit:
        note(Throttling(limit=limit))


def note(said: Throttling) -> None:
    """Note what a source has said in its own way.

    :param said: that is added to what was noted.
    """
    notes = _notes.get()
    if notes is not None:
        notes.all += said
