from __future__ import annotations

import pytest

from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.profile import LogProfile


@pytest.mark.parametrize(
    "message",
    [
        "could not open drawer <*>",
        "write failed: no space",
        "Connection refused by <*>",
        "authentication failure; user=anna",
        'saved the order, error="row is gone"',
        "Link error on broadcast tree",
        "child was killed",
        "Timed out while waiting for the printer",
        "upload failed with error code <*>",
        "not allowed to open the drawer",
        "all cranes of the quay are down",
        "task ferry:<*> blocked for more than <*> seconds",
        "crane <*> is not responding",
        "Kran <*> nicht erreichbar",
        "impossible de charger le navire",
        "no se pudo abrir la grúa",
        "не удалось открыть кран",
        "jeřáb <*> nelze otevřít",
        "vinç <*> açılamadı",
        "kranen <*> kunde inte öppnas",
        "nosturia ei voitu avata",
        "a daru megnyitása sikertelen",
        "кран відкрити не вдалося",
        "crane <*> won't start",
        "crane <*> not found",
        "quay <*> is no longer reachable",
        "起重机启动失败",
        "クレーンに接続できません",
    ],
)
def test_words_tell_of_a_failure(message: str) -> None:
    assert suggests_failure(message)


@pytest.mark.parametrize(
    "message",
    [
        "<*> parcels weighed, <*> errors",
        "done: failed=<*>, skipped=<*>",
        "run over, errors: <*>",
        "error=null path=/cart",
        "no errors found",
        "GET /error.html",
        "using error handler of the shop",
        "Enabling exception support",
        "fault detection is on",
        "instruction cache parity error corrected",
        "failover to the second dock",
        "timeout=<*>",
        "scaling down to <*> cranes",
        "shutting down",
        "Entladen ohne Fehler beendet",
        "lossningen klar utan fel",
        "检查完成,没有错误",
        "超时时间 <*> 秒",
        "エラー件数: <*>",
    ],
)
def test_counts_names_and_denials_tell_of_none(message: str) -> None:
    assert not suggests_failure(message)


@pytest.mark.parametrize(
    "line",
    [
        "V panic: no card at 7",
        "shop.card.CardError@src/card.d(42): no bank",
        "vector-ref: contract violation",
        'can\'t read "bank": no such variable',
        "Error in pay(card) : no bank",
        "libcob: card.cbl:42: error: no bank",
        "Exception ECardError in module kiosk.exe at 0009F1A2.",
        "An unhandled exception occurred at $00000000004012F3:",
    ],
)
def test_a_crash_of_a_runtime_without_levels_is_an_error(line: str) -> None:
    (found,) = LogProfile.of([line]).tallies
    assert found.severity == "error"
