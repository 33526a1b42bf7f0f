"""The fields of a JSON record, whatever the case of their names, and the objects that stand for the record itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INNER = (
    "log fields jsonpayload protopayload attributes labels context data record syslog logrecord extra contextmap "
    "properties alert content meta metadata"
)
_WITHIN = frozenset(_INNER.split())  # objects in which level, message and exception may stand


def named(content: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their names in small letters, the first of those that are alike.

    :param content: the record, or an object within.
    """
    fields: dict[str, Any] = {}
    for name, value in content.items():
        fields.setdefault(name.lower().lstrip("@_"), value)
    return fields


def within(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of each object in which level, message and exception of a record may stand.

    :param fields: of the record, as of :func:`named`.
    """
    return [named(value) for name, value in fields.items() if name in _WITHIN and isinstance(value, dict)]
