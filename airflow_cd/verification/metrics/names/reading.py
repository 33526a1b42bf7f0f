"""What a metric measures and which way it gets worse, by what its name says most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from airflow_cd.verification.metrics.names import vocabulary as known
from airflow_cd.verification.metrics.names.examined import is_access, is_examined, is_per_request
from airflow_cd.verification.metrics.names.means import mean_of
from airflow_cd.verification.metrics.names.units import SHARES, SIZES, TIMES, Suffix, suffix_of
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.samples import SUMMED, Direction, MetricKind

_STATUS = re.compile(r"[45]\d\d")
_PERCENTILE = re.compile(r"p\d+|upper|mean|median")
_FINE_STATUS = re.compile(r"[123]\d\d")


@dataclass(frozen=True)
class NameReading:
    """What a name says.

    :param kind: how the metric is judged.
    :param direction: which way is worse.
    :param unit: of the values, as reports show it; ``""`` for none.
    :param period: seconds of which the values are rates; 0 where they are none.
    :param counter: whether the name is one of a counter that only grows (``_total``, ``_sum``).
    :param share: whether the values are parts of a whole and no numbers, whatever they are parts of.
    """

    kind: MetricKind
    direction: Direction
    unit: str = ""
    period: float = 0.0
    counter: bool = False
    share: bool = False


def read_name(name: str) -> NameReading:
    """Read a name.

    :param name: as a source or a file has it.

    >>> read_name("rabbitmq_queue_messages_ready")
    NameReading(kind='gauge', direction='higher_is_worse', unit='', period=0.0, counter=False, share=False)
    """
    suffix = suffix_of(words_of(name))
    words = suffix.words
    kind: MetricKind
    direction: Direction
    kind, direction = next(found for rule in _RULES if (found := rule(words, suffix)) is not None)
    unit = suffix.unit
    if kind in ("throughput", "errors", "count", "info", "apdex") and unit not in SIZES:
        unit = "%" if kind == "errors" and unit == "%" and _share(words, suffix) is not None else ""
    if kind == "throughput" and not unit:
        unit = "requests"
    if kind == "share":
        unit = "%" if unit == "%" else ""
    period = suffix.period if kind in SUMMED else 0.0
    share = kind == "share" or (kind == "errors" and _share(words, suffix) is not None)
    mean = mean_of(suffix) if kind == "errors" and not share else None
    if mean is not None:
        share, unit = True, _OF_REQUESTS[mean.number]
    counter = bool(suffix.counter) and not share and kind not in ("info", "apdex")
    if kind == "gauge" and suffix.counter == "count":
        counter = False  # how many there are, and not how many there were
    return NameReading(kind, direction, unit, period, counter, share)


def is_failure(word: str) -> bool:
    """Whether a word says that something failed.

    :param word: in small letters and the singular.
    """
    return word in known.FAILED_REQUEST or word in known.FAILED or _STATUS.fullmatch(word) is not None


_Found = tuple[MetricKind, Direction]


def _apdex(words: Sequence[str], suffix: Suffix) -> _Found | None:
    return ("apdex", "lower_is_worse") if "apdex" in words else None


def _not_judged(words: Sequence[str], suffix: Suffix) -> _Found | None:
    if not words:
        return None
    pairs = set(pairwise(words))
    if any(map(is_failure, words)) and not pairs & set(known.NOT_JUDGED_PAIRS):
        return None
    if ("has", "leader") in pairs or (_any(words, "since age") and not _any(words, _BEGUN)):
        return None
    told = (
        words[-1] in known.NOT_JUDGED_LAST
        or (words[-1] == "uptime" and suffix.unit not in SHARES)
        or pairs & set(known.NOT_JUDGED_PAIRS)
        or (
            "last" in words
            and (words[-1] in ("time", "timestamp", "at", "run") or (words[-1] in _SUCCESS and suffix.unit in TIMES))
            and not _any(words, "response request byte")
        )
    )
    return ("info", "either") if told else None


def _share(words: Sequence[str], suffix: Suffix) -> _Found | None:
    failing = [is_failure(word) for word in words]
    good = [word in known.SUCCEEDED for word in words]
    last = words[-1] if words else ""
    parted = suffix.unit in SHARES or last in ("availability", "utilization", "utilisation", "saturation", "util")
    parted = parted or "faultless" in words  # of users, of sessions
    rate = last == "rate" and not suffix.period and (any(failing) or any(good))
    if not (parted or rate):
        return None
    if any(failing) and not ("budget" in words or _standing(words)):
        error = any(word in known.FAILED_REQUEST or _STATUS.fullmatch(word) for word in words)
        return ("errors" if error else "share"), "higher_is_worse"
    if any(good) or any(word in known.SUFFICIENT for word in words) or last == "cache":
        return "share", "lower_is_worse"
    return "share", _level_direction(words)


def _mean(words: Sequence[str], suffix: Suffix) -> _Found | None:
    """What there is of something for each of something else, which is a level whatever the number of either."""
    mean = mean_of(suffix)
    if mean is None or suffix.unit in TIMES | SIZES | SHARES:
        return None
    if any(map(is_failure, mean.words)):
        own = any(word in known.FAILED for word in mean.words)
        shared = not own and mean.each in known.REQUEST and mean.number in _OF_REQUESTS
        return "errors" if shared else "gauge", "higher_is_worse"
    if any(word in known.SUCCEEDED for word in mean.words):
        return "gauge", "lower_is_worse"
    if mean.each in known.REQUEST or _any(mean.words, "cost spend"):
        return "gauge", "higher_is_worse"
    sold = any(word in known.BUSINESS | known.MONEY for word in mean.words)
    return "gauge", "lower_is_worse" if sold else "either"


def _time(words: Sequence[str], suffix: Suffix) -> _Found | None:
    if not _is_time(words, suffix):
        return None
    if suffix.period and suffix.unit in TIMES:
        # What was spent in a second of it.
        return "gauge", "lower_is_worse" if "idle" in words else "higher_is_worse"
    if suffix.period or suffix.counter == "count":
        return _failure(words, suffix) or _timed(words)
    if suffix.unit in TIMES and words and words[-1] in known.CONFIGURED:
        return "gauge", "either"
    if _any(words, "offset skew drift"):
        return "gauge", "either"
    if suffix.counter not in ("", "bucket") or any(word in known.SPENT for word in words):
        return "gauge", "lower_is_worse" if "idle" in words else "higher_is_worse"
    return "latency", "higher_is_worse"


def _timed(words: Sequence[str]) -> _Found:
    """How many were timed."""
    if _any(words, "wait delay gc pause"):
        return "count", "higher_is_worse"
    return "throughput", "lower_is_worse"


def _is_time(words: Sequence[str], suffix: Suffix) -> bool:
    """Whether values are times, or what was timed is counted."""
    if suffix.unit in SIZES or suffix.unit in SHARES or words[-1:] == ("event",):
        return False
    named = bool(words) and words[-1] in known.TIME
    if suffix.unit in TIMES:
        return not suffix.period or named
    if suffix.period or suffix.counter in ("count", "total"):
        return named
    if any(map(is_failure, words)):
        return named and not suffix.counter
    if suffix.percentile and not suffix.counter and any(word in known.REQUEST for word in words):
        return True
    if any(word in known.TIME and (word != "runtime" or named) for word in words):
        return True
    return (not words and suffix.statistic) or (bool(words) and all(_PERCENTILE.fullmatch(word) for word in words))


def _failure(words: Sequence[str], suffix: Suffix) -> _Found | None:
    if words[-1:] == ("reached",) and any(word in known.REACHABLE for word in words):
        return "count", "higher_is_worse"
    if _any(words, "blocked block") and _any(words, "request req qps rps call") and not suffix.unit:
        return "errors", "higher_is_worse"
    if _any(words, "breaker circuitbreaker") and _opens(words, suffix):
        return "count", "higher_is_worse"
    if not any(map(is_failure, words)) or "budget" in words:
        return None
    placed = any(
        (other in known.INSTANCES and one in _STATES)
        or (one in known.INSTANCES and other in _STATES and other == words[-1])
        for one, other in pairwise(words)
    )
    happens = words[-1] in known.EVENTS and not _any(words, "open current running outstanding")
    if placed or (any(word in known.STATE for word in words) and not happens) or suffix.unit in SIZES:
        return "gauge", "higher_is_worse"
    requested = any(word in known.FAILED_REQUEST or _STATUS.fullmatch(word) for word in words)
    own = any(word in known.FAILED for word in words)
    return ("errors" if requested and not own else "count"), "higher_is_worse"


def _level(words: Sequence[str], suffix: Suffix) -> _Found | None:
    if suffix.unit not in SIZES and (is_examined(words) or is_per_request(words)):
        return "gauge" if is_per_request(words) else "count", "higher_is_worse"
    if suffix.unit in SIZES and (suffix.counter or suffix.period or any(word in known.DONE for word in words)):
        # Bytes that come and go are load, those of a disk or a heap are used by it.
        used = any(word in known.ALLOCATED for word in words) or is_access(words)
        return "gauge", "higher_is_worse" if used else "either"
    if suffix.counter == "total" and _any(words, "committed") and not _any(words, "memory mem heap"):
        return None
    number = bool(words) and words[-1] in known.INSTANCES and not (suffix.period or suffix.counter == "total")
    number = number and not _any(words, "request req rq call query")
    if (suffix.counter == "total" or suffix.period) and words and words[-1] in known.NEUTRAL:
        return "count", "higher_is_worse" if "gc" in words else "either"
    if any(word in known.TEMPORARY for word in words) and not suffix.unit:
        return "count", "higher_is_worse"
    if _standing(words) or suffix.unit or number or _limited(words) or _any(words, "loaded") & _any(words, _LOADED):
        return "gauge", _level_direction(words)
    return None


def _work(words: Sequence[str], suffix: Suffix) -> _Found | None:
    if not words:
        return None
    requests = [word in known.REQUEST or _FINE_STATUS.fullmatch(word) is not None for word in words]
    if words[-1] in known.NEUTRAL or "empty" in words:
        direction: Direction = "higher_is_worse" if "gc" in words else "either"
        return "count" if suffix.counter or suffix.period else "gauge", direction
    if is_access(words):
        return "count", "higher_is_worse"
    cached = _any(words, "cache keyspace buffer pool memcached blk block get")
    if any(requests) and not (cached and "hit" in words):
        strong = words[-1] in known.REQUEST or suffix.counter or suffix.period or _any(words, "request rq req 2xx 3xx")
        if strong or any(word in known.DONE for word in words):
            return "throughput", "lower_is_worse"
    if cached and "hit" in words:
        return "count", "lower_is_worse"
    if any(word in known.DONE for word in words) or (_any(words, "new") and len(words) > 1):
        return "count", "lower_is_worse"
    return None


def _weak_level(words: Sequence[str], suffix: Suffix) -> _Found | None:
    """Levels of things that are mostly levels, without a word that says so: ``goroutines``, ``cpu``."""
    if any(word in known.OCCUPIED | known.SUFFICIENT | known.RESOURCES for word in words):
        if suffix.counter in ("total", "counter") and not _any(
            words, "memory mem heap disk storage space swap thread goroutine cpu"
        ):
            return "count", "either"
        return "gauge", _level_direction(words)
    return None


def _business(words: Sequence[str], suffix: Suffix) -> _Found | None:
    sold = any(word in known.BUSINESS for word in words)
    if (sold and (words[-1] in known.BUSINESS or words[-1] in known.MONEY)) or (suffix.period and words):
        return "count", "lower_is_worse"
    if suffix.counter:
        return "count", "either"
    return None


def _anything(words: Sequence[str], suffix: Suffix) -> _Found | None:
    return "gauge", "either"


_RULES = (_apdex, _not_judged, _share, _mean, _time, _failure, _level, _work, _weak_level, _business, _anything)


def _any(words: Sequence[str], some: str) -> bool:
    return bool(set(words) & set(some.split()))


def _standing(words: Sequence[str]) -> bool:
    return any(word in known.STANDING for word in words)


def _level_direction(words: Sequence[str]) -> Direction:
    """Which way a level gets worse: by the last word that says it."""
    lying = any(word in known.QUEUED for word in words)
    if _any(words[-1:], "size length") and _any(words, "cluster quorum ring"):
        return "lower_is_worse"
    if _says_no_side(words):
        return "either"
    if any(one in known.LIFE and other in known.INSTANCES for one, other in pairwise(words)):
        return "lower_is_worse" if not _any(words, "worker consumer") else "either"
    if words and words[-1] in known.INSTANCES and not any(word in _SAYS_MORE for word in words):
        return "either"
    for word in reversed(words):
        if word in ("limit", "quota", "maximum", "capacity", "configured", "desired"):
            return "higher_is_worse" if _any(words, "consumed") else "either"
        if word in known.SUFFICIENT or (lying and word == "visible"):
            lies = lying and word in ("ready", "available", "visible") and not _any(words, "slot permit token")
            return "higher_is_worse" if lies else "lower_is_worse"
        if word in known.OCCUPIED or is_failure(word):
            return "higher_is_worse"
    if any(word in known.RESOURCES for word in words):
        return "higher_is_worse"
    return "higher_is_worse" if lying or _any(words, "active open request") else "either"


def _says_no_side(words: Sequence[str]) -> bool:
    """Whether a level is large or small for reasons that are neither good nor bad."""
    sized = _any(words[-1:], "size length") and not _any(words, "queue heap pool backlog buffer memory mem resident")
    clock = _any(words, "clock ntp chrony ptp") and _any(words, "offset skew drift")  # ahead is as bad as behind
    return sized or clock or _limited(words) or _any(words, "loaded")


def _limited(words: Sequence[str]) -> bool:
    """Whether a level is one that somebody set."""
    return any(pair in _LIMITS for pair in pairwise(words))


def _opens(words: Sequence[str], suffix: Suffix) -> bool:
    """Whether a switch is said to have opened, and not to be open."""
    return _any(words, "opened opening") or (_any(words, "open") and bool(suffix.counter or suffix.period))


_OF_REQUESTS = {1: "", 100: "%", 1000: "‰"}
_BEGUN = "start started boot birth build"
_SUCCESS = ("success", "successful")
_LOADED = "class module assembly plugin extension"
_SAYS_MORE = known.OCCUPIED | known.SUFFICIENT | known.FAILED | known.FAILED_REQUEST
_STATES = ("unavailable", "failed", "dead")
_LIMITS = frozenset(
    ("max", noun)
    for noun in ("connection", "conn", "fd", "thread", "client", "worker", "file", "pool", "heap", "memory", "session")
) | {("resource", "request"), ("resource", "limit"), ("quota", "hard")}
