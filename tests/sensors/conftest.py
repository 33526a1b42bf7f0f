from __future__ import annotations

from tests.operators.conftest import empty_ledger, world

__all__ = ["empty_ledger", "world"]
