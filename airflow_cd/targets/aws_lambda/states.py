"""What Lambda's states of a version mean, and whose fault it is when a change of a function fails."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_cd.errors import AirflowCdError, ArtifactNotFound, DeploymentFailed, TargetRejected
from airflow_cd.instances import FAILED, HEALTHY, STARTING, UNHEALTHY

_INACTIVE = "Inactive"
_HEALTH = {"Active": HEALTHY, "ActiveNonInvocable": UNHEALTHY, "Pending": STARTING, _INACTIVE: HEALTHY}
_IDLE = "idle for so long that Lambda has taken its resources back; the first call, which fails, brings them again"
_OF_THE_CODE = ("InvalidImage", "InvalidRuntime", "InvalidZipFile", "FunctionError")
"""Beginnings of reasons that lie in the artifact, and not in rights, networks or Lambda itself."""
_GONE = re.compile(r"does not exist|NoSuchKey|NoSuchBucket|ImageDeleted|not found", re.IGNORECASE)


def health_of(configuration: Mapping[str, Any]) -> tuple[str, str]:
    """The health of a version, and why it is not healthy.

    One that is only idle is no worse than it was, and nothing but a request wakes it: it says so, and is healthy.

    :param configuration: of the version, as Lambda answers it; a function of before states is active.
    """
    state = str(configuration.get("State") or "Active")
    health = _HEALTH.get(state, FAILED)
    said = reason(configuration, "State")
    if is_idle(configuration):
        said = said or _IDLE
    quiet = health == HEALTHY and not is_idle(configuration)
    return health, "" if quiet else ": ".join(part for part in (state, said) if part)


def is_idle(configuration: Mapping[str, Any]) -> bool:
    """Whether the first call of a version will fail, since Lambda has taken its resources back.

    :param configuration: of the version, as Lambda answers it.
    """
    return configuration.get("State") == _INACTIVE


def reason(configuration: Mapping[str, Any], of: str) -> str:
    """Why something is as it is, in Lambda's words, with their code.

    :param configuration: of a function or a version.
    :param of: ``State`` or ``LastUpdateStatus``.
    """
    text, code = str(configuration.get(f"{of}Reason") or ""), str(configuration.get(f"{of}ReasonCode") or "")
    return " ".join(part for part in (text.rstrip("."), f"({code})" if code else "") if part)


def update_failed(configuration: Mapping[str, Any], artifact: str) -> AirflowCdError:
    """The error for a change of a function that Lambda could not finish.

    :param configuration: of the function.
    :param artifact: what it was to run.
    """
    name, code = str(configuration.get("FunctionName")), str(configuration.get("LastUpdateStatusReasonCode") or "")
    said = f"{artifact} does not come up on function {name}: {reason(configuration, 'LastUpdateStatus') or 'Failed'}."
    state = "the alias is as it was; $LATEST has what does not come up."
    if code == "ImageDeleted":
        return ArtifactNotFound(said, state=state)
    return DeploymentFailed(
        said,
        unhealthy=(name,) if code.startswith(_OF_THE_CODE) else (),
        instances=(name,),
        state=state,
        next_step="Read the reason; no request has reached it.",
    )


def not_taken(error: TargetRejected, artifact: str) -> AirflowCdError:
    """The error for code that Lambda does not take.

    :param error: of the call.
    :param artifact: what it was to run.
    """
    if _GONE.search(error.what):
        return ArtifactNotFound(f"{artifact} cannot be had: {error.what}", state="nothing was changed.")
    return error
