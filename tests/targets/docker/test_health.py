"""What a container's record says of its health."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.instances import FAILED, HEALTHY, STARTING, UNHEALTHY
from airflow_cd.targets.docker.health import health_of, read_time, slowest_answers, started
from airflow_cd.targets.last_words import telling

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
SETTLE = timedelta(seconds=3)


def box(
    status: str, *, up: float = 60, ran: float = 0.5, restarts: int = 0, made: float | None = None, **state: Any
) -> dict[str, Any]:
    began = NOW - timedelta(seconds=up)
    return {
        "Created": (NOW - timedelta(seconds=made or up)).isoformat().replace("+00:00", "Z"),
        "Config": {"Healthcheck": {"Retries": 3}},
        "HostConfig": {"Memory": 64 * 2**20},
        "RestartCount": restarts,
        "State": {
            "Status": status,
            "Running": status in ("running", "restarting", "paused"),
            "Restarting": status == "restarting",
            "StartedAt": began.isoformat().replace("+00:00", "Z"),
            "FinishedAt": (began + timedelta(seconds=ran)).isoformat().replace("+00:00", "Z"),
            "ExitCode": 0,
            **state,
        },
    }


def checked(status: str, streak: int = 0, output: str = "") -> dict[str, Any]:
    return box("running", Health={"Status": status, "FailingStreak": streak, "Log": [{"Output": output}]})


@pytest.mark.parametrize(
    ("container", "health", "words"),
    [
        (box("running"), HEALTHY, ""),
        (box("running", up=1), STARTING, "counts as up after 3 s"),
        (box("running", up=1, restarts=2), FAILED, "exits and is started again, 2 times by now"),
        (box("running", up=60, restarts=9), HEALTHY, ""),
        (box("running", up=1, restarts=3, made=30 * 86400), STARTING, "counts as up"),
        (box("running", up=0.1, restarts=3, Health={"Status": "starting"}), FAILED, "3 times by now"),
        (box("running", up=30, restarts=3, Health={"Status": "starting"}), STARTING, "has not succeeded yet"),
        (checked("healthy"), HEALTHY, ""),
        (checked("starting", output="connection refused"), STARTING, "connection refused"),
        (checked("unhealthy", 3, "HTTP 500"), UNHEALTHY, "failed 3 times in a row: HTTP 500"),
        (checked("unhealthy", 6), FAILED, "failed 6 times"),
        (box("exited", ExitCode=3), FAILED, "exited with code 3 after 0.5 s"),
        (box("exited", ExitCode=0), FAILED, "exited with code 0"),
        (box("exited", ExitCode=137, OOMKilled=True), FAILED, "ran out of memory (its limit is 64 MiB)"),
        (box("restarting", ExitCode=1, restarts=1), UNHEALTHY, "is being started again"),
        (box("restarting", ExitCode=1, restarts=2), FAILED, "was started again 2 times"),
        (box("restarting", ExitCode=1, restarts=7, ran=3600), UNHEALTHY, "is being started again"),
        (box("created", up=1), STARTING, "about to be started"),
        (box("created", up=60), FAILED, "never started"),
        (
            box("created", up=1, Error="driver failed: Bind for 0.0.0.0:80 failed: port is already allocated"),
            FAILED,
            "a port that it publishes is taken",
        ),
        (box("created", up=1, Error='exec: "webb": executable file not found'), FAILED, "executable file not found"),
        (box("paused"), UNHEALTHY, "paused"),
        (box("removing"), UNHEALTHY, "removing"),
    ],
)
def test_health_and_the_reason(container: dict[str, Any], health: str, words: str) -> None:
    found, message = health_of(container, NOW, SETTLE, list)
    assert (found, words in message) == (health, True), message


def test_the_last_lines_are_in_the_message_of_what_failed_and_read_for_nothing_else() -> None:
    lines = ["reading the catalogue", "", "ImportError: no parse_prices"]
    _, message = health_of(box("exited", ExitCode=3), NOW, SETTLE, lambda: lines)
    assert message.endswith("its last lines: ImportError: no parse_prices")

    def never() -> list[str]:
        raise AssertionError

    health_of(box("running"), NOW, SETTLE, never)


def test_the_lines_that_say_why_are_chosen_and_not_just_the_last_ones() -> None:
    said = [
        "[2026-05-01 12:00:00] [INFO] Booting worker with pid: 8",
        "[2026-05-01 12:00:00] [ERROR] Exception in worker process",
        "Traceback (most recent call last):",
        '  File "/srv/core.py", line 8, in <module>',
        "    from prices import parse_error_prices",
        "ImportError: cannot import name 'parse_error_prices'",
        "Traceback (most recent call last):",
        '  File "/usr/arbiter.py", line 209, in run',
        "server.HaltServer: <HaltServer 'Worker failed to boot.' 3>",
    ]
    assert telling(said) == [said[1], said[5], said[8]]
    assert telling(["one", "", "two", "three", "four", "five"]) == ["two", "three", "four", "five"]
    assert telling([f"error {number}" for number in range(9)]) == ["error 0", "error 1", "error 2", "error 8"]
    assert telling([]) == []


def test_times_have_nine_digits_a_zero_and_zones() -> None:
    assert read_time("2026-05-01T12:00:00.123456789Z") == datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
    assert read_time("2026-05-01T14:00:00.5+02:00") == datetime(2026, 5, 1, 12, 0, 0, 500000, tzinfo=timezone.utc)
    assert read_time("0001-01-01T00:00:00Z") is None
    assert read_time("") is None
    assert started(box("exited")) is None
    assert started(box("running", up=60)) == NOW - timedelta(seconds=60)


@pytest.mark.parametrize(
    ("check", "fails", "comes_up"),
    [
        ({}, 180, 180),  # 3 times 30 s, each of which may take 30 s
        ({"Interval": 2 * 10**9, "Timeout": 10**9, "Retries": 5}, 15, 15),
        ({"Interval": 2 * 10**9, "Timeout": 10**9, "Retries": 5, "StartPeriod": 120 * 10**9}, 15, 135),
    ],
)
def test_how_long_a_health_check_takes_to_say_that_something_is_wrong(
    check: dict[str, int], fails: float, comes_up: float
) -> None:
    container = {"Config": {"Healthcheck": {"Test": ["CMD", "true"], **check}}}
    assert slowest_answers(container) == (timedelta(seconds=fails), timedelta(seconds=comes_up))
