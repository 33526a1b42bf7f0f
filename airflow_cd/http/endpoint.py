"""Where a service is, how it is called, and how its answers are quoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_cd.http.exchange import Answer
from airflow_cd.http.family import ErrorFamily
from airflow_cd.http.redaction import Redactor, shown_address
from airflow_cd.http.retry import RetryPolicy

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_EXCERPT_LENGTH = 200
_EXCERPT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Endpoint:
    """Where a service is, and how it is called.

    :param name: the service, as people call it.
    :param conn_id: the Airflow connection.
    :param base_url: scheme, host and port, perhaps a path; no trailing slash.
    :param errors: the errors that calls raise.
    :param redact: removes the connection's secrets.
    :param retry: how often a request is tried.
    :param timeout: seconds that one request may take.
    :param deadline: seconds that all requests of one client may take together, retries and pauses included. None:
        every request has ``retry_for`` of its own.
    :param retry_for: seconds within which an attempt may begin; counts where there is no ``deadline``.
    :param max_bytes: the most bytes of an answer.
    """

    name: str
    conn_id: str
    base_url: str
    errors: ErrorFamily
    redact: Redactor = field(default_factory=Redactor, repr=False)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float = 30.0
    deadline: float | None = None
    retry_for: float = 30.0
    max_bytes: int = MAX_ANSWER_BYTES

    @property
    def title(self) -> str:
        """The service and its connection, as every message names them."""
        return f"{self.name} (connection {self.conn_id!r}, {shown_address(self.base_url)})"

    def reason_of(self, answer: Answer) -> str:
        """Return what an answer gives as its reason, on one line without secrets and without a full stop.

        :param answer: usually an error's.
        """
        text = message_of(answer.json) or self.excerpt(answer.content) or answer.reason or "no reason given"
        return self.redact.line(text).rstrip(".")

    def excerpt(self, content: bytes) -> str:
        """Return the beginning of a body on one line without secrets.

        :param content: the body.
        """
        return self.redact.line(content[:_EXCERPT_BYTES].decode("utf-8", errors="replace"), _EXCERPT_LENGTH)


def message_of(content: Any) -> str:
    """Return the message in the body of an error, in whichever of the usual shapes it is.

    :param content: parsed JSON: ``{"error": {"code" or "title", "message" or "messages"}}``, ``{"errors": [...]}``,
        ``{"code", "message"}``, ``{"messages": [{"text"}]}`` or ``{"error": {"root_cause": [{"reason"}], "reason"}}``.
    :returns: ``""`` when there is none.
    """
    if not isinstance(content, Mapping):
        return ""
    error, errors = content.get("error"), content.get("errors")
    if isinstance(error, Mapping):
        return _labelled(error) or _root_cause(error)
    if isinstance(errors, list):
        return "; ".join(str(item.get("message", item)) if isinstance(item, Mapping) else str(item) for item in errors)
    return _labelled(content) or str(error or "")


def _root_cause(error: Mapping[str, Any]) -> str:
    """The first cause, which says more than what became of it (``all shards failed``)."""
    causes = error.get("root_cause")
    first = causes[0] if isinstance(causes, list) and causes else error
    reason = first.get("reason") if isinstance(first, Mapping) else None
    return str(reason or error.get("reason") or "")


def _labelled(error: Mapping[str, Any]) -> str:
    messages = error.get("messages")
    listed = messages if isinstance(messages, list) else [error.get("message")]
    label = error.get("code") or error.get("title")
    texts = (text.get("text") if isinstance(text, Mapping) else text for text in listed)
    return ": ".join(filter(None, [str(label or ""), "; ".join(str(text) for text in texts if text)]))
