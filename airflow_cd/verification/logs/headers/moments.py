"""The moment that the stamp of a raw line states, as a number."""

from __future__ import annotations

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


def time_in(line: str) -> float | None:
    """The time in a line's header, in seconds since 1970; None where none is recognised.

    Good for differences between lines of one layout only: a stamp without a year or a zone gets some.

    :param line: the beginning of a raw line.
    """
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
