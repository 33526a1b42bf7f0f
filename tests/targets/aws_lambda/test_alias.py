"""The alias of a function: weights in one conditional call, and what others have done to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.errors import DeploymentFailed, TargetConflict, TargetRejected
from airflow_cd.instances import Track
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState, RollbackCause
from airflow_cd.targets import describe_target, described_target, label_of, resolve_target
from airflow_cd.targets.aws_lambda import LambdaTarget
from tests.targets.aws_lambda.functions_in_memory import Functions

NEW = Release("shop", "1.1", "shop:1.1", {"LIMIT": 7})


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


def delivery(ledger: Ledger, target: LambdaTarget, run_id: str = "run-1") -> Delivery:
    return Delivery(
        ledger,
        target,
        pipeline="shop",
        run_id=run_id,
        service="shop",
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=2),
    )


def test_a_release_takes_over_by_weights_and_the_version_before_is_kept(
    ledger: Ledger, functions: Functions, target: LambdaTarget
) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    assert list(phase.instances) == ["2"], "what CloudWatch knows it by"
    assert functions.weights() == {"1": 80, "2": 20}
    mine.deploy(NEW, phase="phase_60", share=60)
    assert functions.weights() == {"1": 40, "2": 60}
    assert functions.aliases["live"]["FunctionVersion"] == "1", "who clears the weights by hand is back"
    mine.deploy(NEW, phase="phase_100", share=100)
    mine.promote("verified")
    assert functions.weights() == {"2": 100}
    assert sorted(functions.versions) == ["1", "2"]
    (only,) = target.instances()
    assert (only.name, only.version, only.configuration, only.weight) == ("2", "1.1", {"LIMIT": 7}, 100)
    assert only.started is not None


def test_a_rollback_calls_for_nothing_but_the_alias(ledger: Ledger, functions: Functions, target: LambdaTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    functions.asked.clear()
    mine.roll_back("a person said so")
    assert {name for name in functions.asked if not name.startswith("get_")} == {"update_alias"}
    assert functions.weights() == {"1": 100}


def test_what_ran_before_the_last_phase_is_known_without_a_listing(
    ledger: Ledger, functions: Functions, target: LambdaTarget
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.deploy(NEW, phase="phase_100", share=100)
    functions.denied.add("list_versions_by_function")
    mine.roll_back("a person said so")
    assert functions.weights() == {"1": 100}


def test_a_drain_is_two_calls_and_is_read_back_then(ledger: Ledger, functions: Functions, target: LambdaTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    deployment = mine.require_deployment()
    functions.asked.clear()
    mine.drain(mine.lease(), deployment, mine.touched(deployment))
    assert functions.asked[:2] == ["get_alias", "update_alias"]
    assert "update_alias" not in functions.asked[2:]
    assert functions.weights() == {"1": 100}


def test_a_version_that_does_not_come_up_gets_no_request(
    ledger: Ledger, functions: Functions, target: LambdaTarget
) -> None:
    functions.broken["shop:1.1"] = ("No module named shop.", "FunctionError.RuntimeInitError")
    mine = delivery(ledger, target)
    with pytest.raises(DeploymentFailed, match=r"No module named shop \(FunctionError.RuntimeInitError\)") as failed:
        mine.deploy(NEW, phase="all", share=100)
    assert failed.value.unhealthy == ("2",)
    mine.settle()
    assert functions.weights() == {"1": 100}
    assert [one.name for one in target.instances()] == ["1"]


def test_what_was_idle_for_weeks_is_gone_back_to_and_blames_nobody(
    ledger: Ledger, functions: Functions, target: LambdaTarget
) -> None:
    functions.versions["1"]["State"] = "Inactive"
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="all", share=100)
    functions.versions["1"]["State"] = functions.versions["2"]["State"] = "Inactive"
    deployment = mine.settle()
    assert deployment is not None
    assert (deployment.state, deployment.cause) == (DeploymentState.ROLLED_BACK, RollbackCause.RUN_ENDED)
    assert functions.weights()[functions.aliases["live"]["FunctionVersion"]] == 100
    assert [one.artifact for one in target.instances()] == ["shop:0.9"]
    delivery(ledger, target, "run-2").deploy(NEW, phase="phase_20", share=20)
    assert set(functions.weights().values()) == {80, 20}


def test_an_alias_that_somebody_else_moves_is_told_of_and_stays(
    ledger: Ledger, functions: Functions, target: LambdaTarget
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    functions.latest["Environment"] = {"Variables": {"TABLE": "another pipeline's"}}
    other = functions.publish()
    functions.alias(FunctionVersion=other, RoutingConfig={})
    listed = {one.name: one.message for one in target.instances()}
    assert listed["2"] == (
        "somebody else has changed the weights: 100 % at 3, and what was set was 80 % at 1, 20 % at 2"
    )
    with pytest.raises(TargetRejected, match="somebody else has changed the weights: 100 % at 3"):
        mine.deploy(NEW, phase="phase_50", share=50)
    deployment = mine.settle()
    assert deployment is not None
    assert deployment.state == DeploymentState.ROLLED_BACK
    assert functions.weights() == {other: 100}


def test_what_people_have_written_into_the_description_stays(functions: Functions, target: LambdaTarget) -> None:
    functions.alias(Description="what the shop's API calls")
    for number in range(3):
        target.drain([Track.CANARY], key=f"key-{number}", token=10 + number)
    description = functions.aliases["live"]["Description"]
    assert description.startswith("what the shop's API calls [airflow-cd token=12 ")
    assert len(description) <= 256


def test_a_description_without_room_is_refused_before_and_cut_on_the_way_back(
    functions: Functions, target: LambdaTarget
) -> None:
    functions.alias(Description="x" * 250)
    with pytest.raises(TargetRejected, match="has 250 letters, and what is noted beside the weights leaves room for"):
        target.check(NEW)
    target.drain([Track.CANARY], key="key", token=10)
    assert len(functions.aliases["live"]["Description"]) <= 256
    with pytest.raises(TargetConflict):
        target.drain([Track.CANARY], key="late", token=9)


def test_an_alias_that_nothing_can_be_gone_back_to_is_refused(functions: Functions, target: LambdaTarget) -> None:
    functions.alias(FunctionVersion="$LATEST")
    with pytest.raises(TargetRejected, match="which every deployment changes"):
        target.check(NEW)
    functions.aliases.clear()
    with pytest.raises(TargetRejected, match="has no alias live") as no:
        target.instances()
    assert "create-alias" in str(no.value)


def test_an_alias_that_something_else_divides_is_refused_before(
    ledger: Ledger, functions: Functions, target: LambdaTarget
) -> None:
    functions.latest["Environment"] = {"Variables": {}}
    functions.alias(RoutingConfig={"AdditionalVersionWeights": {functions.publish(): 0.1}})
    mine = delivery(ledger, target)
    with pytest.raises(TargetRejected, match="several revisions, 90 % at 1, 10 % at 2"):
        mine.deploy(NEW, phase="phase_20", share=20)
    assert mine.deployment() is None, "there is nothing to go back from"


def test_an_alias_with_provisioned_concurrency_is_refused(functions: Functions, target: LambdaTarget) -> None:
    functions.provisioned = 5
    with pytest.raises(TargetRejected, match="has provisioned concurrency, and Lambda divides no requests") as no:
        target.check(NEW)
    assert "delete-provisioned-concurrency-config" in str(no.value)


def test_what_lambda_gives_everything_to_serves_alone(functions: Functions, target: LambdaTarget) -> None:
    functions.latest["Environment"] = {"Variables": {}}
    other = functions.publish()
    functions.alias(FunctionVersion=other, RoutingConfig={"AdditionalVersionWeights": {"1": 1.0}})
    assert target.serving().weights == {"1": 100}


def test_an_alias_divides_between_two(functions: Functions, target: LambdaTarget) -> None:
    for weights in ({}, {"1": 50, "2": 25, "3": 25}):
        with pytest.raises(TargetRejected, match=f"and not {len(weights)}"):
            target.serve(weights, "airflow-cd token=1", mark="")


def test_a_pipeline_names_it_and_pages_call_it_by_its_name() -> None:
    made = resolve_target("lambda_production", "shop:green")
    assert isinstance(made, LambdaTarget)
    assert (made.function, made.alias) == ("shop", "green")
    named = LambdaTarget("aws_default", "production", function="shop", region="eu-central-1")
    description = describe_target(named, "production")
    assert description is not None
    assert described_target(description) == named
    label = label_of(description)
    assert str(label) == "Lambda: shop:live (connection aws_default)"
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:shop"
    assert LambdaTarget("aws_default", "production", function=arn).mistakes() == []
    wrong = LambdaTarget("", "production", function="shop/1", alias="12").mistakes()
    assert len(wrong) == 3


def test_a_connection_may_name_function_and_alias(functions: Functions, connect: Any) -> None:
    functions.alias("green")
    del functions.aliases["live"]
    connect("lambda_production", conn_type="aws", extra='{"function": "shop", "alias": "green"}')
    made = resolve_target("lambda_production", "production")
    assert str(label_of(describe_target(made, "production"))) == "Lambda: production (connection lambda_production)"
    assert [one.name for one in made.instances()] == ["1"]
