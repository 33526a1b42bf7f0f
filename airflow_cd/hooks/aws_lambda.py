"""AWS Lambda's API: its official client, with what goes wrong in the words of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from airflow_cd.errors import AirflowCdError, TargetRejected, TargetUnavailable
from airflow_cd.hooks.aws import client_of, code_of, refused, unanswered
from airflow_cd.http.family import TARGET

MOST_PAGES = 200
"""Pages of a listing before it is given up."""


class Absent(TargetRejected):
    """There is no such function, version, alias or setting of one."""


class Busy(TargetUnavailable):
    """Lambda is at another change of the function, and takes none meanwhile."""


class Outdated(TargetUnavailable):
    """What was to be changed has been changed by somebody else since it was read."""


_KINDS: dict[str, type[AirflowCdError]] = {
    "ResourceNotFoundException": Absent,
    "ProvisionedConcurrencyConfigNotFoundException": Absent,
    "ResourceConflictException": Busy,
    "PreconditionFailedException": Outdated,
}


class LambdaApi:
    """Calls AWS Lambda over one Airflow connection of type ``aws``.

    :param conn_id: the connection.
    :param region: of the functions; the connection's by default.
    """

    def __init__(self, conn_id: str, region: str = "") -> None:
        self.conn_id = conn_id
        self.region = region

    def call(self, operation: str, **given: Any) -> Mapping[str, Any]:
        """Call an operation.

        :param operation: of the client, ``update_alias``.
        :param given: its arguments.
        :raises Absent: there is no such function, version or alias.
        :raises Busy: another change of the function is under way.
        :raises Outdated: the ``RevisionId`` that was given is not the present one.
        :raises TargetError: it failed otherwise.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found: Mapping[str, Any] = getattr(self._client, operation)(**given)
        except ClientError as error:
            raise self._refused(error, operation) from None
        except BotoCoreError as error:
            raise unanswered(error, self._said, TARGET, what="Correct the target, or its connection.") from None
        return found

    def listed(self, operation: str, member: str, **given: Any) -> Iterator[Mapping[str, Any]]:
        """Everything that an operation lists, page by page.

        :param operation: of the client, ``list_versions_by_function``.
        :param member: of its answer that holds the list.
        :param given: its arguments.
        :raises TargetError: as of :meth:`call`.
        """
        for _ in range(MOST_PAGES):
            page = self.call(operation, **given)
            yield from page.get(member, ())
            if not page.get("NextMarker"):
                return
            given = {**given, "Marker": page["NextMarker"]}
        raise TargetUnavailable(f"{self._said}, {operation}: the answer has not ended after {MOST_PAGES} pages.")

    @property
    def _said(self) -> str:
        return f"Lambda (connection {self.conn_id!r})"

    @cached_property
    def _client(self) -> Any:
        return client_of(self.conn_id, "lambda", region=self.region, said=self._said, errors=TARGET)

    def _refused(self, error: Any, operation: str) -> AirflowCdError:
        code = code_of(error)
        if code in _KINDS:
            text = str(error.response.get("Error", {}).get("Message", ""))
            return _KINDS[code](f"{self._said}, {operation}: {code}: {text.rstrip('.')}.")
        return refused(error, f"{self._said}, {operation},", TARGET, what="Correct the target, or the release.")
