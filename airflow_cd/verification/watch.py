"""Watching a canary: reads what is new every few seconds, judges, and stops as soon as it knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_cd.durations import format_duration
from airflow_cd.errors import VerificationError
from airflow_cd.verification.conclusions import first_bad, together, with_places, with_queries
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.feedback import Opinions
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.metrics.null import Taught
from airflow_cd.verification.metrics.performance import judge_performance, learn_performance
from airflow_cd.verification.metrics.profile import MetricProfile
from airflow_cd.verification.reading import Instances, LogReader, MetricReader, Reader, advance_all
from airflow_cd.verification.samples import Metric, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Performance, Quality, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_NAP = 1.0  # seconds between two questions whether to stop


@dataclass(frozen=True)
class Outcome:
    """How a verification ended.

    :param judgement: the verdict with its evidence.
    :param profiles: what the canary logged, by source; teaches the baseline when the release turns out good.
    :param policy_key: which policy applies to an INCONCLUSIVE verdict: ``no_data``, ``source_error`` or
        ``inconclusive``; None for the others.
    :param running: what the running release logged, by source: the control meanwhile, and all instances before the
        deployment. It is no baseline for others, and lets a backtest judge this one again as it was judged.
    :param metric_profiles: what the metrics showed to be normal, by source; teaches as ``profiles`` does.
    """

    judgement: Judgement
    profiles: Mapping[str, LogProfile] = field(default_factory=dict)
    policy_key: str | None = None
    running: Mapping[str, LogProfile] = field(default_factory=dict)
    metric_profiles: Mapping[str, MetricProfile] = field(default_factory=dict)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Watch:
    """One verification of one canary.

    :param configuration: what to watch and how to judge.
    :param canary: names of the instances on the new release.
    :param control: names of those on the running release; may be empty.
    :param since: when the canary's window starts, aware.
    :param before: a window before the deployment. Metrics are compared with it when there is no control; what was
        logged in it counts as known.
    :param baselines: for each log source, by name, what earlier good deployments logged.
    :param opinions: asked at every look what people and the pipeline say of events; by default what the
        configuration expects.
    :param metric_baselines: for each metric source, by name, what earlier good deployments taught.
    :param learn: whether having nothing to compare with is a reason to pass.
    :param clock: tells the time, aware.
    :param sleep: waits so many seconds.
    :param on_look: is told the judgement so far after every look, as INCONCLUSIVE until it is final.
    :param on_verdict: is told the final judgement and the key of its policy (see :class:`Outcome`) in the moment it
        stands, before anything else is made of it: what must happen at once happens here.
    :param stop: asked at least once a second; True ends the watch without a verdict.
    :raises VerificationError: the configuration has mistakes, or nothing is to be watched.
    """

    def __init__(
        self,
        configuration: Verification,
        *,
        canary: Sequence[str],
        control: Sequence[str] = (),
        since: datetime,
        before: Window | None = None,
        baselines: Mapping[str, Baseline] | None = None,
        opinions: Callable[[], Opinions] | None = None,
        metric_baselines: Mapping[str, Sequence[MetricProfile]] | None = None,
        learn: bool = False,
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        on_look: Callable[[Judgement], None] | None = None,
        on_verdict: Callable[[Judgement, str | None], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        mistakes = configuration.mistakes()
        if mistakes:
            raise VerificationError(f"the verification is configured wrongly: {'; '.join(mistakes)}.")
        if not canary or set(canary) & set(control):
            raise VerificationError("a verification needs canary instances, none of which is a control too.")
        if since.tzinfo is None:
            raise VerificationError("the start of a verification needs a time zone.")
        self.configuration = configuration
        self.instances = Instances(tuple(canary), tuple(control), before)
        self.since = since
        self.baselines = baselines or {}
        self.metric_baselines = metric_baselines or {}
        self.learn = learn
        self._opinions = opinions or (lambda: Opinions(expected=configuration.expectations))
        self._clock, self._sleep = clock, sleep
        self._on_look = on_look
        self._on_verdict = on_verdict
        self._stop = stop or (lambda: False)
        self._logs = [LogReader(source, self.instances, since) for source in configuration.logs]
        self._metrics = [MetricReader(source, self.instances, since) for source in configuration.metrics]
        self._looks = 0
        self._started = ""

    def run(self) -> Outcome:
        """Watch until the verdict stands."""
        self._started = _iso(self._clock())
        end = self.since + self.configuration.length
        extended = False
        while True:
            began = self._clock()
            advance_all(self._readers, began, end)
            judgement, key = self._look(end)
            if judgement.final and key is not None and not extended and self.configuration.policy(key) == "wait":
                extended = True
                # A late start has its full second chance too.
                end = max(end, self._clock()) + self.configuration.length
                for reader in self._readers:
                    reader.forgive()
                judgement = replace(judgement, final=False)
            if judgement.final:
                if self._on_verdict is not None:
                    self._on_verdict(judgement, key)
                return self._outcome(judgement, key)
            if self._on_look is not None:
                # Placed at every look: the report grows live, and the verdict finds the libraries loaded.
                self._on_look(with_places(judgement))
            if not self._wait(began + self.configuration.pause, end):
                return self._outcome(self._stopped(judgement), "inconclusive")

    @property
    def _readers(self) -> list[Reader]:
        return [*self._metrics, *self._logs]

    def _wait(self, until: datetime, end: datetime) -> bool:
        """Wait for the next look; False when told to stop."""
        # The last look is worth no later moment than the one at which everything can be read.
        complete = end + max(reader.delay for reader in self._readers)
        if self._clock() < complete:
            until = min(until, complete)
        while True:
            if self._stop():
                return False
            left = (until - self._clock()).total_seconds()
            if left <= 0:
                return True
            self._sleep(min(left, _LONGEST_NAP))

    def _look(self, end: datetime) -> tuple[Judgement, str | None]:
        """Judge what has been read; the judgement is final when the watch is over."""
        self._looks += 1
        horizon = min(reader.cursor for reader in self._readers) - self.since
        over = all(reader.cursor >= end for reader in self._readers)
        lost = [
            reader
            for reader in self._readers
            if reader.hopeless or reader.failures >= self.configuration.source_error_budget
        ]
        last = over or bool(lost) or bool(self._pointless)
        performance = self._performance()
        quality = self._quality(final=last)
        judged = [part for part in (quality, performance) if part is not None]
        # A source that errs holds nothing up: what the others show is judged by how far *they* are.
        seen = max(reader.cursor for reader in self._readers) - self.since
        failed = [part for part in judged if part.verdict is Verdict.FAIL]
        if failed and (seen >= self.configuration.least or last):
            reasons = [reason for part in failed for reason in part.reasons]
            return self._judgement(Verdict.FAIL, reasons, performance, quality, final=True), None
        if lost:
            return self._judgement(
                Verdict.INCONCLUSIVE, [self._lost(lost)], performance, quality, final=True
            ), "source_error"
        if self._pointless:
            reasons = [Reason("no_baseline", self._pointless)]
            return self._judgement(Verdict.INCONCLUSIVE, reasons, performance, quality, final=True), "inconclusive"
        if not over:
            reasons = [self._watching(horizon, end), *(reason for part in judged for reason in part.reasons)]
            return self._judgement(Verdict.INCONCLUSIVE, reasons, performance, quality, final=False), None
        open_ones = [part for part in judged if part.verdict is Verdict.INCONCLUSIVE]
        if open_ones:
            reasons = [reason for part in open_ones for reason in part.reasons]
            reasons.sort(key=lambda reason: reason.code != "no_data")
            key = "no_data" if reasons[0].code == "no_data" else "inconclusive"
            return self._judgement(Verdict.INCONCLUSIVE, reasons, performance, quality, final=True), key
        reasons = [reason for part in judged for reason in part.reasons]
        return self._judgement(Verdict.PASS, reasons, performance, quality, final=True), None

    @property
    def _pointless(self) -> str:
        """Why no look can end well: a baseline that was asked for is missing; ``""`` when one can."""
        if self.configuration.policy("inconclusive") == "pass":
            return ""  # then the metrics are watched to the end all the same
        missing = (self.baselines.get(reader.name, Baseline()).unusable for reader in self._logs)
        return next((why for why in missing if why), "")

    def _performance(self) -> Performance | None:
        import pandas as pd

        if not self._metrics:
            return None
        canary, control, past = [], [], []
        metrics: list[Metric] = []
        taught: dict[str, Taught] = {}
        several = len(self._metrics) > 1
        for reader in self._metrics:
            prefix = f"{reader.name}: " if several else ""
            metrics += [replace(metric, name=prefix + metric.name) for metric in reader.metrics]
            learned = MetricProfile.of_width(reader.bucket_ms, *self.metric_baselines.get(reader.name, ()))
            taught |= {prefix + name: learned.taught(name) for name in learned.sums}
            canary.append(_prefixed(reader.frame(self.instances.canary), prefix))
            control.append(_prefixed(reader.frame(self.instances.control), prefix))
            before = reader.past()
            if before is not None:
                past.append(_prefixed(before, prefix))
        configuration = self.configuration
        performance = judge_performance(
            pd.concat(canary, ignore_index=True),
            pd.concat(control, ignore_index=True) if self.instances.control else None,
            pd.concat(past, ignore_index=True) if past else None,
            metrics,
            sensitivity=configuration.sensitivity,
            minimum_effect=configuration.minimum_effect,
            min_requests=configuration.min_requests,
            learn=self.learn,
            taught=taught,
            thresholds=configuration.thresholds,
        )
        return with_queries(performance, self._metrics)

    def _quality(self, *, final: bool) -> Quality | None:
        if not self._logs:
            return None
        judged = []
        opinions = self._opinions()
        for reader in self._logs:
            baseline = self.baselines.get(reader.name, Baseline())
            if baseline.unusable:
                judged.append(Quality(Verdict.INCONCLUSIVE, [Reason("no_baseline", baseline.unusable)]))
                continue
            past = [Learned("before the deployment", reader.past)] if reader.past.records else []
            learned = [*past, *baseline.learned]
            judged.append(
                judge_quality(
                    reader.canary,
                    reader.control if self.instances.control else None,
                    [one.profile for one in learned],
                    sensitivity=self.configuration.sensitivity,
                    learn=self.learn,
                    opinions=opinions,
                    baseline_names=[one.name for one in learned],
                    look=self._looks,
                    final=final,
                )
            )
        return with_queries(judged[0] if len(judged) == 1 else together(judged), self._logs)

    def _judgement(
        self,
        verdict: Verdict,
        reasons: Sequence[Reason],
        performance: Performance | None,
        quality: Quality | None,
        *,
        final: bool,
    ) -> Judgement:
        return Judgement(
            verdict=verdict,
            reasons=list(reasons),
            performance=performance,
            quality=quality,
            started=self._started,
            decided=_iso(self._clock()) if final else "",
            first_bad=first_bad(performance, quality) if verdict is Verdict.FAIL else "",
            looks=self._looks,
            canary=list(self.instances.canary),
            control=list(self.instances.control),
            source_errors=[error for reader in self._readers for error in reader.errors],
            warnings=[warning for reader in self._readers for warning in reader.warnings],
            final=final,
        )

    def _outcome(self, judgement: Judgement, key: str | None) -> Outcome:
        judgement = with_places(judgement)
        running = {reader.name: LogProfile.merge(reader.control, reader.past) for reader in self._logs}
        taught = {reader.name: self._lesson(reader) for reader in self._metrics}
        return Outcome(judgement, {reader.name: reader.canary for reader in self._logs}, key, running, taught)

    def _lesson(self, reader: MetricReader) -> MetricProfile:
        control = reader.frame(self.instances.control) if self.instances.control else None
        canary = reader.frame(self.instances.canary)
        return learn_performance(canary, control, reader.metrics, reader.bucket_ms, reader.past())

    def _lost(self, lost: Sequence[Reader]) -> Reason:
        worst = lost[0]
        names = ", ".join(reader.name for reader in lost)
        times = "for good" if worst.hopeless else f"{worst.failures} times in a row"
        text = f"Source {names} could not be read ({times}); its last answer: {worst.errors[-1]}"
        return Reason("source_error", text, {"failures": worst.failures, "source": worst.name})

    def _watching(self, horizon: timedelta, end: datetime) -> Reason:
        length = end - self.since
        text = f"Watching: {format_duration(_whole(horizon))} of {format_duration(length)} are read."
        numbers = {"seconds": horizon.total_seconds(), "of": length.total_seconds()}
        return Reason("watching", text, numbers)

    def _stopped(self, judgement: Judgement) -> Judgement:
        reason = Reason("stopped", "The verification was told to stop before it knew.")
        reasons = [reason, *judgement.reasons]
        return replace(judgement, reasons=reasons, final=True, decided=_iso(self._clock()))


def _prefixed(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    return frame.assign(metric=prefix + frame["metric"]) if prefix else frame


def _whole(length: timedelta) -> timedelta:
    return timedelta(seconds=max(0, int(length.total_seconds())))


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
