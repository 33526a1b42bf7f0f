from __future__ import annotations

from tests.operators.conftest import empty_ledger, rests, world

__all__ = ["empty_ledger", "rests", "world"]
