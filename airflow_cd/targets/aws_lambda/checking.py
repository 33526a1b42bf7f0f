"""What would fail, or go past the alias, is found before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_cd.errors import AirflowCdError, TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.hooks.aws_lambda import Absent, Busy, LambdaApi, Outdated
from airflow_cd.release import Release
from airflow_cd.targets.aws_lambda.alias import LATEST, LONGEST, NOTE, own_description
from airflow_cd.targets.aws_lambda.code import code_of
from airflow_cd.targets.aws_lambda.states import not_taken
from airflow_cd.targets.aws_lambda.variables import mistakes, own_of, variables_read
from airflow_cd.wording import with_article

NOBODYS = "00000000-0000-0000-0000-000000000000"
"""A ``RevisionId`` that nothing has: a change on that condition changes nothing, and shows whether it is allowed."""


class Checking:
    """Looks at a function and its alias.

    :param api: Lambda.
    :param function: name or ARN of the function.
    :param name: of the alias.
    """

    def __init__(self, api: LambdaApi, function: str, name: str) -> None:
        self._api = api
        self._function = function
        self._name = name

    def alias(self, alias: Mapping[str, Any]) -> None:
        """Refuse an alias that cannot have a canary.

        :param alias: as Lambda answers it.
        :raises TargetRejected: it cannot; says what to change.
        """
        if alias["FunctionVersion"] == LATEST:
            raise TargetRejected(
                f"alias {self._name} of function {self._function} is {LATEST}, which every deployment changes: there "
                "would be nothing to go back to.",
                state="nothing was changed.",
                next_step="Publish a version (aws lambda publish-version), and have the alias be that one.",
            )
        own = own_description(str(alias.get("Description") or ""))
        if len(own) > LONGEST - NOTE:
            raise TargetRejected(
                f"the description of alias {self._name} has {len(own)} letters, and what is noted beside the weights "
                f"leaves room for {LONGEST - NOTE}.",
                state="nothing was changed.",
                next_step="Shorten it.",
            )

    def provisioned(self) -> None:
        """Refuse an alias with provisioned concurrency, which Lambda lets have no weights.

        Lambda moves such an alias by weights of its own, too, while it provides for the other version.

        :raises TargetRejected: it has some.
        """
        try:
            self._api.call("get_provisioned_concurrency_config", FunctionName=self._function, Qualifier=self._name)
        except Absent:
            return
        raise TargetRejected(
            f"alias {self._name} of function {self._function} has provisioned concurrency, and Lambda divides no "
            "requests of such an alias.",
            state="nothing was changed.",
            next_step=f"Take it away (aws lambda delete-provisioned-concurrency-config --function-name "
            f"{self._function} --qualifier {self._name}), or deliver by another alias.",
        )

    def release(self, release: Release, latest: Mapping[str, Any], stable: Mapping[str, Any] | None) -> None:
        """Refuse a release of which no version could be made, or none that could serve beside the present one.

        :param release: the release.
        :param latest: ``$LATEST``, from which a version is made.
        :param stable: the version that serves now; None where it is gone.
        :raises ArtifactNotFound: its code does not exist.
        :raises TargetRejected: it does not suit.
        :raises TargetUnauthorized: a right is missing.
        """
        code = code_of(release.artifact, str(latest.get("PackageType") or "Zip"))
        if wrong := mistakes(release, own_of(variables_read(latest))):
            raise TargetRejected(f"{'; '.join(wrong)}.", release=str(release), state="nothing was changed.")
        for name, words in (("Role", "execution role"), ("DeadLetterConfig", "dead letter queue")):
            if stable is not None and stable.get(name) != latest.get(name):
                raise TargetRejected(
                    f"function {self._function} has another {words} by now than version {stable.get('Version')}, "
                    f"which serves: an alias cannot divide its requests between two of them.",
                    state="nothing was changed.",
                    next_step="Publish a version of the present code and have the alias be that one, all at once.",
                )
        try:
            self._api.call("update_function_code", FunctionName=self._function, DryRun=True, **code)
        except TargetRejected as error:
            raise not_taken(error, release.artifact) from None
        except Busy as error:
            raise TargetUnavailable(error.what, state="nothing was changed.") from None

    def rights(self) -> None:
        """Refuse to begin what could not be gone back from.

        :raises TargetUnauthorized: names every right that is missing.
        """
        at = {"FunctionName": self._function, "RevisionId": NOBODYS}
        tried: dict[str, Callable[[], Any]] = {
            "lambda:UpdateAlias": lambda: self._api.call("update_alias", Name=self._name, **at),
            "lambda:UpdateFunctionConfiguration": lambda: self._api.call("update_function_configuration", **at),
            "lambda:PublishVersion": lambda: self._api.call("publish_version", **at),
        }
        missing = []
        for right, call in tried.items():
            try:
                call()
            except (Outdated, Busy):
                continue
            except TargetUnauthorized:
                missing.append(right)
        if missing:
            raise self._without(missing)

    def callers(self) -> Iterator[str]:
        """What calls the function without the alias, and gets every release at once.

        :returns: one sentence without its full stop each.
        :raises TargetUnauthorized: names the right to list them that is missing.
        :raises TargetError: they cannot be listed now.
        """
        for right, _, found in self._listings():
            try:
                yield from found()
            except TargetUnauthorized:
                raise self._without([right]) from None

    def callers_if_listed(self) -> Iterator[str]:
        """As of :meth:`callers`, and what that means; what cannot be listed is said.

        :returns: one sentence each.
        """
        for _, what, found in self._listings():
            try:
                for one in found():
                    yield f"{one}: it gets every release at once, as soon as a version is published."
            except AirflowCdError as error:
                yield f"whether {with_article(what)} calls the function itself is unknown: {error.what}"

    def _listings(self) -> tuple[tuple[str, str, Callable[[], Iterator[str]]], ...]:
        return (
            ("lambda:ListEventSourceMappings", "event source mapping", self._mappings),
            ("lambda:GetFunctionUrlConfig", "function URL", self._url),
        )

    def _without(self, rights: Sequence[str]) -> TargetUnauthorized:
        return TargetUnauthorized(
            f"rights are missing on function {self._function}: {', '.join(rights)}.",
            state="nothing was changed.",
            next_step="Allow them; docs/targets/lambda.md has the whole policy.",
        )

    def _mappings(self) -> Iterator[str]:
        given = {"FunctionName": self._function}
        for one in self._api.listed("list_event_source_mappings", "EventSourceMappings", **given):
            arn = str(one.get("FunctionArn", ""))
            if arn.count(":") <= 6 or arn.endswith(f":{LATEST}"):
                yield f"event source mapping {one.get('UUID')} ({one.get('EventSourceArn')}) calls the function itself"

    def _url(self) -> Iterator[str]:
        try:
            found = self._api.call("get_function_url_config", FunctionName=self._function)
        except Absent:
            return
        yield f"the function URL {found.get('FunctionUrl')} calls the function itself"
