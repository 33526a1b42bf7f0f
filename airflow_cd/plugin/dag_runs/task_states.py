"""Airflow's states of a task instance, in the groups that the pages ask about."""

from __future__ import annotations

ACTIVE = ("running", "queued", "scheduled", "restarting", "deferred", "awaiting_input", "up_for_reschedule")
"""At work, or will be without anybody's doing."""
UNDER_WAY = (*ACTIVE, "up_for_retry")
PENDING = ("", *UNDER_WAY)
"""Not over yet; ``""`` is a task that has no state because nothing has scheduled it."""
