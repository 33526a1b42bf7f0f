"""NerdGraph, New Relic's GraphQL API: the documents that are sent, and what its errors mean.

NerdGraph answers most failures with HTTP 200 and an ``errors`` list, sometimes beside part of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_cd.errors import SourceQueryRejected, SourceThrottled, SourceUnauthorized, SourceUnavailable
from airflow_cd.http.endpoint import Endpoint, message_of
from airflow_cd.http.exchange import Answer
from airflow_cd.http.retry import TryAgain
from airflow_cd.http.stated_limits import asked_pause

_NRQL_FIELDS = """
  results
  totalResult
  metadata { facets messages timeWindow { begin end } }
  queryProgress { queryId completed retryAfter retryDeadline resultExpiration }
"""

NRQL_QUERY = f"""
query($accountId: Int!, $query: Nrql!, $timeout: Seconds, $async: Boolean) {{
  actor {{ account(id: $accountId) {{ nrql(query: $query, timeout: $timeout, async: $async) {{ {_NRQL_FIELDS} }} }} }}
}}
"""

NRQL_PROGRESS_QUERY = f"""
query($accountId: Int!, $queryId: ID!) {{
  actor {{ account(id: $accountId) {{ nrqlQueryProgress(queryId: $queryId) {{ {_NRQL_FIELDS} }} }} }}
}}
"""

ENTITY_SEARCH_QUERY = """
query($query: String!) {
  actor { entitySearch(query: $query) { results { entities { guid name } } } }
}
"""

USER_QUERY = """
query { actor { user { email } } }
"""

CREATE_EVENT_MUTATION = """
mutation(
  $changeTrackingEvent: ChangeTrackingCreateEventInput!
  $dataHandlingRules: ChangeTrackingDataHandlingRules
) {
  changeTrackingCreateEvent(changeTrackingEvent: $changeTrackingEvent, dataHandlingRules: $dataHandlingRules) {
    changeTrackingEvent { changeTrackingId category type timestamp user entity { guid name } }
    messages
  }
}
"""

_PASSING = {"TIMEOUT", "INTERNAL_SERVER_ERROR", "SERVER_ERROR"}
_THROTTLED = {"TOO_MANY_REQUESTS"}
_UNAUTHORIZED = {"BAD_API_KEY", "UNAUTHORIZED", "UNAUTHENTICATED", "FORBIDDEN", "ACCESS_DENIED"}
_DEPRECATED = "This field is deprecated!"


def warnings_of(content: Any) -> list[str]:
    """Return the entries of the ``errors`` list that are only notices of deprecation.

    :param content: the parsed body.
    """
    return [text for text, _ in _errors(content) if text.startswith(_DEPRECATED)]


def judge(endpoint: Endpoint, answer: Answer) -> None:
    """Raise what the ``errors`` of an answer mean, whatever its HTTP status; part of the data is never enough.

    :param endpoint: that answered.
    :param answer: its answer.
    :raises TryAgain: for time-outs, limits and server errors.
    :raises SourceUnauthorized: for a key that is wrong or not allowed to do this.
    :raises SourceQueryRejected: for everything else.
    """
    errors = [(text, classes) for text, classes in _errors(answer.json) if not text.startswith(_DEPRECATED)]
    if not errors:
        return
    status, title = answer.status, endpoint.title
    classes = set().union(*(classes for _, classes in errors))
    reason = endpoint.redact.line("; ".join(text for text, _ in errors))
    part = " It came with part of the data, which was not used." if _holds_data(answer.json) else ""
    retry_after = asked_pause(answer.headers, status)
    if classes & _UNAUTHORIZED or status in (401, 402, 403):
        raise SourceUnauthorized(
            f"{title} does not accept the key: {reason}.{part}",
            next_step="Check that the password is a User key (NRAK-…) of this region and may see the account.",
        )
    if classes & _THROTTLED or status == 429:
        throttled = SourceThrottled(
            f"{title} is limiting the rate of requests: {reason}.{part}",
            retry_after=retry_after,
            next_step="Run fewer verifications at a time, or give them a key of their own.",
        )
        raise TryAgain(throttled, unprocessed=True)
    if classes & _PASSING or status >= 500:
        unfinished = SourceUnavailable(
            f"{title} could not finish: {reason}.{part}",
            retry_after=retry_after,
            next_step="Ask for a shorter window, or raise the time-out; see New Relic's status page.",
        )
        raise TryAgain(unfinished)
    raise SourceQueryRejected(f"{title} rejected the query: {reason}.{part}", next_step="Correct the query.")


def _errors(content: Any) -> list[tuple[str, set[str]]]:
    listed = content.get("errors") if isinstance(content, Mapping) else None
    found = []
    for item in listed if isinstance(listed, list) else []:
        extensions = item.get("extensions") if isinstance(item, Mapping) else None
        given = extensions if isinstance(extensions, Mapping) else {}
        classes = {
            str(given[key]).upper() for key in ("errorClass", "error_code", "errorCode", "code") if given.get(key)
        }
        found.append((message_of({"errors": [item]}), classes))
    return found


def _holds_data(value: Any) -> bool:
    """Whether ``data`` holds anything but empty shells."""
    data = value.get("data") if isinstance(value, Mapping) else None
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending += item.values()
        elif item not in (None, [], ""):
            return True
    return False
