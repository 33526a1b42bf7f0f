"""People of whichever auth manager this process has; each may edit every run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any


def token_of(name: str) -> str:
    """A token of an API client.

    :param name: of the person.
    """
    manager, kind = _manager()
    if kind == "SimpleAuthManager":
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        return str(manager.generate_jwt(SimpleAuthManagerUser(username=name, role="admin")))
    if kind == "KeycloakAuthManager":
        return str(manager.generate_api_jwt(_of_keycloak(manager, name)))
    return token_of_fab(name)


def session_of(name: str) -> dict[str, str]:
    """The cookies of a browser in which somebody has signed in.

    :param name: of the person.
    """
    manager, kind = _manager()
    if kind != "KeycloakAuthManager":
        return {"_token": token_of(name)}
    user = _of_keycloak(manager, name)
    return {
        "_token": str(manager.generate_jwt(user)),
        "_access_token": user.access_token,
        "_refresh_token": str(user.refresh_token),
    }


def _manager() -> tuple[Any, str]:
    from airflow.api_fastapi.app import get_auth_manager

    manager = get_auth_manager()
    return manager, type(manager).__name__


def _of_keycloak(manager: Any, name: str) -> Any:
    """Somebody whom Keycloak itself has let in, by the name that it gives."""
    client = manager.get_keycloak_client()
    tokens = client.token(name, os.environ["ATTACKS_PASSWORD"])
    known = client.userinfo(tokens["access_token"])
    user = import_module("airflow.providers.keycloak.auth_manager.user")
    return user.KeycloakAuthManagerUser(
        user_id=known["sub"],
        name=known["preferred_username"],
        access_token=tokens["access_token"],
        refresh_token=tokens["refresh_token"],
    )


def token_of_fab(name: str, *, role: str = "Admin", more: Sequence[tuple[str, str]] = ()) -> str:
    """A token of somebody whom FAB knows.

    :param name: of the person, who is made when there is none.
    :param role: one of FAB's.
    :param more: permissions beside those of the role, as action and resource.
    """
    manager, _ = _manager()
    utils = import_module("airflow.providers.fab.auth_manager.cli_commands.utils")
    database = import_module("airflow.providers.fab.auth_manager.models.db")
    from airflow.utils.session import create_session

    with create_session() as session:
        database.FABDBManager(session).initdb()
    with utils.get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        roles = [security.find_role(role)]
        if more:
            roles.append(security.add_role(f"of {name}"))
            for action, resource in more:
                security.add_permission_to_role(roles[-1], security.create_permission(action, resource))
        user = security.find_user(username=name) or security.add_user(name, name, name, f"{name}@x.test", roles, "x")
        return str(manager.generate_jwt(user))
