"""What a request to create a search job asks for, checked as Sumo Logic checks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_cd.demo.sumo_logic.query import Query, parse
from airflow_cd.demo.sumo_logic.query_text import QueryError

_MESSAGES = {
    "generic": "Generic error.",
    "invalid.timestamp.from": "The 'from' field contains an invalid time.",
    "invalid.timestamp.to": "The 'to' field contains an invalid time.",
    "to.smaller.than.from": "The 'from' time cannot be larger than the 'to' time.",
    "unknown.timezone": "The 'timezone' value is not a known time zone.",
    "empty.timezone": "The 'timezone' cannot be blank.",
    "no.query": "No 'query' parameter was provided.",
    "unknown.time.type": "Time type is not correct.",
    "parse.error": "Unable to parse query.",
}


class Refused(Exception):
    """The job is not created.

    :param code: Sumo Logic's code, as its answers spell it.
    """

    def __init__(self, name: str, detail: str = "") -> None:
        self.code = f"searchjob.{name}"
        self.message = f"{_MESSAGES[name]} {detail}".strip()
        super().__init__(self.message)


@dataclass(frozen=True)
class SearchRequest:
    """A search that can be started."""

    query: Query
    since_ms: int
    until_ms: int
    by_receipt_time: bool
    raw_messages: bool


def read(body: bytes) -> SearchRequest:
    """Understand the body of a request.

    :raises Refused: with Sumo Logic's code.
    """
    try:
        wanted = json.loads(body)
    except ValueError:
        raise Refused("generic", "The body is not valid JSON.") from None
    if not isinstance(wanted, dict):
        raise Refused("generic", "The body is not a JSON object.")
    text = wanted.get("query")
    if not isinstance(text, str) or not text.strip():
        raise Refused("no.query")
    zone_name = wanted.get("timeZone", wanted.get("timezone"))
    since = _moment(wanted.get("from"), zone_name, "invalid.timestamp.from")
    until = _moment(wanted.get("to"), zone_name, "invalid.timestamp.to")
    if since > until:
        raise Refused("to.smaller.than.from")
    try:
        query = parse(text)
    except QueryError as error:
        raise Refused("parse.error", str(error)) from None
    return SearchRequest(
        query,
        since,
        until,
        by_receipt_time=_switch(wanted, "byReceiptTime", "unknown.time.type"),
        raw_messages=_switch(wanted, "requiresRawMessages", "generic"),
    )


def _switch(wanted: dict[str, Any], name: str, refusal: str) -> bool:
    value = wanted.get(name)
    if value in (None, "false", "true"):
        return value == "true"
    if not isinstance(value, bool):
        raise Refused(refusal)
    return value


def _moment(value: Any, zone_name: Any, refusal: str) -> int:
    """Epoch milliseconds of a time in ISO 8601, or already in epoch milliseconds."""
    text = str(value).strip()
    if not isinstance(value, (str, int)) or isinstance(value, bool) or not text:
        raise Refused(refusal)
    if text.isdigit():
        return int(text)
    zone = _zone(zone_name)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refused(refusal) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _zone(name: Any) -> tzinfo:
    if name is None or not str(name).strip():
        raise Refused("empty.timezone")
    if str(name).upper() == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused("unknown.timezone") from None
