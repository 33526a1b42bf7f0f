"""The contract of revisions on moto's server, through AWS's own client; archives in S3.

moto has no conditions (``RevisionId``), no states that take a while, nothing that fails and no provisioned concurrency:
those are in
:mod:`tests.targets.aws_lambda.functions_in_memory`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.aws_lambda import LambdaTarget
from airflow_cd.targets.aws_lambda.checking import Checking
from airflow_cd.targets.examination import examine
from airflow_cd.targets.revision_contract import Meddle, RevisionContract

GIVEN = {"region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


@pytest.fixture(scope="module")
def client_of() -> Iterator[Callable[[str], Any]]:
    """Clients of moto's server, by the name of a service; ``url`` is where it is."""
    import boto3

    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()

    def client(service: str) -> Any:
        return boto3.client(service, endpoint_url=f"http://{host}:{port}", **GIVEN)  # type: ignore[call-overload]

    _fill(client)
    yield client
    server.stop()


def _fill(client: Callable[[str], Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="releases", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for version in ("0.9", "1.0", "1.1"):
        s3.put_object(Bucket="releases", Key=f"shop-{version}.zip", Body=_archive(version))
    role = client("iam").create_role(RoleName="shop", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client("lambda").create_function(
        FunctionName="shop",
        Runtime="python3.13",
        Role=role,
        Handler="shop.handle",
        Code={"S3Bucket": "releases", "S3Key": "shop-0.9.zip"},
        Environment={"Variables": {"TABLE": "orders"}},
        Publish=True,
    )


def _archive(version: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("shop.py", f"def handle(event, context):\n    return {version!r}\n")
    return written.getvalue()


class TestLambdaOnMoto(RevisionContract):
    timeout = 10.0

    @pytest.fixture
    def target(self, client_of: Callable[[str], Any], connect: Any, monkeypatch: pytest.MonkeyPatch) -> LambdaTarget:
        # moto has no such operation.
        monkeypatch.setattr(Checking, "provisioned", lambda self: None)
        functions = client_of("lambda")
        url = functions.meta.endpoint_url
        extra = json.dumps({"region_name": "eu-central-1", "endpoint_url": url})
        connect("aws_default", conn_type="aws", login="a", password="b", extra=extra)
        if not functions.list_aliases(FunctionName="shop")["Aliases"]:
            functions.create_alias(FunctionName="shop", Name="live", FunctionVersion="1", Description="the shop")
        return LambdaTarget("aws_default", "production", function="shop")

    @pytest.fixture
    def meddle(self, client_of: Callable[[str], Any]) -> Meddle:
        def changed(weights: Mapping[str, float]) -> None:
            (primary,) = weights
            more: dict[str, Any] = {"FunctionVersion": primary, "RoutingConfig": {"AdditionalVersionWeights": {}}}
            client_of("lambda").update_alias(FunctionName="shop", Name="live", **more)

        return changed

    @pytest.fixture
    def good(self) -> Release:
        return Release("shop", "1.0", "s3://releases/shop-1.0.zip", {"LIMIT": 5})

    @pytest.fixture
    def other(self) -> Release:
        return Release("shop", "1.1", "s3://releases/shop-1.1.zip", {"LIMIT": 5})

    @pytest.fixture
    def missing(self) -> Release:
        # moto takes archives that do not exist; of an image it is the target that says it.
        return Release("shop", "1.5", "shop:1.5", {"LIMIT": 5})

    def test_what_the_check_says(self, target: LambdaTarget, client_of: Callable[[str], Any]) -> None:
        """Nothing that would fail, and nothing is changed."""
        before = client_of("lambda").get_alias(FunctionName="shop", Name="live")
        assert [finding.text for finding in examine(target, "shop") if finding.wrong] == []
        assert client_of("lambda").get_alias(FunctionName="shop", Name="live")["Description"] == before["Description"]
        assert before["Description"].startswith("the shop [airflow-cd ")
