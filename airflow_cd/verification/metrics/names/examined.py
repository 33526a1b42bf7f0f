"""What is needed to answer: rows that a database examines, reads that its caches did not save, queries per request.

The same answers with less of it are better answers, so a fall of it is none of the work that got less.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_cd.verification.metrics.names.vocabulary import ACCESSES, REQUEST, STORAGE

_LOOKED = frozenset(("read", "scan", "scanned", "returned", "fetched", "next", "key"))
_TABLES = frozenset(("seq", "rnd", "tup", "tuple", "sstable", "physical"))
_SCANNED = frozenset(("object", "document", "row", "key", "table", "full", "select", "range", "executor"))


def is_examined(words: Sequence[str]) -> bool:
    """Whether it is what a database looks through.

    :param words: of a metric's name.
    """
    own = set(words)
    if own & {"request", "req", "hit"}:
        return False
    if "examined" in own or ("full" in own and "join" in own):
        return True
    if {"buffer", "pool"} <= own and words[-1:] in (("read",), ("disk",)):
        return True  # what the buffer pool did not hold
    if own & {"scan", "scanned"} and own & _SCANNED and not own & {"line", "file"}:
        return True
    return bool(own & _TABLES and own & _LOOKED)


def is_per_request(words: Sequence[str]) -> bool:
    """Whether it is how much each request takes.

    :param words: of a metric's name.
    """
    return len(words) > 2 and words[-2] == "per" and words[-1] in REQUEST


def is_access(words: Sequence[str]) -> bool:
    """Whether it is of storage: the same work with fewer of them is done better.

    :param words: of a metric's name.
    """
    there = [any(word in some for word in words) for some in (STORAGE, ACCESSES)]
    return all(there) and len(words) > 1 and not {"request", "req"} & set(words)
