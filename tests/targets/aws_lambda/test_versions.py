"""Versions of a function: published by nobody else, with their own code and variables, and what goes wrong in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_cd.errors import ArtifactNotFound, DeploymentFailed, TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.hooks import aws_lambda
from airflow_cd.release import Release
from airflow_cd.targets.aws_lambda import LambdaTarget
from airflow_cd.targets.aws_lambda.variables import RELEASE
from tests.targets.aws_lambda.functions_in_memory import Functions

NEW = Release("shop", "1.1", "shop:1.1", {"LIMIT": 7})


def variables(functions: Functions, version: str) -> dict[str, str]:
    return {
        name: text for name, text in functions.versions[version]["Environment"]["Variables"].items() if name != RELEASE
    }


def test_the_functions_own_variables_stay_and_those_that_a_release_covers_come_back(
    functions: Functions, target: LambdaTarget
) -> None:
    covering = replace(NEW, configuration={"LIMIT": 7, "TABLE": "orders-2", "DEBUG": None})
    assert variables(functions, target.publish(covering)) == {"LIMIT": "7", "TABLE": "orders-2"}
    assert variables(functions, target.publish(NEW)) == {"LIMIT": "7", "TABLE": "orders"}


def test_what_was_published_before_is_not_made_again(functions: Functions, target: LambdaTarget) -> None:
    made = [target.publish(release) for release in (NEW, replace(NEW, configuration={"LIMIT": 8}), NEW)]
    assert made == ["2", "3", "2"]
    assert target.publish(NEW, beside="2") == "4"


def test_what_something_else_has_published_with_what_we_left_there_is_not_ours(
    functions: Functions, target: LambdaTarget
) -> None:
    target.publish(NEW)
    functions.code["$LATEST"] = "shop:by-hand"
    functions.latest["CodeSha256"] = "0" * 64
    found = target.revision(functions.publish())
    assert found is not None
    assert (found.artifact, found.version) == ("shop:by-hand", None)
    assert not found.runs(NEW)


def test_a_function_that_somebody_changes_meanwhile_is_begun_anew(functions: Functions, target: LambdaTarget) -> None:
    def somebody(operation: str) -> None:
        if operation == "publish_version":
            functions.before = lambda operation: None
            functions.latest["Environment"] = {"Variables": {"TABLE": "by hand"}}
            functions.touch()

    functions.before = somebody
    assert variables(functions, target.publish(NEW)) == {"LIMIT": "7", "TABLE": "by hand"}
    functions.before = lambda operation: functions.touch() if operation == "publish_version" else None
    with pytest.raises(TargetUnavailable, match="changed by somebody else all the time: 5 attempts to publish shop 9"):
        target.publish(replace(NEW, version="9", artifact="shop:9"))


def test_a_change_that_is_under_way_is_waited_for(functions: Functions, target: LambdaTarget) -> None:
    functions.takes = 4
    functions._changing(None)
    assert target.publish(NEW) == "2"


def test_a_change_that_never_ends_is_given_up(functions: Functions, target: LambdaTarget) -> None:
    functions.takes = 10**9
    seconds = iter(range(0, 10**6, 200))
    target._publishing._clock = lambda: next(seconds)
    with pytest.raises(TargetUnavailable, match="a change of function shop has not ended within 600 s"):
        target.publish(NEW)


@pytest.mark.parametrize(
    ("code", "kind", "fault"),
    [
        ("InvalidImage", DeploymentFailed, True),
        ("FunctionError.InvalidEntryPoint", DeploymentFailed, True),
        ("EniLimitExceeded", DeploymentFailed, False),
        ("ImageAccessDenied", DeploymentFailed, False),
        ("ImageDeleted", ArtifactNotFound, False),
    ],
)
def test_why_a_change_fails_is_said_first_and_whose_fault_it_is(
    functions: Functions, target: LambdaTarget, code: str, kind: type[Exception], fault: bool
) -> None:
    functions.fails["shop:1.1"] = ("The image is not what it should be.", code)
    with pytest.raises(
        kind, match=rf"shop:1.1 does not come up on function shop: The image.*be \({code}\)\."
    ) as failed:
        target.publish(NEW)
    assert bool(getattr(failed.value, "unhealthy", ())) is fault
    assert functions.weights() == {"1": 100}
    functions.fails.clear()
    assert target.publish(NEW) == "2", "what has failed is tried again"


def test_why_a_version_does_not_become_active_is_its_message(functions: Functions, target: LambdaTarget) -> None:
    functions.broken["shop:1.1"] = ("No module named shop.", "FunctionError.RuntimeInitError")
    version = target.publish(NEW)
    starting, failed = target.revision(version), target.revision(version)
    assert starting is not None
    assert failed is not None
    assert (starting.health, starting.message) == ("starting", "Pending")
    assert failed.message == "Failed: No module named shop (FunctionError.RuntimeInitError)"
    functions.broken.clear()
    assert target.publish(NEW) != version, "a version that has failed is not taken again"


def test_an_idle_version_says_so_and_is_no_worse_than_it_was(functions: Functions, target: LambdaTarget) -> None:
    functions.versions["1"]["State"] = "Inactive"
    (found,) = target.instances()
    assert found.health == "healthy"
    assert "Inactive: idle" in found.message


def test_an_idle_version_that_cannot_be_made_anew_is_better_than_none(
    functions: Functions, target: LambdaTarget
) -> None:
    functions.latest["PackageType"] = "Zip"
    functions.versions["1"] |= {"State": "Inactive", "PackageType": "Zip"}
    functions.latest["Environment"] = {"Variables": {}}
    functions.alias(FunctionVersion=functions.publish())
    foreign = target.revision("1")
    assert foreign is not None
    back = replace(NEW, artifact=foreign.artifact, configuration={})
    target.check(back)
    assert target.publish(back, beside="2") == "1"


@pytest.mark.parametrize("state", ["Inactive", "ActiveNonInvocable", "Failed"])
def test_a_version_that_nobody_would_wake_is_made_anew(functions: Functions, target: LambdaTarget, state: str) -> None:
    assert target.publish(NEW) == "2"
    assert target.revision("2") is not None
    functions.versions["2"]["State"] = state
    assert target.publish(NEW) == "3"
    functions.versions["3"]["State"] = state
    functions.alias(FunctionVersion="3", RoutingConfig={})
    assert target.publish(NEW) == "3", "what serves is up, or is woken by its requests"


def test_variables_that_cannot_be_decrypted_are_no_empty_ones(functions: Functions, target: LambdaTarget) -> None:
    functions.versions["1"]["Environment"] = {
        "Error": {"ErrorCode": "AccessDeniedException", "Message": "kms:Decrypt."}
    }
    with pytest.raises(TargetUnauthorized, match=r"variables of function shop cannot be read: kms:Decrypt\."):
        target.revision("1")


def test_an_old_version_that_cannot_be_decrypted_is_in_nobodys_way(functions: Functions, target: LambdaTarget) -> None:
    assert target.publish(NEW) == "2"
    other = replace(NEW, configuration={"LIMIT": 8})
    functions.alias(FunctionVersion=target.publish(other))
    for version in ("1", "2"):
        functions.versions[version]["Environment"] = {"Error": {"ErrorCode": "AccessDeniedException", "Message": "no"}}
    target.check(NEW)
    assert target.publish(other) == "3"
    assert target.publish(NEW) == "4", "what it runs is unknown"


def test_what_others_have_published_is_not_asked_for_one_by_one(functions: Functions, target: LambdaTarget) -> None:
    for number in range(30):
        functions.latest["Environment"] = {"Variables": {"BUILD": str(number)}}
        functions.publish()
    functions.asked.clear()
    assert target.publish(replace(NEW, configuration={})) == "32"
    assert functions.asked.count("get_function") <= 1, "the version that serves alone"
    functions.asked.clear()
    old = target.revision("1")
    assert old is not None
    assert target.publish(replace(NEW, artifact=old.artifact, configuration={})) == "1"
    assert "list_versions_by_function" not in functions.asked, "the alias knows it"


# -- before anything is touched -------------------------------------------------------------------------------------


def test_what_suits_is_checked_and_nothing_is_changed(functions: Functions, target: LambdaTarget) -> None:
    before = (dict(functions.latest), dict(functions.aliases["live"]), list(functions.versions))
    target.check(NEW)
    assert before == (functions.latest, functions.aliases["live"], list(functions.versions))


def test_rights_that_are_missing_are_named_all_at_once(functions: Functions, target: LambdaTarget) -> None:
    functions.denied |= {"update_alias", "publish_version"}
    with pytest.raises(TargetUnauthorized, match="on function shop: lambda:UpdateAlias, lambda:PublishVersion"):
        target.check(NEW)


def test_an_artifact_that_is_not_there_is_named(functions: Functions, target: LambdaTarget) -> None:
    functions.missing.add("shop:1.1")
    with pytest.raises(ArtifactNotFound, match=r"shop:1\.1 cannot be had"):
        target.check(NEW)


def test_an_archive_is_named_by_bucket_key_and_version(functions: Functions, target: LambdaTarget) -> None:
    functions.latest["PackageType"] = "Zip"
    archive = replace(NEW, artifact="s3://releases/shop-1.1.zip#3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY")
    found = target.revision(target.publish(archive))
    assert found is not None
    assert found.runs(archive)
    functions.missing.add("s3://releases/shop-1.2.zip")
    with pytest.raises(ArtifactNotFound, match=r"s3://releases/shop-1\.2\.zip cannot be had.*NoSuchKey"):
        target.publish(replace(NEW, version="1.2", artifact="s3://releases/shop-1.2.zip"))
    foreign = target.revision("1")
    assert foreign is not None
    assert target.publish(replace(NEW, artifact=foreign.artifact, configuration={})) == "1", "to go back to"


@pytest.mark.parametrize(
    ("artifact", "configuration", "said"),
    [
        ("s3://releases/shop.zip", {}, "give an image"),
        (
            "shop:1.1",
            {"1LIMIT": 5, "AWS_REGION": "eu"},
            "'1LIMIT' cannot be the name.*AWS_REGION is a variable of Lambda",
        ),
        ("shop:1.1", {"LIMIT": "x" * 4000}, "variables would have .* bytes, and Lambda takes 4096"),
    ],
)
def test_a_release_that_no_version_could_be_of_is_refused(
    functions: Functions, target: LambdaTarget, artifact: str, configuration: dict[str, object], said: str
) -> None:
    with pytest.raises(TargetRejected, match=said):
        target.check(replace(NEW, artifact=artifact, configuration=configuration))


def test_versions_of_two_roles_cannot_serve_together(functions: Functions, target: LambdaTarget) -> None:
    functions.latest["Role"] = "arn:aws:iam::123456789012:role/other"
    with pytest.raises(TargetRejected, match="another execution role by now than version 1"):
        target.check(NEW)


def test_callers_that_go_past_the_alias_are_named_before_a_canary(functions: Functions, target: LambdaTarget) -> None:
    arn = functions.latest["FunctionArn"]
    functions.mappings = [
        {"UUID": "m-1", "FunctionArn": f"{arn}:live", "EventSourceArn": "arn:aws:sqs:eu-central-1:1:a"},
        {"UUID": "m-2", "FunctionArn": arn, "EventSourceArn": "arn:aws:sqs:eu-central-1:1:b"},
    ]
    functions.url = "https://abc.lambda-url.eu-central-1.on.aws/"
    with pytest.raises(
        TargetRejected, match=r"past alias live.*m-2 \(arn:aws:sqs:eu-central-1:1:b\).*function URL"
    ) as no:
        target.check(NEW)
    assert "m-1" not in no.value.what
    replace(target, past_the_alias=True).check(NEW)
    assert len(target.notes()) == 3


@pytest.mark.parametrize(
    ("operation", "right", "said"),
    [
        ("get_function_url_config", "lambda:GetFunctionUrlConfig", "whether a function URL calls the function itself"),
        ("list_event_source_mappings", "lambda:ListEventSourceMappings", "whether an event source mapping calls"),
    ],
)
def test_callers_that_may_not_be_listed_are_a_right_that_is_missing(
    functions: Functions, target: LambdaTarget, operation: str, right: str, said: str
) -> None:
    functions.denied.add(operation)
    with pytest.raises(TargetUnauthorized, match=f"on function shop: {right}") as missing:
        target.check(NEW)
    assert "past_the_alias" not in str(missing.value)
    replace(target, past_the_alias=True).check(NEW)
    assert said in target.notes()[0]


def test_callers_that_cannot_be_listed_now_are_asked_for_again(functions: Functions, target: LambdaTarget) -> None:
    functions.throttled.add("list_event_source_mappings")
    with pytest.raises(TargetUnavailable, match="TooManyRequestsException"):
        target.check(NEW)
    assert "whether an event source mapping calls the function itself is unknown" in target.notes()[0]


# -- an API that does not answer ------------------------------------------------------------------------------------


def test_nobody_there_is_tried_again(connect: Any) -> None:
    extra = '{"region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:1"}'
    connect("aws_default", conn_type="aws", login="a", password="b", extra=extra)
    with pytest.raises(TargetUnavailable, match=r"Lambda \(connection 'aws_default'\) cannot be reached"):
        LambdaTarget("aws_default", "production", function="shop").instances()


def test_a_listing_without_an_end_is_given_up(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_lambda, "MOST_PAGES", 1)
    functions.latest["Environment"] = {"Variables": {}}
    functions.publish()
    api = aws_lambda.LambdaApi("aws_default")
    with pytest.raises(TargetUnavailable, match="has not ended"):
        list(api.listed("list_versions_by_function", "Versions", FunctionName="shop", Marker="0"))
