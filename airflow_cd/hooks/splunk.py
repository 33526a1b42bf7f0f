"""Splunk: events of a time, by search jobs of its REST API."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnavailable
from airflow_cd.hooks.halving import fitting
from airflow_cd.hooks.recent import RECENT, recent
from airflow_cd.hooks.service import ServiceHook
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of, object_of
from airflow_cd.wording import first_of

PAGE = 10_000
MOST_EVENTS = 500_000
"""Of one search, where nobody says it."""

_JOBS = "/services/search/jobs"
_FIRST_POLL, _LONGEST_POLL = 0.2, 5.0
_KEPT = 60  # seconds for which a job that nobody asks for lives on
_WRONG = re.compile(
    r"unable to parse|unknown (?:search )?command|unbalanced|syntax|mismatched|malformed|error in 'search' command"
    r"|comparator|not a valid",
    re.IGNORECASE,
)
# A warning that is none of these may mean that something is missing.
_HARMLESS = (
    "took longer than expected",
    "unusually slow",
    "deprecated",
    "time range",
    "timerange",
    "wildcard",
    "info.csv",
    # Knowledge that an app has lost adds fields to events, and takes none away.
    "lookup",
    "eventtype",
    "unable to find tag",
)
_ORDER = "sub-second order"
_PARTIAL = ("finalized", "incomplete", "peer", "truncat", "skipped", "not be returned")
_EXACT = timedelta(milliseconds=1)  # of the times that events are handed out with


@dataclass(frozen=True)
class Found:
    """What a search found.

    :param rows: fields of each event or line, by name.
    :param more: whether there are more events than were handed out.
    :param partial: whether Splunk says that it has not looked at everything.
    :param warnings: what Splunk says about the answer.
    """

    rows: list[Mapping[str, Any]]
    more: bool
    partial: bool
    warnings: tuple[str, ...]


class SplunkHook(ServiceHook):
    """Searches Splunk over one Airflow connection of type ``splunk``; see :class:`ServiceHook`.

    The host is that of the management port, ``https://splunk.example.com:8089``; the password alone is an
    authentication token.

    :param splunk_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "splunk_conn_id"
    default_conn_name = "splunk_default"
    conn_type = "splunk"
    hook_name = "Splunk"
    scheme = "https"

    def __init__(self, splunk_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(splunk_conn_id, sleep=sleep)

    def search(self, query: str, since: datetime, until: datetime, most: int = MOST_EVENTS) -> Found:
        """What a search finds of ``since <= t < until``, and perhaps a millisecond around it.

        :param query: in SPL, with its first command.
        :param since: aware; ``until`` likewise.
        :param most: events at most, the newest.
        :returns: ``partial`` where Splunk warns of anything that is not known to be harmless.
        :raises SourceQueryRejected: the search is wrong.
        :raises SourceUnavailable: Splunk does not answer, or with a part of what there is.
        """
        form = {
            "search": query,
            "earliest_time": f"{(since - _EXACT).timestamp():.6f}",
            "latest_time": f"{(until + _EXACT).timestamp():.6f}",
            "exec_mode": "normal",
            "adhoc_search_level": "fast",
            "max_count": str(most),
            "auto_cancel": str(_KEPT),
            "timeout": str(_KEPT),
            "output_mode": "json",
        }
        with self.get_conn() as client, _job(client, form) as job:
            status = self._finished(client, job)
            warnings = dict.fromkeys(_texts(status.get("messages"), "WARN"))
            partial = [text for text in warnings if _is_of_a_part(text)]
            # What ended a search early may be told as information alone.
            partial += [text for text in _texts(status.get("messages"), "INFO") if _is_of_a_part(text, warns=False)]
            warnings |= dict.fromkeys(partial)
            rows = list(self._rows(client, job, _number(status.get("resultCount"))))
        transforms = status.get("reportSearch") not in (None, "")
        cut = not transforms and _number(status.get("eventCount")) > len(rows)
        return Found(rows, cut, bool(partial), tuple(warnings))

    def indices(self) -> list[str]:
        """Names of the indices that the user may search.

        :raises SourceError: as of :meth:`search`.
        """
        now = datetime.now().astimezone()
        query = "| eventcount summarize=false index=* index=_* | stats count by index"
        rows = self.search(query, now - timedelta(minutes=1), now).rows
        return sorted(str(row["index"]) for row in rows if row.get("index"))

    def tried(self) -> str:
        """How many events the last five minutes hold, how old the newest is, and of which indices they are."""
        now = datetime.now().astimezone()
        query = "| tstats count max(_time) as newest where index=* by index"
        rows = self.search(query, now - RECENT, now).rows
        names = sorted(str(row.get("index")) for row in rows)
        number = sum(_number(row.get("count")) for row in rows)
        times = [1000.0 * float(row["newest"]) for row in rows if row.get("newest")]
        of = f"in {first_of(names, 8)}" if names else "in any index that this user may search"
        return f"It answers searches: {recent(number, 'event', max(times, default=None))}, {of}."

    def _finished(self, client: HttpClient, job: str) -> Mapping[str, Any]:
        pause = _FIRST_POLL
        while True:
            answer = object_of(client.json(Request("GET", job, params={"output_mode": "json"}), judge=_judge))
            entries = list_of(answer.get("entry"))
            status = object_of(object_of(entries[0] if entries else None).get("content"))
            state, title = str(status.get("dispatchState", "")).upper(), client.endpoint.title
            errors = client.endpoint.redact.line("; ".join(_texts(status.get("messages"), "ERROR", "FATAL")))
            if state == "FAILED" or status.get("isFailed") in (True, "1", 1):
                if _WRONG.search(errors):
                    raise SourceQueryRejected(
                        f"{title} rejected the search: {errors}.", next_step="Correct the search."
                    )
                raise SourceUnavailable(
                    f"{title} has not carried out the search, which failed: {errors or 'nothing says why'}.",
                    next_step="See its search.log; correct the search where it is about that.",
                )
            if state == "DONE":
                # One that was finalized ended before it had looked at everything.
                if errors or status.get("isFinalized") in (True, "1", 1):
                    raise SourceUnavailable(
                        f"{title} answered with a part of what there is: {errors or 'the search was ended early'}.",
                        next_step="See whether all its peers are up, and how long this user's searches may take.",
                    )
                return status
            # Whatever else it is called, it is not over.
            client.sleep(max(0.0, min(pause, client.remaining)))
            pause = min(pause * 1.5, _LONGEST_POLL)

    def _rows(self, client: HttpClient, job: str, number: int) -> Iterator[Mapping[str, Any]]:
        offset, size = 0, PAGE

        def read(size: int) -> Mapping[str, Any]:
            asked = {"output_mode": "json", "offset": str(offset), "count": str(size)}
            return object_of(client.json(Request("GET", f"{job}/results", params=asked), judge=_judge))

        while offset < number:
            answer, size = fitting(read, size)
            rows = [object_of(row) for row in list_of(answer.get("results"))]
            if not rows:
                raise SourceUnavailable(
                    f"{client.endpoint.title} handed out {offset} of {number} results.", next_step="Try again later."
                )
            yield from rows
            # As many as it gives: a server may allow fewer than were asked for.
            offset += len(rows)


class _Lost(Exception):
    """The job is not there any more."""


def _judge(answer: Answer) -> None:
    if answer.status == 404:
        raise _Lost


@contextlib.contextmanager
def _job(client: HttpClient, form: Mapping[str, str]) -> Iterator[str]:
    """A search job, by the path that leads to it."""
    made = object_of(client.json(Request("POST", _JOBS, form=form)))
    sid = made.get("sid")
    if not isinstance(sid, str) or not sid:
        raise SourceUnavailable(
            f"{client.endpoint.title} does not answer as Splunk's REST API does.",
            next_step="Put the address of its management port into the host field of the connection, port 8089.",
        )
    path = f"{_JOBS}/{quote(sid, safe='')}"
    try:
        yield path
    except _Lost:
        raise SourceUnavailable(
            f"{client.endpoint.title} does not have the search job {sid} any more.",
            next_step="See whether a load balancer sends requests to several search heads, or jobs are cancelled.",
        ) from None
    finally:
        with contextlib.suppress(SourceError):
            client.once(Request("DELETE", path), timeout=5.0)


def _texts(messages: Any, *types: str) -> list[str]:
    found = [object_of(one) for one in list_of(messages)]
    return [str(one.get("text", "")) for one in found if str(one.get("type", "")).upper() in types]


def _is_of_a_part(text: str, *, warns: bool = True) -> bool:
    """Whether a message of a job means that something is missing, or may."""
    said = text.lower()
    if _ORDER in said:
        return False
    return any(word in said for word in _PARTIAL) or (warns and not any(word in said for word in _HARMLESS))


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
