"""A release's configuration as a container has it: environment variables, and files.

A key that begins with ``/`` is a file; any other is an environment variable. A text is itself; every other JSON value
is its JSON, and null takes a variable away that the image sets. The kind of each value is a label, its value is not:
labels are copied into metrics and logs, and a value may be a secret.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT, JSON, NULL = "text", "json", "null"
LONGEST_VARIABLE = 100_000
"""Letters of one variable; Linux starts no process with one of 128 KiB."""


@dataclass(frozen=True)
class Encoded:
    """A configuration as it is put into a container.

    :param variables: value of each environment variable; None takes it away.
    :param files: content of each file by its path.
    :param kinds: by key, whether a value is a text, JSON, or null.
    """

    variables: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)


def is_file(key: str) -> bool:
    """Whether a key of a configuration is a file.

    :param key: the key.
    """
    return key.startswith("/")


def mistakes(configuration: Mapping[str, Any]) -> list[str]:
    """What cannot be put into any container, one sentence without its full stop each.

    :param configuration: of a release.
    """
    found = []
    for key, value in configuration.items():
        if is_file(key):
            if key != posixpath.normpath(key) or key == "/" or "\0" in key:
                found.append(f"{key!r} is no path of a file")
            elif value is None:
                found.append(f"file {key} is null; leave the key out to have the image's own file")
        elif not key or "=" in key or "\0" in key or key != key.strip():
            found.append(f"{key!r} cannot be the name of an environment variable")
        elif "\0" in (text := _text(value)):
            found.append(f"environment variable {key} holds a NUL character")
        elif len(text.encode()) > LONGEST_VARIABLE:
            found.append(f"environment variable {key} is longer than {LONGEST_VARIABLE} bytes; make it a file")
    return found


def encode(configuration: Mapping[str, Any]) -> Encoded:
    """Put a configuration into the form that a container has it in.

    :param configuration: of a release, without :func:`mistakes`.
    """
    kinds = {
        key: NULL if value is None else TEXT if isinstance(value, str) else JSON for key, value in configuration.items()
    }
    variables = {
        key: None if value is None else _text(value) for key, value in configuration.items() if not is_file(key)
    }
    files = {key: _text(value).encode() for key, value in configuration.items() if is_file(key)}
    return Encoded(variables, files, kinds)


def decode(
    kinds: Mapping[str, str], variables: Mapping[str, str | None], files: Mapping[str, bytes | None]
) -> dict[str, Any]:
    """Read a configuration back from what a container really has; what is not there is left out.

    :param kinds: as they were labelled.
    :param variables: the container's environment variables.
    :param files: content of the files among the keys; None for one that is gone.
    """
    found: dict[str, Any] = {}
    for key, kind in kinds.items():
        content = files.get(key) if is_file(key) else variables.get(key)
        if isinstance(content, bytes):
            content = content.decode(errors="backslashreplace")
        if content is None:
            if kind == NULL:
                found[key] = None
            continue
        found[key] = _value(content) if kind == JSON else content
    return found


def read_variables(entries: Iterable[str] | None) -> dict[str, str | None]:
    """The variables of a container or an image, in the daemon's form; None for one that is taken away.

    :param entries: ``KEY=value``, or ``KEY``.
    """
    found: dict[str, str | None] = {}
    for entry in entries or ():
        key, given, value = entry.partition("=")
        found[key] = value if given else None
    return found


def write_variables(variables: Mapping[str, str | None]) -> list[str]:
    """The reverse of :func:`read_variables`.

    :param variables: by name.
    """
    return [key if value is None else f"{key}={value}" for key, value in variables.items()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content
