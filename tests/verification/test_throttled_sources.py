"""Sources that tell to wait: what a verification says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from airflow_cd.errors import SourceThrottled
from airflow_cd.sources.examination import examine
from airflow_cd.verification.parts import samples_of
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.throttling import Throttling, note_limit, note_wait
from airflow_cd.verification.verdict import Judgement
from airflow_cd.verification.watch import Watch
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, START
from tests.verification.test_watch_parts import logs

LIMIT = "4 calls in 1 s, 0 left"


@dataclass(frozen=True)
class Limited:
    """Logs whose store tells to wait at some reads.

    :param waits: seconds at each read; None for a read that fails by it.
    :param own: whether the source says so in its samples itself.
    """

    waits: Sequence[float | None] = ()
    own: bool = False
    name: str = "logs"
    delay: timedelta = timedelta(seconds=1)
    reads: list[Window] = field(default_factory=list, compare=False)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        number = len(self.reads)
        self.reads.append(window)
        frame = logs()
        inside = (frame["time"] >= window.since) & (frame["time"] < window.until)
        sample = LogSample(frame[inside & frame["instance"].isin(list(instances))], "query")
        if number >= len(self.waits):
            return sample
        wait = self.waits[number]
        if self.own and wait is not None:
            return LogSample(sample.frame, sample.query, throttling=Throttling(1, wait, LIMIT))
        note_wait(wait or 0.0, LIMIT)
        if wait is None:
            raise SourceThrottled("it is limiting the rate of requests.")
        return sample


def judged(source: Limited) -> Judgement:
    clock = Clock()
    configuration = Verification(logs=[source], duration="60s", every="20s")
    return (
        Watch(configuration, canary=CANARY, control=CONTROL, since=START, clock=clock, sleep=clock.sleep)
        .run()
        .judgement
    )


def test_a_sample_says_it() -> None:
    window = Window(START, START + timedelta(seconds=30))
    for own in (False, True):
        samples = [sample for _, sample in samples_of(Limited([2.5], own=own), window, CANARY)]
        assert [sample.throttling for sample in samples] == [Throttling(1, 2.5, LIMIT)]
    assert [sample.throttling for _, sample in samples_of(Limited(), window, CANARY)] == [None]


def test_a_judgement_sums_it_up_and_keeps_it() -> None:
    for own in (False, True):
        judgement = judged(Limited([2.0, 1.5, 0.5], own=own))
        assert judgement.throttling == {"logs": Throttling(3, 4.0, LIMIT)}
        assert Judgement.from_dict(judgement.as_dict()).throttling == judgement.throttling


def test_reads_that_fail_by_it_count() -> None:
    judgement = judged(Limited([1.0, None, None]))
    assert judgement.throttling["logs"].times == 3
    assert len(judgement.source_errors) == 2


def test_what_never_told_to_wait_is_not_mentioned() -> None:
    assert judged(Limited()).throttling == {}


def test_a_check_shows_it() -> None:
    texts = [finding.text for finding in examine(Limited([3.0]), list(CANARY), timedelta(days=20_000))]
    assert f"Rate limit: it told to wait once, 3.0 s in all; it states a limit of {LIMIT}." in texts


def test_a_check_shows_a_limit_that_was_not_reached() -> None:
    class Generous(Limited):
        def read(self, window: Window, instances: Sequence[str]) -> LogSample:
            note_limit("300 calls in 3,600 s, 299 left")
            return super().read(window, instances)

    texts = [finding.text for finding in examine(Generous(), list(CANARY), timedelta(days=20_000))]
    assert "Rate limit: it did not tell to wait; it states a limit of 300 calls in 3,600 s, 299 left." in texts
