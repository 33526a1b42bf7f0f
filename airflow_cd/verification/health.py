"""What the target says of the instances while they are watched: processes that die, and ones that are not healthy.

A release whose process dies without a word logs nothing, and the metrics of those that are left may be in order. One
instance of many may stand on a bad machine, and where the control fares no better it is not the release: both are no
proof, and no reason to go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from airflow_cd.verification.verdict import Reason, Verdict
from airflow_cd.wording import first_of

INSTANCE_FAILED, INSTANCE_RESTARTED = "instance_failed", "instance_restarted"
"""Codes of the reasons given here."""

_LOOKS = 2  # in a row
_UNHEALTHY_FOR = timedelta(seconds=20)
"""How long an instance has to be unhealthy for it to count: a check that was too slow once passes again."""
_LATER = timedelta(seconds=5)
"""By how much later a process has to have started to be another one: some targets work it out from a running time."""
_AGAIN_AND_AGAIN = 3  # starts of one instance
_NAMED = 3  # instances in a sentence


@dataclass(frozen=True)
class Condition:
    """What a target says of one instance at one moment.

    :param trouble: why it is failed or not healthy, in the target's words; ``""`` while it is well.
    :param failed: whether it has failed, rather than not being healthy now.
    :param started: when its process started; None where the target does not say it.
    """

    trouble: str = ""
    failed: bool = False
    started: datetime | None = None


@dataclass(frozen=True)
class Health:
    """What the health of the canary's instances comes to: PASS, without a reason, where they are well.

    :param verdict: of the health alone.
    :param reasons: of the verdict.
    :param first_bad: when the first of them was seen in trouble; None where none was.
    """

    verdict: Verdict
    reasons: Sequence[Reason] = ()
    first_bad: datetime | None = None


@dataclass
class _Seen:
    started: datetime | None = None
    restarts: int = 0
    looks: int = 0
    since: datetime | None = None
    now: Condition = field(default_factory=Condition)

    def note(self, condition: Condition, at: datetime) -> None:
        known, self.now = self.started, condition
        if condition.started is not None:
            self.restarts += known is not None and condition.started > known + _LATER
            self.started = max(condition.started, known or condition.started)
        self.looks = self.looks + 1 if condition.trouble else 0
        self.since = (self.since or at) if condition.trouble else None

    def is_sick(self, at: datetime) -> bool:
        lasts = self.now.failed or (self.since is not None and at - self.since >= _UNHEALTHY_FOR)
        return self.looks >= _LOOKS and lasts


class HealthWatch:
    """The health of canary and control over the looks of one watch."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._at: datetime | None = None
        self._first_bad: datetime | None = None

    def look(self, conditions: Mapping[str, Condition], at: datetime) -> None:
        """Take in what the target says.

        :param conditions: by the name of an instance; one that is not among them is not there any more.
        :param at: when it was asked, aware.
        """
        for gone in self._seen.keys() - conditions.keys():
            # What it did while it was there stays: a replica in whose place another one came has died as well.
            self._seen[gone].note(Condition(), at)
        for name, condition in conditions.items():
            self._seen.setdefault(name, _Seen()).note(condition, at)
        self._at = at

    def judge(self, canary: Sequence[str], control: Sequence[str]) -> Health:
        """What it comes to by now.

        It fails the release that half of the canary's instances or more are in trouble, or that one was started again
        and again, and nothing of the kind is the case on the control. Anything less of it is INCONCLUSIVE.

        :param canary: names of the instances on the new release; ``control`` of those on the running one.
        """
        at = self._at
        if at is None:
            return Health(Verdict.PASS)
        ours, theirs = self._of(canary), self._of(control)
        troubled = {name: one for name, one in ours.items() if one.looks}
        restarted = {name: one for name, one in ours.items() if one.restarts}
        if not troubled and not restarted:
            return Health(Verdict.PASS)
        if self._first_bad is None:
            self._first_bad = min((one.since for one in troubled.values() if one.since is not None), default=at)
        sick = [name for name, one in ours.items() if one.is_sick(at)]
        dying = sum(one.restarts for one in restarted.values()) >= _LOOKS and 2 * len(restarted) >= len(ours)
        dying = dying or any(one.restarts >= _AGAIN_AND_AGAIN for one in restarted.values())
        elsewhere = [name for name, one in theirs.items() if one.looks or one.restarts]
        failed = not elsewhere and (dying or (bool(sick) and 2 * len(sick) >= len(ours)))
        return Health(
            Verdict.FAIL if failed else Verdict.INCONCLUSIVE,
            [*_in_trouble(troubled, len(ours), elsewhere), *_started_again(restarted, len(ours), elsewhere)],
            self._first_bad,
        )

    def _of(self, names: Iterable[str]) -> dict[str, _Seen]:
        return {name: self._seen[name] for name in sorted(names) if name in self._seen}


def _in_trouble(troubled: Mapping[str, _Seen], of: int, elsewhere: Sequence[str]) -> list[Reason]:
    if not troubled:
        return []
    first = next(iter(troubled.values())).now.trouble.partition("\n")[0].rstrip(".")
    numbers = {"instances": len(troubled), "of": of, "control": len(elsewhere)}
    text = f"{_named(troubled)} of the canary {_is(troubled)} not healthy: {first}{_beside(elsewhere)}."
    return [Reason(INSTANCE_FAILED, text, numbers)]


def _started_again(restarted: Mapping[str, _Seen], of: int, elsewhere: Sequence[str]) -> list[Reason]:
    if not restarted:
        return []
    times = sum(one.restarts for one in restarted.values())
    how_often = "once" if times == 1 else f"{times} times"
    numbers = {"restarts": times, "instances": len(restarted), "of": of, "control": len(elsewhere)}
    was = "was" if len(restarted) == 1 else "were"
    text = f"{_named(restarted)} of the canary {was} started again {how_often} while watched{_beside(elsewhere)}."
    return [Reason(INSTANCE_RESTARTED, text, numbers)]


def _beside(elsewhere: Sequence[str]) -> str:
    return f"; of the control it happened to {_named(elsewhere)}" if elsewhere else ""


def _is(names: Mapping[str, _Seen]) -> str:
    return "is" if len(names) == 1 else "are"


def _named(names: Iterable[str]) -> str:
    listed = sorted(names)
    if len(listed) > _NAMED:
        return first_of(listed, _NAMED)
    return " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else listed[0]
