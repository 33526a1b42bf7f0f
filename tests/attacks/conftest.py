from __future__ import annotations

from tests.plugin.conftest import ledger, metadata

__all__ = ["ledger", "metadata"]
