"""Canaries with pauses and bake, blue/green: what is written, the mistakes that are said, the tasks that come out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_cd import Approval, BlueGreen, Canary, Environment, Phase, Pipeline, Verification
from airflow_cd.errors import PipelineError
from airflow_cd.pipeline.strategies import without_requests
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs
from airflow_cd.targets import KubernetesTarget

WATCHED = Verification(
    metrics=[NewRelicMetrics(app="shop")], logs=[SumoLogicLogs(query="_sourceCategory=shop")], duration="10m"
)
PODS = KubernetesTarget("kubernetes_production", "production", namespace="shop", deployment="web")
ROUTED = KubernetesTarget("kubernetes_production", "production", namespace="shop", deployment="web", route="web")


def tasks_of(member: Any) -> dict[str, Any]:
    dag = Pipeline("shop", stages=[member]).dag()
    assert dag is not None
    return {task.task_id.removeprefix("production."): task for task in dag.tasks}


def mistakes_of(member: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        Pipeline("shop", stages=[member]).dag()
    return str(caught.value)


def canary(target: Any = None, **given: Any) -> Canary:
    return Canary(Environment("production", target=target), **{"verify": WATCHED, **given})


def blue_green(target: Any = PODS, **given: Any) -> BlueGreen:
    return BlueGreen(Environment("production", target=target), **{"verify": WATCHED, **given})


def test_a_new_side_is_watched_before_it_has_requests_and_with_all_of_them() -> None:
    tasks = tasks_of(blue_green(bake="30m", mark=["new_relic_default"]))
    deployed = {name: task for name, task in tasks.items() if name.endswith(".deploy")}
    assert [(name, task.share, task.traffic) for name, task in deployed.items()] == [
        ("green.deploy", 100, 0),
        ("switch.deploy", 100, 100),
        ("bake.deploy", 100, 100),
        ("finish.deploy", 100, None),
    ]
    assert [name for name in tasks if name.endswith(".mark")] == ["switch.mark"]
    assert tasks["green.verify"].follow == "production.switch.deploy"
    assert tasks["bake.verify"].follow == "production.finish.deploy"
    assert tasks["promote"].upstream_task_ids == {"production.finish.deploy"}
    assert "finish.verify" not in tasks


def test_a_new_side_without_requests_fails_by_what_is_new_alone() -> None:
    preview = tasks_of(blue_green())["green.verify"].verification
    assert (preview.metrics, preview.logs) == ((), WATCHED.logs)
    assert (preview.on_no_data, preview.on_inconclusive, preview.on_source_error) == ("pass", "pass", "ask")


def test_a_new_side_whose_logs_nobody_reads_is_watched_when_it_has_requests() -> None:
    metrics_alone = Verification(metrics=[NewRelicMetrics(app="shop")])
    tasks = tasks_of(blue_green(verify=metrics_alone))
    assert "green.verify" not in tasks
    assert tasks["switch.deploy"].upstream_task_ids == {"production.green.deploy"}
    own = tasks_of(blue_green(verify=metrics_alone, preview=WATCHED))
    assert own["green.verify"].verification == WATCHED


def test_what_is_silent_without_requests_weighs_at_no_sensitivity() -> None:
    sensitive = Verification(logs=WATCHED.logs, sensitivity="high")
    found = without_requests(sensitive)
    assert found is not None
    assert found.sensitivity == "medium"


@pytest.mark.parametrize("tests", [lambda: EmptyOperator(task_id="smoke"), EmptyOperator(task_id="smoke")])
def test_a_new_side_is_tested_before_it_is_verified(tests: Any) -> None:
    tasks = tasks_of(blue_green(tests=tests))
    smoke = next(task for name, task in tasks.items() if name.endswith("smoke"))
    assert smoke.upstream_task_ids == {"production.green.deploy"}
    assert tasks["green.verify"].upstream_task_ids == {smoke.task_id}


def test_a_canary_that_bakes_keeps_the_release_before_where_there_are_replicas() -> None:
    tasks = tasks_of(canary(PODS, bake="1h"))
    assert [(task.share, task.traffic) for name, task in tasks.items() if name.endswith(".deploy")] == [
        (20, None),
        (100, 100),
        (100, 100),
        (100, None),
    ]
    assert tasks["bake.verify"].verification.length == timedelta(hours=1)


def test_a_canary_of_named_instances_bakes_without_a_second_side() -> None:
    tasks = tasks_of(canary(bake="1h"))
    names = [name for name in tasks if name.endswith(".deploy")]
    assert names == ["phase_20.deploy", "phase_100.deploy", "bake.deploy"]
    assert {tasks[name].traffic for name in names} == {None}
    assert tasks["phase_100.verify"].follow == "production.bake.deploy"


def test_a_longer_watch_changes_nothing_that_follows_from_the_duration_by_default() -> None:
    longer = WATCHED.lasting(timedelta(hours=2))
    assert longer.length == timedelta(hours=2)
    assert longer.mistakes() == []
    for name in ("least", "warming", "shutdown_grace", "pause"):
        assert getattr(longer, name) == getattr(WATCHED, name)
    assert WATCHED.lasting(timedelta(seconds=1)).mistakes() == []


def test_each_phase_but_the_last_is_watched_on_for_the_pause() -> None:
    tasks = tasks_of(canary(phases=[10, Phase(50, pause="1h"), 100], pause="5m"))
    lengths = [task.verification.length for name, task in tasks.items() if name.endswith(".verify")]
    assert lengths == [timedelta(minutes=15), timedelta(minutes=70), timedelta(minutes=10)]


def test_a_phase_has_another_part_of_the_requests_by_a_route() -> None:
    tasks = tasks_of(canary(ROUTED, phases=[Phase(20, traffic=5), Phase(100, traffic=50), 100]))
    deployed = [(name, task.traffic) for name, task in tasks.items() if name.endswith(".deploy")]
    assert deployed == [
        ("phase_20_traffic_5.deploy", 5),
        ("phase_100_traffic_50.deploy", 50),
        ("phase_100.deploy", None),
    ]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (blue_green("http_production"), "changes instances in place"),
        (blue_green(verify=None), "needs a verification"),
        (blue_green(bake="soon"), "bake: 'soon' is not a duration"),
        (blue_green(tests="smoke"), "tests is 'smoke', give an operator"),
        (blue_green(preview=5), "preview is a int, give Verification"),
        (blue_green(preview=Verification()), "preview: the verification has no source"),
        (canary(phases=[Phase(20, traffic=5), 100]), "changes instances in place"),
        (
            canary(PODS, phases=[Phase(20, traffic=5), 100]),
            "name the HTTPRoute, VirtualService or Ingress that divides them",
        ),
        (canary(ROUTED, phases=[Phase(20, traffic=101), 100]), "traffic is 101, must be a whole percent"),
        (canary(ROUTED, phases=[Phase(0, traffic=5), 100]), "a share is a whole percent from 1 to 100"),
        (canary(ROUTED, phases=[Phase(20, traffic=50), 30, 100]), "must increase"),
        (canary(ROUTED, phases=[20, Phase(100, traffic=50)]), "must end at 100"),
        (canary(phases=[Phase(20, pause="long"), 100]), "pause: 'long' is not a duration"),
        (canary(pause=-1), "pause: -1 is not a duration"),
        (canary(phases=[Phase(20, trafic=5), 100]), "Phase has no 'trafic': did you mean 'traffic'?"),
        (canary(bakes="1h"), "did you mean 'bake'?"),
    ],
)
def test_a_mistake_is_said_when_the_file_is_parsed(member: Any, said: str) -> None:
    assert said in mistakes_of(member)


def test_a_plan_says_the_strategy_and_nothing_more_than_before_of_a_plain_canary() -> None:
    from airflow_cd.pipeline.plan import plan_of

    plain = plan_of(Pipeline("shop", stages=[canary()])).steps["production"]
    assert {"pause", "pauses", "bake"}.isdisjoint(plain), "runs that began under an older package go on"
    baked = plan_of(Pipeline("shop", stages=[canary(PODS, bake="1h", pause="5m")])).steps["production"]
    assert (baked["bake"], baked["pause"]) == ("1h", "5m")
    sides = plan_of(Pipeline("shop", stages=[blue_green(bake="1h")])).steps["production"]
    assert (sides["kind"], sides["bake"]) == ("blue/green", "1h")


def test_an_approval_lets_a_blue_green_through() -> None:
    dag = Pipeline("shop", stages=[Approval(), blue_green()]).dag()
    assert dag is not None
    assert dag.get_task("approve").environments == ("production",)


def test_what_a_run_would_do_is_said_with_pauses_and_bake() -> None:
    from airflow_cd.pipeline.checking import steps

    said = "\n".join(steps(Pipeline("shop", stages=[canary(PODS, phases=[20, 50, 100], pause="5m", bake="1h")])))
    assert said.count("watched on for 5m before the next") == 2
    assert "watched on for 1h before it is promoted" in said
    assert "going back is a switch" in said
    plain = "\n".join(steps(Pipeline("shop", stages=[canary(PODS, pause="0s", bake=0)])))
    assert "watched on" not in plain
    assert "a new side without requests" in "\n".join(steps(Pipeline("shop", stages=[blue_green()])))
