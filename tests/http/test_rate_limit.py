"""Calls keep to a rate, over all threads."""

from __future__ import annotations

import threading
import time

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
