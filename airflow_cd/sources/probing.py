"""A request of a probe and its answer: a fault of the instance, never of the source."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_cd.http.auth import NoAuth
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.exchange import Answer, ExchangeFailed, FailureKind, Request, exchange
from airflow_cd.http.family import SOURCE
from airflow_cd.http.json_values import MISSING, value_at
from airflow_cd.http.session import new_session
from airflow_cd.sources.buckets import utc_now

if TYPE_CHECKING:
    from requests.auth import AuthBase

    from airflow_cd.sources.probe import HttpProbe

_MOST_BYTES = 1_000_000
_WORDS = {
    FailureKind.CONNECTION: "cannot be reached",
    FailureKind.TLS: "its certificate is not trusted",
    FailureKind.TOO_LARGE: f"its answer is longer than {_MOST_BYTES:,} bytes",
    FailureKind.UNUSABLE: "answers with what is not HTTP",
}


@dataclass(frozen=True)
class Seen:
    """What an instance answered.

    :param instance: its name.
    :param at: when it was asked, aware.
    :param milliseconds: how long it took; None where there was no answer.
    :param wrong: what is not as it must be, ``""`` for nothing.
    """

    instance: str
    at: datetime
    milliseconds: float | None
    wrong: str


@dataclass(frozen=True)
class Probing:
    """A probe with its connection read.

    :param probe: what is asked and expected.
    :param auth: of its requests.
    :param headers: of its requests.
    :param verify: how TLS is checked: True, False, or the path of a CA bundle.
    """

    probe: HttpProbe
    auth: AuthBase
    headers: Mapping[str, str]
    verify: bool | str

    @classmethod
    def of(cls, probe: HttpProbe) -> Probing:
        """Read the connection of a probe.

        :param probe: what is asked and expected.
        :raises SourceError: the connection is missing or wrong.
        """
        headers = {name: str(value) for name, value in probe.headers.items()}
        if not probe.conn_id:
            return cls(probe, NoAuth(), headers, True)
        connection = ConnectionSettings.read(probe.conn_id, SOURCE)
        return cls(probe, connection.auth(), {**headers, **connection.headers()}, connection.verify())

    def is_known(self, url: str) -> bool:
        """Whether the host of a URL has an address: one that has none says nothing of the release.

        :param url: of an instance.
        """
        try:
            return bool(socket.getaddrinfo(urlsplit(url).hostname, None))
        except (OSError, UnicodeError):
            return False

    def ask(self, instance: str, url: str) -> Seen:
        """Ask an instance once.

        :param instance: its name.
        :param url: of the instance.
        """
        at, began = utc_now(), time.monotonic()
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        request = Request(self.probe.method.upper(), path, body=self.probe.body, headers=self.headers)
        within = self.probe.within.total_seconds()
        try:
            with new_session(self.auth, self.verify) as session:
                base = f"{parts.scheme}://{parts.netloc}"
                answer = exchange(session, base, request, timeout=within, max_bytes=_MOST_BYTES)
        except ExchangeFailed as failed:
            wrong = _WORDS.get(failed.kind) or f"has not answered within {within:g} s"
            return Seen(instance, at, None, wrong)
        took = time.monotonic() - began
        wrong = next(self._wrong(answer), "")
        if not wrong and took > within:
            wrong = f"answered after more than {within:g} s"
        return Seen(instance, at, took * 1000, wrong)

    def _wrong(self, answer: Answer) -> Iterator[str]:
        expected = self.probe.status
        codes = [expected] if isinstance(expected, int) else sorted(expected)
        if answer.status not in codes:
            yield f"answers {answer.status}, not {' or '.join(map(str, codes))}"
        text = answer.content.decode("utf-8", "replace")
        if self.probe.contains and self.probe.contains not in text:
            yield f"its answer does not hold {self.probe.contains!r}"
        if self.probe.matches and not re.search(self.probe.matches, text):
            yield f"nothing in its answer matches {self.probe.matches!r}"
        if self.probe.json and not answer.is_json:
            yield "its answer is not JSON"
            return
        for place, value in self.probe.json.items():
            found = value_at(answer.json, place)
            if found is MISSING:
                yield f"its answer has no {place}"
            elif found != value or isinstance(found, bool) is not isinstance(value, bool):
                yield f"{place} is not {value!r}"
