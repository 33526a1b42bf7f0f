"""Calls keep to a rate, over all threads."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import pytest

from airflow_cd.hooks.loki import LokiHook
from airflow_cd.http import rate_limit
from airflow_cd.http.rate_limit import RateLimiter


def test_a_credential_keeps_to_its_rate_over_all_threads() -> None:
    limiter, starts = RateLimiter(4, 0.2, 10), []

    def run() -> None:
        for _ in range(3):
            with limiter.turn():
                starts.append(time.monotonic())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts.sort()
    assert len(starts) == 12
    # Timers may wake a little late, which only ever draws calls of one window together.
    assert all(late - early > 0.15 for early, late in zip(starts, starts[4:], strict=False))


def test_no_more_at_once_than_allowed() -> None:
    limiter, leave, entered = RateLimiter(100, 1.0, 2), threading.Event(), threading.Semaphore(0)

    def run() -> None:
        with limiter.turn():
            entered.release()
            leave.wait(10)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert entered.acquire(timeout=5)
        assert entered.acquire(timeout=5)
        assert not entered.acquire(timeout=0.1), "a third one is inside"
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    assert entered.acquire(timeout=5)


@pytest.mark.parametrize("rate", [0.3, 0.5, 1.5, 2.5, 3.0, 3.4, 20.0])
def test_no_more_calls_than_a_connection_asks_for(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    now = 0.0
    starts: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    extra = {"calls_per_second": rate}
    given = {"conn_type": "loki", "host": f"http://127.0.0.1:{1000 + round(10 * rate)}", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LOKI_DEFAULT", json.dumps(given))
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    limiter = LokiHook().get_conn()._limiter
    assert limiter is not None
    for _ in range(100):
        with limiter.turn():
            starts.append(now)
    calls = int(rate) if rate.is_integer() else 1
    assert min(late - early for early, late in zip(starts, starts[calls:], strict=False)) >= calls / rate - 1e-9
    assert starts[-1] <= 100 / rate
