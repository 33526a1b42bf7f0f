"""No run with a secret in its configuration is kept, whatever makes it: a command, an operator, a backfill.

What comes over the API is refused before that, by :mod:`~airflow_cd.plugin.audit.bodies`. This is the last place, in
the process that makes the run: there Airflow has stored nothing of it yet, but the command line of ``airflow dags
trigger``, which its own log of commands keeps. What stands there is masked when the command ends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow_cd.errors import RunRefused

MASK = "********"
_KEPT = {("airflow.models.dagrun", "DagRun"): "conf", ("airflow.models.backfill", "Backfill"): "dag_run_conf"}
"""By model what holds the configuration of runs."""


def watch() -> None:
    """Refuse such runs in this process from now on. A process without a database makes none."""
    if "sqlalchemy" not in sys.modules:
        return
    from sqlalchemy import event
    from sqlalchemy.orm import Mapper

    for (module, name), field in _KEPT.items():
        model = getattr(sys.modules.get(module), name, None)
        if model is not None:
            _listen(model, field)
    # A model that is imported later.
    event.listen(Mapper, "instrument_class", lambda _, model: _mapped(model))


def _mapped(model: type) -> None:
    field = _KEPT.get((model.__module__, model.__name__))
    if field is not None:
        _listen(model, field)


def _listen(model: type, field: str) -> None:
    from sqlalchemy import event

    event.listen(model, "init", partial(_refuse, field))


def _refuse(field: str, target: object, args: tuple[Any, ...], values: Mapping[str, Any]) -> None:
    from airflow_cd.plugin.audit.run_secrets import why_not_kept

    if why := why_not_kept(values.get(field), str(values.get("dag_id"))):
        _mask_command_later()
        raise RunRefused(why, next_step="Trigger again without it; change it if it stood in a command line.")


def _mask_command_later() -> None:
    """See to it that Airflow's log of commands forgets this one's arguments."""
    if len(sys.argv) > 1:
        from airflow.utils import cli_action_loggers

        log_of_commands: Any = cli_action_loggers  # untyped
        log_of_commands.register_post_exec_callback(_mask_command)


def _mask_command(*, full_command: str = "", dag_id: str | None = None, **_: object) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    masked = str([*sys.argv[:3], MASK])
    with create_session() as session:
        for row in session.scalars(select(Log).where(Log.dag_id == dag_id, Log.event.startswith("cli_"))):
            extra = json.loads(row.extra or "{}")
            if extra.get("full_command") == full_command:
                row.extra = json.dumps({**extra, "full_command": masked})
