"""What a person is asked after a verification: with the numbers, and what each answer does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.answers import AGAIN, GO_ON, ROLL_BACK, WATCH
from airflow_cd.durations import format_duration
from airflow_cd.report.words import one_line, visible
from airflow_cd.states import Role
from airflow_cd.task_ids import read_task_id
from airflow_cd.verification.undecided import longest, points_to_harm, still_open, watched_time
from airflow_cd.verification.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from airflow_cd.delivery.verifying import Conclusion

_MOST = 5  # reasons, and open points, that are named
_LONGEST = 300  # characters of a reason
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@])")


@dataclass(frozen=True)
class Asking:
    """A question after a verification.

    :param subject: the question, one line.
    :param lines: what helps to decide; a line that begins with ``- `` is one of a list.
    :param options: what can be answered.
    """

    subject: str
    lines: Sequence[str]
    options: Sequence[str]

    @property
    def body(self) -> str:
        """As plain text."""
        return "\n".join(self.lines)


def as_markdown(lines: Sequence[str]) -> str:
    """The lines of a question as Markdown in which nothing that came from logs is markup.

    :param lines: see :class:`Asking`.
    """
    shown = []
    for line in lines:
        item, text = line.startswith("- "), line.removeprefix("- ")
        shown.append(("- " if item else "") + _MARKUP.sub(r"\\\1", text) + ("" if item or not text else "  "))
    return "\n".join(shown)


def asking(
    concluded: Conclusion,
    *,
    release: str,
    place: str,
    phase: str,
    follow: str,
    timeout: timedelta,
    more: timedelta,
) -> Asking:
    """What to ask about a verdict.

    :param concluded: the verdict, and whether the canary is drained: out of all of its traffic.
    :param release: service and version.
    :param place: the environment.
    :param phase: name of the phase.
    :param follow: id of the task that follows a pass.
    :param timeout: how long there is to answer.
    :param more: for how long an undecided canary is watched when a person says so.
    """
    judgement = concluded.judgement
    failed = judgement.verdict is Verdict.FAIL
    what = "the verification failed. Roll back?" if failed else "not enough evidence to decide. Go on, or watch longer?"
    where = f"{place}, {phase}" if phase not in ("", "all") else place
    traffic = "is drained: no request reaches it" if concluded.drained else "still serves its share of the traffic"
    found = [f"- {_cut(reason.text)}" for reason in judgement.reasons[:_MOST]]
    if failed:
        lines = [judgement.sentence, *found[1:], "", f"The canary {traffic}."]
    else:
        lines = _uncertain(concluded, found, traffic)
    options = [ROLL_BACK, GO_ON, AGAIN] if failed else [GO_ON, WATCH, ROLL_BACK]
    lines += ["", *_answers(failed=failed, follow=follow, timeout=timeout, more=more)]
    return Asking(f"{release} in {where}: {what}", [visible(line) for line in lines], options)


def watch_for(judgement: Judgement, since: datetime, usual: timedelta) -> timedelta:
    """How much longer to watch when a person says so: what would probably decide, between once and six times as usual.

    :param judgement: the undecided one.
    :param since: when its time began.
    :param usual: the duration of the verification.
    """
    more = longest(still_open(judgement, watched_time(judgement, since)))
    return min(max(more or usual, usual), 6 * usual)


def _uncertain(concluded: Conclusion, found: Sequence[str], traffic: str) -> list[str]:
    judgement = concluded.judgement
    seen = watched_time(judgement, concluded.since)
    lines = [f"INCONCLUSIVE after {format_duration(timedelta(seconds=round(seen.total_seconds())))}:", *found, ""]
    lines += [*_numbers(judgement), "How much longer would decide:"]
    lines += [f"- {_cut(one.text)}" for one in still_open(judgement, seen)[:_MOST]]
    harm = points_to_harm(judgement)
    if harm:
        named = ", ".join(_cut(one) for one in harm[:_MOST])
        lines += ["", f"Something points to harm ({named}), so the canary {traffic}."]
        if not concluded.drained:
            lines[-1] = f"Something points to harm ({named}), and the canary {traffic}."
    else:
        lines += ["", f"Nothing points to harm. The canary {traffic}."]
    return lines


def _numbers(judgement: Judgement) -> list[str]:
    """How much was seen, in a line."""
    counts = []
    if judgement.performance is not None:
        requests = max((one.canary.get("requests", 0.0) for one in judgement.performance.metrics), default=0.0)
        counts.append(f"{requests:,.0f} requests in the metrics")
    if judgement.quality is not None:
        records, risks = judgement.quality.records.get("canary", 0), len(judgement.quality.risks)
        counts.append(f"{records:,} log records, {risks} of their events a risk")
    return [f"Seen of the canary so far: {'; '.join(counts)}.", ""] if counts else []


def _answers(*, failed: bool, follow: str, timeout: timedelta, more: timedelta) -> list[str]:
    next_task = read_task_id(follow)
    goes = "the release is promoted"
    if next_task is not None and next_task.role is Role.DEPLOY:
        goes = f"{next_task.phase} is deployed next" if next_task.phase else "it is deployed further"
    lines = [f"- {GO_ON}: {goes}."]
    if failed:
        lines.append(f"- {AGAIN}: the canary gets its traffic back and is verified from now on.")
    else:
        lines.append(f"- {WATCH}: for another {format_duration(more)}; then it is decided, or asked again.")
    lines.append(f"- {ROLL_BACK}: the release before is restored, and this one vetoed here.")
    held = "" if failed else ", without a veto"
    return [*lines, f"Without an answer within {format_duration(timeout)} it is rolled back{held}."]


def _cut(text: str) -> str:
    return one_line(text, _LONGEST)
