from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from airflow_cd import Approval, Canary, Environment, GitRepository, Pipeline, Verification
from airflow_cd.errors import PipelineError
from airflow_cd.pipeline.rollback_dag import build_rollback
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs
from airflow_cd.targets import KubernetesTarget

VERIFY = Verification(
    metrics=[NewRelicMetrics(app="shop")], logs=[SumoLogicLogs(query="_sourceCategory=production/shop")]
)
EXAMPLES = Path(__file__).parents[2] / "dags"


def mistakes(**changes: Any) -> str:
    arguments = {"name": "shop", "stages": [Environment("dev")], **changes}
    with pytest.raises(PipelineError) as caught:
        Pipeline(**arguments).dag()
    return str(caught.value)


def production(**changes: Any) -> Canary:
    environment = Environment("production", instances=changes.pop("instances", 10))
    return Canary(environment, **{"phases": [20, 100], "verify": VERIFY, **changes})


def test_stages_become_tasks_that_wait_for_each_other_and_run_in_parallel() -> None:
    dag = Pipeline(
        "shop",
        stages=[[Environment("dev"), Environment("test")], Approval(), production(mark=["new_relic_default"])],
    ).dag()
    assert dag is not None
    downstream = {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}
    assert downstream["dev.deploy"] == {"dev.settle", "approve"}
    assert downstream["test.deploy"] == {"test.settle", "approve"}
    assert downstream["approve"] == {"production.lease"}
    assert downstream["production.phase_20.deploy"] == {"production.phase_20.mark", "production.phase_20.rollback"}
    assert downstream["production.phase_20.verify"] == {
        "production.phase_20.rollback",
        "production.phase_100.deploy",
    }
    assert downstream["production.phase_100.verify"] == {"production.phase_100.rollback", "production.promote"}
    assert downstream["production.phase_20.rollback"] == {"production.settle"}
    settle = dag.get_task("production.settle")
    assert settle.is_teardown
    assert settle.on_failure_fail_dagrun


def test_what_follows_a_canary_waits_for_its_promotion_only() -> None:
    dag = Pipeline("shop", stages=[production(), Environment("edge")]).dag()
    assert dag is not None
    assert dag.get_task("edge.lease").upstream_task_ids == {"production.promote"}


def test_no_time_limit_ends_what_changes_replicas_one_by_one() -> None:
    targets = {
        "deployed": KubernetesTarget("kubernetes_production", "deployed"),
        "in_place": KubernetesTarget("kubernetes_production", "in_place", stateful_set="db"),
    }
    stages = [Environment(name, target=target, timeout="4m") for name, target in targets.items()]
    dag = Pipeline("shop", stages=stages).dag()
    assert dag is not None
    assert dag.get_task("deployed.deploy").execution_timeout == timedelta(minutes=8)
    assert dag.get_task("in_place.deploy").execution_timeout is None
    back = build_rollback(Pipeline("shop", stages=stages))
    assert back is not None
    assert {task.execution_timeout for task in back.tasks} == {None}
    back = build_rollback(Pipeline("shop", stages=stages[:1]))
    assert back is not None
    assert timedelta(minutes=8) in {task.execution_timeout for task in back.tasks}


def test_an_environment_with_a_verification_can_roll_back_by_itself() -> None:
    dag = Pipeline("shop", stages=[Environment("staging", verify=VERIFY)]).dag()
    assert dag is not None
    assert {"staging.phase_100.verify", "staging.phase_100.rollback", "staging.promote"} <= set(dag.task_ids)


def test_any_operator_task_group_or_function_that_makes_one_can_stand_as_a_stage() -> None:
    def notify() -> TaskGroup:
        with TaskGroup("notify") as group:
            EmptyOperator(task_id="mail")
        return group

    dag = Pipeline("shop", stages=[Environment("dev"), EmptyOperator(task_id="smoke"), notify, Approval()]).dag()
    assert dag is not None
    assert dag.get_task("smoke").upstream_task_ids == {"dev.deploy"}
    assert dag.get_task("notify.mail").upstream_task_ids == {"smoke"}
    assert dag.get_task("approve").upstream_task_ids == {"notify.mail"}


def test_the_same_source_always_builds_the_same_dag() -> None:
    def build() -> Any:
        return Pipeline("shop", stages=[Environment("dev"), Approval(), production()]).dag()

    assert DagSerialization.to_dict(build()) == DagSerialization.to_dict(build())


def test_only_the_pipeline_that_is_being_run_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "other")
    assert Pipeline("shop", stages=[Environment("dev")]).dag() is None
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "shop")
    assert Pipeline("shop", stages=[Environment("dev")]).dag() is not None


