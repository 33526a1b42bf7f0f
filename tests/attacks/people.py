"""People of whichever auth manager this process has."""

from __future__ import annotations

from typing import Any


def token_of(name: str) -> str:
    """A token of somebody who may edit every run, and is no approver."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):
        return manager.generate_jwt(SimpleAuthManagerUser(username=name, role="admin"))
    return manager.generate_jwt(_of_fab(manager, name))


def _of_fab(manager: Any, name: str) -> Any:
    from airflow.providers.fab.www.app import create_app  # type: ignore[import-not-found]

    if manager.flask_app is None if hasattr(manager, "flask_app") else True:
        manager.init_flask_resources = getattr(manager, "init_flask_resources", None)
    app = create_app(enable_plugins=False)
    with app.app_context():
        security = app.appbuilder.sm
        role = security.find_role("Admin")
        return security.find_user(username=name) or security.add_user(name, name, name, f"{name}@x.test", role, "x")
