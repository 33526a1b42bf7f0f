"""Sumo Logic: log searches through the Search Job API, version 1."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from airflow.sdk import BaseHook

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized
from airflow_cd.hooks.recent import RECENT, recent
from airflow_cd.hooks.sumo_job import Job, lost_for_good
from airflow_cd.http.auth import basic_auth
from airflow_cd.http.client import HttpClient
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.family import SOURCE
from airflow_cd.http.rate_limit import limiter_of
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.http.session import new_session

log = logging.getLogger(__name__)

_DEPLOYMENTS = ("au", "ca", "ch", "de", "eu", "fed", "in", "jp", "kr", "us2")
REGIONS = {
    "us1": "https://api.sumologic.com",
    **{code: f"https://api.{code}.sumologic.com" for code in _DEPLOYMENTS},
}

# Sumo Logic allows 4 requests a second and 10 at once for one access key; the margin is for uneven networks.
_CALLS, _SECONDS, _CONCURRENT = 4, 1.1, 10
_SMALLEST_SPLIT = timedelta(seconds=1)
_RETRY = RetryPolicy(attempts=5, first_pause=1.0, longest_pause=20.0, spread=0.5)


@dataclass(frozen=True)
class SearchResult:
    """What a search for messages found.

    :param messages: their fields, lower-case names to texts (``_raw``, ``_messagetime`` in epoch ms, …); oldest first.
    :param warnings: Sumo Logic's, each once.
    :param truncated: True when there was more than Sumo Logic, or the given limit, let through.
    :param matched: how many messages Sumo Logic has counted in what was searched; 0 by default.
    """

    messages: list[dict[str, str]]
    warnings: tuple[str, ...] = ()
    truncated: bool = False
    matched: int = 0


@dataclass(frozen=True)
class RecordsResult:
    """What an aggregating search found.

    :param records: their fields, lower-case names to texts.
    :param warnings: as of :class:`SearchResult`.
    :param truncated: as of :class:`SearchResult`.
    """

    records: list[dict[str, str]]
    warnings: tuple[str, ...] = ()
    truncated: bool = False


@dataclass
class _Found:
    """What has been collected so far, over all the windows a search was split into."""

    by_receipt_time: bool
    limit: int | None
    messages: dict[tuple[Any, ...], dict[str, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    truncated: bool = False
    matched: int = 0

    def add(self, messages: Iterable[dict[str, str]], since: datetime, until: datetime) -> None:
        for message in messages:
            if self._is_within(message, since, until):
                self.messages.setdefault(_identity(message), message)

    def warn(self, warnings: Iterable[str]) -> None:
        self.warnings += [warning for warning in warnings if warning not in self.warnings]

    @property
    def room(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - len(self.messages))

    def _is_within(self, message: Mapping[str, str], since: datetime, until: datetime) -> bool:
        try:
            moment = int(message["_receipttime" if self.by_receipt_time else "_messagetime"])
        except (KeyError, ValueError):
            return True
        return _milliseconds(since) <= moment < _milliseconds(until)

    def in_order(self) -> list[dict[str, str]]:
        def moment(message: Mapping[str, str]) -> int:
            try:
                return int(message.get("_messagetime", ""))
            except ValueError:
                return 0

        return sorted(self.messages.values(), key=moment)


class SumoLogicHook(BaseHook):
    """Searches logs over one Airflow connection of type ``sumo_logic``.

    The connection: login is the access id, password the access key; extra holds ``region`` (us1, us2, eu, …),
    ``timeout`` (seconds for a request, 30), ``deadline`` (seconds for a search, 120) and ``verify`` (a CA bundle's
    path). A host replaces the region's address.

    Every method raises a :class:`~airflow_cd.errors.SourceError`: ``SourceUnauthorized``, ``SourceRejected`` for a
    connection and ``SourceQueryRejected`` for a search that is wrong; ``SourceThrottled`` and ``SourceUnavailable``,
    with ``retry_after`` where Sumo Logic asked for a pause, once retrying did not help.

    :param sumo_logic_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "sumo_logic_conn_id"
    default_conn_name = "sumo_logic_default"
    conn_type = "sumo_logic"
    hook_name = "Sumo Logic"

    def __init__(
        self, sumo_logic_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__()
        self.conn_id = sumo_logic_conn_id
        self._sleep = sleep
        self._connection: ConnectionSettings | None = None
        self._moved_to: str | None = None

    @property
    def connection(self) -> ConnectionSettings:
        """The connection, read once."""
        if self._connection is None:
            connection = ConnectionSettings.read(self.conn_id, SOURCE)
            if not connection.login:
                raise SourceUnauthorized(
                    f"connection {self.conn_id!r} has no access id.",
                    next_step="Put the access id into its login field, the access key into its password field.",
                )
            self._connection = connection
        return self._connection

    def get_conn(self) -> HttpClient:
        """Return a session with Sumo Logic, with cookies of its own; use it as a context manager.

        :raises SourceError: the connection is missing or wrong.
        """
        connection = self.connection
        key = connection.key()
        configured = connection.address_in(REGIONS, "us1").removesuffix("/api/v1").removesuffix("/api")
        endpoint = Endpoint(
            name="Sumo Logic",
            conn_id=self.conn_id,
            base_url=self._moved_to or configured,
            errors=SOURCE,
            redact=Redactor(connection.secrets),
            retry=_RETRY,
            timeout=connection.seconds("timeout", 30.0),
            deadline=connection.seconds("deadline", 120.0),
        )
        hosts = connection.text("redirect_hosts").split(",")
        limiter = limiter_of(f"sumo {connection.login} {key}", _CALLS, _SECONDS, _CONCURRENT)
        session = new_session(basic_auth(connection.login, key), connection.verify())
        return HttpClient(
            endpoint,
            session,
            limiter=limiter,
            sleep=self._sleep,
            may_redirect=lambda _, location: may_redirect(configured, location, hosts),
        )

    def search(
        self,
        query: str,
        since: datetime,
        until: datetime,
        *,
        by_receipt_time: bool = False,
        limit: int | None = None,
    ) -> SearchResult:
        """Search for the messages of ``since <= t < until``, each once, oldest first.

        Where Sumo Logic pauses a search at its message limit, the window is halved, down to one second; only what
        does not fit then is left out, and the result is truncated.

        :param query: a search that does not aggregate.
        :param since: aware.
        :param until: aware.
        :param by_receipt_time: whether t is when Sumo Logic received the message, not the message's own time.
        :param limit: the most messages to read, the newest; None for all.
        :raises SourceQueryRejected: Sumo Logic rejected the search, or a time has no time zone.
        :raises SourceError: as of the class.
        """
        found = _Found(by_receipt_time=by_receipt_time, limit=limit)
        with self._session() as client:
            self._collect(client, query, since, until, found)
        return SearchResult(found.in_order(), tuple(found.warnings), found.truncated, found.matched)

    def _collect(self, client: HttpClient, query: str, since: datetime, until: datetime, found: _Found) -> None:
        if since >= until:
            return
        if found.room == 0:
            found.truncated = True
            return
        if self._read(client, query, since, until, found, split=until - since > _SMALLEST_SPLIT):
            return
        middle = datetime.fromtimestamp((_milliseconds(since) + _milliseconds(until)) // 2 / 1000, timezone.utc)
        log.info("Sumo Logic paused the search at its message limit; it is split at %s.", middle.isoformat())
        self._collect(client, query, middle, until, found)
        self._collect(client, query, since, middle, found)

    def _read(
        self, client: HttpClient, query: str, since: datetime, until: datetime, found: _Found, *, split: bool
    ) -> bool:
        """Run one search job; returns False when it was paused and the window is to be split."""
        body = _job_of(query, since, until, by_receipt_time=found.by_receipt_time, raw=True)
        for job in self._attempts(client, body):
            with job:
                job.wait()
                found.warn(job.warnings)
                if job.paused and split:
                    return False
                page = job.messages(found.room)
                found.warn(job.warnings)
                found.add(page, since, until)
                found.matched += job.message_count
                found.truncated |= job.paused or job.incomplete or job.message_count > len(page)
        return True

    def records(
        self,
        query: str,
        since: datetime,
        until: datetime,
        *,
        by_receipt_time: bool = False,
        limit: int | None = None,
    ) -> RecordsResult:
        """Read the records of a search that aggregates (``| timeslice 1m | count by _timeslice``).

        :param query: the search.
        :param since: as of :meth:`search`.
        :param until: as of :meth:`search`.
        :param by_receipt_time: as of :meth:`search`.
        :param limit: the most records to read; None for all.
        :raises SourceError: as of the class.
        """
        body = _job_of(query, since, until, by_receipt_time=by_receipt_time, raw=False)
        with self._session() as client:
            for job in self._attempts(client, body):
                with job:
                    job.wait()
                    records = job.records(limit)
                    truncated = job.paused or job.incomplete or job.record_count > len(records)
                    return RecordsResult(records, tuple(job.warnings), truncated)
        raise AssertionError("attempts end by returning or raising")  # pragma: no cover

    @contextlib.contextmanager
    def _session(self) -> Iterator[HttpClient]:
        with self.get_conn() as client:
            before = client.base_url
            try:
                yield client
            finally:
                if client.base_url != before:
                    self._moved_to = client.base_url

    def _attempts(self, client: HttpClient, body: Mapping[str, Any]) -> Iterator[Job]:
        """A search job, and a second one should the first be lost.

        Lost means that Sumo Logic does not have it any more: it was cancelled for want of polls, or a cookie was
        dropped.
        """
        first = Job(client, body)
        yield first
        if first.lost is None:
            return
        log.warning("Sumo Logic lost search job %s; it is created again.", first.id)
        second = Job(client, body)
        yield second
        if second.lost is not None:
            raise lost_for_good(client, second.lost)

    def test_connection(self) -> tuple[bool, str]:
        """Check the connection by searching for the newest message, as a verification would.

        :returns: whether it worked, and a sentence.
        """
        now = datetime.now(timezone.utc)
        try:
            result = self.search("*", now - RECENT, now, limit=1)
        except SourceError as error:
            return False, str(error)
        warnings = f" Warnings: {'; '.join(result.warnings)}." if result.warnings else ""
        moment = result.messages[-1].get("_messagetime", "") if result.messages else ""
        newest = int(moment) if moment.isdigit() else None
        messages = recent(result.matched, "message", newest, at_least=result.truncated)
        return True, f"Access id {self.connection.login} may search Sumo Logic: {messages}.{warnings}"


def may_redirect(configured: str, location: str, hosts: Collection[str] = ()) -> bool:
    """Whether credentials for one URL may follow a redirect to another: an explicit list of hosts, nothing like them.

    They may to the configured host and port, from one of Sumo Logic's endpoints (:data:`REGIONS`) to another, on the
    loopback from one port to another, and to what the connection names; never from TLS to plain HTTP.

    :param configured: the URL the credentials are for.
    :param location: where the redirect leads, perhaps relative.
    :param hosts: further ones, ``host`` or ``host:port``: the connection's ``redirect_hosts``.
    """
    here = urlsplit(configured)
    try:
        place = urljoin(configured + "/", location)
        there = urlsplit(place)
        old, new = _host_and_port(here), _host_and_port(there)
    except ValueError:
        return False
    if there.scheme not in ("http", "https") or (here.scheme == "https" and there.scheme != "https"):
        return False
    if "@" in there.netloc or not place.isprintable() or "\\" in place:
        return False
    known = {_host_and_port(urlsplit(url)) for url in REGIONS.values()}
    given = set()
    for host in filter(None, map(str.strip, hosts)):
        # Of one that cannot be read nothing follows.
        with contextlib.suppress(ValueError):
            given.add(_host_and_port(urlsplit(f"{there.scheme}://{host}")))
    if here.hostname in _LOOPBACK and there.hostname in _LOOPBACK:
        return True
    return new in {old, *given} or (there.scheme == "https" and {old, new} <= known)


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    return (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _job_of(query: str, since: datetime, until: datetime, *, by_receipt_time: bool, raw: bool) -> dict[str, Any]:
    if since.tzinfo is None or until.tzinfo is None:
        raise SourceQueryRejected("A search needs times with a time zone.", next_step="Give aware datetimes.")
    return {
        "query": query,
        "from": str(_milliseconds(since)),
        "to": str(_milliseconds(until)),
        "timeZone": "UTC",
        "byReceiptTime": by_receipt_time,
        "autoParsingMode": "Manual",
        "requiresRawMessages": raw,
    }


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _identity(message: Mapping[str, str]) -> tuple[Any, ...]:
    """What makes a message the same one in two searches: its id, or all its fields when it has none."""
    if message.get("_messageid"):
        return (message["_messageid"], message.get("_messagetime"))
    return tuple(sorted(message.items()))
