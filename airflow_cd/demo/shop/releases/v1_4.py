"""Release 1.4: needs a newer database schema than there is, and does not start without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_cd.demo.shop.releases import v1_1

SCHEMA_THERE_IS = 7
SCHEMA_NEEDED = 8


class SchemaMismatch(RuntimeError):
    """The database has another schema than the code."""


class Shop(v1_1.Shop):
    """The shop on schema 8."""

    def __init__(self, instance: str, configuration: Mapping[str, Any]) -> None:
        super().__init__(instance, configuration)
        self.check_schema()

    def check_schema(self) -> None:
        """Refuse to run on a schema that the code does not know."""
        if SCHEMA_THERE_IS < SCHEMA_NEEDED:
            raise SchemaMismatch(f"the database has schema {SCHEMA_THERE_IS}, shop 1.4 needs {SCHEMA_NEEDED}")
