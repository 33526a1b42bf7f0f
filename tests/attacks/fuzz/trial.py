"""Trying inputs on a reader: what it raises, and how its time grows with the input."""

from __future__ import annotations

import contextlib
import gc
import heapq
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from airflow_cd.errors import AirflowCdError
from tests.attacks.fuzz import inputs

LONGEST = 20.0
"""Seconds for one small input: what takes longer hangs."""
KEPT = 6
LARGE = 24_000
"""Characters of the smaller of two inputs whose times are compared."""
MEASURABLE = 0.02
"""Seconds; less says more of the machine than of the reader."""
LINEAR = 2.5


class TooSlow(BaseException):
    """A reader did not end; no reader can catch it by accident."""


@dataclass(frozen=True)
class Reader:
    """What is read, and from what.

    :param read: takes the input; raises errors of ours or what is allowed.
    :param words: pieces of what it reads; of JSON, names and texts in it.
    :param seeds: of JSON: values that it reads without complaint; without any it takes texts.
    :param binary: whether it takes bytes.
    :param allowed: what it may raise beside errors of ours, as its documentation says.
    """

    name: str
    read: Callable[[Any], object]
    words: Sequence[str] = ()
    seeds: Sequence[Any] = ()
    binary: bool = False
    allowed: tuple[type[Exception], ...] = ()

    def input(self, chance: inputs.Chance) -> Any:
        """One input."""
        if self.seeds:
            # Now and then of no known form at all.
            if chance.randrange(8) == 0:
                return inputs.value(chance, self.words)
            return inputs.damaged(chance, self.seeds[chance.randrange(len(self.seeds))], self.words)
        return (inputs.content if self.binary else inputs.text)(chance, self.words)

    def once(self, found: Any) -> Exception | None:
        """Read one input; gives what it raised and may not."""
        try:
            self.read(found)
        except (AirflowCdError, *self.allowed):
            return None
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return error
        return None


@dataclass
class Outcome:
    """What became of a reader.

    :param failures: by kind and place, an input that shows it.
    :param ratio: the most that twice the size took, as a multiple.
    :param worst: of which input.
    """

    reader: str
    tried: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    ratio: float = 0.0
    worst: str = ""

    @property
    def well(self) -> bool:
        """Whether it raised nothing it may not, and took no more than linear time."""
        return not self.failures and self.ratio <= LINEAR

    def __str__(self) -> str:
        ratio = f"{self.ratio:.2f}" if self.ratio else "too fast to tell"
        return f"{self.reader:20} {self.tried:>10,} inputs  {len(self.failures):>3} failures  twice the size: {ratio}"


def tried(reader: Reader, count: int, seed: int, *, measure: bool = True) -> Outcome:
    """Try inputs on a reader, then those that took the longest for their size at several sizes.

    :param reader: what reads them.
    :param count: how many.
    :param seed: the same one makes the same inputs.
    :param measure: whether to see how the time grows, which takes longer than a few thousand inputs.
    """
    outcome, slow = Outcome(reader.name), []
    chance = random.Random(f"{seed} {reader.name}")
    for number in range(count):
        found = reader.input(chance)
        began = time.process_time()
        _note(outcome, reader, found)
        took = time.process_time() - began
        entry = (took / (200 + inputs.size(found) if took > 1e-4 else 1e9), number, found)
        if len(slow) < KEPT:
            heapq.heappush(slow, entry)
        elif entry[:2] > slow[0][:2]:
            heapq.heapreplace(slow, entry)
        outcome.tried += 1
    for found in () if not measure else (*(entry[2] for entry in slow), *reader.seeds, *_repetitions(reader, chance)):
        ratio = growth(reader, found)
        if ratio > outcome.ratio:
            outcome.ratio, outcome.worst = ratio, repr(found)[:300]
        if ratio > LINEAR:
            break  # one is enough, and others would take as long
    return outcome


def _note(outcome: Outcome, reader: Reader, found: Any) -> None:
    try:
        with _at_most(LONGEST):
            error = reader.once(found)
    except TooSlow:
        outcome.failures.setdefault(f"does not end within {LONGEST:.0f} s", repr(found)[:2000])
        return
    if error is not None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "airflow_cd" in frame.filename]
        place = f"{frames[-1].filename.rpartition('airflow_cd/')[2]}:{frames[-1].lineno}" if frames else "outside"
        outcome.failures.setdefault(f"{type(error).__name__} in {place}", f"{str(error)[:100]}: {repr(found)[:2000]}")


def _repetitions(reader: Reader, chance: random.Random) -> Iterator[Any]:
    """Each piece again and again, alone and after another one: what a pattern that looks back stumbles over."""
    if reader.seeds:
        return
    for word in (*reader.words, *' ="\\[1-a/:'):
        other = chance.choice([*reader.words, "x "])
        for repeated in (word, word + other):
            yield repeated.encode("utf-8", "surrogatepass") if reader.binary else repeated


def growth(reader: Reader, found: Any) -> float:
    """By how much the time grows when an input doubles; 0 when it is too short to tell.

    :param reader: what reads it.
    :param found: the input that grows.
    """
    try:
        with _at_most(LONGEST * 3):
            return next((ratio for scale in (1, 5, 25) if (ratio := _ratio(reader, found, LARGE * scale))), 0.0)
    except TooSlow:
        return 99.0


def _ratio(reader: Reader, found: Any, large_enough: int) -> float:
    times = max(1, large_enough // max(1, inputs.size(found)))
    small, large = inputs.grown(found, times), inputs.grown(found, times * 4)
    if inputs.size(large) < 3 * inputs.size(small):
        return 0.0
    ratios = []
    for _ in range(4):
        short, long = _seconds(reader, small), _seconds(reader, large)
        if long < MEASURABLE:
            return 0.0
        # Twice twice: what is constant weighs less.
        ratios.append((long / max(short, MEASURABLE / 8)) ** 0.5)
        if ratios[-1] <= LINEAR:
            break
    return min(ratios)


def _seconds(reader: Reader, found: Any) -> float:
    best = float("inf")
    # Collecting garbage takes the longer the more there is of anything.
    gc.disable()
    try:
        for _ in range(2):
            began = time.process_time()
            reader.once(found)
            best = min(best, time.process_time() - began)
    finally:
        gc.enable()
    return best


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
