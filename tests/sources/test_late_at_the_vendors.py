"""Late records and requests through the real hooks and protocols, on a clock that passes only while a watch sleeps."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from airflow_cd.demo.new_relic.account import Account
from airflow_cd.demo.new_relic.account import Settings as NewRelicSettings
from airflow_cd.demo.new_relic.app import NewRelic
from airflow_cd.demo.serving import address, listen
from airflow_cd.demo.sumo_logic.app import ACCESS_ID, ACCESS_KEY, SumoLogic
from airflow_cd.demo.sumo_logic.jobs import Settings
from airflow_cd.demo.telemetry import LogRecord, TimeIndex, Transaction
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, START, shop_logs, shop_profile

EXPECTED = ["KeyError", "ZeroDivisionError", "ExportError", "TypeError"]
YEARS = 20 * 365 * 86_400.0
QUICK = {"rate_limit": 10_000, "start_delay": 0.0, "gather_seconds": 0.0}
NAME = "Sumo Logic _sourceCategory=production/shop"


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """The address of an application that is served from a thread of this process."""
    listener = listen(0)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield address(listener)
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(autouse=True)
def quick_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cd.hooks.new_relic._CALLS", 10_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sumo(clock: Clock, connect: Callable[..., None]) -> Iterator[SumoLogic]:
    rng = random.Random(7)
    index: TimeIndex[LogRecord] = TimeIndex(YEARS)
    for names, broken in ((CANARY, True), (CONTROL, False)):
        for row in shop_logs(rng, names, 90, broken=broken, rate=1.0).itertuples():
            moment = round(row.time.timestamp() * 1000)
            number = rng.getrandbits(62)
            index.add(
                LogRecord(number, moment, moment + 300, "production", row.instance, f"{row.instance}.log", row.message)
            )
    reader: Any = SimpleNamespace(index=index, refresh=lambda: None)
    server = SumoLogic(reader, settings=Settings(**QUICK), wall=lambda: clock().timestamp())
    with _served(server.app()) as url:
        connect("sumo_logic_default", conn_type="sumo_logic", host=url, login=ACCESS_ID, password=ACCESS_KEY)
        yield server


def _watch(clock: Clock, **given: Any) -> Outcome:
    settings = Verification(duration="60s", every="20s", **given)
    baselines = {NAME: Baseline([Learned("1.0", shop_profile(random.Random(8), INSTANCES, 60))])}
    return Watch(
        settings,
        canary=CANARY,
        control=CONTROL,
        since=START,
        baselines=baselines,
        clock=clock,
        sleep=clock.sleep,
    ).run()


LOGS = SumoLogicLogs("_sourceCategory=production/shop", delay="2s")


@pytest.mark.parametrize("late", [60, 90, 300])
def test_errors_that_sumo_logic_receives_late_fail_the_release(sumo: SumoLogic, clock: Clock, late: float) -> None:
    sumo.settings = Settings(**QUICK, error_lag=late)
    outcome = _watch(clock, logs=[LOGS])
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.judgement.reasons[0].code == "unknown_events"
    seen = outcome.judgement.lags[NAME]
    assert seen.reported
    assert seen.longest == pytest.approx(late + 0.3, abs=0.2)


def test_an_index_that_is_late_with_what_was_received_in_time(sumo: SumoLogic, clock: Clock) -> None:
    """The times of receipt are good, and nothing can be found for 90 s: no verdict is built on their word alone."""
    sumo.settings = Settings(**QUICK, ingest_delay=90)
    outcome = _watch(clock, logs=[LOGS], expected=EXPECTED)
    assert outcome.judgement.verdict is Verdict.PASS
    assert 60 + 90 <= clock.since() < 60 + 140
    assert 80 <= outcome.judgement.lags[NAME].longest < 115


def test_a_source_in_time_is_not_waited_for(sumo: SumoLogic, clock: Clock) -> None:
    outcome = _watch(clock, logs=[LOGS], expected=EXPECTED)
    assert outcome.judgement.verdict is Verdict.PASS
    assert clock.since() == 62
    assert outcome.judgement.lags[NAME].longest == pytest.approx(0.3)
    assert outcome.profiles[NAME].records == len(
        [record for record in sumo._reader.index.all() if record.instance in CANARY and _inside(record)]
    )


def _inside(record: LogRecord) -> bool:
    return START.timestamp() * 1000 <= record.time_ms < (START + timedelta(seconds=60)).timestamp() * 1000


@pytest.mark.parametrize("late", [60, 300])
def test_failed_requests_that_new_relic_has_late_fail_the_release(
    clock: Clock, connect: Callable[..., None], late: float
) -> None:
    chance = random.Random(3)
    index: TimeIndex[Transaction] = TimeIndex(YEARS)
    for name in INSTANCES:
        for number in range(60 * 8):
            moment = round(START.timestamp() * 1000) + number * 125 + chance.randrange(100)
            attributes = {
                "appName": "shop",
                "host": name,
                "name": "WebTransaction/cart",
                "duration": chance.uniform(0.05, 0.15),
                "error": name in CANARY and number % 3 == 0,
            }
            index.add(Transaction(moment, moment + 300, attributes))
    reader: Any = SimpleNamespace(index=index, refresh=lambda: None)
    account = Account(reader, settings=NewRelicSettings(error_delay=late), wall=lambda: clock().timestamp())
    with _served(NewRelic(account).app()) as url:
        extra = {"account_id": account.account_id}
        connect("new_relic_default", conn_type="new_relic", host=url, password=account.api_key, extra=extra)
        metrics = NewRelicMetrics(app="shop", bucket="5s", delay="2s", metrics=("error_rate",), group_by="")
        outcome = _watch(clock, metrics=[metrics])
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.judgement.lags[metrics.name].late > 0
