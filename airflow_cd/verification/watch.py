"""Watching a canary: read what is new every few seconds, judge it, and stop as soon as the verdict stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial

from airflow_cd.durations import format_duration
from airflow_cd.errors import VerificationError
from airflow_cd.verification.conclusions import first_bad, merged, with_layout, with_queries
from airflow_cd.verification.coverage import with_unread
from airflow_cd.verification.decision import Decision, PolicyKey, Progress, decide
from airflow_cd.verification.health import HealthWatch
from airflow_cd.verification.log_reading import Earlier, LogReader
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.feedback import Opinions, unmatched
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.measured import Measured
from airflow_cd.verification.metric_reading import MetricReader
from airflow_cd.verification.metrics.performance import learn_performance
from airflow_cd.verification.metrics.profile import MetricProfile
from airflow_cd.verification.per_instance import of_logs
from airflow_cd.verification.reading import Instances, Patience, Reader, Sides, advance_all
from airflow_cd.verification.samples import Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.times import iso_time
from airflow_cd.verification.verdict import Judgement, Performance, Quality, Reason, Verdict

_LONGEST_SLEEP = 1.0  # seconds between two checks whether to stop


@dataclass(frozen=True)
class Outcome:
    """How a verification ended.

    :param judgement: the verdict with its evidence.
    :param profiles: by the name of a log source, what the canary logged; becomes part of the baseline when the
        release turns out good.
    :param policy_key: which policy applies to an INCONCLUSIVE verdict: ``no_data``, ``source_error`` or
        ``inconclusive``; None for every other verdict.
    :param running: by the name of a log source, what the running release logged: the control meanwhile, and all
        instances before the deployment. It becomes no baseline, and lets a backtest judge this deployment again as it
        was judged.
    :param metric_profiles: by the name of a metric source, what is normal for its metrics; becomes part of the
        baseline as ``profiles`` does.
    :param earlier: by the names of an earlier phase and of a log source, what that phase's canary logged once records
        that came late are counted; only where some did.
    """

    judgement: Judgement
    profiles: Mapping[str, LogProfile] = field(default_factory=dict)
    policy_key: PolicyKey | None = None
    running: Mapping[str, LogProfile] = field(default_factory=dict)
    metric_profiles: Mapping[str, MetricProfile] = field(default_factory=dict)
    earlier: Mapping[str, Mapping[str, LogProfile]] = field(default_factory=dict)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Watch:
    """One verification of one canary.

    :param configuration: what to watch and how to judge it.
    :param canary: names of the instances on the new release; at least one.
    :param control: names of the instances on the running release, none of which is a canary too; may be empty.
    :param since: when the canary's window starts, aware.
    :param until: when it ends, aware; by default after the duration of the verification.
    :param sides: called at every look for who canary and control are by then, as a platform that makes replicas names
        them anew, and how they are; None from it means that this cannot be known now. By default they stay who they
        are, and nothing is known of their health.
    :param before: a window before the deployment. Metrics are compared with it when there is no control; what was
        logged in it counts as known.
    :param starts: by the name of a canary instance, from when on what is logged under it is the new release's;
        ``since`` by default. What the process before it logs while it shuts down is the release before's.
    :param replaced: names of the instances before the deployment, where they have other names since.
    :param earlier: earlier phases of the same deployment: what comes late of them still counts, and without a control
        they show how the release did before.
    :param baselines: by the name of a log source, what earlier good deployments logged.
    :param opinions: called at every look for the feedback and expectations that apply to events; by default what
        the configuration expects.
    :param metric_baselines: by the name of a metric source, what earlier good deployments showed to be normal.
    :param learn: whether having nothing to compare with is a reason to pass; False by default.
    :param clock: returns the present time, aware.
    :param sleep: sleeps for a number of seconds, at most one at a time.
    :param on_look: called after every look with the judgement so far, which is INCONCLUSIVE until it is final.
    :param on_verdict: called with the final judgement and the key of its policy (see :class:`Outcome`) in the moment
        the verdict stands, before anything else is made of it: what must happen at once happens here.
    :param stop: called at least once a second; True ends the watch without a verdict.
    :raises airflow_cd.errors.VerificationError: the configuration has mistakes, there is no canary, an instance is
        on both sides, or ``since`` has no time zone.
    """

    def __init__(
        self,
        configuration: Verification,
        *,
        canary: Sequence[str],
        control: Sequence[str] = (),
        since: datetime,
        until: datetime | None = None,
        sides: Callable[[], Sides | None] | None = None,
        before: Window | None = None,
        starts: Mapping[str, datetime] | None = None,
        replaced: Sequence[str] = (),
        earlier: Sequence[Earlier] = (),
        baselines: Mapping[str, Baseline] | None = None,
        opinions: Callable[[], Opinions] | None = None,
        metric_baselines: Mapping[str, Sequence[MetricProfile]] | None = None,
        learn: bool = False,
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        on_look: Callable[[Judgement], None] | None = None,
        on_verdict: Callable[[Judgement, PolicyKey | None], None] | None = None,
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
        self.instances = Instances(tuple(canary), tuple(control), before, starts or {}, tuple(replaced))
        self._sides = sides
        self._present: frozenset[str] | None = None
        self._health = HealthWatch()
        self.since = since
        self.until = until or since + configuration.length
        self.baselines = baselines or {}
        self.metric_baselines = metric_baselines or {}
        self.learn = learn
        self._opinions = opinions or (
            partial(Opinions, expected=configuration.expectations, errors=configuration.error_patterns)
        )
        self._clock, self._sleep = clock, sleep
        self._on_look = on_look
        self._on_verdict = on_verdict
        self._stop = stop or (lambda: False)
        patience = Patience(
            configuration.most_lag,
            unseen=configuration.unseen_lag,
            released=min([since, *(phase.window.since for phase in earlier)]),
        )
        self._logs = [
            LogReader(source, self.instances, since, patience, earlier=earlier) for source in configuration.logs
        ]
        self._metrics = [
            MetricReader(source, self.instances, since, patience, earlier=earlier) for source in configuration.metrics
        ]
        self._looks = 0
        self._started = ""

    def run(self) -> Outcome:
        """Watch until the verdict stands: at most for twice the duration, and the longest lag that is waited for.

        A FAIL stands as soon as it is certain. A PASS waits until everything should have come.

        :returns: the judgement, and what was learned. An error of a source is part of the judgement, never raised.
        """
        self._started = iso_time(self._clock())
        end = self.until
        extended = False
        while True:
            began = self._clock()
            self._follow()
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
                # Laid out at every look: the report grows live, and the verdict finds the libraries loaded.
                self._on_look(with_layout(judgement))
            if not self._wait(began + self.configuration.pause, end):
                return self._outcome(self._stopped(judgement), "inconclusive")

    @property
    def _readers(self) -> list[Reader]:
        return [*self._metrics, *self._logs]

    def _follow(self) -> None:
        """Find out who canary and control are by now, and how they are."""
        sides = self._sides() if self._sides is not None else None
        if sides is None:
            return
        self.instances = self.instances.joined_by(sides)
        self._present = frozenset((*sides.canary, *sides.control))
        self._health.look(sides.conditions, self._clock())
        for reader in self._readers:
            reader.instances = self.instances

    def _there(self, names: Sequence[str]) -> list[str]:
        """Those that are there now: a replica that has gone is not silent."""
        return [name for name in names if self._present is None or name in self._present]

    def _wait(self, until: datetime, end: datetime) -> bool:
        """Wait for the next look; False when the watch is to stop."""
        # The last look is worth no later moment than the one at which everything can be read.
        due = max(reader.due(end) for reader in self._readers if not reader.complete(end))
        if self._clock() < due:
            until = min(until, due)
        while True:
            if self._stop():
                return False
            left = (until - self._clock()).total_seconds()
            if left <= 0:
                return True
            self._sleep(min(left, _LONGEST_SLEEP))

    def _look(self, end: datetime) -> tuple[Judgement, PolicyKey | None]:
        """Judge what has been read; the judgement is final when the watch is over."""
        self._looks += 1
        progress = self._progress(end)
        # While only what may be late is waited for, this is all the evidence there is: a FAIL need not wait.
        final = progress.last or self._all_is_read(end)
        performance = self._performance(final=final)
        quality = self._quality(final=final)
        health = self._health.judge(self.instances.canary, self.instances.control)
        decision = decide([part for part in (quality, performance, health) if part is not None], progress)
        judgement = self._judgement(decision, performance, quality)
        if decision.verdict is Verdict.FAIL and not judgement.first_bad and health.first_bad is not None:
            judgement = replace(judgement, first_bad=iso_time(health.first_bad))
        return judgement, decision.policy_key

    def _progress(self, end: datetime) -> Progress:
        missing = self._missing_baseline
        return Progress(
            watching=self._watching(end),
            over=all(reader.complete(end) for reader in self._readers),
            # What others show is judged by how far *they* are, not by a source that errs.
            minimum_reached=max(reader.cursor for reader in self._readers) - self.since >= self.configuration.least,
            source_error=self._source_error(),
            no_baseline=Reason("no_baseline", missing) if missing else None,
            behind=next((reader.behind for reader in self._readers if reader.behind is not None), None),
        )

    def _all_is_read(self, end: datetime) -> bool:
        """Whether everything was read to the end that comes as late as most does."""
        now = self._clock()
        return all(reader.cursor >= end and now >= end + reader.lag.wait for reader in self._readers)

    @property
    def _missing_baseline(self) -> str:
        """Why the baseline that was asked for cannot be had, so that no look can pass; ``""`` when one can."""
        if self.configuration.policy("inconclusive") == "pass":
            return ""  # then the metrics are watched to the end all the same
        missing = (self.baselines.get(reader.name, Baseline()).unusable for reader in self._logs)
        return next((why for why in missing if why), "")

    def _performance(self, *, final: bool) -> Performance | None:
        if not self._metrics:
            return None
        measured = Measured(
            self._metrics, self.instances, self.configuration, self.metric_baselines, self.learn, self._there
        )
        return with_queries(measured.performance(final=final), _queries(self._metrics))

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
            quality = judge_quality(
                reader.canary,
                reader.control if self.instances.control else None,
                [one.profile for one in learned],
                sensitivity=self.configuration.sensitivity,
                learn=self.learn,
                opinions=opinions,
                baseline_names=[one.name for one in learned],
                look=self._looks,
                final=final,
                sampled=reader.sampled,
            )
            if final or quality.verdict is Verdict.FAIL:
                sides = (self.instances.canary, self.instances.control)
                ours, theirs = (reader.activity(self._there(names)) for names in sides)
                until_ms = reader.cursor.timestamp() * 1000
                quality = of_logs(quality, ours, theirs, until_ms, sampled=reader.sampled)
            judged.append(with_unread(quality, reader.unread, self.configuration.most_unread))
        return with_queries(judged[0] if len(judged) == 1 else merged(judged), _queries(self._logs))

    def _judgement(self, decision: Decision, performance: Performance | None, quality: Quality | None) -> Judgement:
        # Until the last look an expected event may still come.
        unmet = unmatched(self.configuration.expectations, quality.events) if decision.final and quality else []
        return Judgement(
            verdict=decision.verdict,
            reasons=list(decision.reasons),
            performance=performance,
            quality=quality,
            started=self._started,
            decided=iso_time(self._clock()) if decision.final else "",
            first_bad=first_bad(performance, quality) if decision.verdict is Verdict.FAIL else "",
            looks=self._looks,
            canary=list(self.instances.canary),
            control=list(self.instances.control),
            source_errors=[error for reader in self._readers for error in reader.errors],
            warnings=[*(text for reader in self._readers for text in (*reader.warnings, *reader.notes)), *unmet],
            final=decision.final,
            since=iso_time(self.since),
            until=iso_time(min(reader.cursor for reader in self._readers)),
            lags={reader.name: reader.lag.seen for reader in self._readers},
            throttling={reader.name: reader.throttling for reader in self._readers if reader.throttling.times},
        )

    def _outcome(self, judgement: Judgement, key: PolicyKey | None) -> Outcome:
        judgement = with_layout(judgement)
        running = {reader.name: LogProfile.merge(reader.control, reader.past) for reader in self._logs}
        normal = {reader.name: self._metric_profile(reader) for reader in self._metrics if not reader.of_release}
        earlier: dict[str, dict[str, LogProfile]] = {}
        for reader in self._logs:
            for phase, profile in reader.completed.items():
                earlier.setdefault(phase, {})[reader.name] = profile
        return Outcome(judgement, {reader.name: reader.own for reader in self._logs}, key, running, normal, earlier)

    def _metric_profile(self, reader: MetricReader) -> MetricProfile:
        control = reader.frame(self.instances.control) if self.instances.control else None
        canary = reader.frame(self.instances.canary)
        past = reader.past()
        if past is not None:
            past = past[past["instance"].isin(list(self.instances.earlier or self.instances.canary))]
        return learn_performance(canary, control, reader.metrics, reader.bucket_ms, past)

    def _source_error(self) -> Reason | None:
        """Why watching on is of no use: sources have used up their budget of errors; None while none has."""
        budget = self.configuration.source_error_budget
        lost = [one for one in self._readers if one.hopeless or one.failures >= budget]
        if not lost:
            return None
        worst = lost[0]
        names = ", ".join(reader.name for reader in lost)
        times = "for good" if worst.hopeless else f"{worst.failures} times in a row"
        text = f"Source {names} could not be read ({times}); its last answer: {worst.errors[-1]}"
        return Reason("source_error", text, {"failures": worst.failures, "source": worst.name})

    def _watching(self, end: datetime) -> Reason:
        """How much of the time every source has been read for, and what is waited for."""
        read, length = min(reader.cursor for reader in self._readers) - self.since, end - self.since
        text = f"Watching: {_seconds(read)} of {format_duration(length)} are read."
        waiting = [reader for reader in self._readers if not reader.complete(end)]
        if read >= length and waiting:
            slowest = max(waiting, key=lambda reader: reader.due(end))
            left = max(slowest.due(end) - self._clock(), timedelta(0))
            text = f"Watching: waiting {_seconds(left)} more for what {slowest.name} may still bring late."
        return Reason("watching", text, {"seconds": read.total_seconds(), "of": length.total_seconds()})

    def _stopped(self, judgement: Judgement) -> Judgement:
        reason = Reason("stopped", "The verification was stopped before it reached a verdict.")
        reasons = [reason, *judgement.reasons]
        return replace(judgement, reasons=reasons, final=True, decided=iso_time(self._clock()))


def _seconds(length: timedelta) -> str:
    return format_duration(timedelta(seconds=max(0, int(length.total_seconds()))))


def _queries(readers: Sequence[Reader]) -> dict[str, str]:
    return {reader.name: reader.query for reader in readers}
