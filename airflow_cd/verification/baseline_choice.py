"""Naming the earlier good deployments that a canary is compared with, in a pipeline or on the command line."""

from __future__ import annotations

from difflib import get_close_matches

BASELINES = ("all", "previous", "control")
"""Every choice but that of one deployment, by its id or version."""


def wrong_baseline(baseline: object) -> str | None:
    """Why this cannot name a baseline, as a sentence; None when it can, whether or not it was ever deployed.

    :param baseline: one of :data:`BASELINES`, the id of a deployment, or a version.
    """
    words = f"{', '.join(BASELINES)}, a deployment's id or a version"
    if not isinstance(baseline, str) or not baseline.strip() or len(baseline) > 250:
        return f"baseline is {baseline!r}, must be one of {words}"
    # A word in other letters, or nearly one, is a slip: no version is called so.
    meant = get_close_matches(baseline.strip().casefold(), BASELINES, 1, 0.75)
    if meant and baseline not in BASELINES:
        return f"baseline is {baseline!r}; did you mean {meant[0]!r}? It must be one of {words}"
    return None
