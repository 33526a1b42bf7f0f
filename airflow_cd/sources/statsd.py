"""Metrics of StatsD as its backends and relays write them to files.

Known are what the console backend prints at each flush, with or without colours; lines of Graphite's protocol
(``stats.timers.cart.mean 12.5 1763874000``); and lines of StatsD's own with a time in front
(``2026-11-23T05:00:00Z shop.orders:1|c|@0.1|#route:/cart``, ``2026-11-23T05:00:00Z shop.orders=3 (count)``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_cd.sources.distributions import Distribution
from airflow_cd.sources.metric_files import Point
from airflow_cd.sources.stamps import Stamps

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_FLUSH = re.compile(
    r"Flushing stats at\s+\w{3} (?P<date>\w{3} \d{1,2} \d{4} \d\d:\d\d:\d\d) GMT(?P<zone>[+-]\d{4})", re.IGNORECASE
)
_STAMP = r"(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)|\d{10}(?:\.\d+)?)"
_GRAPHITE = re.compile(rf"(?P<name>[^\s:|=]+) (?P<value>{_NUMBER}) (?P<stamp>\d{{10}})\s*\Z")
_OWN = re.compile(
    rf"{_STAMP} (?P<name>[^\s:|]+):(?P<values>{_NUMBER}(?::{_NUMBER})*)"
    r"\|(?P<kind>c|g|ms|h|d)(?P<more>(?:\|[^|\s]+)*)\s*\Z"
)
_LOGGED = re.compile(rf"{_STAMP} (?P<name>[^\s=]+)=(?P<value>{_NUMBER}) \((?P<kind>count|gauge|ms)\)\s*\Z")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_TOKEN = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)|(?P<more>\.\.\. \d+ more items?,?)"""
    rf"""|(?P<number>(?<![\w$.]){_NUMBER}(?![\w$]))|(?P<word>[A-Za-z_$][\w$]*)|(?P<sign>[{{}}\[\]:,])"""
)
_COUNTS, _LEVELS = ("c", "count"), ("g", "gauge")
_CUT = "..."  # in the place of values that are not shown


class StatsdStamps(Stamps):
    """The times of lines and of flushes; a line inside of a flush has none of its own."""

    def of(self, line: str) -> datetime | None:
        """When a line was written; None where it does not say.

        :param line: as it stands in the file.
        """
        plain = _COLOUR.sub("", line).strip()
        try:
            if flush := _FLUSH.search(plain):
                return datetime.strptime(f"{flush['date']} {flush['zone']}", "%b %d %Y %H:%M:%S %z")
            for pattern in (_OWN, _LOGGED, _GRAPHITE):
                if found := pattern.match(plain):
                    return _moment(found["stamp"])
        except (ValueError, OverflowError):  # 31 February
            return None
        return None


@dataclass(frozen=True)
class Parsed:
    """What lines say.

    :param points: in the order of the lines.
    :param unread: lines and flushes that are none of StatsD's.
    """

    points: list[Point]
    unread: int


def parsed(lines: Sequence[tuple[datetime, str]], instance: str) -> Parsed:
    """The points of the lines of one instance.

    :param lines: with their times.
    :param instance: its name.
    """
    points: list[Point] = []
    unread = 0
    flushes: list[tuple[float, list[str]]] = []
    is_open = False
    for moment, line in lines:
        bare = _COLOUR.sub("", line).rstrip()
        if _FLUSH.search(bare):
            flushes.append((moment.timestamp(), []))
            is_open = True
        elif is_open:
            flushes[-1][1].append(bare)
            is_open = bare != "}" and not (bare.startswith("{") and bare.endswith("}"))
        elif bare:
            try:
                own = list(_of_line(bare.strip(), instance))
            except (ValueError, OverflowError):
                own = []
            points += own
            unread += not own
    for number, (at, part) in enumerate(flushes, start=1):
        found = _of_flush("\n".join(part), instance, at)
        points += found or ()
        # The last one may still be written: it is whole at the next read.
        unread += found is None and number < len(flushes)
    return Parsed(points, unread)


