"""Does a new error fail, whichever common logger wrote it, and does nothing else?

    python -m benchmarks.logger_formats [--show]

Each layout of :mod:`benchmarks.logger_layouts` comes as 300 ordinary records on either side, another day, host and
process on the canary. The canary has nothing more (PASS), one new record at information or as a warning (PASS), or one
at the level of an error (FAIL). What the new record says has no word of an error in it, so that its level must be read.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from benchmarks.log_judges import ours
from benchmarks.logger_layouts import LAYOUTS, Layout

RECORDS = 300
_ORDINARY = (
    "Cart {0} opened",
    "Added {0} items to cart {1}",
    "Price of item {0} is {1} cents",
    "Session {0} continues after {1} ms",
    "Order {0} handed to the warehouse",
    "Served page {0} in {1} ms",
    "Refreshed {0} prices",
)
_WARNING = "Stock of item {0} is low"
NEWS = "Ledger of warehouse {0} stays behind its orders"
_ONCE = "Settings of warehouse {0} were read anew"


@dataclass(frozen=True)
class Side:
    """Who writes one side's records.

    :param began: time of the first one.
    :param seed: of all that varies.
    """

    began: datetime
    host: str
    pid: int
    seed: int

    def records(self, layout: Layout, news: str = "", level: int = 0) -> list[str]:
        """The records as the logger writes them, and one more in their midst if there is news."""
        rng, found, now = random.Random(self.seed), [], self.began
        for number in range(RECORDS):
            now += timedelta(milliseconds=rng.randrange(20, 4000))
            warns = rng.random() < 0.05
            text = _WARNING if warns else rng.choice(_ORDINARY)
            found.append(self._record(layout, now, rng, number, text, int(warns)))
            if news and number == RECORDS * 2 // 3:
                found.append(self._record(layout, now, rng, number, news, level))
        return [line for record in found for line in record.split("\n")]

    def _record(self, layout: Layout, now: datetime, rng: random.Random, number: int, text: str, level: int) -> str:
        message = text.format(rng.randrange(10, 90000), rng.randrange(1, 900))
        microseconds = now.microsecond // 1000 * 1000 + rng.randrange(1000)
        return layout.layout.format(
            t=now,
            ms=microseconds // 1000,
            us=microseconds,
            epoch=int(now.timestamp()),
            epoch_ms=int(now.timestamp() * 1000),
            host=self.host,
            pid=self.pid,
            thread=rng.randrange(1, 12),
            line=rng.choice((42, 87, 113, 208)),
            number=number,
            level=_Level(layout.levels[level]),
            message=message,
            quoted=json.dumps(message),
        )


class _Level(str):
    """A level whose ``{level[1]}`` is its first letter, which Ruby's logger writes too."""

    __slots__ = ()

    def __getitem__(self, key: object) -> str:
        return self.strip()[0]


OLD = Side(datetime(2026, 2, 27, 9, 14, 3, tzinfo=timezone.utc), "web-3", 7, 1)
NEW = Side(datetime(2026, 3, 4, 16, 40, 51, tzinfo=timezone.utc), "web-11", 4152, 2)


def verdicts(layout: Layout) -> tuple[str, ...]:
    """Of nothing new, and of a new piece of information, warning and error."""
    old = OLD.records(layout)
    return (
        ours(old, NEW.records(layout)).verdict,
        ours(old, NEW.records(layout, _ONCE)).verdict,
        ours(old, NEW.records(layout, NEWS, 1)).verdict,
        ours(old, NEW.records(layout, NEWS, 2)).verdict,
    )


WANTED = ("PASS", "PASS", "PASS", "FAIL")
_WHAT = ("nothing new passes", "new information passes", "a new warning passes", "a new error fails")


def main() -> None:
    """Judge every layout and print what came out wrong."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--show", action="store_true", help="print a record of what came out wrong")
    given = arguments.parse_args()
    found = {layout: verdicts(layout) for layout in LAYOUTS}
    for layout, answers in found.items():
        if answers != WANTED:
            print(
                f"{layout.logger:<30}"
                + ", ".join(f"{what}? {answer}" for what, answer in zip(_WHAT, answers, strict=True))
            )
            if given.show:
                print("\n".join(_new(layout)))
    for number, what in enumerate(_WHAT):
        right = sum(answers[number] == WANTED[number] for answers in found.values())
        print(f"{what}: {right} of {len(found)}")


def _new(layout: Layout) -> Sequence[str]:
    start = NEWS.split("{", maxsplit=1)[0]
    return [f"    {line}" for line in NEW.records(layout, NEWS, 2) if start in line]


if __name__ == "__main__":
    main()
