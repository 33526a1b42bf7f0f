"""What a look at a canary decides: whether the watch is over, with which verdict, and which policy applies.

A pure function of what the parts of the judgement say and of how far the watch has come; tested as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_cd.verification.health import Health
from airflow_cd.verification.verdict import Performance, Quality, Reason, Verdict

_SILENT = ("no_data", "instance_silent")

Part = Quality | Performance | Health

PolicyKey = Literal["no_data", "source_error", "inconclusive"]


@dataclass(frozen=True)
class Progress:
    """How far a watch has come.

    :param watching: how much of the time has been read, for a look that decides nothing.
    :param over: whether every source has been read to the end.
    :param minimum_reached: whether some source has been read for the least time before any verdict.
    :param source_error: why reading on is of no use (a source has used up its budget of errors); None while it is.
    :param no_baseline: why no later look can end otherwise (the baseline that was asked for is missing); None while
        one can.
    :param behind: why not everything has come although the watch is over; None when everything has.
    """

    watching: Reason
    over: bool
    minimum_reached: bool
    source_error: Reason | None = None
    no_baseline: Reason | None = None
    behind: Reason | None = None

    @property
    def last(self) -> bool:
        """Whether no further look follows, whatever this one says."""
        return self.over or self.source_error is not None or self.no_baseline is not None


@dataclass(frozen=True)
class Decision:
    """What a look decides.

    :param verdict: INCONCLUSIVE until the watch is over.
    :param reasons: of the verdict, the decisive one first.
    :param final: whether the watch is over; INCONCLUSIVE until it is.
    :param policy_key: which policy applies to a final INCONCLUSIVE verdict; None for every other decision.
    """

    verdict: Verdict
    reasons: Sequence[Reason]
    final: bool
    policy_key: PolicyKey | None = None


def decide(parts: Sequence[Part], progress: Progress) -> Decision:
    """Decide what a look comes to.

    A FAIL stands as soon as the least time is over, even while a source cannot be read: a source that errs holds up
    nothing that the others show. A PASS stands only when everything has been read to the end.

    :param parts: what logs, metrics and the health of the instances say so far, as far as there are any.
    :param progress: how far the watch has come.
    """
    if progress.minimum_reached or progress.last:
        failed = _reasons(parts, Verdict.FAIL)
        if failed is not None:
            return Decision(Verdict.FAIL, failed, final=True)
    if progress.source_error is not None:
        return Decision(Verdict.INCONCLUSIVE, [progress.source_error], final=True, policy_key="source_error")
    if progress.no_baseline is not None:
        return Decision(Verdict.INCONCLUSIVE, [progress.no_baseline], final=True, policy_key="inconclusive")
    if not progress.over:
        so_far = [reason for part in parts for reason in part.reasons]
        return Decision(Verdict.INCONCLUSIVE, [progress.watching, *so_far], final=False)
    if progress.behind is not None:
        so_far = [reason for part in parts for reason in part.reasons]
        return Decision(Verdict.INCONCLUSIVE, [progress.behind, *so_far], final=True, policy_key="no_data")
    undecided = _reasons(parts, Verdict.INCONCLUSIVE)
    if undecided is not None:
        undecided.sort(key=lambda reason: reason.code not in _SILENT)
        silent = bool(undecided) and undecided[0].code in _SILENT
        key: PolicyKey = "no_data" if silent else "inconclusive"
        return Decision(Verdict.INCONCLUSIVE, undecided, final=True, policy_key=key)
    return Decision(Verdict.PASS, [reason for part in parts for reason in part.reasons], final=True)


def _reasons(parts: Sequence[Part], verdict: Verdict) -> list[Reason] | None:
    """The reasons of the parts with this verdict, None where no part has it."""
    having = [part for part in parts if part.verdict is verdict]
    return [reason for part in having for reason in part.reasons] if having else None
