"""What a run's verifications have handed over beside the ledger: the guard may be the only one left to record it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

from airflow_cd.delivery.late_verdict import HANDED_VERDICT, HandedVerdict
from airflow_cd.errors import AirflowCdError
from airflow_cd.guard.airflow_runs import RunKey

log = logging.getLogger(__name__)


def handed_verdicts(key: RunKey) -> list[HandedVerdict]:
    """The verdicts that a run could not record; none where they cannot be read.

    :param key: pipeline, and Airflow's id of the run.
    """
    found: list[HandedVerdict] = []
    try:
        for content in _read(key):
            try:
                found.append(HandedVerdict.from_dict(content))
            except (KeyError, TypeError, ValueError, AirflowCdError) as error:
                log.warning("What run %s of %s has handed over is no verdict: %s", key[1], key[0], error)
    except Exception as error:  # noqa: BLE001 - to restore is more urgent than to know why
        log.warning("What run %s of %s has handed over cannot be read: %s", key[1], key[0], error)
    return found


def _read(key: RunKey) -> list[Any]:
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.value).where(
        XComModel.dag_id == key[0], XComModel.run_id == key[1], XComModel.key == HANDED_VERDICT
    )
    with create_session() as session:
        # As its task would read it, whatever backend it was written with.
        return [XCom.deserialize_value(SimpleNamespace(value=value)) for value in session.scalars(query)]