def _of_line(line: str, instance: str) -> Iterator[Point]:
    if found := _OWN.match(line):
        at, values = _moment(found["stamp"]).timestamp(), [float(one) for one in found["values"].split(":")]
        rate = next((float(one[1:]) for one in found["more"].split("|") if one[:1] == "@"), 1.0)
        if not 0 < rate <= 1:
            return
        if found["kind"] in _COUNTS:
            yield Point(instance, found["name"], at, sum(values) / rate)
        elif found["kind"] in _LEVELS:
            yield from (Point(instance, found["name"], at, value, level=True) for value in values)
        else:
            yield Point(instance, found["name"], at, _distribution(values, rate), unit=_unit(found["kind"]))
    elif found := _LOGGED.match(line):
        at, value = _moment(found["stamp"]).timestamp(), float(found["value"])
        if found["kind"] == "ms":
            yield Point(instance, found["name"], at, _distribution([value], 1.0), unit="ms")
        else:
            yield Point(instance, found["name"], at, value, level=found["kind"] in _LEVELS)
    elif found := _GRAPHITE.match(line):
        name = found["name"]
        # Graphite's protocol has no kinds: StatsD's own names of what it has counted end so.
        counted = name.endswith(".count") or name.startswith("stats_counts.")
        yield Point(instance, name, float(found["stamp"]), float(found["value"]), level=not counted)


def _of_flush(text: str, instance: str, at: float) -> list[Point] | None:
    """The points of one flush; None where it is not whole, or none."""
    try:
        flush = json.loads(_as_json(text))
        points = [Point(instance, name, at, float(value)) for name, value in flush["counters"].items()]
        points += [
            Point(instance, name, at, float(value), level=True) for name, value in (flush.get("gauges") or {}).items()
        ]
        points += [
            Point(instance, name, at, float(len(values)), level=True)
            for name, values in (flush.get("sets") or {}).items()
        ]
        for name, values in (flush.get("timers") or {}).items():
            data = (flush.get("timer_data") or {}).get(name) or {}
            timed = _timed(values, data)
            if timed.count > 0:
                points.append(Point(instance, name, at, timed, unit="ms"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return points


def _timed(values: Sequence[Any], data: Mapping[str, Any]) -> Distribution:
    """Measurements of a flush: those that it shows, as many as it counted."""
    shown = [float(value) for value in values if value != _CUT]
    count = float(data.get("count", len(shown)))
    total = float(data.get("sum", sum(shown)))
    # Those that were sampled count for more than one; what is not shown is known by its sum alone.
    return Distribution(count, total, values=shown if _CUT not in values else [])


def _as_json(text: str) -> str:
    """An object as Node.js prints it, as JSON."""
    parts: list[str] = []
    for found in _TOKEN.finditer(text):
        if found["text"]:
            parts.append(json.dumps(found["text"][1:-1].replace("\\'", "'")))
        elif found["more"]:
            parts.append(json.dumps(_CUT))
        elif found["word"]:
            parts.append(found["word"] if found["word"] in ("null", "true", "false") else json.dumps(found["word"]))
        else:
            parts.append(found[0])
    return "".join(parts)


def _distribution(values: Sequence[float], rate: float) -> Distribution:
    count = len(values) / rate
    return Distribution(count, sum(values) / rate, values=list(values))


def _unit(kind: str) -> str:
    return "ms" if kind == "ms" else ""


def _moment(stamp: str) -> datetime:
    if stamp[4:5] != "-":
        return datetime.fromtimestamp(float(stamp), timezone.utc)
    whole, zone = re.fullmatch(r"(.*?)(Z|[+-]\d\d:?\d\d)", stamp).groups()  # type: ignore[union-attr]
    zone = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[-2:]}"
    head, _, fraction = whole.partition(".")
    return datetime.fromisoformat(f"{head}.{(fraction + '000000')[:6]}{zone}")
