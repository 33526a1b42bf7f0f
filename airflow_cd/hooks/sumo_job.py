"""One search job of Sumo Logic: created, kept alive, read in pages, and always deleted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.vendor_http import VendorClient, message_of

log = logging.getLogger(__name__)

_JOBS = "/api/v1/search/jobs"
_DONE = "DONE GATHERING RESULTS"
_PAUSED = ("FORCE PAUSED", "PAUSED")
_CANCELLED = ("CANCELLED", "CANCELED")
_PAGE = 10_000
# A job that nobody asks after for 20 to 30 s is cancelled.
_FIRST_POLL, _LONGEST_POLL = 0.2, 5.0


class JobLost(Exception):
    """Sumo Logic does not know the job any more."""


def lost_for_good(client: VendorClient, why: JobLost) -> SourceUnavailable:
    """The error for a job that was lost, created again, and lost again."""
    return SourceUnavailable(
        f"{client.endpoint.whom} lost the search job twice: {client.endpoint.redact(why)}.",
        next_step="Look whether a proxy between drops cookies, and whether somebody cancels searches.",
    )


class Job:
    """A search job. Entering creates it, leaving deletes it, whatever happened in between.

    A job that Sumo Logic loses ends its ``with`` block quietly and says so in :attr:`lost`.

    :param body: what the job is created with.
    """

    def __init__(self, client: VendorClient, body: Mapping[str, Any]) -> None:
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
        self._client.cookies.clear()
        made = self._client.json("POST", _JOBS, body=self._body, judge=_judge_creation(self._client))
        self.id = str(made.get("id") or "") if isinstance(made, Mapping) else ""
        if not self.id:
            raise SourceUnavailable(
                f"{self._client.endpoint.whom} created a search job without an id.",
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
            self._client.once("DELETE", f"{_JOBS}/{self.id}", timeout=5.0)
        except SourceError as error:
            log.warning("Search job %s was not deleted, Sumo Logic ends it within 30 s: %s", self.id, error)

    def wait(self) -> None:
        """Ask after the job until it is done or paused.

        :raises SourceQueryRejected: it ended with errors and without a message or record.
        :raises JobLost: Sumo Logic cancelled it, or knows it no more.
        """
        pause = _FIRST_POLL
        errors: list[str] = []
        while True:
            status = self._ask("")
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
                f"{self._client.endpoint.whom} ended the search with errors: {'; '.join(errors)}.",
                next_step="Correct the query.",
            )
        self.incomplete = bool(errors)
        self.warnings += [f"error: {text}" for text in errors if f"error: {text}" not in self.warnings]

    def messages(self, limit: int | None = None) -> list[dict[str, str]]:
        """The messages, newest first; at most ``limit``."""
        return self._pages("messages", self.message_count, limit)

    def records(self, limit: int | None = None) -> list[dict[str, str]]:
        """The records of an aggregating query; at most ``limit``."""
        return self._pages("records", self.record_count, limit)

    def _pages(self, what: str, count: int, limit: int | None) -> list[dict[str, str]]:
        wanted = count if limit is None else min(count, limit)
        rows: list[dict[str, str]] = []
        while len(rows) < wanted:
            asked = min(_PAGE, wanted - len(rows))
            page = self._ask(f"/{what}", {"offset": len(rows), "limit": asked})
            self._warn(page)
            items = [_fields(item) for item in page.get(what) or []]
            if not items:
                self.warnings.append(f"Sumo Logic counted {count} {what} and gave {len(rows)}.")
                break
            # A page may be shorter than asked for (100 MB at most): go on behind what was received.
            rows += items
        return rows

    def _ask(self, path: str, params: Mapping[str, int] | None = None) -> Mapping[str, Any]:
        content = self._client.json("GET", f"{_JOBS}/{self.id}{path}", params=params, judge=_judge_job)
        if not isinstance(content, Mapping):
            raise SourceUnavailable(
                f"{self._client.endpoint.whom} answered with {type(content).__name__}, not with an object.",
                next_step="Check the connection's host: this does not look like Sumo Logic.",
            )
        return content

    def _warn(self, content: Mapping[str, Any]) -> None:
        texts = self._texts(content, "pendingWarnings")
        if content.get("warning"):
            texts.append(self._client.endpoint.redact(content["warning"]))
        self.warnings += [text for text in texts if text not in self.warnings]

    def _texts(self, content: Mapping[str, Any], name: str) -> list[str]:
        return [self._client.endpoint.redact(text) for text in content.get(name) or []]


def _judge_job(status: int, content: Any) -> None:
    said = message_of(content)
    is_lost = status == 404 or "jobid.invalid" in said.lower() or "job id is invalid" in said.lower()
    if status >= 400 and is_lost:
        raise JobLost(said or f"HTTP {status}")


def _judge_creation(client: VendorClient) -> Any:
    def judge(status: int, content: Any) -> None:
        if status == 403:
            raise SourceUnauthorized(
                f"{client.endpoint.whom} does not allow search jobs (403): "
                f"{client.endpoint.redact(message_of(content) or 'no reason given')}.",
                next_step="The account type must include the Search Job API, and the role needs Download Search "
                "Results, View Collectors and Manage Access Keys.",
            )
        if status == 404:
            raise SourceQueryRejected(
                f"{client.endpoint.whom} has no Search Job API at this address (404).",
                next_step="Correct the host in the connection.",
            )

    return judge


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _fields(item: Any) -> dict[str, str]:
    fields = item.get("map") if isinstance(item, Mapping) else None
    return {str(name).lower(): str(value) for name, value in fields.items()} if isinstance(fields, Mapping) else {}
