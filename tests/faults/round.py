"""One release under way, what was done to it, and the table of all of them."""

from __future__ import annotations

import collections
import sys
from dataclasses import dataclass, field

from tests.faults.steps import Fate
from tests.faults.truth import Expected
from tests.faults.victims import NOTHING, VICTIMS


@dataclass
class Round:
    """One release under way, and what was done to it.

    :param safe: seconds from the kill, or from when the release went bad if that was later, until no request reached
        what was to go; None for one that stays.
    :param whole: seconds from the same until the environment ran one release wholly, as the ledger says.
    """

    lane: str
    number: int
    fate: Fate
    step: str
    victim: str
    expected: Expected
    hit: str = NOTHING
    safe: float | None = None
    whole: float | None = None
    became: str = ""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        safe = f"{self.safe:6.1f}" if self.safe is not None else "     -"
        whole = f"{self.whole:6.1f}" if self.whole is not None else "     -"
        return (
            f"{self.lane} {self.number:4} {self.fate.value:11} {self.step:16} {self.victim:22} {self.hit:38.38} "
            f"safe {safe} whole {whole} {self.became:12} {'; '.join(self.wrong) or 'ok'}"
        )


def print_table(rounds: list[Round]) -> None:
    """A line for each victim, and every exception."""
    by_victim = collections.defaultdict(list)
    for one in rounds:
        by_victim[one.victim].append(one)
    lines = [f"{'':24}{'times':>6}{'hit':>5}{'back':>6}{'bad, safe':>12}{'whole, median':>15}{'most':>7}{'wrong':>7}"]
    for victim in (*VICTIMS, "all"):
        found = by_victim[victim] if victim != "all" else rounds
        if not found:
            continue
        # A good release that a kill took back did no harm meanwhile.
        safe = [one.safe for one in found if one.safe is not None and one.fate is not Fate.GOOD]
        whole = sorted(one.whole for one in found if one.whole is not None)
        back = sum(one.became == "rolled_back" for one in found)
        lines.append(
            f"{victim:24}{len(found):6}{sum(one.hit != NOTHING for one in found):5}{back:6}"
            f"{max(safe, default=0.0):12.1f}{whole[len(whole) // 2] if whole else 0.0:15.1f}"
            f"{max(whole, default=0.0):7.1f}{sum(bool(one.wrong) for one in found):7}"
        )
    wrong = [one for one in rounds if one.wrong]
    kinds = sum(VICTIMS[one.victim].kill and one.hit != NOTHING for one in rounds)
    lines.append(f"{kinds} kills with -9, {len(rounds) - kinds} others; exceptions: {len(wrong) or 'none'}")
    lines += [str(one) for one in wrong]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
