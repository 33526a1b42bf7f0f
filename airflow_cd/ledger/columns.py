"""Column types that mean the same on SQLite and PostgreSQL: what one of them cannot store is refused or replaced."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, String, Text
from sqlalchemy.types import TypeDecorator

from airflow_cd.errors import LedgerRefused

NAME_LENGTH = 250
PROSE_LENGTH = 8_000
JSON_BYTES = 16 * 1024 * 1024
BLOB_BYTES = 64 * 1024 * 1024


def storable(text: str) -> str:
    """The text with NUL and lone surrogates replaced, which occur in real logs and PostgreSQL cannot store."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def plain(value: Any) -> Any:
    """The value as storable JSON: NaN and infinities, which JSON cannot express, become None."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {storable(key) if isinstance(key, str) else key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def serialize(value: Any) -> str:
    """The value as JSON text.

    :raises LedgerRefused: it is not JSON, or larger than :data:`JSON_BYTES`.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise LedgerRefused(
            f"a record is not JSON: {error}.",
            next_step="Use strings, numbers, booleans, None, lists and mappings only.",
        ) from error
    if len(text) > JSON_BYTES:
        raise LedgerRefused(
            f"a record of {len(text):,} bytes is larger than the {JSON_BYTES:,} the ledger keeps.",
            next_step="Keep templates with counts and a few samples instead of whole logs.",
        )
    return text


class Utc(TypeDecorator[datetime]):
    """An aware time with microseconds, stored in UTC and given back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, which would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise LedgerRefused(f"the time {value} has no time zone.", next_step="Use datetime.now(timezone.utc).")
        value = value.astimezone(timezone.utc)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Make the stored time aware again."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


class _Short(TypeDecorator[str]):
    """A text with a length of its own."""

    impl = String
    cache_ok = True

    def __init__(self, length: int = NAME_LENGTH) -> None:
        super().__init__(length)
        self.length = length


class Name(_Short):
    """A name that records are looked up by: never empty, never truncated, so that two names cannot become one."""

    cache_ok = True  # it is not inherited

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse a name that would not be read back as it was written."""
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > self.length or storable(value) != value:
            shown = repr(value) if len(repr(value)) < 80 else repr(value)[:77] + "..."
            raise LedgerRefused(
                f"{shown} cannot be stored as a name.",
                state="nothing was written.",
                next_step=f"Use 1 to {self.length} printable characters.",
            )
        return storable(value)  # a plain string, of an enumeration's member too


class Label(_Short):
    """A name as it was given by somebody, for a record that must not fail: cut where it is too long, never empty."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make it storable and cut it."""
        if value is None:
            return None
        text = storable(str(value)) or "(empty)"
        return text if len(text) <= self.length else text[: self.length - 1] + "…"


class Prose(TypeDecorator[str]):
    """A text for people; one longer than :data:`PROSE_LENGTH` is truncated and ends with an ellipsis."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make it storable and truncate it."""
        if value is None:
            return None
        text = storable(value)
        return text if len(text) <= PROSE_LENGTH else text[: PROSE_LENGTH - 1] + "…"


class Json(TypeDecorator[Any]):
    """JSON values, kept as the text they are.

    Not JSONB: that normalises numbers, and a release read back would no longer have its digest.
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Make it storable; size and form are checked when it is serialised."""
        return plain(value)
