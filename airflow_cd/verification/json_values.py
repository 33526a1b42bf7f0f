"""Evidence as JSON values."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any


def json_value(value: Any) -> Any:
    """The value as JSON has it; NaN and infinity become None.

    :param value: of dataclasses, enumerations, collections, times, and numpy's numbers and arrays.
    :raises TypeError: there is something else in it.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {known.name: json_value(getattr(value, known.name)) for known in fields(value)}
    return _collection(value)


def _collection(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(inner) for inner in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy, without importing it
        return json_value(value.tolist())
    raise TypeError(f"evidence cannot hold a {type(value).__name__}: {value!r}")