def test_one_error_names_every_mistake() -> None:
    text = mistakes(
        target="carrier_pigeon",
        stages=[
            [Environment("dev"), Environment("dev", target="telegraph_dev")],
            production(phases=[50, 20]),
            Canary(Environment("canary", instances=3), phases=[5, 100]),
            object(),
        ],
    )
    for expected in (
        "unknown kind",
        "telegraph",
        "'dev' is used 2 times",
        "must increase",
        "must end at 100",
        "needs a verification",
        "no instance at all",
        "neither an environment",
    ):
        assert expected in text
    assert "8 mistakes" in text or "9 mistakes" in text


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([], "no stages"),
        ([[]], "stage 1 is empty"),
        ([Environment("pro duction")], "letters, digits"),
        ([Environment("dev", timeout="soon")], "timeout"),
        ([Environment("dev", configuration={"x": object()})], "not JSON"),
        ([Approval(approvers="alice")], "list of names"),
        ([production(phases=[20, 25, 100], instances=4)], "drop a phase"),
        ([production(verify=Verification())], "no source"),
        ([production(verify=Verification(logs=[object()]))], "not a source"),  # type: ignore[list-item]
        ([production(verify=Verification(logs=[SumoLogicLogs(query=" ")]))], "query"),
    ],
)
def test_a_mistake_is_refused_when_the_file_is_parsed(stages: list[Any], expected: str) -> None:
    assert expected in mistakes(stages=stages)


EXAMPLE_DAGS = {
    "build_com.py": {"build_com", "build_com-rollback"},
    "minimal.py": {"minimal", "minimal-rollback"},
    "operators_by_hand.py": {"operators_by_hand"},
}


@pytest.mark.parametrize("file", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_the_example_pipelines_can_be_parsed(file: str) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(EXAMPLES / file))
    assert bag.import_errors == {}
    assert set(bag.dags) == EXAMPLE_DAGS[file]


def test_every_environment_can_be_rolled_back_by_a_dag_that_is_not_born_paused() -> None:
    pipeline = Pipeline("shop", stages=[[Environment("dev"), Environment("test")], Approval(), production()])
    dag = build_rollback(pipeline)
    assert dag is not None
    assert dag.dag_id == "shop-rollback"
    assert dag.is_paused_upon_creation is False
    assert dag.params.get_param("environment").schema["enum"] == ["dev", "test", "production"]
    assert set(dag.task_ids) == {"rollback.lease", "rollback.deploy", "rollback.settle"}
    with pytest.raises(ParamValidationError):
        dag.params.get_param("reason").resolve("")


def test_what_the_author_wants_of_tasks_and_rights_holds_for_the_rollback_too() -> None:
    rights = {"operators": {"DAGs": {"can_read"}}}
    pipeline = Pipeline(
        "shop",
        stages=[Environment("dev")],
        dag_arguments={"default_args": {"queue": "in-the-dmz"}, "schedule": "@daily", "access_control": rights},
    )
    dag = build_rollback(pipeline)
    assert dag is not None
    assert {task.queue for task in dag.tasks} == {"in-the-dmz"}
    assert dag.access_control
    assert dag.timetable.can_be_scheduled is False


def test_a_pipeline_without_environments_has_nothing_to_roll_back() -> None:
    assert build_rollback(Pipeline("shop", stages=[Approval()])) is None


@pytest.mark.parametrize(("runs", "built"), [("shop", {"shop"}), ("shop-rollback", {"shop-rollback"}), ("cart", set())])
def test_only_the_dag_that_is_run_is_built(
    runs: str, built: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    file = tmp_path / "shop.py"
    file.write_text(
        "from airflow_cd import Environment, Pipeline\ndag = Pipeline('shop', stages=[Environment('dev')]).dag()\n"
    )
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", runs)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "any")
    assert set(DagBag(str(file)).dags) == built


def test_the_trigger_form_asks_for_what_a_run_needs() -> None:
    dag = Pipeline("shop", stages=[Environment("dev")]).dag()
    assert dag is not None
    assert set(dag.params) == {"version", "configuration", "reason", "rollback", "learn"}
    assert dag.params.get_param("rollback").schema["enum"] == ["automatic", "human"]


def test_commits_reach_the_tasks_that_show_them_and_stay_out_of_the_serialized_dag() -> None:
    commits = GitRepository("https://ada:hunter2@git.example.com/shop.git")
    stages = [Environment("dev"), Approval(), production()]
    dag = Pipeline("shop", stages=stages, commits=commits).dag()
    assert dag is not None
    for task_id in ("dev.deploy", "approve", "production.phase_20.deploy", "production.phase_100.deploy"):
        assert dag.get_task(task_id).commits is commits
    assert "hunter2" not in str(DagSerialization.to_dict(dag))
    assert "hunter2" not in repr(Pipeline("shop", stages=stages, commits=commits))


def test_mistakes_of_the_repository_are_found_with_the_others() -> None:
    assert "revision 'v1'" in mistakes(commits=GitRepository("git_shop", revision="v1"))
    assert "a str is not a source of commits" in mistakes(commits="git_shop")
