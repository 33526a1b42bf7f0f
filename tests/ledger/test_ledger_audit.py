"""The audit log: a chain that shows what was done to it, and nothing that is dropped."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_cd.cli import main
from airflow_cd.ledger import Ledger
from airflow_cd.ledger.models import AuditRow
from airflow_cd.ledger.store import WRITES
from tests.ledger.test_ledger_schema import upgrade


def _record(ledger: Ledger, **more: Any) -> Any:
    given = {"who": "ada", "action": "cleared", "why": "", "pipeline": "storefront", "run_id": "run-1", "task_id": None}
    return ledger.audit.record(**{**given, **more})


def _execute(ledger: Ledger, statement: Any) -> None:
    with ledger.engine.connect().execution_options(**WRITES) as connection, connection.begin():
        connection.execute(statement)


LOG = AuditRow.__table__
CHANGES: dict[str, Any] = {
    "changed": sa.update(AuditRow).where(AuditRow.seq == 2).values(who="eve"),
    "allowed after all": sa.update(AuditRow).where(AuditRow.seq == 2).values(allowed=False),
    "detail": sa.update(AuditRow).where(AuditRow.seq == 2).values(detail={"option": "Approve"}),
    "taken out": sa.delete(AuditRow).where(AuditRow.seq == 2),
    "the first taken out": sa.delete(AuditRow).where(AuditRow.seq == 1),
    "swapped": sa.update(AuditRow).where(AuditRow.seq == 2).values(seq=9),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_log_that_was_touched_is_not_whole(ledger: Ledger, change: Any) -> None:
    for number in range(4):
        _record(ledger, why=f"reason {number}", detail={"number": number, "share": 0.1})
    whole = ledger.audit.verify()
    assert (whole.whole, whole.records) == (True, 4)
    _execute(ledger, change)
    broken = ledger.audit.verify()
    assert not broken.whole
    assert broken.broken_at is not None


def test_an_end_that_is_missing_shows_to_who_kept_its_hash(
    real_ledger: Ledger, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        _record(real_ledger)
    head = real_ledger.audit.verify().head
    _record(real_ledger)
    assert main(["audit", "verify", "--head", head, "--url", url]) == 0
    assert "4 records, all in order" in capsys.readouterr().out
    _execute(real_ledger, sa.delete(AuditRow).where(AuditRow.seq > 2))
    assert main(["audit", "verify", "--url", url]) == 0
    assert main(["audit", "verify", "--head", head, "--url", url]) == 1
    assert "the end of the log is missing" in capsys.readouterr().out
    _execute(real_ledger, sa.update(AuditRow).where(AuditRow.seq == 1).values(why="other"))
    assert main(["audit", "verify", "--url", url]) == 1
    assert "BROKEN at record 1" in capsys.readouterr().out


def test_writers_at_the_same_moment_make_one_chain(real_ledger: Ledger) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: _record(real_ledger, why=str(number)), range(30)))
    chain = real_ledger.audit.verify()
    assert (chain.whole, chain.records) == (True, 30)


def test_whatever_people_are_called_is_cut_and_never_dropped(ledger: Ledger) -> None:
    found = _record(ledger, who="é" * 999, action="answered " + "x" * 5_000, task_id="t" * 999, why="\x00" * 9_000)
    assert (len(found.who), len(found.action), len(found.task_id)) == (250, 250, 250)
    assert found.who.endswith("…")
    assert _record(ledger, who="").who == "(empty)"
    assert ledger.audit.verify().whole


def test_what_was_recorded_by_an_older_package_is_chained_when_it_is_migrated(
    empty_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade(empty_url, "0005")
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        for number in range(3):
            connection.execute(
                sa.text(
                    "INSERT INTO cd_human_action (seq, at, who, action, why, allowed, detail) VALUES "
                    f"({number + 1}, '2026-03-01 12:00:0{number}.000500', 'ada', 'cleared', '', true, "
                    """'{"option": "Approve", "share": 0.5}')"""
                )
            )
    engine.dispose()
    assert main(["ledger", "migrate", "--url", empty_url]) == 0
    assert main(["audit", "verify", "--url", empty_url]) == 0
    assert "3 records, all in order" in capsys.readouterr().out


@pytest.fixture
def intended(ledger: Ledger) -> Callable[..., int]:
    from airflow_cd.ledger.records import Intent

    def intend(action: str = "cleared") -> int:
        [found] = ledger.audit.intend([Intent("ada", action, "", "storefront", "run-1", "verify")])
        return found.id

    return intend


def test_an_intent_shows_as_what_came_of_it(ledger: Ledger, intended: Callable[..., int]) -> None:
    done, refused, failed = (intended(name) for name in ("marked failed", "cleared", "deleted"))
    ledger.audit.not_done(refused, why="409", refused=True)
    ledger.audit.not_done(failed, why="500", refused=False)
    shown = [(action.id, action.action, action.allowed) for action in ledger.audit.actions("storefront", "run-1")]
    assert shown == [(refused, "cleared", False), (done, "marked failed", True)]
    assert ledger.audit.verify().records == 5
