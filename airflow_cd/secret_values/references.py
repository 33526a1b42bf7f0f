"""What a configuration holds in a secret's place, and how its values are walked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SECRET = "secret:"  # noqa: S105 - a prefix
"""``secret:<connection>/<field>`` or ``secret:variable/<name>``: looked up in the moment of the call to the target."""
PLAIN = "plain:"
"""``plain:<value>``: the value behind it is no secret, whatever it looks like."""
SEALED = "sealed:"
"""A secret that something else gave an instance, encrypted: what it is put back to after a rollback."""
VARIABLE = "variable"
HOW_TO_WRITE = (
    'Write "secret:<connection>/<field>" (password, login, host, port, schema, uri, or a key of its extra) or '
    '"secret:variable/<name>" in its place, or "plain:<value>" if it is no secret'
)


@dataclass(frozen=True)
class Reference:
    """Where a secret is kept.

    :param connection: id of an Airflow connection; :data:`VARIABLE` for an Airflow variable.
    :param field: field of the connection, or name of the variable.
    """

    connection: str
    field: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as it is written.

        :param text: with its prefix :data:`SECRET`.
        :raises ValueError: it names no connection or no field.
        """
        connection, slash, field = text.removeprefix(SECRET).partition("/")
        if not (slash and connection.strip() and field.strip()) or not text.isprintable():
            raise ValueError('a reference is written "secret:<connection>/<field>" or "secret:variable/<name>"')
        return cls(connection.strip(), field.strip())

    @property
    def is_variable(self) -> bool:
        """Whether it is kept in a variable."""
        return self.connection == VARIABLE

    def __str__(self) -> str:
        return f"{SECRET}{self.connection}/{self.field}"


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in JSON values, with its path.

    :param value: JSON values.
    :param path: of the value itself: names and positions behind a slash each (RFC 6901).
    """
    yield from ((where, text) for where, text in leaves(value, path) if isinstance(text, str))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no object and no list, with its path.

    :param value: JSON values.
    :param path: of the value itself.
    """
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from leaves(member, f"{path}/{_escaped(name)}")
    elif isinstance(value, (list, tuple)):
        for number, member in enumerate(value):
            yield from leaves(member, f"{path}/{number}")
    else:
        yield path, value


def replaced(value: Any, replacement: Callable[[str, str], Any], path: str = "") -> Any:
    """A copy of JSON values with other texts.

    :param value: JSON values.
    :param replacement: called with path and text; returns what stands there instead.
    :param path: of the value itself.
    """
    if isinstance(value, Mapping):
        return {name: replaced(member, replacement, f"{path}/{_escaped(name)}") for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(member, replacement, f"{path}/{number}") for number, member in enumerate(value)]
    return replacement(path, value) if isinstance(value, str) else value


def name_of(path: str) -> str:
    """The names of a path, as people write them: ``database.password``.

    :param path: of a value.
    """
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])


def _escaped(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
