"""Amazon CloudWatch: its official client, with what goes wrong in the words of this package."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_cd.errors import AirflowCdError, SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.aws import THROTTLED, client_of, code_of, installed, refused, unanswered
from airflow_cd.http.family import SOURCE
from airflow_cd.verification.throttling import note_wait

__all__ = ["MOST_PAGES", "CloudWatch", "installed"]

MOST_PAGES = 2_000
"""Pages of an answer, many of which may be empty, before it is given up."""

_COMPLETE, _GOES_ON = "Complete", "PartialData"
_CORRECT = "Correct the source, or the connection's region."


class CloudWatch:
    """Calls Amazon CloudWatch over one Airflow connection of type ``aws``.

    :param conn_id: the connection.
    :param region: of the service; the connection's by default.
    """

    def __init__(self, conn_id: str, region: str = "") -> None:
        self.conn_id = conn_id
        self.region = region
        self._told: list[float] = []

    def pages(self, service: str, operation: str, **given: Any) -> Iterator[Mapping[str, Any]]:
        """Every page of an operation: an empty one is not the end, a missing token is.

        :param service: ``logs`` or ``cloudwatch``.
        :param operation: of the client, ``filter_log_events``.
        :param given: its arguments.
        :raises SourceError: it failed, or did not end.
        """
        client = self._client(service)
        for _ in range(MOST_PAGES):
            page = self._called(client, operation, given)
            yield page
            name = "nextToken" if "nextToken" in page else "NextToken"
            token = page.get(name)
            if not token:
                return
            if given.get(name) == token:
                raise SourceUnavailable(
                    f"{self._said} leads from a page of its answer to the same page again.", next_step="Try again."
                )
            given = {**given, name: token}
        raise SourceUnavailable(
            f"CloudWatch (connection {self.conn_id!r}) has not ended its answer after {MOST_PAGES} pages.",
            next_step="Ask for less: name the streams, or a filter.",
        )

    def metric_data(self, **given: Any) -> tuple[dict[str, list[tuple[datetime, float]]], list[str]]:
        """Points of each query of ``get_metric_data`` by its id, and what CloudWatch says besides them.

        :param given: its arguments.
        :raises SourceUnauthorized: one of the metrics may not be read.
        :raises SourceUnavailable: it failed, did not end, or is a part of what there is.
        """
        points: dict[str, list[tuple[datetime, float]]] = {}
        ends: dict[str, str] = {}
        said: dict[str, None] = {}
        for page in self.pages("cloudwatch", "get_metric_data", **given):
            if about_all := _texts(page.get("Messages")):
                raise self._in_part("; ".join(about_all))
            for result in page.get("MetricDataResults", ()):
                key = str(result["Id"])
                points.setdefault(key, []).extend(zip(result["Timestamps"], map(float, result["Values"]), strict=True))
                ends[key] = str(result.get("StatusCode", _COMPLETE))
                told = _texts(result.get("Messages"))
                if ends[key] == "Forbidden":
                    raise SourceUnauthorized(
                        f"{self._said} does not let this login read a metric: {'; '.join(told) or ends[key]}.",
                        next_step="Allow cloudwatch:GetMetricData, in the metric's own account too.",
                    )
                if ends[key] not in (_COMPLETE, _GOES_ON):
                    raise self._in_part("; ".join([ends[key], *told]))
                said |= dict.fromkeys(told)
        # Until its last page each query may be unfinished.
        if _GOES_ON in ends.values():
            raise self._in_part("; ".join([_GOES_ON, *said]))
        return points, [*said]

    def _in_part(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._said} answered with a part of what there is: {why.rstrip('.')}.",
            next_step="Ask for less, or see what it names.",
        )

    def first(self, service: str, operation: str, **given: Any) -> Mapping[str, Any]:
        """The first page alone.

        :param service: as of :meth:`pages`; so are the others.
        :param operation: of the client.
        :param given: its arguments.
        :raises SourceError: it failed.
        """
        return next(self.pages(service, operation, **given))

    def _called(self, client: Any, operation: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found: Mapping[str, Any] = getattr(client, operation)(**given)
        except ClientError as error:
            refusal = self._refused(error)
            if isinstance(refusal, SourceRejected) and ("nextToken" in given or "NextToken" in given):
                # It has taken the same request without the token, which is its own, and expires.
                raise SourceUnavailable(
                    f"{refusal.what} It had taken the pages before.", next_step="Try again."
                ) from None
            raise refusal from None
        except BotoCoreError as error:
            raise unanswered(error, self._said, SOURCE, what="Correct the source.") from None
        return found

    def _refused(self, error: Any) -> AirflowCdError:
        if any(word in code_of(error) for word in THROTTLED):
            self._told.clear()
            note_wait(0.0)  # the last time, after which its client did not try again
        place = self.region or "the connection's region"
        return refused(error, f"CloudWatch (connection {self.conn_id!r}, {place})", SOURCE, what=_CORRECT)

    @property
    def _said(self) -> str:
        return f"CloudWatch (connection {self.conn_id!r})"

    def _client(self, service: str) -> Any:
        client = client_of(self.conn_id, service, region=self.region, said=self._said, errors=SOURCE)
        self.region = self.region or str(client.meta.region_name or "")
        # The client tries again by itself: its events alone tell how often AWS told it to wait.
        client.meta.events.register_first("needs-retry.*", self._answered)
        client.meta.events.register_first("before-send.*", self._sends)
        return client

    def _answered(self, response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> None:
        code = str(response[1].get("Error", {}).get("Code", "")) if response else ""
        if any(word in code for word in THROTTLED):
            self._told.append(time.monotonic())

    def _sends(self, **_: Any) -> None:
        while self._told:
            note_wait(time.monotonic() - self._told.pop())


def _texts(messages: Sequence[Mapping[str, Any]] | None) -> list[str]:
    return [": ".join(filter(None, (one.get("Code"), one.get("Value")))) for one in messages or ()]
