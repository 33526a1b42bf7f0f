"""How little evidence, and which severity, fails a release."""

from __future__ import annotations

from typing import Literal

Sensitivity = Literal["low", "medium", "high"]

SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")
"""Every sensitivity, the least sensitive first."""
