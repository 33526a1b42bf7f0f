"""Why a source has nothing is asked for once in a while, and not at every look."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from airflow_cd.errors import SourceUnavailable
from airflow_cd.sources import VictoriaLogs
from airflow_cd.verification.remembering import KEPT, Memory, once, remembering
from airflow_cd.verification.samples import Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.watch import Watch
from tests.hooks.vendor_servers import serving
from tests.sources import stores
from tests.verification.late_source import Clock


class Asked:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


def test_it_is_asked_again_after_a_while() -> None:
    time, ask = [0.0], Asked()
    with remembering(Memory(lambda: time[0])):
        found = []
        for time[0] in (0.0, KEPT - 1, KEPT, KEPT + 1):
            found.append(once("why", ask))
        assert once("what else", ask) == 3
    assert found == [1, 1, 2, 2]


def test_without_a_memory_it_is_asked_each_time() -> None:
    ask = Asked()
    assert [once("why", ask), once("why", ask)] == [1, 2]


def test_an_error_is_not_remembered() -> None:
    answers: list[Any] = [SourceUnavailable("no metric."), "it is quiet"]

    def ask() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with remembering(Memory()):
        with contextlib.suppress(SourceUnavailable):
            once("why", ask)
        assert once("why", ask) == "it is quiet"


def test_a_quiet_service_is_asked_for_its_data_alone(connect: Any) -> None:
    clock = Clock()
    paths: list[str] = []

    class Counting(stores.VictoriaLogsStore):
        def respond(self, asked: Any) -> Any:
            paths.append(asked.path.rpartition("/")[2])
            return super().respond(asked)

    source = VictoriaLogs(delay="1s")
    long_ago = stores.Record(clock() - timedelta(minutes=30), "shop-1", "INFO served", "1")
    with serving(Counting([long_ago], clock)) as url:
        connect(source.conn_id, conn_type="victoria_logs", host=url)
        settings = Verification(logs=[source], duration="5m", every="20s")
        Watch(settings, canary=["shop-1"], control=["shop-2"], since=clock(), clock=clock, sleep=clock.sleep).run()
        assert paths.count("query") > 10
        assert paths.count("field_names") == 1
        for _ in range(2):
            source.read(Window(clock() - timedelta(minutes=1), clock()), ["shop-1"])
        assert paths.count("field_names") == 3
