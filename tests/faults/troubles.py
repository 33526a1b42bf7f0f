"""What goes wrong beside kills: with the ledger, the deployment API and clocks, and what people do to a DAG."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy as sa

from airflow_cd.demo.airflow_client import wait_until
from tests.faults.proxy import Trouble

if TYPE_CHECKING:
    from tests.faults.kills import Lane
    from tests.faults.place import Place

Strike = Callable[["Place", "Lane", random.Random], str]


# -- the ledger -----------------------------------------------------------------------------------------------


def ledger_killed(place: Place, lane: Lane, chance: random.Random) -> str:
    away = chance.choice((1.0, 5.0, 20.0, 40.0))
    place.postgres.kill()
    time.sleep(away)
    place.postgres.start()
    return f"PostgreSQL for {away:.0f} s"


def _ledger_statement(begin: Sequence[str], end: Sequence[str], what: str) -> Strike:
    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        seconds = chance.choice((5.0, 15.0, 30.0))
        engine = sa.create_engine(place.ledger_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in begin:
                connection.exec_driver_sql(statement)
            time.sleep(seconds)
            for statement in end:
                connection.exec_driver_sql(statement)
        return f"{what} for {seconds:.0f} s"

    return strike


_EVERY_TABLE = """DO $$ DECLARE t text; BEGIN
FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP EXECUTE format('{}', t); END LOOP; END $$"""
READ_ONLY = _ledger_statement(
    ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
    ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
    "read-only",
)
LOCKED = _ledger_statement(
    ("BEGIN", "LOCK TABLE cd_lease, cd_deployment IN ACCESS EXCLUSIVE MODE"), ("ROLLBACK",), "locked"
)
FULL = _ledger_statement(
    (
        # What PostgreSQL says when its disk is full.
        """CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$""",
        _EVERY_TABLE.format("CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON %%I EXECUTE FUNCTION full_disk()"),
    ),
    (_EVERY_TABLE.format("DROP TRIGGER full_disk ON %%I"),),
    "full",
)


# -- the deployment API ---------------------------------------------------------------------------------------


def network(kind: Trouble) -> Strike:
    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        seconds = chance.choice((2.0, 8.0, 20.0))
        place.proxy.trouble(kind)
        time.sleep(seconds)
        place.proxy.trouble(None)
        return f"{kind.value} for {seconds:.0f} s"

    return strike


def answers(what: str, **fault: Any) -> Strike:
    """The API itself does something wrong for a while, in this environment."""

    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        seconds = chance.choice((2.0, 8.0, 20.0))
        path = f"/v1/environments/{lane.name}/"
        place.fleet("PUT", "/v1/faults", {"path_prefix": path, "times": None, **fault})
        time.sleep(seconds)
        place.fleet("DELETE", f"/v1/faults?path_prefix={path}")
        return f"{what} for {seconds:.0f} s"

    return strike


# -- clocks ---------------------------------------------------------------------------------------------------


def clock(seconds: float) -> Strike:
    """Whatever of the run starts from now on has a clock that is off."""

    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        file = place.scripts / f"{lane.name}.clock"
        file.write_text(str(seconds))
        lane.mend.append(file.unlink)
        return f"{seconds:+.0f} s"

    return strike


# -- people ---------------------------------------------------------------------------------------------------


def paused(place: Place, lane: Lane, chance: random.Random) -> str:
    """Pause the DAG until the environment is whole."""
    place.client.call("PATCH", f"/api/v2/dags/{lane.name}", {"is_paused": True})
    lane.mend.append(lambda: place.client.unpause(lane.name))
    return "paused"


def marked(state: str) -> Strike:
    """Mark the whole run."""

    def strike(place: Place, lane: Lane, chance: random.Random) -> str:
        place.client.mark_run(lane.name, lane.run_id, state)
        return f"the run marked {state}"

    return strike


def deleted(place: Place, lane: Lane, chance: random.Random) -> str:
    """Mark the run failed and delete it, with everything that Airflow knows of it."""
    place.client.mark_run(lane.name, lane.run_id, "failed")
    wait_until(lambda: _delete(place, lane), "the run may be deleted", seconds=60)
    lane.deleted.add(lane.run_id)
    return "the run deleted"


def _delete(place: Place, lane: Lane) -> bool:
    """Whether it is gone: Airflow lets nobody delete a run that has gone on with its teardown."""
    try:
        place.client.call("DELETE", f"/api/v2/dags/{lane.name}/dagRuns/{lane.run_id}")
    except httpx.HTTPStatusError as refused:
        if refused.response.status_code != httpx.codes.CONFLICT:
            raise
        return False
    return True


def file_broken(place: Place, lane: Lane, chance: random.Random) -> str:
    """An error in the DAG file until the environment is whole."""
    file = place.dags / f"{lane.name}.py"
    before = file.read_text()
    file.write_text(before + "\nCanry\n")
    lane.mend.append(lambda: file.write_text(before))
    return "its file is broken"


def file_renamed(place: Place, lane: Lane, chance: random.Random) -> str:
    """The DAG file away until the environment is whole."""
    file, away = place.dags / f"{lane.name}.py", place.scripts / f"{lane.name}.py.gone"
    file.rename(away)
    lane.mend.append(lambda: away.rename(file))
    return "its file is renamed"
