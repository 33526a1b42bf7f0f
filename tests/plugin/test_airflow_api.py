"""What a page asks of Airflow's API: tried again while Airflow's database is busy, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import JSONResponse

from airflow_cd.plugin import airflow_api
from airflow_cd.plugin.airflow_api import AirflowRefused, AirflowUnavailable, ask_airflow

BUSY = (500, {"detail": {"reason": "Database error", "orig_error": "hidden", "message": "Serious error ..."}})
AWAY = (503, {"detail": "It is unknown whether approve has been approved."})
LOCKED = OperationalError("SELECT 1", {}, Exception("database is locked"))
DONE = (200, {})
CONFLICT = (409, {"detail": "There is such a run already"})


class Airflow:
    """An ASGI server that answers one after the other; the last answer stays."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append((scope["method"], scope["path"]))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, content = answer
        await JSONResponse(content, status)(scope, receive, send)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited before each further attempt, at no cost."""
    waited: list[float] = []

    async def at_once(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(airflow_api, "_sleep", at_once)
    return waited


def _ask(airflow: Airflow, *, place: Sequence[str] = ("shop", "dagRuns"), done: int | None = None) -> None:
    request = Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/airflow-cd/x",
            "root_path": "/airflow-cd",
            "query_string": b"",
            "headers": [(b"host", b"airflow.test"), (b"cookie", b"_token=x")],
            "server": ("airflow.test", 80),
            "scheme": "http",
            "airflow_cd.server": airflow,
        }
    )
    asyncio.run(ask_airflow(request, "POST", list(place), {"note": "x"}, done=done))


@pytest.mark.parametrize("busy", [BUSY, AWAY, LOCKED])
def test_a_busy_database_is_asked_again(busy: Any, waits: list[float]) -> None:
    airflow = Airflow(busy, busy, DONE)
    _ask(airflow, place=["shop", "dagRuns", "a/b"])
    assert airflow.asked == [("POST", "/api/v2/dags/shop/dagRuns/a/b")] * 3
    assert len(waits) == 2
    assert waits[0] < waits[1]


@pytest.mark.parametrize("busy", [BUSY, AWAY, LOCKED])
def test_a_database_that_stays_busy_is_unavailable_within_half_a_minute(busy: Any, waits: list[float]) -> None:
    airflow = Airflow(busy)
    with pytest.raises(AirflowUnavailable) as raised:
        _ask(airflow)
    assert raised.value.retry_after == 10
    assert raised.value.next_step
    assert len(airflow.asked) == 10
    assert 20 < sum(waits) < 40
    assert max(waits) <= 5.2


@pytest.mark.parametrize(
    "answer", [(403, {"detail": "Not for you"}), (404, {"detail": "No such run"}), CONFLICT, (500, {"detail": "a bug"})]
)
def test_whatever_else_airflow_answers_is_final(answer: tuple[int, dict[str, str]]) -> None:
    airflow = Airflow(answer)
    with pytest.raises(AirflowRefused, match=answer[1]["detail"]) as raised:
        _ask(airflow)
    assert raised.value.status == answer[0]
    assert len(airflow.asked) == 1


def test_a_run_that_the_attempt_before_has_started_counts_as_started() -> None:
    _ask(Airflow(BUSY, CONFLICT), done=409)
