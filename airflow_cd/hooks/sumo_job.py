"""One search job of Sumo Logic: created, kept alive, read in pages, and always deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.halving import fitting
from airflow_cd.http.client import HttpClient
from airflow_cd.http.endpoint import Endpoint, message_of
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of

log = logging.getLogger(__name__)

_JOBS = "/api/v1/search/jobs"
_DONE = "DONE GATHERING RESULTS"
_PAUSED = ("FORCE PAUSED", "PAUSED")
_CANCELLED = ("CANCELLED", "CANCELED")
_PAGE = 10_000
# A job that is not polled for 20 to 30 s is cancelled.
_FIRST_POLL, _LONGEST_POLL = 0.2, 5.0


class JobLost(Exception):
    """Sumo Logic does not have the job any more."""


def lost_for_good(client: HttpClient, why: JobLost) -> SourceUnavailable:
    """Return the error for a job that was lost, created again, and lost again.

    :param client: the session the job ran in.
    :param why: how it was lost the second time.
    """
    return SourceUnavailable(
        f"{client.endpoint.title} lost the search job twice: {client.endpoint.redact.line(why)}.",
        next_step="Check whether a proxy in between drops cookies, and whether searches are being cancelled.",
    )


class Job:
    """A search job. Entering creates it, leaving deletes it, whatever happened in between.

    A job that Sumo Logic loses ends its ``with`` block quietly and is :attr:`lost`.

    :param client: a session with Sumo Logic.
    :param body: what the job is created with.
    """

    def __init__(self, client: HttpClient, body: Mapping[str, Any]) -> None:
        self._client = client
        self._body = body
        self.id = ""
        self.lost: JobLost | None = None
        self.paused = False
        self.incomplete = False
        self.message_count = 0
        self.record_count = 0
        self.warnings: list[str] = []

    def __enter__(self) -> Job:
        # Cookies tie a job to one server; those of an earlier job would lead to the wrong one.
        self._client.session.cookies.clear()
        made = self._client.json(Request("POST", _JOBS, self._body), judge=_judge_creation(self._client.endpoint))
        self.id = str(made.get("id") or "") if isinstance(made, Mapping) else ""
        if not self.id:
            raise SourceUnavailable(
                f"{self._client.endpoint.title} created a search job without an id.",
                next_step="Check the connection's host: this does not look like Sumo Logic.",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._delete()
        if isinstance(error, JobLost):
            self.lost = error
        return self.lost is not None

    def _delete(self) -> None:
        try:
            self._client.once(Request("DELETE", f"{_JOBS}/{self.id}"), timeout=5.0)
        except SourceError as error:
            log.warning("Search job %s was not deleted, Sumo Logic ends it within 30 s: %s", self.id, error)

    def wait(self) -> None:
        """Poll the job until it is done or paused.

        :raises SourceQueryRejected: it ended with errors and without a message or record.
        :raises JobLost: Sumo Logic cancelled it, or does not have it any more.
        """
        pause = _FIRST_POLL
        errors: list[str] = []
        while True:
            status = self._get("")
            state = str(status.get("state", "")).strip().upper()
            self.message_count = _count(status.get("messageCount"))
            self.record_count = _count(status.get("recordCount"))
            errors += self._texts(status, "pendingErrors")
            self._warn(status)
            if state in _CANCELLED:
                raise JobLost("it was cancelled")
            if state == _DONE or state in _PAUSED:
                break
            # States this client does not know count as work in progress, until the deadline.
            self._client.sleep(max(0.0, min(pause, self._client.remaining)))
            pause = min(pause * 1.5, _LONGEST_POLL)
        self.paused = state in _PAUSED
        if errors and not (self.message_count or self.record_count):
            raise SourceQueryRejected(
                f"{self._client.endpoint.title} ended the search with errors: {'; '.join(errors)}.",
                next_step="Correct the query.",
            )
        self.incomplete = bool(errors)
        self.warnings += [f"error: {text}" for text in errors if f"error: {text}" not in self.warnings]

    def messages(self, limit: int | None = None) -> list[dict[str, str]]:
        """Read the messages, newest first.

        :param limit: the most messages to read; None for all.
        """
        return self._pages("messages", self.message_count, limit)

    def records(self, limit: int | None = None) -> list[dict[str, str]]:
        """Read the records of an aggregating query.

        :param limit: the most records to read; None for all.
        """
        return self._pages("records", self.record_count, limit)

    def _pages(self, what: str, count: int, limit: int | None) -> list[dict[str, str]]:
        wanted = count if limit is None else min(count, limit)
        rows: list[dict[str, str]] = []
        size = _PAGE

        def read(size: int) -> Mapping[str, Any]:
            return self._get(f"/{what}", {"offset": len(rows), "limit": size})

        while len(rows) < wanted:
            page, size = fitting(read, min(size, wanted - len(rows)))
            self._warn(page)
            items = [_fields(item) for item in list_of(page.get(what))]
            if not items:
                self.warnings.append(f"Sumo Logic counted {count} {what} and gave {len(rows)}.")
                break
            # A page may be shorter than asked for (100 MB at most): continue behind what was received.
            rows += items
        return rows

    def _get(self, path: str, params: Mapping[str, int] | None = None) -> Mapping[str, Any]:
        content = self._client.json(Request("GET", f"{_JOBS}/{self.id}{path}", params=params), judge=_judge_job)
        if not isinstance(content, Mapping):
            raise SourceUnavailable(
                f"{self._client.endpoint.title} answered with {type(content).__name__}, not with an object.",
                next_step="Check the connection's host: this does not look like Sumo Logic.",
            )
        return content

    def _warn(self, content: Mapping[str, Any]) -> None:
        texts = self._texts(content, "pendingWarnings")
        if content.get("warning"):
            texts.append(self._client.endpoint.redact.line(content["warning"]))
        self.warnings += [text for text in texts if text not in self.warnings]

    def _texts(self, content: Mapping[str, Any], name: str) -> list[str]:
        return [self._client.endpoint.redact.line(text) for text in list_of(content.get(name))]


def _judge_job(answer: Answer) -> None:
    reason = message_of(answer.json)
    is_lost = answer.status == 404 or "jobid.invalid" in reason.lower() or "job id is invalid" in reason.lower()
    if answer.status >= 400 and is_lost:
        raise JobLost(reason or f"HTTP {answer.status}")


def _judge_creation(endpoint: Endpoint) -> Callable[[Answer], None]:
    def judge(answer: Answer) -> None:
        if answer.status == 403:
            raise SourceUnauthorized(
                f"{endpoint.title} does not allow search jobs (403): {endpoint.reason_of(answer)}.",
                next_step="The account type must include the Search Job API, and the role needs Download Search "
                "Results, View Collectors and Manage Access Keys.",
            )
        if answer.status == 404:
            raise SourceQueryRejected(
                f"{endpoint.title} has no Search Job API at this address (404).",
                next_step="Correct the host in the connection.",
            )

    return judge


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _fields(item: Any) -> dict[str, str]:
    fields = item.get("map") if isinstance(item, Mapping) else None
    return {str(name).lower(): str(value) for name, value in fields.items()} if isinstance(fields, Mapping) else {}
