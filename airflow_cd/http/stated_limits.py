"""What an answer says of the service's rate limit, in whichever of the usual headers.

``X-RateLimit-*`` as of Datadog and many others; ``RateLimit-Limit``, ``RateLimit-Policy`` and ``RateLimit`` as of the
drafts of *RateLimit header fields for HTTP* (draft-ietf-httpapi-ratelimit-headers).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from airflow_cd.http.retry import parse_retry_after

_NUMBER = re.compile(r"\s*(\d{1,12})(?:\.\d+)?\s*(?:[,;].*)?\Z")
_WINDOW = re.compile(r"[;,]\s*w\s*=\s*(\d{1,9})")
_QUOTA = re.compile(r"\b(?:limit|q)\s*=\s*(\d{1,12})")
_NAME = re.compile(r"[\w./-]{1,80}\Z")
_SINCE_1970 = 1_000_000_000  # a reset beyond this is a moment, and no number of seconds
_LONGEST_RESET = 3600.0


def stated_limit(headers: Mapping[str, str]) -> str:
    """The limit that an answer states, in words (``300 calls in 3,600 s (logs_search), 12 left``); ``""`` for none.

    :param headers: of the answer, found by their names in whatever case.
    """
    limit = _first(headers, "x-ratelimit-limit", "x-rate-limit-limit", "ratelimit-limit")
    policy = headers.get("ratelimit-policy") or headers.get("ratelimit") or ""
    if limit is None and (quota := _QUOTA.search(policy) or _NUMBER.match(policy)):
        limit = int(quota[1])
    if limit is None:
        return ""
    period = _first(headers, "x-ratelimit-period", "x-rate-limit-period")
    if period is None and (window := _WINDOW.search(f"{headers.get('ratelimit-limit') or ''};{policy}")):
        period = int(window[1])
    left = _first(headers, "x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")
    name = (headers.get("x-ratelimit-name") or "").strip()
    return (
        f"{limit:,} calls"
        + (f" in {period:,} s" if period else "")
        + (f" ({name})" if _NAME.match(name) else "")
        + (f", {left:,} left" if left is not None else "")
    )


def asked_pause(headers: Mapping[str, str], status: int) -> float | None:
    """Seconds that an answer asks to wait; None where it does not.

    :param headers: as of :func:`stated_limit`. ``Retry-After`` counts, and after 429 when the limit is reset.
    :param status: of the answer.
    """
    pause = parse_retry_after(headers.get("retry-after"))
    if pause is not None or status != 429:
        return pause
    reset = _first(headers, "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
    if reset is None:
        return None
    seconds = reset - time.time() if reset > _SINCE_1970 else float(reset)
    return max(0.0, seconds) if seconds <= _LONGEST_RESET else None


def _first(headers: Mapping[str, str], *names: str) -> int | None:
    found = (_NUMBER.match(headers.get(name) or "") for name in names)
    return next((int(number[1]) for number in found if number), None)
