"""Ledgers of tests that are not of migrating: copies of one, for migrating costs more than most tests."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from airflow_cd.ledger import Ledger, open_ledger

_first: list[Engine] = []


def alike(ledger: Ledger) -> Ledger:
    """The ledger, which does not compile the statements again that another one of these has compiled before."""
    _first.append(ledger.engine)
    ledger.engine.dialect = _first[0].dialect
    ledger.engine._compiled_cache = _first[0]._compiled_cache
    del _first[1:]
    return ledger


def quick(ledger: Ledger) -> Ledger:
    """The ledger, without waiting for the disk: what a test writes need not survive this machine."""

    @event.listens_for(ledger.engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")

    return alike(ledger)


def migrated(folder: Path) -> Path:
    """An empty ledger, to be copied."""
    file = folder / "empty.db"
    open_ledger(f"sqlite:///{file}")
    return file


def copied(empty: Path, folder: Path, name: str = "") -> str:
    """The URL of a copy, by default under a name that no other one has."""
    file = folder / f"{name or uuid.uuid4().hex}.db"
    shutil.copy(empty, file)
    return f"sqlite:///{file}"
