"""Records of stores that keep fields: as the text that a verification reads, and the time that they state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_cd.verification.logs.headers.json_records import unfold_json

if TYPE_CHECKING:
    import pandas as pd

MOST_RECORDS = 200_000
"""Of one read; a verification reads a window that holds more in parts."""

_STORED = ("@timestamp", "_time", "_stream", "_stream_id")


def left_out(which: str = "newest") -> str:
    """What is said of a read that holds more records than are read at once.

    :param which: of them were left out.
    """
    return f"There are more than {MOST_RECORDS:,} records; the {which} were left out."


def without_message(field: str) -> str:
    """What is said where no record of a read has a message.

    :param field: that should hold it.
    """
    return f"No record has the field {field}: all their fields are read. Name the one of the message as message_field."


def has_message(fields: Mapping[str, Any], message_field: str, text: str) -> bool:
    """Whether a record has a message: in its field, or in one that is known to hold some.

    :param fields: of the record, by name.
    :param message_field: that should hold it.
    :param text: of the record, as of :func:`record_text`.
    """
    return bool(value_of(fields, message_field)) or not unfold_json(text).endswith(text)


def record_text(fields: Mapping[str, Any], message_field: str) -> str:
    """A record as text: its message where that is all it says, else an object with its level and its exception.

    :param fields: by name; objects may be nested, or names hold dots.
    :param message_field: that holds the message.
    """
    message = value_of(fields, message_field)
    told = {name: value for name, value in fields.items() if name not in _STORED and value not in (None, "")}
    if isinstance(message, str):
        told.pop(message_field, None)
        told = {"message": message, **told}
    text = json.dumps(told, ensure_ascii=False, default=str)
    return message if isinstance(message, str) and unfold_json(text) == message else text


def value_of(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field whose name may hold dots, or lead into objects; None where there is none.

    :param fields: of a record.
    :param name: ``host.name``.
    """
    if name in fields:
        return fields[name]
    head, dot, rest = name.partition(".")
    while dot:
        inner = fields.get(head)
        if isinstance(inner, Mapping) and (found := value_of(inner, rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def instant(text: Any) -> pd.Timestamp | None:
    """A time that a store has written, to the nanosecond; None where it is none.

    :param text: ISO 8601, or milliseconds since 1970.
    """
    import pandas as pd

    try:
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            found = pd.Timestamp(text, unit="ms", tz="UTC")
        else:
            found = pd.Timestamp(str(text))
    except (ValueError, OverflowError):
        return None
    if found is pd.NaT:
        return None
    aware: pd.Timestamp = found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
    return aware


def nanoseconds(moment: Any) -> int:
    """Nanoseconds from 1970 to a time.

    :param moment: aware.
    """
    import pandas as pd

    return int(pd.Timestamp(moment).value)
