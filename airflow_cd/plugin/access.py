"""Who may see and do what on our pages: Airflow's auth manager decides, for every route."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

from airflow_cd.states import Right as Right  # noqa: PLC0414 - what routes name beside what they take from here

log = logging.getLogger(__name__)

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
    if _origin(origin) not in _own_origins(request):
        raise HTTPException(403, f"A page of {origin[:200]} may not change anything here. Nothing was changed.")


def _own_origins(request: Request) -> set[tuple[str, str, int | None]]:
    """Where this server is, as browsers may have reached it: scheme, host and port."""
    headers, found = request.headers, set()
    # Behind a proxy that ends TLS the request itself says http; the proxy says what the browser used.
    scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip() or request.url.scheme
    schemes = {scheme.lower()}
    if scheme.lower() == "http" and "x-forwarded-proto" not in headers:
        # A proxy may have ended TLS without saying so. The reverse, a page over http that changes what is behind TLS,
        # is anybody's on the way.
        schemes.add("https")
    for host in (headers.get("host"), headers.get("x-forwarded-host", "").partition(",")[0].strip()):
        found |= {_origin(f"{one}://{host}") for one in schemes if host}
    base = urlsplit(conf.get("api", "base_url", fallback=None) or "")
    if base.scheme and base.netloc:
        found.add(_origin(f"{base.scheme}://{base.netloc}"))
    return found - {_NOWHERE}


_NOWHERE: tuple[str, str, int | None] = ("", "", None)


def _origin(address: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return _NOWHERE
    return (parts.scheme.lower(), (parts.hostname or "").lower(), port) if parts.hostname else _NOWHERE


MAY_CHANGE_RUN = [Depends(requires_access_dag("PUT", DagAccessEntity.RUN)), Depends(same_origin)]
"""For routes that change something of one pipeline, whose path names it as ``dag_id``."""


def requires(right: Right) -> list[Any]:
    """For routes that change something of one pipeline by a right that may be one of its own.

    :param right: which.
    """

    def check(user: User) -> None:
        if not has_own_right(right, user):
            raise HTTPException(403, f"You may not do this: it needs 'can edit' on '{right.resource}'.")

    return [*MAY_CHANGE_RUN, Depends(check)]


def has_own_right(right: Right, user: BaseUser) -> bool:
    """Whether the user has a right beside that to edit runs; true where it is none of its own.

    Airflow's option ``[airflow_cd] own_rights`` lists those that are, or says ``all``. The auth manager is asked for
    *edit* on a custom view of the right's name. The simple auth manager knows no such views: there the role ``op`` has
    these rights.

    :param right: which.
    :param user: who is asking.
    """
    if right not in _own_rights():
        return True
    if isinstance(user, SimpleAuthManagerUser):
        return str(user.role or "").lower() in ("op", "admin")
    return get_auth_manager().is_authorized_custom_view(method="PUT", resource_name=right.resource, user=user)


def _own_rights() -> frozenset[Right]:
    names = {name.strip().lower() for name in str(conf.get("airflow_cd", "own_rights", fallback="") or "").split(",")}
    names.discard("")
    if unknown := names - {"all", *(right.value for right in Right)}:
        # A typing error must not give a right away.
        log.error("[airflow_cd] own_rights: unknown %s; all rights are their own until it is corrected", unknown)
    return frozenset(Right) if "all" in names or unknown else frozenset(map(Right, names))


def may_read_logs(dag_id: str, user: BaseUser) -> bool:
    """Whether the user may read the logs of the pipeline's tasks, and so the records that a report quotes.

    :param dag_id: the pipeline.
    :param user: who is asking.
    """
    return _may(dag_id, user, "GET", DagAccessEntity.TASK_LOGS)


def may(right: Right, dag_id: str, user: BaseUser) -> bool:
    """Whether the user would get through :func:`requires`; only then forms are shown.

    :param right: which.
    :param dag_id: the pipeline.
    :param user: who is asking.
    """
    return may_change_run(dag_id, user) and has_own_right(right, user)


def may_change_run(dag_id: str, user: BaseUser) -> bool:
    """Whether the user would get through :data:`MAY_CHANGE_RUN`; only then forms are shown.

    :param dag_id: the pipeline.
    :param user: who is asking.
    """
    return _may(dag_id, user, "PUT", DagAccessEntity.RUN)


def _may(dag_id: str, user: BaseUser, method: Literal["GET", "PUT"], entity: DagAccessEntity) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)


def readable(pipelines: Iterable[str], user: BaseUser) -> set[str]:
    """Those of the pipelines that the user may read.

    :param pipelines: ids of their DAGs.
    :param user: who is asking.
    """
    return get_auth_manager().filter_authorized_dag_ids(dag_ids=set(pipelines), user=user, method="GET")
