"""What a person may answer after a verification."""

from __future__ import annotations

GO_ON = "Go on"
AGAIN = "Verify again"
"""Of a verification that failed: the canary gets its traffic back."""
WATCH = "Keep watching"
"""Of one that could not decide."""
ROLL_BACK = "Roll back"
