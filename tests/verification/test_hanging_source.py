"""A source that never answers, where no time limit reaches: the look ends in time, and what others say counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pandas as pd
import pytest

from airflow_cd.verification import watch
from airflow_cd.verification.reading import advance_all
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.shop_logs import START

LONGEST = 1.5


@dataclass(frozen=True)
class Logs:
    """Orders, and errors of the canary where it is bad.

    :param during: called in every read.
    """

    name: str
    bad: bool = False
    during: Callable[[], object] = lambda: None
    delay: timedelta = timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        self.during()
        lines = [(name, f"INFO shop - order {number} placed") for name in instances for number in range(20)]
        if self.bad and window.since >= START and "shop-01" in instances:
            lines += [("shop-01", "ERROR shop - TaxTableMissing: no table for region 9")] * 5
        frame = pd.DataFrame(lines, columns=["instance", "message"])
        return LogSample(frame.assign(time=pd.Timestamp(window.since)), f"query of {self.name}")


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """What a source does that never comes back, for as long as the test lasts."""
    monkeypatch.setattr(watch, "advance_all", partial(advance_all, longest=LONGEST))
    over = threading.Event()
    yield over.wait
    over.set()


def watched(*sources: Logs) -> Outcome:
    now = [START + timedelta(seconds=1)]
    verification = Verification(
        logs=list(sources), duration="10s", every="1s", minimum="1s", longest_lag="0s", on_source_error="wait"
    )
    return Watch(
        verification,
        canary=["shop-01"],
        control=["shop-02"],
        since=START,
        before=Window(START - timedelta(seconds=10), START),
        clock=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + timedelta(seconds=seconds)),
    ).run()


def test_it_ends_undecided_and_says_what_did_not_answer(hang: Callable[[], object]) -> None:
    judgement: Judgement = watched(Logs("stuck", during=hang)).judgement
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "stuck" in judgement.sentence
    assert any("has not answered" in error for error in judgement.source_errors)


def test_what_another_source_proves_counts_all_the_same(hang: Callable[[], object]) -> None:
    judgement = watched(Logs("stuck", during=hang), Logs("shop", bad=True)).judgement
    assert judgement.verdict is Verdict.FAIL


def test_a_source_that_ends_the_process_ends_it(hang: Callable[[], object]) -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        watched(Logs("leaving", during=leave))
