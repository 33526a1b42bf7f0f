"""Durations as authors write them: ``"10m"``, ``"1h30m"``, ``30``, ``timedelta(minutes=10)``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias, cast, overload

DurationLike: TypeAlias = "str | int | float | timedelta"

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)\s*")
_EXPECTED = 'expected something like "30s", "10m", "1h30m", a number of seconds or a timedelta'


def parse_duration(value: DurationLike) -> timedelta:
    """Parse a duration.

    :param value: text of numbers with a unit each (``ms``, ``s``, ``m`` or ``min``, ``h``, ``d``, ``w``), a number of
        seconds, or a timedelta. Zero is allowed.
    :raises ValueError: it is none of these, not finite, or negative.
    """
    if isinstance(value, timedelta):
        length = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not a duration: {_EXPECTED}")
        length = _of_seconds(value, value)
    elif isinstance(value, str):
        length = _of_text(value)
    else:
        raise ValueError(f"{value!r} is not a duration: {_EXPECTED}")
    if length < timedelta(0):
        raise ValueError(f"{value!r} is not a duration: it is negative")
    return length


def format_duration(length: timedelta) -> str:
    """Format a duration so that :func:`parse_duration` reads it back: ``1h30m``, ``45s``, ``0s``.

    :param length: the duration, rounded to milliseconds.
    """
    milliseconds = round(length.total_seconds() * 1000)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _of_text(value: str) -> timedelta:
    text = value.strip()
    position, seconds = 0, 0.0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError(f"{value!r} is not a duration: {_EXPECTED}")
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    if not text:
        raise ValueError(f"{value!r} is not a duration: {_EXPECTED}")
    return _of_seconds(seconds, value)


def _of_seconds(seconds: float, value: DurationLike) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{value!r} is not a duration: it is too long") from error


class DurationField:
    """A dataclass field that is set to any :data:`DurationLike` and read as a timedelta.

    A value that cannot be parsed is kept as it is, so that a specification can be built anyway and all of its
    mistakes can be reported at once, this one by :meth:`mistake`.

    :param default: the field's default.
    """

    def __init__(self, default: DurationLike) -> None:
        self.default = parse_duration(default)
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> timedelta: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> timedelta: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> timedelta:
        if instance is None:
            return self.default
        return cast("timedelta", instance.__dict__.get(self.name, self.default))

    def __set__(self, instance: object, value: DurationLike) -> None:
        try:
            instance.__dict__[self.name] = parse_duration(value)
        except ValueError:
            instance.__dict__[self.name] = value

    @staticmethod
    def mistake(value: object, name: str, *, least: DurationLike = 0) -> str | None:
        """What is wrong with a field's value, as a sentence that names the field; None if nothing is.

        :param value: the value.
        :param name: the field.
        :param least: the shortest duration allowed.
        """
        try:
            length = parse_duration(cast("DurationLike", value))
        except ValueError as error:
            return f"{name}: {error}"
        if length < parse_duration(least):
            return f"{name}: {format_duration(length)} is too short, at least {format_duration(parse_duration(least))}"
        return None
