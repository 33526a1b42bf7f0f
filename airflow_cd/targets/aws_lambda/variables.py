"""A release in the environment variables of a function: its configuration, and one variable that says what it is.

Variables are part of a version and never change with it, so what a version is can be read from itself. The function's
own variables stay; those that a release covers come back when a release no longer does.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_cd.errors import TargetUnauthorized
from airflow_cd.release import Release
from airflow_cd.targets.aws_lambda.code import CODE
from airflow_cd.targets.docker.configuration import decode, encode

RELEASE = "AIRFLOW_CD_RELEASE"
"""Name of the variable that says what a version is."""
LARGEST = 4096
"""Bytes that all variables of a function may have, names and values."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_RESERVED = (
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
)


class Undecryptable(TargetUnauthorized):
    """Variables that are there and cannot be read."""


@dataclass(frozen=True)
class Given:
    """What a version was published for, as its variables say it.

    :param version: of the release.
    :param artifact: of the release.
    :param code: SHA-256 of the code that was meant, as Lambda gives it.
    :param kinds: by key of the configuration, whether its value is a text, JSON, or null.
    :param own: the function's own variables that the release covers.
    """

    version: str
    artifact: str
    code: str
    kinds: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)


def variables_read(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a function or a version.

    :param configuration: as Lambda answers it.
    :raises Undecryptable: they cannot be decrypted.
    """
    environment = configuration.get("Environment") or {}
    if environment.get("Error"):
        raise Undecryptable(
            f"the variables of function {configuration.get('FunctionName')} cannot be read: "
            f"{str(environment['Error'].get('Message', '')).rstrip('.')}.",
            state="nothing was changed.",
            next_step="Allow kms:Decrypt with the function's key.",
        )
    return dict(environment.get("Variables") or {})


def given_of(variables: Mapping[str, str]) -> Given | None:
    """What a version was published for; None where something else has published it.

    :param variables: of the version.
    """
    try:
        found = json.loads(variables.get(RELEASE, ""))
        given = Given(found["version"], found["artifact"], found["code"], dict(found["kinds"]), dict(found["own"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    # Whoever else writes variables may have written this one.
    texts = (given.version, given.artifact, given.code, *given.kinds.values(), *given.own.values())
    return given if all(isinstance(text, str) for text in texts) else None


def configuration_of(variables: Mapping[str, str], given: Given | None) -> dict[str, Any]:
    """The configuration of a release, as a version really has it; the function's own variables are none.

    :param variables: of the version.
    :param given: what it was published for.
    """
    return decode(given.kinds, dict(variables), {}) if given is not None else {}


def may_run(version: Mapping[str, Any], release: Release) -> bool:
    """Whether a version may run a release, by what a listing says of it; one that cannot be decrypted may not.

    By what name an image was published that something else has published, no listing says: only by its digest.

    :param version: as Lambda lists it.
    :param release: what is looked for.
    """
    code = str(version.get("CodeSha256") or "")
    try:
        given = given_of(variables_read(version))
    except Undecryptable:
        return False
    if given is not None and given.code == code:
        return given.artifact == release.artifact
    if given is None and release.configuration:
        return False
    image = version.get("PackageType") == "Image"
    return release.artifact.endswith(f"@{CODE}{code}") if image else release.artifact == f"{CODE}{code}"


def own_of(variables: Mapping[str, str]) -> dict[str, str]:
    """The function's own variables, without what a release has put over them.

    :param variables: as the function has them now.
    """
    given = given_of(variables)
    covered = {*(given.kinds if given is not None else ()), RELEASE}
    own = {name: value for name, value in variables.items() if name not in covered}
    return {**own, **(given.own if given is not None else {})}


def variables_of(release: Release, own: Mapping[str, str], code: str) -> dict[str, str]:
    """The variables of a version that runs a release.

    No two versions have the same ones: Lambda publishes none that differs in nothing from the one before.

    :param release: what it is to run.
    :param own: of :func:`own_of`.
    :param code: SHA-256 of the release's code, as Lambda gives it.
    """
    encoded = encode(release.configuration)
    said = {
        "version": release.version,
        "artifact": release.artifact,
        "code": code,
        "kinds": encoded.kinds,
        "own": {name: own[name] for name in encoded.kinds if name in own},
        "id": uuid.uuid4().hex[:8],
    }
    set_by_it = {name: value for name, value in encoded.variables.items() if value is not None}
    rest = {name: value for name, value in own.items() if name not in encoded.kinds}
    return {**rest, **set_by_it, RELEASE: json.dumps(said, separators=(",", ":"), sort_keys=True)}


def mistakes(release: Release, own: Mapping[str, str]) -> list[str]:
    """Why a function cannot have the configuration of a release, one sentence without its full stop each.

    :param release: the release.
    :param own: of :func:`own_of`.
    """
    names = list(release.configuration)
    found = [f"{name!r} cannot be the name of a variable on Lambda" for name in names if not _NAME.fullmatch(name)]
    found += [f"{name} is a variable of Lambda's own" for name in names if name in (*_RESERVED, RELEASE)]
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables_of(release, own, "0" * 64).items())
    if size > LARGEST:
        found.append(f"the function's variables would have {size} bytes, and Lambda takes {LARGEST}")
    return found
