"""Amazon Web Services: clients over an Airflow connection, with what goes wrong in the words of this package."""

from __future__ import annotations

from typing import Any

from airflow_cd.errors import AirflowCdError
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.family import ErrorFamily

THROTTLED = ("Throttl", "TooManyRequests", "LimitExceeded", "RequestLimitExceeded")
"""Parts of codes that ask for a pause."""
_UNAUTHORIZED = (
    "AccessDenied",
    "UnrecognizedClient",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "AuthFailure",
    "OptInRequired",
)
_AWAY = (
    "ServiceUnavailable",
    "ServiceException",
    "InternalFailure",
    "InternalService",
    "InternalError",
    "RequestTimeout",
)
_ATTEMPTS = 6
_CORRECT = "Correct the connection."
_LONGEST = 400


def client_of(conn_id: str, service: str, *, region: str, said: str, errors: ErrorFamily) -> Any:
    """The official client of a service.

    With Airflow's provider for Amazon its hook makes it, roles and profiles included; without it login and password are
    the access key, and the extra has ``region_name``, ``aws_session_token`` and ``endpoint_url``.

    :param conn_id: Airflow connection of type ``aws``.
    :param service: as the client knows it, ``lambda``.
    :param region: of the service; ``""`` for the connection's.
    :param said: beginning of what is said of it, the service and the connection.
    :param errors: the errors to raise.
    :raises Refused: the client is not installed, or the connection does not suit.
    :raises Unavailable: AWS, which is asked for a role, does not answer.
    """
    settings = ConnectionSettings.read(conn_id, errors)
    try:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    except ImportError:
        return _plain(settings, service, region, said, errors)
    from botocore.exceptions import BotoCoreError, ClientError

    hook = AwsBaseHook(aws_conn_id=conn_id, client_type=service, region_name=region or None, config=_config())
    try:
        return hook.get_conn()
    except ClientError as error:
        raise refused(error, said, errors, what=_CORRECT) from None
    except (BotoCoreError, ValueError) as error:
        raise unanswered(error, said, errors, what=_CORRECT) from None


def refused(error: Any, said: str, errors: ErrorFamily, *, what: str) -> AirflowCdError:
    """What an answer with an error of AWS means.

    :param error: of the client, a ``ClientError``.
    :param said: as of :func:`client_of`.
    :param errors: the errors to choose from.
    :param what: what to correct when the request itself is refused.
    """
    code = code_of(error)
    text = _on_one_line(str(error.response.get("Error", {}).get("Message", "")) or str(error))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if any(word in code for word in _UNAUTHORIZED):
        return errors.unauthorized(
            f"{said} refuses the credentials: {code}: {text}.", next_step="Check the access key and its policy."
        )
    if any(word in code for word in THROTTLED):
        return errors.throttled(f"{said} is limiting the rate of requests: {code}.", next_step="Ask less often.")
    if status in (401, 403):  # of what stands before AWS, too, whose answers its client cannot read
        return errors.unauthorized(
            f"{said} refuses the credentials ({status}): {text}.", next_step="Check the access key and its policy."
        )
    if status >= 500 or any(word in code for word in _AWAY):
        return errors.unavailable(f"{said} failed: {code}: {text}.", next_step="Try again later.")
    return errors.rejected(f"{said} rejected the request: {code}: {text}.", next_step=what)


def unanswered(error: Exception, said: str, errors: ErrorFamily, *, what: str) -> AirflowCdError:
    """What it means that there is no answer of AWS.

    :param error: of the client, a ``BotoCoreError``, or a ``ValueError`` of its settings.
    :param said: as of :func:`client_of`.
    :param errors: the errors to choose from.
    :param what: what to correct when it is none of the connection.
    """
    from botocore import exceptions as botocore

    if isinstance(error, botocore.NoCredentialsError):
        return errors.unauthorized(f"{said}: there are no credentials.", next_step="Enter an access key.")
    if isinstance(error, botocore.NoRegionError):
        return errors.misconfigured(f"{said}: there is no region.", next_step="Put region_name into the extra.")
    # What else the client raises is an answer that broke off, or nobody who gives it credentials now.
    wrong = (
        ValueError,
        botocore.ValidationError,
        botocore.ParamValidationError,
        botocore.PartialCredentialsError,
        botocore.ProfileNotFound,
        botocore.ConfigNotFound,
        botocore.ConfigParseError,
        botocore.InvalidConfigError,
        botocore.InvalidRetryConfigurationError,
        botocore.DataNotFoundError,
        botocore.UnknownCredentialError,
    )
    if isinstance(error, wrong):
        return errors.rejected(f"{said}: {type(error).__name__}: {error}.", next_step=what)
    if isinstance(error, (botocore.EndpointConnectionError, botocore.HTTPClientError)):
        return errors.unavailable(f"{said} cannot be reached: {error}.", next_step="Check region and network.")
    return errors.unavailable(
        f"{said} has not answered: {type(error).__name__}: {str(error).rstrip('.')}.", next_step="Try again."
    )


def code_of(error: Any) -> str:
    """The code of an error of AWS, such as ``AccessDeniedException``.

    :param error: of the client, a ``ClientError``.
    """
    return str(error.response.get("Error", {}).get("Code", ""))


def installed() -> bool:
    """Whether the client of AWS is there."""
    from importlib.util import find_spec

    return find_spec("boto3") is not None


def _on_one_line(text: str) -> str:
    text = " ".join(text.split())
    return (f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text).rstrip(".")


def _plain(settings: ConnectionSettings, service: str, region: str, said: str, errors: ErrorFamily) -> Any:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise errors.misconfigured(
            "the client of AWS is not installed.", next_step="pip install 'airflow-cd[aws]'"
        ) from error
    try:
        return boto3.client(
            service,
            region_name=region or settings.text("region_name") or None,
            endpoint_url=settings.text("endpoint_url") or None,
            aws_access_key_id=settings.login or None,
            aws_secret_access_key=settings.password or None,
            aws_session_token=settings.text("aws_session_token") or None,
            config=_config(),
        )
    except (BotoCoreError, ValueError) as error:
        raise unanswered(error, said, errors, what=_CORRECT) from None


def _config() -> Any:
    from botocore.config import Config

    return Config(retries={"max_attempts": _ATTEMPTS, "mode": "standard"}, connect_timeout=10, read_timeout=30)
