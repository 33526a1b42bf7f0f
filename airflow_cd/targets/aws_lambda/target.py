"""An alias of a function on AWS Lambda as an environment, as a pipeline names it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import Refused, TargetRejected
from airflow_cd.instances import HEALTHY, STARTING
from airflow_cd.release import Release
from airflow_cd.targets.label import REVISION, TargetLabel
from airflow_cd.targets.revisions import Revision, RevisionTarget, Serving
from airflow_cd.targets.revisions.dividing import require_known
from airflow_cd.targets.revisions.note import Note
from airflow_cd.wording import with_article

if TYPE_CHECKING:
    from airflow_cd.hooks.aws_lambda import LambdaApi
    from airflow_cd.targets.aws_lambda.alias import Alias
    from airflow_cd.targets.aws_lambda.checking import Checking
    from airflow_cd.targets.aws_lambda.publishing import Publishing

LIVE = "live"
"""The alias that is taken where none is named."""

_FUNCTION = re.compile(r"(arn:[a-z0-9-]+:lambda:[a-z0-9-]+:\d{12}:function:)?[a-zA-Z0-9_-]{1,140}")
_ALIAS = re.compile(r"(?!^\d+$)[a-zA-Z0-9_-]{1,128}")


@dataclass(frozen=True)
class LambdaTarget(RevisionTarget):
    """One alias of a function, which its callers use; a release is a version, its share a weight of the alias.

    The artifact of a release is an image or an archive in S3, its configuration environment variables of the function.
    What else a version has (memory, timeout, role, layers) is the function's, as it is when the version is published.

    :param conn_id: Airflow connection of type ``aws``.
    :param environment: what the environment is called.
    :param function: name of the function, or its ARN; by default what the connection's extra has as ``function``, else
        the environment's name.
    :param alias: the alias; by default what the extra has as ``alias``, else ``live``.
    :param region: of the function; the connection's by default.
    :param past_the_alias: whether callers may use the function itself, and get every release at once.
    """

    conn_id: str
    environment: str
    function: str = ""
    alias: str = ""
    region: str = ""
    past_the_alias: bool = False

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> LambdaTarget:
        """Make the target; what the registry of kinds calls.

        :param conn_id: Airflow connection of type ``aws``.
        :param environment: name of the environment; ``function:alias`` where the connection does not name them.
        """
        function, _, alias = environment.rpartition(":")
        return cls(conn_id, environment, function, alias if function else "")

    def mistakes(self) -> list[str]:
        """Return what is wrong with this specification, one sentence each; called when the DAG file is parsed."""
        from airflow_cd.hooks.aws import installed

        found = [] if installed() else ["the client of AWS is not installed: pip install 'airflow-cd[aws]'"]
        for name in ("conn_id", "environment"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or value != value.strip():
                found.append(f"a Lambda target needs {with_article(name)}, got {value!r}")
        for what, form, value in (("function", _FUNCTION, self.function), ("alias", _ALIAS, self.alias)):
            if not isinstance(value, str) or (value and not form.fullmatch(value)):
                found.append(f"{what} {value!r} of a Lambda target is no name of one on Lambda")
        return found

    @property
    def label(self) -> TargetLabel:
        """Kind and name, as pages show them."""
        named = f"{self.function.rpartition(':')[2]}:{self.alias or LIVE}" if self.function else self.environment
        return TargetLabel("Lambda", named, self.conn_id if isinstance(self.conn_id, str) else "", REVISION)

    def notes(self) -> list[str]:
        """What works otherwise with this function than a person may expect, one sentence each; asks Lambda."""
        past = self._checking.callers_if_listed()
        return [*past, f"The description of alias {self._names[1]} holds a note of Airflow CD's; let it be as it is."]

    # -- what a platform of revisions answers --------------------------------------------------------------------

    def serving(self) -> Serving:
        """Which versions the alias gives requests to; see :class:`~airflow_cd.targets.revisions.RevisionTarget`.

        :raises TargetError: it cannot be read.
        """
        return self._alias.serving()

    def serve(self, weights: Mapping[str, float], note: str, *, mark: str) -> bool:
        """Set the alias; see :meth:`~airflow_cd.targets.revisions.RevisionTarget.serve`.

        :param weights: percent by version, of one or two.
        :param note: kept in the alias' description.
        :param mark: of what it is decided from.
        :raises TargetError: it was refused.
        """
        return self._alias.serve(weights, note, mark=mark)

    def revision(self, name: str) -> Revision | None:
        """One version; see :meth:`~airflow_cd.targets.revisions.RevisionTarget.revision`.

        :param name: its number.
        :raises TargetError: it cannot be read.
        """
        from airflow_cd.hooks.aws_lambda import Absent
        from airflow_cd.targets.aws_lambda.states import health_of

        try:
            found = self._api.call("get_function", FunctionName=self._names[0], Qualifier=name)
        except Absent:
            return None
        health, message = health_of(found["Configuration"])
        version, artifact, configuration = _release_of(found)
        return Revision(name, version, artifact, configuration, health, message, _moment(found["Configuration"]))

    def publish(self, release: Release, *, beside: str = "") -> str:
        """Have a version of the release; see :meth:`~airflow_cd.targets.revisions.RevisionTarget.publish`.

        One that is idle is taken where no other can be made: its first calls fail, and wake it.

        :param release: what to run.
        :param beside: a version that it must not be.
        :raises DeploymentFailed: it does not come up.
        :raises TargetError: it was refused.
        """
        found, idle = self._published(release, beside)
        try:
            return found or self._publishing.publish(release)
        except Refused:
            if not idle:
                raise
            return idle

    def check(self, release: Release) -> None:
        """Check that a release could be deployed, and gone back from; changes nothing.

        :param release: the release.
        :raises ArtifactNotFound: its code does not exist.
        :raises TargetUnauthorized: a right is missing.
        :raises TargetUnavailable: not everything can be read now.
        :raises TargetRejected: function, alias or release do not suit.
        """
        function, alias = self._names
        found = self._alias.read()
        self._checking.alias(found)
        serving = self.serving()
        require_known(serving.weights, Note.of(serving.note))
        self._checking.provisioned()
        self._checking.rights()
        if not self.past_the_alias and (past := list(self._checking.callers())):
            raise TargetRejected(
                f"callers go past alias {alias}, and would get every release at once: {'; '.join(past)}.",
                state="nothing was changed.",
                next_step=f"Have them call the alias, {function}:{alias}, or say "
                "LambdaTarget(..., past_the_alias=True).",
            )
        if not any(self._published(release)):
            stable = self._configuration(str(found["FunctionVersion"]))
            self._checking.release(release, self._publishing.latest(), stable)

    # -- inside --------------------------------------------------------------------------------------------------

    def _published(self, release: Release, beside: str = "") -> tuple[str, str]:
        """The newest version that runs a release and serves, or can, and one that is idle; ``""`` for none."""
        from airflow_cd.targets.aws_lambda.variables import Undecryptable

        serving = self.serving()
        idle = ""
        for name in self._candidates(serving, release):
            try:
                found = self.revision(name) if name != beside else None
            except Undecryptable:
                # What it runs is unknown, and it is one of many: another is found, or made.
                continue
            if found is None or not found.runs(release):
                continue
            if name in serving.weights or (found.health in (HEALTHY, STARTING) and not _is_idle(found)):
                return name, idle
            idle = idle or (name if _is_idle(found) else "")
        return "", idle

    def _candidates(self, serving: Serving, release: Release) -> Iterator[str]:
        """The versions that the alias knows, then those that may run a release by what a listing says of them."""
        from airflow_cd.targets.aws_lambda.variables import may_run

        note = Note.of(serving.note)
        names = [*serving.weights, note.canary, note.coming, note.stable, note.before]
        known = [name for name in dict.fromkeys(names) if name.isdigit()]
        yield from known
        versions = list(self._api.listed("list_versions_by_function", "Versions", FunctionName=self._names[0]))
        for one in sorted(versions, key=_number, reverse=True):
            if _number(one) and str(one["Version"]) not in known and may_run(one, release):
                yield str(one["Version"])

    def _configuration(self, version: str) -> Mapping[str, Any] | None:
        from airflow_cd.hooks.aws_lambda import Absent

        try:
            return self._api.call("get_function_configuration", FunctionName=self._names[0], Qualifier=version)
        except Absent:
            return None

    @cached_property
    def _names(self) -> tuple[str, str]:
        """Function and alias."""
        from airflow_cd.http.connection import ConnectionSettings
        from airflow_cd.http.family import TARGET

        if self.function and self.alias:
            return self.function, self.alias
        settings = ConnectionSettings.read(self.conn_id, TARGET)
        function = self.function or settings.text("function") or self.environment
        return function, self.alias or settings.text("alias") or LIVE

    @cached_property
    def _api(self) -> LambdaApi:
        """Keeps its client, so that a rollback minutes later needs no Airflow."""
        from airflow_cd.hooks.aws_lambda import LambdaApi

        return LambdaApi(self.conn_id, self.region)

    @cached_property
    def _alias(self) -> Alias:
        from airflow_cd.targets.aws_lambda.alias import Alias

        return Alias(self._api, *self._names)

    @cached_property
    def _publishing(self) -> Publishing:
        from airflow_cd.targets.aws_lambda.publishing import Publishing

        return Publishing(self._api, self._names[0])

    @cached_property
    def _checking(self) -> Checking:
        from airflow_cd.targets.aws_lambda.checking import Checking

        return Checking(self._api, *self._names)

    def __getstate__(self) -> dict[str, Any]:
        # Airflow copies operators; a client must not be copied with them.
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _release_of(version: Mapping[str, Any]) -> tuple[str | None, str, dict[str, Any]]:
    """Version, artifact and configuration of a release, as a version of the function has them."""
    from airflow_cd.targets.aws_lambda.code import artifact_of
    from airflow_cd.targets.aws_lambda.variables import configuration_of, given_of, variables_read

    configuration = version["Configuration"]
    variables = variables_read(configuration)
    given = given_of(variables)
    if given is None or given.code != configuration.get("CodeSha256"):
        # Published by something else, with what was left in the variables.
        return None, artifact_of(version), configuration_of(variables, given)
    return given.version, given.artifact, configuration_of(variables, given)


def _is_idle(version: Revision) -> bool:
    # Nothing else is healthy and has something to say.
    return version.health == HEALTHY and bool(version.message)


def _number(version: Mapping[str, Any]) -> int:
    return int(version["Version"]) if str(version["Version"]).isdigit() else 0


def _moment(configuration: Mapping[str, Any]) -> datetime | None:
    text = str(configuration.get("LastModified") or "")
    for form in ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"):
        try:
            return datetime.strptime(text, form).astimezone(timezone.utc)
        except ValueError:
            continue
    return None
