"""Units and statistics at the end of a metric's name: ``_seconds``, ``_ms``, ``per minute``, ``_total``, ``avg``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from airflow_cd.verification.metrics.names.vocabulary import INSTANCES

_TIMES = {
    **dict.fromkeys(("s", "sec", "second"), "s"),
    **dict.fromkeys(("ms", "msec", "milli", "millis", "millisecond"), "ms"),
    **dict.fromkeys(("us", "usec", "micro", "micros", "microsecond"), "us"),
    **dict.fromkeys(("ns", "nsec", "nano", "nanos", "nanosecond"), "ns"),
    **dict.fromkeys(("minute", "min"), "min"),
    "hour": "h",
    "day": "d",
}
_SIZES = {
    **dict.fromkeys(("byte", "octet"), "bytes"),
    **dict.fromkeys(("kb", "kilobyte", "kib", "kbyte"), "kB"),
    **dict.fromkeys(("mb", "megabyte", "mib", "mbyte"), "MB"),
    **dict.fromkeys(("gb", "gigabyte", "gib", "gbyte"), "GB"),
    "bit": "bits",
}
_SHARES = {
    **dict.fromkeys(("percent", "percentage", "pct", "%", "perc"), "%"),
    **dict.fromkeys(("ratio", "share", "fraction", "proportion"), "share"),
}
_OTHERS = {"core": "cores", "millicore": "millicores", "celsius": "°C", "watt": "W", "volt": "V", "joule": "J"}
UNITS: dict[str, str] = {**_TIMES, **_SIZES, **_SHARES, **_OTHERS}
TIMES, SIZES, SHARES = (frozenset(units.values()) for units in (_TIMES, _SIZES, _SHARES))
"""Units of time, of sizes, and of shares, as :class:`Suffix` has them."""

_PERIODS = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_RATES = {
    **dict.fromkeys(("rps", "qps", "tps", "iops", "cps", "eps", "ops", "hps", "mps"), 1.0),
    **dict.fromkeys(("rpm", "qpm", "tpm", "opm", "cpm", "epm"), 60.0),
}
_NUMBERS = ("one", "two", "five", "ten", "fifteen", "thirty", "sixty", "last", "1", "5", "10", "15", "30", "60")
_STATISTIC = re.compile(
    r"avg|average|mean|median|max|min|maximum|minimum|p\d+|std|stddev|stdev|last|latest|value|m(?:1|5|15)|[1-9]\d?m|"
    r"lower|upper|gauge|current|now|snapshot"
)
_COUNTERS = ("total", "count", "sum", "bucket", "counter", "cumulative")


@dataclass(frozen=True)
class Suffix:
    """What stands at the end of a name beside the thing itself.

    :param words: of the name, without the suffix.
    :param unit: ``s``, ``ms``, ``bytes``, ``%``, ``share``...; ``""`` where the name gives none.
    :param period: seconds that a rate is of, 60 for *per minute*; 0 where it is none.
    :param counter: ``total``, ``count``, ``sum``, ``bucket``, as Prometheus ends names of counters; ``""`` for none.
    :param statistic: whether it is an average, a maximum, a percentile.
    :param percentile: whether it is a percentile, of which only measurements have any.
    """

    words: tuple[str, ...]
    unit: str = ""
    period: float = 0.0
    counter: str = ""
    statistic: bool = False
    percentile: bool = False


_MOST_ENDINGS = 20
"""What has more is no name, and each of them costs a copy of it."""


def suffix_of(words: Sequence[str]) -> Suffix:
    """Take units, statistics and rates off a name.

    :param words: of the name; see :func:`~airflow_cd.verification.metrics.names.words.words_of`.
    """
    percentile = any(re.fullmatch(r"p\d+|upper", word) for word in words)
    suffix = Suffix(tuple(word for word in words if word != "%"), percentile=percentile)
    if suffix.words and {"%", "percent", "percentage"} & set(words):
        suffix = replace(suffix, unit="%")
    for _ in range(_MOST_ENDINGS):
        shorter = _without_rate(suffix) or _without_last(suffix)
        if shorter is None:
            break
        suffix = shorter
    if suffix.words and suffix.words[-1] in _RATES:
        # "rps" is the thing itself and its rate.
        suffix = replace(suffix, period=_RATES[suffix.words[-1]])
    if ("number", "of") in pairwise(suffix.words):
        suffix = replace(suffix, counter=suffix.counter or "count")
    return suffix if suffix.unit else replace(suffix, unit=_inside(suffix.words))


def _without_rate(suffix: Suffix) -> Suffix | None:
    """The suffix without a rate or a span of time at the end of its words; None where there is none."""
    before, last = suffix.words[-2:] if len(suffix.words) > 1 else ("", "")
    if last in _PERIODS and before == "per":
        return replace(suffix, words=suffix.words[:-2], period=_PERIODS[last])
    if before == "per" and last in INSTANCES and len(suffix.words) > 2:
        # Of each of them, which is no rate in time.
        return replace(suffix, words=suffix.words[:-2])
    if last == "rate" and before in ("m1", "m5", "m15", "mean", "1m", "5m", "15m"):
        # Meters of Dropwizard: events a second, whatever was measured of each.
        return replace(suffix, words=suffix.words[:-2], period=1.0)
    if last in ("minute", "hour", "day", "second") and before in _NUMBERS:
        return replace(suffix, words=suffix.words[:-2])
    if last == "ps" and before in _COUNTERS:
        return replace(suffix, words=suffix.words[:-1], period=1.0)
    return None


def _without_last(suffix: Suffix) -> Suffix | None:
    """The suffix without a counter's ending, a statistic or a unit; None where there is none, or nothing else."""
    if len(suffix.words) < 2:
        return None
    before, last = suffix.words[-2:]
    shorter = replace(suffix, words=suffix.words[:-1])
    if last in _COUNTERS:
        # Of "wait_count_total" it is the inner one that says what is counted.
        return replace(shorter, counter=last if last == "count" else suffix.counter or last)
    if _STATISTIC.fullmatch(last):
        return replace(shorter, statistic=True)
    if not suffix.unit and last in UNITS:
        return replace(shorter, unit=UNITS[last], words=suffix.words[: -2 if before == "in" else -1])
    return None


def _inside(words: Sequence[str]) -> str:
    """A unit that stands within the name (``jvm_memory_used_bytes_heap``); short ones would be anything.

    Of what is a time, sizes say which one (``LastByteResponseTime``).
    """
    if words[-1:] == ("time",):
        return ""
    found = (UNITS[word] for word in reversed(words) if word in UNITS and len(word) > 2)
    return next((unit for unit in found if unit != "cores" or "cpu" in words), "")
