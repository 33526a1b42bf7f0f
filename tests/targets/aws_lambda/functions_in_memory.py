"""AWS Lambda in memory, as its API reference describes it: what moto leaves out of versions, states and conditions.

Parameters are checked against the service model of AWS's own client. Kept here and not by moto: ``RevisionId`` changes
with every change and is a condition, one change of a function at a time, states that take a while and may fail, code
that belongs to its version, and what an alias refuses.
"""

# ruff: noqa: N803 - AWS's names

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:shop"
PAGE = 2
"""Versions of a page."""

_MODEL = boto3.client("lambda", region_name="eu-central-1").meta.service_model
OPERATIONS = {
    "get_alias": "GetAlias",
    "update_alias": "UpdateAlias",
    "get_function": "GetFunction",
    "get_function_configuration": "GetFunctionConfiguration",
    "get_function_url_config": "GetFunctionUrlConfig",
    "get_provisioned_concurrency_config": "GetProvisionedConcurrencyConfig",
    "list_versions_by_function": "ListVersionsByFunction",
    "list_event_source_mappings": "ListEventSourceMappings",
    "publish_version": "PublishVersion",
    "update_function_code": "UpdateFunctionCode",
    "update_function_configuration": "UpdateFunctionConfiguration",
}


class Functions:
    """One function with an alias, and what happens to it.

    :ivar fails: by artifact, why a change to it fails: reason and code.
    :ivar broken: by artifact, why a version of it does not become active: reason and code.
    :ivar missing: artifacts that do not exist.
    :ivar takes: reads until a change of the function has ended, and until a version is active.
    :ivar denied: operations that are not allowed.
    :ivar throttled: operations that are refused since there were too many.
    :ivar before: called before every operation, with its name.
    """

    def __init__(self, package: str = "Image") -> None:
        self.fails: dict[str, tuple[str, str]] = {}
        self.broken: dict[str, tuple[str, str]] = {}
        self.missing: set[str] = set()
        self.denied: set[str] = set()
        self.throttled: set[str] = set()
        self.takes = 1
        self.before: Callable[[str], None] = lambda operation: None
        self.asked: list[str] = []
        self.mappings: list[dict[str, Any]] = []
        self.url = ""
        self.provisioned = 0
        self.aliases: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.code: dict[str, str] = {"$LATEST": "shop:0.9"}
        self._left: dict[str, int] = {}
        self._published: tuple[str, Any] | None = None
        self.latest: dict[str, Any] = {
            "FunctionName": "shop",
            "FunctionArn": ARN,
            "PackageType": package,
            "Role": "arn:aws:iam::123456789012:role/shop",
            "Version": "$LATEST",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "CodeSha256": _sha("shop:0.9"),
            "LastModified": "2026-05-01T10:00:00.000+0000",
            "Environment": {"Variables": {"TABLE": "orders"}},
            "RevisionId": str(uuid.uuid4()),
        }

    def __getattr__(self, operation: str) -> Any:
        if operation not in OPERATIONS:
            raise AttributeError(operation)

        def call(**given: Any) -> Any:
            report = ParamValidator().validate(given, _MODEL.operation_model(OPERATIONS[operation]).input_shape)
            assert not report.has_errors(), report.generate_report()
            self.before(operation)
            self.asked.append(operation)
            if operation in self.denied:
                raise _error("AccessDeniedException", f"User is not authorized to perform: {operation}", 403)
            if operation in self.throttled:
                raise _error("TooManyRequestsException", "Rate exceeded", 429)
            return copy.deepcopy(getattr(self, f"_{operation}")(**given))

        return call

    # -- the API -------------------------------------------------------------------------------------------------

    def _get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        if Name not in self.aliases:
            raise _error("ResourceNotFoundException", f"Cannot find alias arn: {ARN}:{Name}", 404)
        return self.aliases[Name]

    def _update_alias(
        self,
        FunctionName: str,
        Name: str,
        FunctionVersion: str | None = None,
        RoutingConfig: dict[str, Any] | None = None,
        Description: str | None = None,
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        alias = self._get_alias(FunctionName, Name)
        _condition(RevisionId, alias)
        version = FunctionVersion or alias["FunctionVersion"]
        weights = (RoutingConfig or alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        for one in (version, *weights):
            if one not in self.versions and one != "$LATEST":
                raise _error("ResourceNotFoundException", f"Function not found: {ARN}:{one}", 404)
        if len(weights) > 1:
            raise _error("InvalidParameterValueException", "Only one additional version is allowed.")
        if weights and "$LATEST" in (version, *weights):
            raise _error("InvalidParameterValueException", "$LATEST is not supported for an alias with weights.")
        roles = {self.versions[one]["Role"] for one in (version, *weights) if one in self.versions}
        if len(roles) > 1:
            raise _error("InvalidParameterValueException", "The versions must have the same execution role.")
        alias |= {"FunctionVersion": version, "RevisionId": str(uuid.uuid4())}
        alias["RoutingConfig"] = {"AdditionalVersionWeights": weights} if weights else {}
        if Description is not None:
            alias["Description"] = Description
        return alias

    def _get_function(self, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        found = self._get_function_configuration(FunctionName, Qualifier)
        code = {"ImageUri": self.code[Qualifier]} if found["PackageType"] == "Image" else {"Location": "https://s3/zip"}
        return {"Configuration": found, "Code": code}

    def _get_function_configuration(self, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        if Qualifier != "$LATEST" and Qualifier not in self.versions:
            raise _error("ResourceNotFoundException", f"Function not found: {ARN}:{Qualifier}", 404)
        found = self.latest if Qualifier == "$LATEST" else self.versions[Qualifier]
        self._pass(Qualifier, found)
        return found

    def _get_function_url_config(self, FunctionName: str) -> dict[str, Any]:
        if not self.url:
            raise _error("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        return {"FunctionUrl": self.url, "FunctionArn": ARN}

    def _get_provisioned_concurrency_config(self, FunctionName: str, Qualifier: str) -> dict[str, Any]:
        if not self.provisioned:
            said = "No Provisioned Concurrency Config found for this function"
            raise _error("ProvisionedConcurrencyConfigNotFoundException", said, 404)
        return {"RequestedProvisionedConcurrentExecutions": self.provisioned, "Status": "READY"}

    def _list_event_source_mappings(self, FunctionName: str) -> dict[str, Any]:
        return {"EventSourceMappings": self.mappings}

    def _list_versions_by_function(self, FunctionName: str, Marker: str = "0") -> dict[str, Any]:
        # States are not in a listing.
        found = [
            {name: value for name, value in one.items() if not name.startswith(("State", "LastUpdateStatus"))}
            for one in (self.latest, *self.versions.values())
        ]
        start = int(Marker)
        more = {"NextMarker": str(start + PAGE)} if start + PAGE < len(found) else {}
        return {"Versions": found[start : start + PAGE], **more}

    def _update_function_code(
        self,
        FunctionName: str,
        DryRun: bool = False,
        RevisionId: str | None = None,
        **code: str,
    ) -> dict[str, Any]:
        self._begin(RevisionId)
        artifact = code.get("ImageUri") or f"s3://{code.get('S3Bucket')}/{code.get('S3Key')}"
        if ("ImageUri" in code) != (self.latest["PackageType"] == "Image"):
            raise _error("InvalidParameterValueException", "Please provide code of the function's package type.")
        if artifact in self.missing:
            said = f"Source image {artifact} does not exist. Provide a valid source image."
            if "S3Key" in code:
                said = (
                    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key ..."
                )
            raise _error("InvalidParameterValueException", said)
        if not DryRun:
            self.code["$LATEST"] = artifact
            self.latest["CodeSha256"] = _sha(artifact)
            self._changing(self.fails.get(artifact))
        return self.latest

    def _update_function_configuration(
        self,
        FunctionName: str,
        RevisionId: str | None = None,
        Environment: Any = None,
    ) -> dict[str, Any]:
        self._begin(RevisionId)
        if Environment is not None:
            self.latest["Environment"] = Environment
        self._changing(None)
        return self.latest

    def _publish_version(
        self,
        FunctionName: str,
        CodeSha256: str = "",
        Description: str = "",
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        self._begin(RevisionId)
        if CodeSha256 and CodeSha256 != self.latest["CodeSha256"]:
            raise _error("InvalidParameterValueException", "CodeSHA256 is different from current code.")
        return self.versions[self.publish()]

    # -- what happens to it --------------------------------------------------------------------------------------

    def publish(self) -> str:
        """A version of what is there; the one before where nothing has changed since."""
        present = (self.latest["CodeSha256"], copy.deepcopy(self.latest["Environment"]))
        if self._published is not None and self._published[1] == present:
            return self._published[0]
        number = str(len(self.versions) + 1)
        self.versions[number] = {**copy.deepcopy(self.latest), "Version": number, "State": "Pending"}
        self.versions[number]["FunctionArn"] = f"{ARN}:{number}"
        self.code[number] = self.code["$LATEST"]
        self._left[number] = self.takes
        self._published = (number, present)
        return number

    def alias(self, name: str = "live", **more: Any) -> None:
        """Set an alias past everything, as a console does."""
        old = self.aliases.get(name, {"Name": name, "FunctionVersion": "1", "Description": ""})
        self.aliases[name] = {**old, **more, "RevisionId": str(uuid.uuid4())}

    def weights(self, name: str = "live") -> dict[str, float]:
        """Percent by version."""
        alias = self.aliases[name]
        more = {one: round(part * 100) for one, part in _weights_of(alias).items()}
        return {alias["FunctionVersion"]: 100 - sum(more.values()), **more}

    def touch(self) -> None:
        """Somebody else changes the function."""
        self.latest["RevisionId"] = str(uuid.uuid4())

    def _begin(self, revision: str | None) -> None:
        if self.latest["LastUpdateStatus"] == "InProgress":
            raise _error("ResourceConflictException", f"An update is in progress for resource: {ARN}", 409)
        _condition(revision, self.latest)

    def _changing(self, fails: tuple[str, str] | None) -> None:
        self.latest |= {"LastUpdateStatus": "InProgress", "RevisionId": str(uuid.uuid4())}
        self._left["$LATEST"] = self.takes
        self._fails = fails

    def _pass(self, name: str, found: dict[str, Any]) -> None:
        """A read, at which a change may have ended."""
        left = self._left.get(name, 0)
        self._left[name] = left - 1
        if left > 0:
            return
        if found["LastUpdateStatus"] == "InProgress":
            reason, code = self._fails or ("", "")
            status = {"LastUpdateStatus": "Failed" if code else "Successful"}
            # The end of a change is another state than its beginning, which the answer to the call was of.
            status["RevisionId"] = str(uuid.uuid4())
            found |= {**status, "LastUpdateStatusReason": reason, "LastUpdateStatusReasonCode": code}
        if found["State"] == "Pending":
            reason, code = self.broken.get(self.code[name], ("", ""))
            found |= {"State": "Failed" if code else "Active", "StateReason": reason, "StateReasonCode": code}


def _weights_of(alias: dict[str, Any]) -> dict[str, float]:
    return (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def _condition(revision: str | None, found: dict[str, Any]) -> None:
    if revision and revision != found["RevisionId"]:
        raise _error("PreconditionFailedException", "The RevisionId provided does not match the latest one.", 412)


def _sha(artifact: str) -> str:
    return hashlib.sha256(artifact.encode()).hexdigest()


def _error(code: str, message: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Lambda")  # type: ignore[arg-type]
