"""Column types that mean the same on SQLite and PostgreSQL, and refuse or mend what one of them could not hold."""

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
    """The text without what PostgreSQL cannot store: NUL and lone surrogates, both found in real logs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def plain(value: Any) -> Any:
    """The value as storable JSON values: text made storable, NaN and infinities as None, which JSON has no word for."""
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
    """JSON text of bounded size; raises :class:`LedgerRefused` for what is no JSON or larger than the bound."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise LedgerRefused(
            f"a record is not JSON: {error}.", next_step="Hand the ledger strings, numbers, lists and mappings only."
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


class Name(TypeDecorator[str]):
    """A name others look things up by: never empty, never cut, so that two names cannot become one."""

    impl = String
    cache_ok = True

    def __init__(self, length: int = NAME_LENGTH) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse what would not come back as it went in."""
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > self.length or storable(value) != value:
            shown = repr(value) if len(repr(value)) < 80 else repr(value)[:77] + "..."
            raise LedgerRefused(
                f"{shown} is no name the ledger can keep.",
                state="nothing was written.",
                next_step=f"Use 1 to {self.length} printable characters.",
            )
        return value


class Prose(TypeDecorator[str]):
    """A text for people; what is longer than the bound is cut and says so."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make it storable and bounded."""
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
