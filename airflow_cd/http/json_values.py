"""JSON values of somebody else's, taken for what they should be: what has another form counts as absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def object_of(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one.

    :param value: of an answer.
    """
    return value if isinstance(value, Mapping) else {}


def list_of(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one.

    :param value: of an answer.
    """
    return value if isinstance(value, list) else []


def number_of(value: Any) -> float | None:
    """The value where it is a finite number that a float holds, else None; true and false are none.

    :param value: of an answer.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


MISSING: Any = object()
"""What stands nowhere, and equals nothing that does."""


def value_at(content: Any, place: str) -> Any:
    """What stands at a place of a value, or :data:`MISSING`.

    :param content: the value.
    :param place: names and numbers with dots between: ``checks.0.ok``; ``""`` for the value itself. Names that hold
        dots themselves are found as well.
    """
    if not place:
        return content
    if isinstance(content, list):
        first, _, rest = place.partition(".")
        known = first.isdecimal() and int(first) < len(content)
        return value_at(content[int(first)], rest) if known else MISSING
    if not isinstance(content, Mapping):
        return MISSING
    parts = place.split(".")
    for number in range(len(parts), 0, -1):
        name = ".".join(parts[:number])
        if name in content:
            found = value_at(content[name], ".".join(parts[number:]))
            if found is not MISSING:
                return found
    return MISSING
