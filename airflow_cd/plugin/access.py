"""Who may see and do what on our pages: Airflow's auth manager decides, for every route."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

User = GetUserDep
"""A parameter of this type is the user; without one the route answers 401."""

SIGNED_IN = [Depends(get_user)]
"""For routes that show nothing of a pipeline, or filter what they show by :func:`readable`."""

MAY_READ_RUN = [Depends(requires_access_dag("GET", DagAccessEntity.RUN))]
"""For routes about one pipeline, whose path names it as ``dag_id``."""


def same_origin(request: Request) -> None:
    """Refuse what another site's page sends with the reader's cookie.

    A request that does not say where it comes from is not a browser's: it must carry its own token then.

    :param request: one that changes something.
    :raises fastapi.HTTPException: 403 for another site's.
    """
    origin = request.headers.get("origin")
    if origin is None:
        if request.headers.get("authorization"):
            return
        referer = urlsplit(request.headers.get("referer", ""))
        origin = f"{referer.scheme}://{referer.netloc}"
    allowed = {request.headers.get("host"), request.headers.get("x-forwarded-host")} - {None}
    if urlsplit(origin).netloc not in allowed:
        raise HTTPException(403, f"A page of {origin} may not change anything here. Nothing was changed.")


MAY_CHANGE_RUN = [Depends(requires_access_dag("PUT", DagAccessEntity.RUN)), Depends(same_origin)]
"""For routes that change something of one pipeline, whose path names it as ``dag_id``."""


def may_change_run(dag_id: str, user: BaseUser) -> bool:
    """Whether the user would get through :data:`MAY_CHANGE_RUN`; only then forms are shown.

    :param dag_id: the pipeline.
    :param user: who is asking.
    """
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method="PUT", access_entity=DagAccessEntity.RUN, details=details, user=user
    )


def readable(pipelines: Iterable[str], user: BaseUser) -> set[str]:
    """Those of the pipelines that the user may read.

    :param pipelines: ids of their DAGs.
    :param user: who is asking.
    """
    return get_auth_manager().filter_authorized_dag_ids(dag_ids=set(pipelines), user=user, method="GET")
