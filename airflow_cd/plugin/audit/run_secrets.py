"""Secrets in what a run is asked for: found before Airflow keeps it, and shows it to everybody who may see the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_cd.secret_values.detection import form_of, mistakes
from airflow_cd.secret_values.references import leaves, name_of


def why_not_kept(conf: Any, dag_id: str) -> str:
    """Why Airflow may not keep the configuration of a run, in sentences that quote no value; ``""`` where it may.

    :param conf: as it was given.
    :param dag_id: the DAG; of one that delivers nothing everything may be kept.
    """
    secrets = list(_secrets_in(conf, dag_id)) if isinstance(conf, Mapping) else []
    if not secrets or not _is_ours(dag_id):
        return ""
    return f"{'. '.join(secrets)}. Nothing was started."


def _secrets_in(conf: Mapping[str, Any], dag_id: str) -> Iterator[str]:
    configuration = conf.get("configuration")
    if isinstance(configuration, str):
        try:
            configuration = json.loads(configuration)
        except (ValueError, RecursionError):
            configuration = {"configuration": configuration}
    if isinstance(configuration, Mapping):
        yield from mistakes(configuration, dag_id)
    for path, value in leaves({name: value for name, value in conf.items() if name != "configuration"}):
        if isinstance(value, str) and (form := form_of(value)):
            yield f"{dag_id}: {name_of(path)!r} holds {form}, which would be shown to everybody who may see the run"


def _is_ours(dag_id: str) -> bool:
    from airflow_cd.plugin.dag_runs.tasks import shape_of

    return any(place.role for place in shape_of(dag_id).values())
