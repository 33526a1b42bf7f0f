from __future__ import annotations

from tests.operators.conftest import rests, world

__all__ = ["rests", "world"]
