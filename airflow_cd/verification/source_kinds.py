"""Whether a source yields metrics or logs, told from what it is, before anything is read.

Both kinds have a name, a delay and a method ``read``, so that one given in the place of the other looks right. What
tells them apart is what ``read`` returns: its annotation, what the source is derived from, an attribute that only one
kind has, or which of the two samples its code makes. A source of which none says anything is taken at its author's
word, and found out at the first read.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Literal

SourceKind = Literal["metrics", "logs"]

_SAMPLES: dict[str, SourceKind] = {"MetricSample": "metrics", "LogSample": "logs"}
_PROTOCOLS: dict[str, SourceKind] = {"MetricSource": "metrics", "LogSource": "logs"}
_DEEPEST = 3  # calls from read to the one that makes the sample


def kind_of(source: Any) -> SourceKind | None:
    """Which kind a source is; None where that cannot be told.

    :param source: with a method ``read``, whatever else it is.
    """
    kinds = {_PROTOCOLS[base.__name__] for base in type(source).__mro__ if base.__name__ in _PROTOCOLS}
    read = _function(getattr(source, "read", None))
    for found in (kinds, _annotated(read), _made_by(source, read)):
        if len(found) == 1:
            return next(iter(found))
    # Only metrics come in buckets.
    return "metrics" if hasattr(source, "bucket") else None


def misplaced(source: Any, place: SourceKind) -> str | None:
    """What is wrong with a source that was given in the place of the other kind; None where nothing is.

    :param source: the source.
    :param place: where it was given.
    """
    kind = kind_of(source)
    if kind is None or kind == place:
        return None
    name = getattr(source, "name", type(source).__name__)
    return f"{place} holds {type(source).__name__} {name!r}, which is a source of {kind}: give it as {kind}=[...]"


def _function(read: Any) -> FunctionType | None:
    """The function behind a method, a partial, or something that wraps one."""
    while isinstance(read, functools.partial):
        read = read.func
    found = inspect.unwrap(getattr(read, "__func__", read)) if callable(read) else None
    return found if isinstance(found, FunctionType) else None


def _annotated(read: FunctionType | None) -> set[SourceKind]:
    given = read.__annotations__.get("return") if read is not None else None
    # A text under `from __future__ import annotations`; its names need not be importable here.
    text = given if isinstance(given, str) else getattr(given, "__name__", "")
    derived = [base.__name__ for base in getattr(given, "__mro__", ())]
    return {kind for name, kind in _SAMPLES.items() if name in text or name in derived}


def _made_by(source: Any, read: FunctionType | None) -> set[SourceKind]:
    """The samples that its code names: of ``read`` itself, else of what that calls."""
    if read is None:
        return set()
    level, seen = [read], {read}
    for _ in range(_DEEPEST):
        names = {name for function in level for name in _names(function.__code__)}
        if kinds := {kind for name, kind in _SAMPLES.items() if name in names}:
            return kinds
        level = [one for function in level for one in _called(source, function) if one not in seen]
        seen.update(level)
    return set()


def _called(source: Any, function: FunctionType) -> Iterator[FunctionType]:
    for name in _names(function.__code__):
        for found in (inspect.getattr_static(type(source), name, None), function.__globals__.get(name)):
            if (called := _function(getattr(found, "__func__", found))) is not None:
                yield called


def _names(code: CodeType) -> Iterator[str]:
    """Names of attributes and globals in the code, and in functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
