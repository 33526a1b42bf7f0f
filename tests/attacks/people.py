"""People of whichever auth manager this process has."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def token_of(name: str) -> str:
    """A token of somebody who may edit every run, and is no approver."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):
        return manager.generate_jwt(SimpleAuthManagerUser(username=name, role="admin"))
    return _token_of_fab(manager, name)


def _token_of_fab(manager: Any, name: str) -> str:
    utils = import_module("airflow.providers.fab.auth_manager.cli_commands.utils")
    database = import_module("airflow.providers.fab.auth_manager.models.db")
    from airflow.utils.session import create_session

    with create_session() as session:
        database.FABDBManager(session).initdb()
    with utils.get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        role = security.find_role("Admin")
        user = security.find_user(username=name) or security.add_user(name, name, name, f"{name}@x.test", role, "x")
        return str(manager.generate_jwt(user))
