"""The moment that the stamp of a raw line states, as a number."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_A_YEAR = 2000  # for stamps without one: only differences count
_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE = r"(?: ?(?P<zone>Z|[+-]\d\d:?\d\d)(?!\d))?"
_NAMED_MONTH = r"(?P<name>[A-Z][a-z]{2})"
_STAMPS = (
    re.compile(rf"(?<!\d)(?P<year>\d{{4}})[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)[T _,]{{1,2}}{_CLOCK}{_ZONE}"),
    re.compile(rf"(?<!\d)(?P<day>\d\d?)[-/. ]{_NAMED_MONTH}[a-z]*[-/. ](?P<year>\d{{4}})[ :,T]{{1,2}}{_CLOCK}{_ZONE}"),
    re.compile(rf"\b{_NAMED_MONTH} {{1,2}}(?P<day>\d\d?),? (?:(?P<year>\d{{4}}),? )?{_CLOCK}"),
    re.compile(rf"(?:^|[ \[])[IWEFDVC]?(?P<month>\d\d)-?(?P<day>\d\d) {_CLOCK}"),
)
_EPOCH = re.compile(
    r'(?:^[\[(]?|"@?(?:time|timestamp|ts|t|date|instant|epochSecond|timeMillis)" ?: ?"?|\b(?:ts|time)=)'
    r"(?P<whole>1\d{9})(?P<rest>\d{0,9})(?P<fraction>\.\d{1,9})?(?!\d)"
)
_FIELDS = (
    *(
        "@timestamp",
        "timestamp",
        "time",
        "ts",
        "t",
        "@t",
        "datetime",
        "date_time",
        "asctime",
        "eventtime",
        "event_time",
    ),
    *("instant", "epochsecond", "timemillis", "time_local", "timestamp_ms", "logged_at", "log_time", "date"),
)
"""Names of the time of a record, the surest first."""
_LISTED = "|".join(re.escape(name) for name in sorted(_FIELDS, key=len, reverse=True))
_QUOTED = r'"(?P<quoted>[^"]{8,64})"'
_JSON_FIELD = re.compile(
    rf'"(?P<field>{_LISTED})"\s*:\s*(?:\{{\s*"\$date"\s*:\s*)?(?:{_QUOTED}|(?P<bare>\d[\d.]{{8,30}}))',
    re.IGNORECASE,
)
_LOGFMT = re.compile(r"[\w.@-]+=")
_LOGFMT_FIELD = re.compile(rf'(?<!\S)(?P<field>{_LISTED})=(?:{_QUOTED}|(?P<bare>[^\s"]{{8,64}}))', re.IGNORECASE)
_LONGEST = 1 << 16


def stated(line: str) -> str | None:
    """The time that a record of fields states, as it is written; None where the line is none, or names no such field.

    What else looks like a time may stand before it, in its message for one.

    :param line: a raw line.
    """
    if line.startswith("{"):
        found = list(_JSON_FIELD.finditer(line, 0, _LONGEST))
        if len(found) > 1 and (own := _of_the_record(line)) is not None:
            found = [one for one in found if one["field"] == own] or found
    elif _LOGFMT.match(line):
        found = list(_LOGFMT_FIELD.finditer(line, 0, _LONGEST))
    else:
        return None
    return next((text for one in found if time_in(text := one["quoted"] or one["bare"]) is not None), None)


def _of_the_record(line: str) -> str | None:
    """The name of the field that states the time of a record, not of something inside of it."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = {str(name).lower(): str(name) for name in fields}
    return next((known[name] for name in _FIELDS if name in known), None)


def time_in(line: str) -> float | None:
    """The time in a line's header, in seconds since 1970; None where none is recognised.

    Good for differences between lines of one layout only: a stamp without a year or a zone gets some.

    :param line: the beginning of a raw line.
    """
    line = stated(line) or line
    stamps = [(found.start(), found) for rule in _STAMPS if (found := rule.search(line)) is not None]
    epoch = _EPOCH.search(line)
    if epoch is not None and all(epoch.start() < start for start, _ in stamps):
        rest = epoch["rest"]
        return int(epoch["whole"]) + float(f"0.{rest or (epoch['fraction'] or '.0')[1:]}")
    return _seconds(min(stamps, key=lambda item: item[0])[1].groupdict()) if stamps else None


def _seconds(parts: dict[str, str | None]) -> float | None:
    name = (parts.get("name") or "").lower()
    month = _MONTHS.index(name) + 1 if name in _MONTHS else parts.get("month")
    try:
        moment = datetime(
            int(parts.get("year") or _A_YEAR),
            int(month or 0),
            int(parts["day"] or 0),
            int(parts["hour"] or 0),
            int(parts["minute"] or 0),
            min(59, int(parts["second"] or 0)),
            tzinfo=_zone(parts.get("zone")),
        )
        return moment.timestamp() + float(f"0.{parts.get('fraction') or 0}")
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    if not text or text == "Z":
        return timezone.utc
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
