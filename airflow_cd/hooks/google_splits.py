"""Entries that Google Cloud Logging has split because they were too long, put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_cd.http.json_values import object_of

_PAYLOADS = ("textPayload", "jsonPayload", "protoPayload")


def joined(entries: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Entries as they were written.

    Where a part is missing the others are handed out last, as one entry all the same, with the same insert id as the
    whole.

    :param entries: as Google hands them out, each once.
    """
    waiting: dict[str, dict[int, Mapping[str, Any]]] = {}
    for entry in entries:
        split = object_of(entry.get("split"))
        uid, index = str(split.get("uid") or ""), split.get("index", 0)
        if not uid or not isinstance(index, int):
            yield dict(entry)
            continue
        parts = waiting.setdefault(uid, {})
        parts[index] = entry
        if len(parts) >= (split.get("totalSplits") or 0):
            yield _one(uid, waiting.pop(uid))
    for uid, parts in waiting.items():
        yield _one(uid, parts)


def _one(uid: str, parts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    ordered = [parts[index] for index in sorted(parts)]
    whole = dict(ordered[0])
    for part in ordered[1:]:
        for name in _PAYLOADS:
            if name in part:
                whole[name] = _continued(whole[name], part[name]) if name in whole else part[name]
    return {**whole, "insertId": uid}


def _continued(begin: Any, rest: Any) -> Any:
    """A value of which each part holds a piece; what is the same in both is no piece."""
    if begin == rest:
        return begin
    if isinstance(begin, str) and isinstance(rest, str):
        return begin + rest
    if isinstance(begin, list) and isinstance(rest, list):
        return begin + rest
    if isinstance(begin, Mapping) and isinstance(rest, Mapping):
        both = {name: _continued(begin[name], rest[name]) for name in rest if name in begin}
        return {**begin, **rest, **both}
    return begin
