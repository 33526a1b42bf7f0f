"""Release 1.3: every query asks first whether the customer may see the rows. Correct, quiet, and far too slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_cd.demo.shop.releases import v1_1
from airflow_cd.demo.shop.stock import Database


class GuardedDatabase(Database):
    """A database in which a question about permissions goes before every other."""

    def ask(self, round_trips: int = 1) -> None:
        """Wait for the permissions and for the answer, query after query."""
        for _ in range(round_trips):
            self.wait(0.95 * self.typical)
            super().ask()


class Shop(v1_1.Shop):
    """The shop with row-level permissions."""

    def __init__(self, instance: str, configuration: Mapping[str, Any]) -> None:
        super().__init__(instance, configuration)
        self.database = GuardedDatabase(instance)
