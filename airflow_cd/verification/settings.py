"""The settings of a verification, as an author writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from airflow_cd.durations import DurationLike, format_duration, parse_duration
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.baseline_choice import wrong_baseline
from airflow_cd.verification.coverage import MOST_UNREAD
from airflow_cd.verification.lag import UNSEEN, UNSEEN_SHARE
from airflow_cd.verification.logs.feedback import Expected, expectations_of
from airflow_cd.verification.metrics.thresholds import Threshold, mistakes_of
from airflow_cd.verification.samples import LogSource, MetricSource
from airflow_cd.verification.sensitivity import SENSITIVITIES, Sensitivity
from airflow_cd.verification.source_kinds import SourceKind, misplaced

Policy = Literal["fail", "pass", "ask", "wait"]
"""What becomes of a verification that ends INCONCLUSIVE."""

POLICIES: tuple[Policy, ...] = ("fail", "pass", "ask", "wait")
LONGEST_DEFAULT_MINIMUM = timedelta(minutes=1)
LONGEST_DEFAULT_GRACE = timedelta(seconds=10)
LONGEST_DEFAULT_WARM_UP = timedelta(minutes=2)
"""Three times the longest that was measured (:mod:`benchmarks.shutdown`)."""


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Verification:
    """How a canary is verified, and what is done when no verdict can be reached.

    Nothing is raised for a value that makes no sense: :meth:`mistakes` lists them all, and a pipeline raises them as
    one :class:`~airflow_cd.errors.PipelineError` when its file is parsed.

    :param metrics: sources of metrics, judged together as *performance*. At least one source of either kind is needed.
    :param logs: sources of logs, judged together as *quality*.
    :param duration: how long the canary is watched before it may pass; greater than zero, ``"10m"`` by default.
        Durations are texts (``"10m"``, ``"90s"``), numbers of seconds, or timedeltas.
    :param every: pause between two looks at the sources, at most ``duration``; ``"10s"`` by default.
    :param minimum: least time before any verdict, at most ``duration``; by default a quarter of ``duration``, but at
        most a minute.
    :param sensitivity: ``low``, ``medium`` (the default) or ``high``: how little evidence, and which severity, fails a
        release. A new exception weighs as an error at any sensitivity, a new warning counts only at ``high``.
    :param min_requests: fewest requests on the canary and on what it is compared with for metrics to be judged; 50 by
        default. Below that the verdict is INCONCLUSIVE (``few_requests``).
    :param minimum_effect: smallest change that counts as a regression, as a share of what the canary is compared
        with: 0.2, the default, is 20 %.
    :param thresholds: fixed limits (:class:`~airflow_cd.verification.metrics.thresholds.Threshold`) beside the
        statistics; one that is crossed fails the release.
    :param decisive: names of the metrics that decide, as the source calls them; the others are judged and reported,
        and neither fail nor hold up a release. None, the default, for all of them: then those that cannot be judged yet
        hold nothing up as long as half of them can, and a quarter of the latencies, errors, scores and shares.
    :param warm_up: longest time after a process has started in which being slow or busy is no regression, provided
        that it goes away; by default a fifth of ``duration``, at most two minutes. Nothing fails by a level before it
        is over; requests that fail count from the first on.
    :param on_inconclusive: policy when there is not enough evidence, which never vetoes a release: ``ask`` (the
        default) leaves the canary where it is, drained only if something points to harm, and asks a person; ``fail``
        rolls it back; ``wait`` watches for as long again and then rolls it back; ``pass`` goes on.
    :param on_no_data: policy, likewise, when the canary sent nothing.
    :param on_source_error: policy, likewise, when a source could not be read.
    :param ask_timeout: how long a person has to answer, greater than zero; ``"1h"`` by default. Without an answer the
        release is rolled back: after a FAIL with a veto, else without.
    :param source_error_budget: consecutive failed reads of one source after which it is given up; 5 by default.
    :param longest_lag: how long, at most, a PASS waits after the watched time for records that come late; ``"10m"`` by
        default. It waits for the longest lag that was seen, a quarter more, and at least for the source's ``delay``.
        Where a source has shown no error of the canary's instances, or a log source does not say when it received a
        record, nobody knows how late errors come: then what a release did in its first 5 minutes is given 5 minutes
        (no more than this, and than ten times ``duration``), which a watch of 10 minutes has waited by its end.
    :param most_unread: largest share of the records of a log source, 0 to 1, that may be unread beside a PASS, where a
        window holds more records than the source hands out even in parts; 0.5 by default. A PASS says how many per cent
        were not read; above this it is INCONCLUSIVE.
    :param grace: for how long after an instance is healthy its log records are still those of the release before,
        which is shutting down there; only where a target cannot say when the new release began to run alone. By
        default a tenth of ``duration``, at most 10 seconds.
    :param advisory: whether the canary is judged and reported in full, but never failed; False by default.
    :param expected: events that the release is meant to bring: patterns (``"PaymentRetried*"``), or
        :class:`~airflow_cd.verification.logs.feedback.Expected` with the reason. Unknown events that match are no risk.
    :param errors: patterns, like those of ``expected``, of records that are errors whatever level they state: for
        loggers that state none, or call everything INFO. None by default.
    :param baseline: which earlier good deployments the canary's logs are compared with, beside the control (if there
        is one) and what ran before: ``all`` (the default: the newest eight, recent ones counting more), ``previous``
        (the last one), ``control`` (none), or a pinned one, by deployment id or by version. A pinned one that was
        never promoted leaves nothing to compare with: the verdict is INCONCLUSIVE, whatever else there is. A person's
        pin in the ledger outranks this.
    """

    metrics: Sequence[MetricSource] = ()
    logs: Sequence[LogSource] = ()
    duration: DurationLike = "10m"
    every: DurationLike = "10s"
    minimum: DurationLike | None = None
    sensitivity: Sensitivity = "medium"
    min_requests: int = 50
    minimum_effect: float = 0.2
    thresholds: Sequence[Threshold] = ()
    decisive: Sequence[str] = ()
    warm_up: DurationLike | None = None
    on_inconclusive: Policy = "ask"
    on_no_data: Policy = "ask"
    on_source_error: Policy = "ask"
    ask_timeout: DurationLike = "1h"
    source_error_budget: int = 5
    longest_lag: DurationLike = "10m"
    most_unread: float = MOST_UNREAD
    grace: DurationLike | None = None
    advisory: bool = False
    expected: Sequence[Expected | str] = ()
    errors: Sequence[str] = ()
    baseline: str = "all"

    def __post_init__(self) -> None:
        for name in ("metrics", "logs", "thresholds", "decisive"):
            given = getattr(self, name)
            if isinstance(given, (list, tuple, set, frozenset)):
                object.__setattr__(self, name, tuple(given))
        if isinstance(self.expected, (list, tuple)):
            object.__setattr__(self, "expected", expectations_of(self.expected))
        if isinstance(self.errors, (list, tuple)):
            object.__setattr__(self, "errors", tuple(self.errors))

    @property
    def error_patterns(self) -> tuple[Expected, ...]:
        """``errors``, as what searches an event for them."""
        return expectations_of(self.errors)

    @property
    def expectations(self) -> tuple[Expected, ...]:
        """``expected``, patterns alone turned into :class:`~airflow_cd.verification.logs.feedback.Expected`."""
        return expectations_of(self.expected)

    @property
    def length(self) -> timedelta:
        """``duration``, parsed.

        :raises ValueError: it is not a duration.
        """
        return parse_duration(self.duration)

    @property
    def pause(self) -> timedelta:
        """``every``, parsed.

        :raises ValueError: it is not a duration.
        """
        return parse_duration(self.every)

    @property
    def least(self) -> timedelta:
        """``minimum``, parsed, or its default.

        :raises ValueError: it, or the duration, is not a duration.
        """
        if self.minimum is None:
            return min(self.length / 4, LONGEST_DEFAULT_MINIMUM)
        return parse_duration(self.minimum)

    @property
    def most_lag(self) -> timedelta:
        """``longest_lag``, parsed.

        :raises ValueError: it is not a duration.
        """
        return parse_duration(self.longest_lag)

    @property
    def unseen_lag(self) -> timedelta:
        """How late errors are taken to come while nothing is known of their lag.

        :raises ValueError: the longest lag, or the duration, is not a duration.
        """
        return min(UNSEEN, UNSEEN_SHARE * self.length, self.most_lag)

    @property
    def waits_longer(self) -> timedelta:
        """For how long after ``duration`` a PASS may wait for errors that come late, once for a release.

        :raises ValueError: as of :attr:`unseen_lag`.
        """
        return max(min(self.length, self.unseen_lag) + self.unseen_lag - self.length, timedelta(0))

    @property
    def shutdown_grace(self) -> timedelta:
        """``grace``, parsed, or its default.

        :raises ValueError: it, or the duration, is not a duration.
        """
        if self.grace is None:
            return min(self.length / 10, LONGEST_DEFAULT_GRACE)
        return parse_duration(self.grace)

    @property
    def warming(self) -> timedelta:
        """``warm_up``, parsed, or its default.

        :raises ValueError: it, or the duration, is not a duration.
        """
        if self.warm_up is None:
            return min(self.length / 5, LONGEST_DEFAULT_WARM_UP)
        return parse_duration(self.warm_up)

    def lasting(self, length: timedelta) -> Verification:
        """The same verification over another time; whatever follows from the duration by default stays as it is.

        :param length: how long the canary is watched, greater than zero.
        """
        return replace(
            self,
            duration=length,
            every=min(self.pause, length),
            minimum=min(self.least, length),
            grace=min(self.shutdown_grace, length),
            warm_up=min(self.warming, length),
        )

    def policy(self, key: str) -> Policy:
        """The policy for one way to end without a verdict.

        :param key: ``no_data``, ``source_error`` or ``inconclusive``.
        """
        policies: dict[str, Policy] = {
            "no_data": self.on_no_data,
            "source_error": self.on_source_error,
            "inconclusive": self.on_inconclusive,
        }
        return policies[key]

    def mistakes(self) -> list[str]:
        """Everything that is wrong with it, one sentence each; empty when it can be used."""
        return [
            *self._wrong_sources(),
            *self._wrong_durations(),
            *self._wrong_words(),
            *self._wrong_numbers(),
            *self._wrong_decisive(),
            *self._wrong_expectations(),
            *mistakes_of(self.thresholds),
        ]

    def _wrong_sources(self) -> Iterator[str]:
        seen: set[str] = set()
        places: tuple[tuple[SourceKind, type[MetricSource | LogSource]], ...] = (
            ("metrics", MetricSource),
            ("logs", LogSource),
        )
        for kind, protocol in places:
            sources = getattr(self, kind)
            if not isinstance(sources, tuple):
                yield f"{kind} must be a list of sources, got {sources!r}"
                continue
            for source in sources:
                if isinstance(source, type) or not isinstance(source, protocol):
                    yield f"{kind} holds {source!r}, which is not a source (it needs name, delay and read)"
                    continue
                if mistake := misplaced(source, kind):
                    yield mistake
                    continue
                if source.name in seen:
                    yield f"two sources are called {source.name!r}; give one of them another name"
                seen.add(source.name)
                yield from _own_mistakes(source)
        if self.metrics == () and self.logs == ():
            yield "the verification has no source: give metrics or logs"

    def _wrong_durations(self) -> Iterator[str]:
        parsed: dict[str, timedelta] = {}
        for name in ("duration", "every", "minimum", "longest_lag", "grace", "warm_up", "ask_timeout"):
            value = getattr(self, name)
            if value is None and name in ("minimum", "grace", "warm_up"):
                continue
            try:
                parsed[name] = parse_duration(value)
            except ValueError as error:
                yield f"{name}: {error}"
                continue
            if parsed[name] == timedelta(0) and name in ("duration", "every", "ask_timeout"):
                del parsed[name]
                yield f"{name} must be greater than zero, got {value!r}"
        if "duration" not in parsed:
            return
        for name in ("every", "minimum", "grace", "warm_up"):
            if parsed.get(name, timedelta(0)) > parsed["duration"]:
                yield f"{name} ({getattr(self, name)}) is longer than duration ({self.duration})"
        yield from self._wrong_buckets(parsed["duration"])

    def _wrong_buckets(self, duration: timedelta) -> Iterator[str]:
        for source in self.metrics if isinstance(self.metrics, tuple) else ():
            bucket = getattr(source, "bucket", None)
            if not getattr(source, "whole_buckets", False) or not isinstance(bucket, timedelta):
                continue
            if bucket > duration:
                yield (
                    f"source {source.name!r}: its buckets of {format_duration(bucket)} are longer than duration "
                    f"({self.duration}), so there is never a whole one to be judged"
                )

    def _wrong_words(self) -> Iterator[str]:
        for name, allowed in (
            ("sensitivity", SENSITIVITIES),
            ("on_inconclusive", POLICIES),
            ("on_no_data", POLICIES),
            ("on_source_error", POLICIES),
        ):
            if getattr(self, name) not in allowed:
                yield f"{name} is {getattr(self, name)!r}, must be one of {', '.join(allowed)}"
        if not isinstance(self.advisory, bool):
            yield f"advisory is {self.advisory!r}, must be True or False"

    def _wrong_numbers(self) -> Iterator[str]:
        for name, least in (("min_requests", 1), ("source_error_budget", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                yield f"{name} is {value!r}, must be a whole number of at least {least}"
        effect: Any = self.minimum_effect
        if isinstance(effect, bool) or not isinstance(effect, (int, float)) or not 0 < effect <= 10:
            yield f"minimum_effect is {effect!r}, must be a share above 0 and at most 10 (0.2 is 20 %)"
        unread: Any = self.most_unread
        if isinstance(unread, bool) or not isinstance(unread, (int, float)) or not 0 <= unread <= 1:
            yield f"most_unread is {unread!r}, must be a share from 0 to 1 (0.5 is half of the records)"

    def _wrong_decisive(self) -> Iterator[str]:
        if not isinstance(self.decisive, tuple) or not all(
            isinstance(name, str) and name.strip() for name in self.decisive
        ):
            yield f"decisive must be a list of names of metrics, got {self.decisive!r}"
        elif self.decisive and self.metrics == ():
            yield "decisive names metrics, but there is no source of metrics"

    def _wrong_expectations(self) -> Iterator[str]:
        if not isinstance(self.errors, tuple):
            yield f"errors must be a list of patterns, got {self.errors!r}"
        else:
            yield from (mistake for one in self.error_patterns if (mistake := one.mistake("errors")) is not None)
            if self.errors and self.metrics and not self.logs:
                yield "errors has nothing to match: the verification watches no logs"
        if not isinstance(self.expected, tuple):
            yield f"expected must be a list of patterns, got {self.expected!r}"
        else:
            mistakes = (one.mistake() for one in self.expected if isinstance(one, Expected))
            yield from (mistake for mistake in mistakes if mistake is not None)
            if self.expected and self.metrics and not self.logs:
                yield "expected has nothing to match: the verification watches no logs"
        mistake = wrong_baseline(self.baseline)
        if mistake is not None:
            yield mistake


def _own_mistakes(source: MetricSource | LogSource) -> Iterator[str]:
    """What a source finds wrong with itself, where it can tell."""
    find = getattr(source, "mistakes", None)
    if callable(find):
        yield from (f"source {source.name!r}: {mistake}" for mistake in find())
