"""Words that a name writes as one, in small letters: ``underreplicatedpartitions``, ``busyworkers``, ``failcnt``."""

from __future__ import annotations

from functools import lru_cache

from airflow_cd.verification.metrics.names import vocabulary as known

_SHORTEST = 7  # letters: shorter words are words
_LEAST = 3  # letters of a part
_WHOLE = frozenset(
    (
        *("throughput", "timestamp", "download", "upload", "uptime", "runtime", "heartbeat", "hostname", "filesystem"),
        *(
            "backend",
            "frontend",
            "database",
            "endpoint",
            "callback",
            "password",
            "pageview",
            "workload",
            "keyspace",
            "memcached",
        ),
    )
)
_FILLERS = frozenset(
    (
        *("in", "out", "per", "sec", "ms", "total", "count", "cnt", "counter", "size", "time", "num", "avg", "max"),
        *("min", "rate", "ratio", "group", "byte", "code", "second", "current", "cache", "topic", "leader", "network"),
        *("producer", "worker", "listen", "thread", "isr", "shrink", "expand", "op", "buffer", "under", "replicated"),
    )
)
_PARTS = frozenset(
    {
        word
        for words in (
            *(known.FAILED_REQUEST, known.FAILED, known.SUCCEEDED, known.SUFFICIENT, known.OCCUPIED, known.RESOURCES),
            *(known.STANDING, known.TIME, known.REQUEST, known.DONE, known.BUSINESS, known.INSTANCES),
        )
        for word in words
        if len(word) >= _LEAST
    }
    | _FILLERS
)
_LONGEST = max(map(len, _PARTS)) + 1  # and an s
_SPELT = {"cnt": "count"}


@lru_cache(maxsize=4096)
def parts_of(word: str) -> tuple[str, ...]:
    """The words that a word consists of, where all of it is known ones; else the word itself.

    :param word: in small letters.

    >>> parts_of("offlinereplicacount")
    ('offline', 'replica', 'count')
    """
    if word in _PARTS or word in _WHOLE or not word.isalpha() or len(word) < _SHORTEST:
        return (word,)
    if any(word.endswith(end) and word.removesuffix(end) in _PARTS | _WHOLE for end in ("s", "es")):
        return (word,)
    best = _split(word)
    return tuple(_SPELT.get(part, part) for part in best) if best and len(best) > 1 else (word,)


def _split(word: str) -> tuple[str, ...] | None:
    """The fewest known words that make up all of a word; None where there are none."""
    # Of each beginning of the word: how many words make it up, and where the last of them begins.
    best: list[tuple[int, int] | None] = [(0, 0)] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - _LONGEST), end):
            before, part = best[start], word[start:end]
            if before is None or not (part in _PARTS or part.removesuffix("s") in _PARTS):
                continue
            chosen = best[end]
            if chosen is None or before[0] + 1 < chosen[0]:
                best[end] = before[0] + 1, start
    parts: list[str] = []
    end = len(word)
    while end and (found := best[end]) is not None:
        parts.append(word[found[1] : end])
        end = found[1]
    return tuple(reversed(parts)) if not end else None
