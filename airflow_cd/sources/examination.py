"""Looking at what a source answers now: of which instances, how late, and what it is taken for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import format_duration
from airflow_cd.errors import AirflowCdError
from airflow_cd.sources.buckets import utc_now
from airflow_cd.verification.samples import LogSample, LogSource, MetricSample, MetricSource, Window
from airflow_cd.verification.throttled_reading import read_sample

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 8
_HEAD_LINES = 400
_NOBODY = "no-such-instance"


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    :param text: what was found, one line.
    :param wrong: whether a verification would get nothing to judge.
    """

    text: str
    wrong: bool = False


def examine(source: MetricSource | LogSource, instances: Sequence[str], last: timedelta) -> Iterator[Finding]:
    """Read a source once, as a verification would, and say what came.

    :param source: the source.
    :param instances: names of the instances; where there are none, those that the source knows itself.
    :param last: how far back to read.
    :returns: what was found.
    """
    if mistakes := list(getattr(source, "mistakes", list)()):
        yield from (Finding(f"{sentence}.", wrong=True) for sentence in mistakes)
        return
    now = utc_now()
    window = Window(now - last, now)
    try:
        names = list(instances) or list(getattr(source, "instances", lambda _: [])(window))
        examined = getattr(source, "examined", None)
        if not names and not getattr(source, "of_release", False):
            if examined is None:
                # Where nothing is there at all, not even for a name that nobody has, that is what is wrong.
                source.read(window, [_NOBODY])
            yield Finding("No instance is known: name some with --instances.", wrong=True)
            return
        if examined is not None:  # nothing of it can be read back
            yield from (Finding(text, wrong) for text, wrong in examined(names))
            return
        began = time.monotonic()
        sample = read_sample(source.read, window, names)
        read = utc_now()
    except AirflowCdError as error:
        yield Finding(str(error), wrong=True)
        return
    seconds = time.monotonic() - began
    frame = sample.frame
    yield Finding(
        f"{_numbered(len(frame), 'row')} of the last {format_duration(last)}, read in {seconds:.2f} s.",
        wrong=not len(frame),
    )
    yield from _of_instances(frame, names)
    if len(frame):
        yield from _of_metrics(sample) if isinstance(sample, MetricSample) else _of_logs(sample)
        yield Finding(f"Lag: {_lag(sample, read)}; a verification takes {format_duration(source.delay)} at first.")
    if sample.throttling is not None:
        yield Finding(f"Rate limit: {sample.throttling.words}")
    yield from (Finding(warning) for warning in sample.warnings)
    yield from (Finding(f"Query: {line}") for line in sample.query.splitlines())


def _of_instances(frame: pd.DataFrame, names: Sequence[str]) -> Iterator[Finding]:
    counts = {str(name): int(number) for name, number in frame["instance"].value_counts().items()}
    silent = [name for name in names if name not in counts]
    if counts:
        yield Finding(f"Instances: {_listed([f'{name} ({counts[name]:,})' for name in sorted(counts)])}.")
    if silent:
        yield Finding(f"Nothing of {_listed(silent)}.", wrong=True)


def _of_metrics(sample: MetricSample) -> Iterator[Finding]:
    from airflow_cd.verification.metrics.kinds import described

    for metric in sample.metrics:
        rows = sample.frame[sample.frame["metric"] == metric.name]
        if not len(rows):
            yield Finding(f"{metric.name}: {described(metric)}; no value.")
            continue
        unit = f" {metric.unit}" if metric.unit else ""
        values, counted = rows["value"], rows["count"].dropna()
        of = f", of {counted.sum():,.0f} requests" if metric.kind in ("latency", "errors") and len(counted) else ""
        yield Finding(
            f"{metric.name}: {described(metric)}; {_numbered(len(rows), 'bucket')} of "
            f"{format_duration(sample.bucket)}, {values.min():.4g} to {values.max():.4g}{unit}{of}."
        )


def _of_logs(sample: LogSample) -> Iterator[Finding]:
    from airflow_cd.verification.files.formats import log_format
    from airflow_cd.verification.logs.profile import LogProfile
    from airflow_cd.verification.logs.quality import stated_levels

    levels = stated_levels(LogProfile.of(sample.frame))
    yield Finding(f"Levels: {', '.join(f'{count:,} {level}' for level, count in levels.items())}.")
    head = "\n".join(map(str, sample.frame["message"].head(_HEAD_LINES))).encode()
    found = log_format(head, whole=True)
    yield Finding(f"Read as: {found.text}; {found.without} of the first {found.records} records are without a header.")
    if found.example:
        yield Finding(f"One without: {found.example}")
    if sample.unassigned:
        yield Finding(f"{_numbered(sample.unassigned, 'record')} of none of these instances.")
    if sample.truncated:
        yield Finding("There are more records than the source returned.", wrong=True)


def _lag(sample: Any, now: datetime) -> str:
    import pandas as pd

    frame = sample.frame
    newest = frame["time"].max().to_pydatetime(warn=False)
    if isinstance(sample, MetricSample):
        newest += sample.bucket
    text = f"the newest is {max(0.0, (now - newest).total_seconds()):.1f} s old"
    if "received" in frame.columns and frame["received"].notna().any():
        seconds = (pd.to_datetime(frame["received"], utc=True) - frame["time"]).dt.total_seconds().dropna()
        text += f", records were received up to {max(0.0, seconds.max()):.1f} s after their time"
    return text


def _numbered(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} others" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
