"""Publishing a version: the code, then the variables, then the version, with nobody else in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.aws_lambda import Busy, LambdaApi, Outdated
from airflow_cd.release import Release
from airflow_cd.targets.aws_lambda.code import code_of
from airflow_cd.targets.aws_lambda.states import not_taken, update_failed
from airflow_cd.targets.aws_lambda.variables import own_of, variables_of, variables_read

ATTEMPTS = 5
"""Times that a version is begun anew because somebody else has changed the function meanwhile."""
POLL = 0.5
"""Seconds between two looks at a function that is being changed."""


class Publishing:
    """Makes versions of one function.

    Lambda has one place where a function is changed, ``$LATEST``, and a version is a copy of it. Each step is made on
    the condition that nothing has changed since the one before, so a version is wholly of one release.

    :param api: Lambda.
    :param function: name or ARN of the function.
    :param patience: seconds that one change of the function may take.
    :param sleep: called with seconds to wait.
    :param clock: returns seconds that never go backwards.
    """

    def __init__(
        self,
        api: LambdaApi,
        function: str,
        *,
        patience: float = 600.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._function = function
        self._patience = patience
        self._sleep = sleep
        self._clock = clock

    def latest(self) -> Mapping[str, Any]:
        """``$LATEST``, when no change of it is under way.

        :raises TargetUnavailable: one has not ended within the time.
        :raises TargetError: it cannot be read.
        """
        ends = self._clock() + self._patience
        while True:
            found = self._api.call("get_function_configuration", FunctionName=self._function)
            if found.get("LastUpdateStatus") != "InProgress" and found.get("State") != "Pending":
                return found
            if self._clock() >= ends:
                raise TargetUnavailable(
                    f"a change of function {self._function} has not ended within {self._patience:.0f} s.",
                    state="the alias is as it was.",
                )
            self._sleep(POLL)

    def publish(self, release: Release) -> str:
        """A new version that runs a release, without any request.

        :param release: what to run.
        :returns: its number.
        :raises ArtifactNotFound: the code cannot be had.
        :raises DeploymentFailed: Lambda has tried to make it, and it does not come up.
        :raises TargetUnavailable: somebody else changes the function all the time.
        :raises TargetError: it was refused.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(release)
            except Outdated:
                continue
        raise TargetUnavailable(
            f"function {self._function} is changed by somebody else all the time: {ATTEMPTS} attempts to publish "
            f"{release} have failed.",
            state="the alias is as it was.",
            next_step="Find out what else deploys it, and try again.",
        )

    def _attempt(self, release: Release) -> str:
        latest = self.latest()
        own = own_of(variables_read(latest))
        code = code_of(release.artifact, str(latest.get("PackageType") or "Zip"))
        try:
            self._change("update_function_code", latest, **code)
        except TargetRejected as error:
            raise not_taken(error, release.artifact) from None
        changed = self._changed(release)
        variables = variables_of(release, own, str(changed.get("CodeSha256", "")))
        self._change("update_function_configuration", changed, Environment={"Variables": variables})
        configured = self._changed(release)
        if variables_read(configured) != variables:
            raise Outdated(f"function {self._function} was changed by somebody else.")
        description = f"{release.service} {release.version}"[:256]
        made = self._change("publish_version", configured, CodeSha256=configured["CodeSha256"], Description=description)
        return str(made["Version"])

    def _changed(self, release: Release) -> Mapping[str, Any]:
        found = self.latest()
        if found.get("LastUpdateStatus") == "Failed":
            raise update_failed(found, release.artifact)
        return found

    def _change(self, operation: str, seen: Mapping[str, Any], **given: Any) -> Mapping[str, Any]:
        """One step, if the function is as it was seen; Lambda takes none while it is at another."""
        condition = {"RevisionId": seen["RevisionId"]} if seen.get("RevisionId") else {}
        busy: Busy | None = None
        for _ in self._pauses():
            try:
                return self._api.call(operation, FunctionName=self._function, **given, **condition)
            except Busy as error:
                busy = error
        raise TargetUnavailable(
            f"function {self._function} takes no change: {busy.what if busy else 'Lambda is at another one.'}",
            state="the alias is as it was.",
        )

    def _pauses(self) -> Iterator[None]:
        ends = self._clock() + self._patience
        while True:
            yield
            if self._clock() >= ends:
                return
            self._sleep(POLL)
