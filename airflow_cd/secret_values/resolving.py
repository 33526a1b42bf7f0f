"""The values of references, from Airflow's connections and variables, whatever secrets backend keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_cd.errors import AirflowCdError, ReleaseError, SecretUnavailable
from airflow_cd.secret_values.references import Reference

_FIELDS = ("login", "password", "host", "port", "schema")


class Resolver:
    """Looks references up, each connection and variable once: a deployment is given one value of each.

    :param connection: returns Airflow's connection of an id.
    :param variable: returns the value of a variable, None where there is none.
    """

    def __init__(
        self,
        connection: Callable[[str], Any] | None = None,
        variable: Callable[[str], str | None] | None = None,
    ) -> None:
        self._connection = connection or _connection
        self._variable = variable or _variable
        self._found: dict[tuple[bool, str], Any] = {}

    def value(self, reference: Reference) -> str:
        """Return the secret.

        :param reference: where it is kept.
        :raises ReleaseError: there is nothing there.
        :raises SecretUnavailable: it cannot be looked up now.
        """
        value = self._variable_of(reference) if reference.is_variable else self._field_of(reference)
        if value is None or value == "":
            where = f"variable {reference.field!r}" if reference.is_variable else f"connection {reference.connection!r}"
            what = f"{where} is empty" if reference.is_variable else f"{where} has no {reference.field!r}"
            raise ReleaseError(
                f"{reference} cannot be resolved: {what}.",
                state="nothing was changed.",
                next_step=f"Set it in Airflow or its secrets backend, or correct {reference} in the configuration.",
            )
        return str(value)

    def _field_of(self, reference: Reference) -> Any:
        connection = self._once(self._connection, reference.connection, reference)
        if reference.field == "uri":
            return connection.get_uri()
        if reference.field in _FIELDS:
            return getattr(connection, reference.field)
        extra = connection.extra_dejson
        return extra.get(reference.field.removeprefix("extra/")) if isinstance(extra, dict) else None

    def _variable_of(self, reference: Reference) -> str | None:
        found: str | None = self._once(self._variable, reference.field, reference)
        return found

    def _once(self, look_up: Callable[[str], Any], name: str, reference: Reference) -> Any:
        key = (reference.is_variable, name)
        if key not in self._found:
            self._found[key] = _looked_up(look_up, name, reference)
        return self._found[key]


def _looked_up(look_up: Callable[[str], Any], name: str, reference: Reference) -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return look_up(name)
    except AirflowNotFoundException:
        error: AirflowCdError = ReleaseError(
            f"{reference} cannot be resolved: there is no connection {name!r}.",
            state="nothing was changed.",
            next_step=f"Create it in Airflow or its secrets backend, or correct {reference} in the configuration.",
        )
    except Exception as problem:  # noqa: BLE001 - secrets backends raise whatever they like
        # Its text is left out: it may quote secrets that are not known here.
        error = SecretUnavailable(
            f"{reference} cannot be looked up now: {type(problem).__name__}.",
            next_step="Check the secrets backend and Airflow's API server; then try again.",
        )
    raise error


def _connection(conn_id: str) -> Any:
    from airflow.sdk import BaseHook

    return BaseHook.get_connection(conn_id)


def _variable(name: str) -> str | None:
    from airflow.sdk import Variable

    value = Variable.get(name, default=None)
    return None if value is None else str(value)
