"""What ``airflow-cd verify`` prints: the verdict first, then what is at risk, the counts, and what to do next."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TextIO

from airflow_cd.report import words
from airflow_cd.report.figures import threshold_of, unit_of
from airflow_cd.report.file_answers import next_steps
from airflow_cd.report.order import by_weight, worst_first
from airflow_cd.report.report import Report
from airflow_cd.verification.files.opening import InputFile
from airflow_cd.verification.files.verification import Verified
from airflow_cd.verification.logs.headers.levels import NAMES
from airflow_cd.verification.verdict import Event, EventKind, Judgement, MetricResult, Performance, Quality, Verdict
from airflow_cd.wording import counted

MOST_EVENTS = 10
MOST_NO_RISKS = 5
MOST_METRICS = 10
MOST_FILES = 8
MOST_LINES = 14
LONGEST_LINE = 200
_COLOURS = {"FAIL": "1;31", "PASS": "1;32", "INCONCLUSIVE": "1;33", "bold": "1", "dim": "2"}


class Paint:
    """Colours on a terminal, unless ``NO_COLOR`` is set (https://no-color.org)."""

    def __init__(self, stream: TextIO) -> None:
        self.on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str, colour: str) -> str:
        """The text in a colour of :data:`_COLOURS`, or as it is."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.on else text


def summary(verified: Verified, stream: TextIO, *, report: str | None = None) -> str:
    """The verdict and its reasons, as text.

    :param verified: what was verified, with the judgement.
    :param stream: where it will be printed, which decides on colours.
    :param report: the file that the report was written to, if any.
    """
    paint, judgement = Paint(stream), verified.judgement
    blocks = verdict_blocks(judgement, paint)
    blocks.append([*_counts(verified), *(f"Note      {plain(text)}" for text in judgement.warnings)])
    steps = next_steps(Report.of_files(verified), has_page=report is not None)
    ending = [f"{'Next' if not number else '':<10}{text}" for number, text in enumerate(steps)]
    if report is not None:
        ending.append(f"Report    {report}")
    return "\n\n".join("\n".join(block) for block in [*blocks, ending] if block)


def verdict_blocks(judgement: Judgement, paint: Paint) -> list[list[str]]:
    """The verdict with its reasons, what is at risk and what got worse, as blocks of lines.

    :param judgement: of files or of anything else; nothing of it that came from outside reaches the terminal as it is.
    :param paint: colours, or none.
    """
    blocks = [[_sentence(judgement, paint)]]
    if judgement.quality is not None:
        risks = sorted(judgement.quality.risks, key=by_weight)
        blocks += [_event(number, event, paint) for number, event in enumerate(risks[:MOST_EVENTS], 1)]
        if len(risks) > MOST_EVENTS:
            blocks.append([f"and {len(risks) - MOST_EVENTS} more events that are a risk."])
        blocks.append(_no_risk(judgement.quality, paint))
    if judgement.performance is not None:
        bad = [result for result in judgement.performance.metrics if result.verdict is Verdict.FAIL]
        blocks += [_metric(result, paint) for result in sorted(bad, key=worst_first)[:MOST_METRICS]]
    return blocks


def _sentence(judgement: Judgement, paint: Paint) -> str:
    first, *others = judgement.reasons
    lines = [f"{paint(str(judgement.verdict), str(judgement.verdict))}: {plain(first.text)}"]
    return "\n".join(lines + [f"      {plain(reason.text)}" for reason in others[:MOST_METRICS]])


def _event(number: int, event: Event, paint: Paint) -> list[str]:
    title = event.exception or words.one_line(event.template, 100)
    counts = [f"{words.number(event.counts.get('canary'))} on the canary"]
    if event.expected is not None:
        counts.append(f"{words.number(event.expected)} expected")
    counts += [
        f"{words.number(event.counts.get(side))} {name}"
        for side, name in (("control", "on the control"), ("baseline", "in a baseline"))
        if event.counts.get(side)
    ]
    lines = [f"{number:>3}. {paint(plain(title), 'bold')}  {event.kind}, {event.severity}: {', '.join(counts)}"]
    if event.frames:
        lines.append(f"     in {plain(' < '.join(event.frames))}")
    if event.samples:
        lines += [f"     {paint('|', 'dim')} {paint(line, 'dim')}" for line in _sample(event.samples[-1])]
    return lines


def _no_risk(quality: Quality, paint: Paint) -> list[str]:
    """Events that are new or out of the ordinary but are no risk: a line each."""
    events = [event for event in quality.events if event.kind is not EventKind.KNOWN and not event.risk]
    if not events or not _compared(quality) or not quality.records.get("canary"):
        return []
    lines = ["New or unusual, but no risk:"]
    for event in sorted(events, key=by_weight)[:MOST_NO_RISKS]:
        facts = [str(event.kind), event.severity, f"{words.number(event.counts.get('canary'))} on the canary"]
        if event.expected is not None:
            facts.append(f"{words.number(event.expected)} expected")
        if event.feedback is not None:
            facts.append(event.feedback.words)
        lines.append(f"  -  {plain(event.exception or words.one_line(event.template, 90))}")
        lines.append(f"     {paint(', '.join(facts), 'dim')}")
    if len(events) > MOST_NO_RISKS:
        lines.append(f"  and {len(events) - MOST_NO_RISKS} more.")
    return lines


def _sample(text: str) -> list[str]:
    """The record, shortened in the middle: its ends show what it is and where it happened."""
    lines = [words.short(line, LONGEST_LINE) for line in plain(text, keep_lines=True).split("\n")]
    if len(lines) <= MOST_LINES:
        return lines
    half = MOST_LINES // 2
    return [*lines[:half], f"... {len(lines) - 2 * half} more lines ...", *lines[-half:]]


def _metric(result: MetricResult, paint: Paint) -> list[str]:
    title = f"{result.name} of {result.group}" if result.group else result.name
    unit = unit_of(result)
    means = " against ".join(words.number(side.get("mean"), unit) for side in (result.canary, result.control))
    known = result.effect is not None and math.isfinite(result.effect) and result.control.get("mean") != 0.0
    size = f"{words.change(result.effect)} ({threshold_of(result)} counts)" if known else "from nothing"
    lines = [f"  -  {paint(plain(title), 'bold')}  {size}: {means}, {_measured(result)}"]
    if len(result.instances) > 1:
        each = ", ".join(f"{name} {words.number(value, unit)}" for name, value in sorted(result.instances.items()))
        lines.append(f"     {plain(words.short(each, LONGEST_LINE))}")
    return lines


def _measured(result: MetricResult) -> str:
    """How much was measured: requests, where each row says how many it is of, else the rows."""
    asked = result.canary.get("requests", 0.0)
    rows = result.canary.get("buckets", 0.0) * max(1, len(result.instances))
    return f"{words.number(asked)} {'requests' if asked > rows else 'measurements'}"


def _counts(verified: Verified) -> list[str]:
    quality, performance = verified.judgement.quality, verified.judgement.performance
    lines = [] if quality is None else _log_counts(verified, quality)
    said = {reason.text for reason in verified.judgement.reasons[: MOST_METRICS + 1]}
    return lines if performance is None else lines + _metric_counts(performance, said)


def _log_counts(verified: Verified, quality: Quality) -> list[str]:
    files = Counter(file.side for file in verified.files if file.what == "logs")
    read = [
        f"{counted(quality.records.get(side, 0), 'record')} of the {side} ({counted(files[side], 'file')})"
        for side in ("canary", "control", "baseline")
        if files[side]
    ]
    lines = [f"Logs      {quality.verdict}: {', '.join(read)}", f"Events    {_kinds(quality)}"]
    lines += [f"Levels    {_levels(quality.levels)}"] if quality.levels else []
    return [*lines, *_read_as([file for file in verified.files if file.what == "logs"])]


def _read_as(files: Sequence[InputFile]) -> list[str]:
    """How each log was read, a line for each: its header, its levels, and what could not be read."""
    lines = [plain(read_as(file)) for file in files[:MOST_FILES]]
    more = len(files) - MOST_FILES
    lines += [f"and {counted(more, 'more file')}"] if more > 0 else []
    return [f"{'' if number else 'Read as':<10}{line}" for number, line in enumerate(lines)]


def read_as(file: InputFile) -> str:
    """How a log was read, in one line.

    :param file: a log, read.
    """
    levels = file.levels or {}
    stated = ", ".join(f"{count:,} {NAMES[level]}" for level, count in levels.items() if level != "none")
    if without := levels.get("none", 0):
        stated += f"{', ' if stated else ''}{without:,} without"
    of_first = "" if file.looked_at >= file.records else f"of the first {file.looked_at:,} "
    headless = f"{file.headless:,} {of_first}records" if of_first else counted(file.headless, "record")
    if of_first and not file.headless:
        headless = f"none {of_first}records"
    unread = f", such as “{file.unread}”" if file.unread and file.looked_at > file.headless else ""
    parts = [
        f"{counted(file.records, 'record')}, {file.header}",
        f"levels: {stated or 'none'}",
        f"{headless} without a header{unread}",
    ]
    return f"{file.name}: {'; '.join(parts)}"


def _metric_counts(performance: Performance, said: Collection[str]) -> list[str]:
    """How metrics were judged; of those that did not pass why, unless it was said already.

    :param said: texts of the reasons that stand above.
    """
    pooled = [result for result in performance.metrics if not result.group]
    verdicts = Counter(result.verdict for result in pooled)
    by_verdict = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdicts[verdict])
    summed = ": ".join(filter(None, (counted(len(pooled), "metric"), by_verdict)))
    lines = [f"Metrics   {performance.verdict}: {summed}"]
    open_ones = [result for result in pooled if result.verdict is not Verdict.PASS and result.reason.text not in said]
    for result in sorted(open_ones, key=worst_first)[:MOST_METRICS]:
        why = result.reason.text.removeprefix(f"{result.name}: ")
        lines.append(f"          {result.verdict}  {plain(words.short(f'{result.name}: {why}', LONGEST_LINE))}")
    if len(open_ones) > MOST_METRICS:
        lines.append(f"          and {len(open_ones) - MOST_METRICS} more that did not pass.")
    for taken in dict.fromkeys(map(_taken_for, pooled)):
        names = ", ".join(result.name for result in pooled if _taken_for(result) == taken)
        lines.append(f"          {taken}: {plain(words.short(names, LONGEST_LINE))}")
    return lines


def _taken_for(result: MetricResult) -> str:
    """What a metric was taken for."""
    return f"as {result.assumed or result.kind}"


def _compared(quality: Quality) -> bool:
    return bool(quality.records.get("control") or quality.records.get("baseline"))


def _kinds(quality: Quality) -> str:
    if not _compared(quality):
        return f"{len(quality.events):,}, compared with nothing"
    parts = []
    for kind in EventKind:
        events = [event for event in quality.events if event.kind is kind]
        risks = sum(event.risk for event in events)
        if events:
            parts.append(f"{len(events):,} {kind}" + (f" ({risks} a risk)" if risks else ""))
    return ", ".join(parts) or "none"


def _levels(levels: Mapping[str, int]) -> str:
    """The levels that were read in the canary's records."""
    stated = ", ".join(f"{count:,} {level}" for level, count in levels.items() if level != "none")
    without = levels.get("none", 0)
    if not without:
        return stated
    rest = f"no level in {without:,} of {counted(sum(levels.values()), 'record')}"
    return f"{stated}; {rest}" if stated else rest


def plain(text: str, *, keep_lines: bool = False) -> str:
    """Text from a log, safe for a terminal: nothing in it moves the cursor or changes colours."""
    shown = str(words.visible(text.replace("\t", "    ")))
    return shown if keep_lines else shown.replace("\n", " ")
