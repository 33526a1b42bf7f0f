"""Clients that the hook of Airflow's provider for Amazon makes; the hook is a stand-in."""

from __future__ import annotations

import sys
import types

import pytest

from airflow_cd.errors import AirflowCdError, SourceRejected, SourceUnauthorized, SourceUnavailable, TargetRejected
from airflow_cd.hooks.aws import client_of
from airflow_cd.http.family import SOURCE, TARGET

exceptions = pytest.importorskip("botocore.exceptions")
MODULE = "airflow.providers.amazon.aws.hooks.base_aws"


@pytest.fixture
def provider(monkeypatch):
    """Install a hook whose ``get_conn`` is given; returns what the hook was made with."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws"}')
    given = {}

    def install(get_conn):
        class AwsBaseHook:
            def __init__(self, **fields: object) -> None:
                given.update(fields)

            def get_conn(self):
                return get_conn()

        for name in ("airflow.providers.amazon", "airflow.providers.amazon.aws", "airflow.providers.amazon.aws.hooks"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        module = types.ModuleType(MODULE)
        module.AwsBaseHook = AwsBaseHook
        monkeypatch.setitem(sys.modules, MODULE, module)
        return given

    return install


def raising(error):
    def get_conn():
        raise error

    return get_conn


def client(errors=SOURCE):
    return client_of("aws_default", "logs", region="", said="CloudWatch (connection 'aws_default')", errors=errors)


def test_its_client_is_taken(provider):
    given = provider(lambda: "the client")
    assert client() == "the client"
    assert (given["aws_conn_id"], given["client_type"], given["region_name"]) == ("aws_default", "logs", None)


@pytest.mark.parametrize(
    ("raised", "error", "says"),
    [
        (exceptions.NoRegionError(), SourceRejected, "there is no region"),
        (exceptions.NoCredentialsError(), SourceUnauthorized, "there are no credentials"),
        (exceptions.ProfileNotFound(profile="shop"), SourceRejected, r"ProfileNotFound.*shop"),
        (exceptions.EndpointConnectionError(endpoint_url="https://sts"), SourceUnavailable, "cannot be reached"),
        (ValueError("Invalid endpoint: x"), SourceRejected, "Invalid endpoint"),
        (
            exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "AssumeRole"),
            SourceUnauthorized,
            "refuses the credentials: AccessDenied",
        ),
    ],
)
def test_what_goes_wrong_is_said_in_our_words(provider, raised, error, says):
    provider(raising(raised))
    with pytest.raises(AirflowCdError, match=rf"connection 'aws_default'\).*{says}") as found:
        client()
    assert isinstance(found.value, error)
    assert found.value.next_step


def test_a_target_gets_errors_of_its_own_family(provider):
    provider(raising(exceptions.NoRegionError()))
    with pytest.raises(TargetRejected, match="there is no region"):
        client(TARGET)
