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
