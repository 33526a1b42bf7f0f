"""A source of logs given as metrics, and the reverse, is named before anything is read, whoever wrote it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs
from airflow_cd.verification import samples
from airflow_cd.verification.log_reading import LogReader
from airflow_cd.verification.reading import Instances, Patience
from airflow_cd.verification.samples import LogSample, LogSource, MetricSample, MetricSource, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.source_kinds import kind_of


class Named:
    """What both kinds have."""

    name = "mine"
    delay = timedelta(0)


class Annotated(Named):
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        raise NotImplementedError


class AnnotatedMetrics(Named):
    def read(self, window: Window, instances: Sequence[str]) -> samples.MetricSample | None:
        raise NotImplementedError


class Derived(LogSource):
    name = "mine"
    delay = timedelta(0)

    def read(self, window, instances):  # type: ignore[no-untyped-def]
        raise NotImplementedError


class Duck(Named):
    def read(self, window, instances):  # type: ignore[no-untyped-def]
        return LogSample(frame=None, query="")  # type: ignore[arg-type]


class DuckMetrics(Named):
    def read(self, window, instances):  # type: ignore[no-untyped-def]
        return samples.MetricSample(None, (), "", timedelta(1))  # type: ignore[arg-type]


class Indirect(Named):
    def read(self, window, instances):  # type: ignore[no-untyped-def]
        return self._one(instances)

    def _one(self, instances):  # type: ignore[no-untyped-def]
        return next(made(name) for name in instances)


def made(name):  # type: ignore[no-untyped-def]
    return LogSample(frame=name, query="")


class Bucketed(Named):
    bucket = timedelta(minutes=1)

    def read(self, window, instances):  # type: ignore[no-untyped-def]
        return answer_of_a_library(instances)


class Unknown(Named):
    def read(self, window, instances):  # type: ignore[no-untyped-def]
        return answer_of_a_library(instances)


class Both(Named):
    def read(self, window, instances):  # type: ignore[no-untyped-def]
        return LogSample if instances else MetricSample


def answer_of_a_library(instances: object) -> Any:
    return instances


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*given: Any) -> Any:
        return function(*given)

    return call


class Decorated(Named):
    @wrapped
    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        raise NotImplementedError


class Assigned(Named):
    def __init__(self) -> None:
        self.read = functools.partial(made, "web-1")


KINDS: list[tuple[Any, str | None]] = [
    (SumoLogicLogs(query="_sourceCategory=shop"), "logs"),
    (NewRelicMetrics(app="shop"), "metrics"),
    (Annotated(), "logs"),
    (AnnotatedMetrics(), "metrics"),
    (Derived(), "logs"),
    (Duck(), "logs"),
    (DuckMetrics(), "metrics"),
    (Indirect(), "logs"),
    (Bucketed(), "metrics"),
    (Decorated(), "metrics"),
    (Assigned(), "logs"),
    (Unknown(), None),
    (Both(), None),
]


@pytest.mark.parametrize(("source", "kind"), KINDS, ids=lambda value: type(value).__name__)
def test_a_source_says_what_it_is(source: Any, kind: str | None) -> None:
    assert isinstance(source, MetricSource) and isinstance(source, LogSource)  # noqa: PT018 - they look alike
    assert kind_of(source) == kind


@pytest.mark.parametrize(("source", "kind"), KINDS, ids=lambda value: type(value).__name__)
def test_only_the_wrong_place_is_a_mistake(source: Any, kind: str | None) -> None:
    for place in ("metrics", "logs"):
        mistakes = Verification(**{place: [source]}).mistakes()
        if kind in (None, place):
            assert mistakes == []
        else:
            [mistake] = mistakes
            assert mistake.startswith(f"{place} holds {type(source).__name__} ")
            assert mistake.endswith(f"which is a source of {kind}: give it as {kind}=[...]")


def test_what_nobody_could_tell_is_found_out_at_the_first_read() -> None:
    import pandas as pd

    since = datetime(2026, 5, 1, tzinfo=timezone.utc)
    frame = pd.DataFrame(columns=list(samples.METRIC_COLUMNS))
    sample = MetricSample(frame, (), "SELECT *", timedelta(seconds=1))
    source: Any = SimpleNamespace(name="mine", delay=timedelta(0), read=lambda window, instances: sample)
    reader = LogReader(source, Instances(("web-1",), (), None), since, Patience(most=timedelta(0)))
    reader.advance(since + timedelta(minutes=1), since + timedelta(minutes=1))
    assert reader.hopeless
    assert "mine was given as a source of logs and returned a MetricSample without message" in reader.errors[-1]
