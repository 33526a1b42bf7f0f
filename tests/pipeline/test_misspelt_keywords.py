"""A keyword that does not exist is one mistake among the others of its file, with the one that was meant."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd import Approval, Canary, Environment, GitRepository, Pipeline, Threshold, Verification
from airflow_cd.errors import PipelineError
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs


def mistakes(pipeline: Pipeline) -> list[str]:
    with pytest.raises(PipelineError) as refused:
        pipeline.dag()
    return list(refused.value.mistakes)


def test_one_error_names_every_misspelt_keyword_and_what_is_wrong_besides() -> None:
    make: Any = dict  # static checkers know these mistakes without running anything
    verify = Verification(
        metrics=[NewRelicMetrics(**make(ap="shop"))],
        logs=[SumoLogicLogs(query="_sourceCategory=prod/shop", **make(dely="10s"))],
        thresholds=[Threshold("error_rate", **make(abov=0.02))],
        **make(duraton="10 minuets"),
    )
    found = mistakes(
        Pipeline(
            "shop",
            stages=[
                Environment(**make(nam="dev"), timeout="soon"),
                Approval(**make(aprovers=["ada"])),
                Canary(Environment("production"), verify=verify, **make(phase=[10, 50])),
            ],
            commits=GitRepository("git_shop", **make(pages="https://git.example.com/{id}")),
            **make(supercede=True),
        )
    )
    for expected in (
        "NewRelicMetrics has no 'ap': did you mean 'app'?",
        "SumoLogicLogs has no 'dely': did you mean 'delay'?",
        "Threshold has no 'abov': did you mean 'above'?",
        "Verification has no 'duraton': did you mean 'duration'?",
        "'10 minuets' is not a duration",
        "Environment has no 'nam': did you mean 'name'?",
        "environment 'dev': timeout",
        "Approval has no 'aprovers': did you mean 'approvers'?",
        "Canary has no 'phase': did you mean 'phases'?",
        "must end at 100",
        "GitRepository has no 'pages': did you mean 'page'?",
        "Pipeline has no 'supercede': did you mean 'supersede'?",
    ):
        assert sum(expected in mistake for mistake in found) == 1, expected
    assert len(found) == 12


def test_a_keyword_like_no_other_lists_those_that_there_are() -> None:
    make: Any = {"color": "red"}
    [found] = mistakes(Pipeline("shop", stages=[Approval(**make), Environment("dev")]))
    assert found == "Approval has no 'color': there are approvers, name, timeout"


def test_a_keyword_given_beside_the_right_one_does_not_replace_it() -> None:
    make: Any = {"duraton": "1h"}
    verification = Verification(logs=[SumoLogicLogs(query="a")], duration="5m", **make)
    assert verification.duration == "5m"
    assert verification.mistakes() == ["Verification has no 'duraton': did you mean 'duration'?"]


@pytest.mark.parametrize(
    ("made", "given", "expected"),
    [
        (Environment, ((), {}), "Environment needs name"),
        (Pipeline, (("shop",), {}), "Pipeline needs stages"),
        (Environment, (("dev",), {"name": "dev"}), "Environment is given name twice"),
        (Approval, (("ada", "7d", "approve", 4), {}), "Approval takes 3 values, and is given 4"),
    ],
)
def test_what_cannot_be_made_at_all_is_our_error_too(made: Any, given: Any, expected: str) -> None:
    with pytest.raises(PipelineError, match=expected):
        made(*given[0], **given[1])


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (Environment("dev"), "stages is a list"),
        ([Environment("dev", instances="10")], "instances is '10', must be a whole number"),  # type: ignore[arg-type]
        ([Environment("dev", verify="logs")], "verify is a str, give Verification(...)"),  # type: ignore[arg-type]
        ([Canary("production")], "give Environment(...), not a str"),  # type: ignore[arg-type]
        ([Canary(Environment("live"), phases=100)], "phases 100 must be whole percents"),  # type: ignore[arg-type]
        ([Canary(Environment("live"), mark="new_relic_default")], "mark is a list of connections"),
        ([Environment("dev"), Approval(approvers=[])], "approvers is empty, so nobody could answer"),
        ([Environment("dev"), Approval(approvers=["ada", " "])], "approvers holds what is no name"),
        ([Environment("dev"), Approval(approvers=7)], "approvers is a list of names, got 7"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_the_wrong_type_is_a_mistake_and_no_traceback(stages: Any, expected: str) -> None:
    assert any(expected in mistake for mistake in mistakes(Pipeline("shop", stages=stages)))


def test_what_is_wrong_with_a_shared_verification_is_said_once() -> None:
    verify = Verification(logs=[SumoLogicLogs(query="a")], on_no_data="rollback")  # type: ignore[arg-type]
    stages = [Environment("staging", verify=verify), Canary(Environment("production"), verify=verify)]
    assert mistakes(Pipeline("shop", stages=stages)) == [
        "environment 'staging', canary 'production': on_no_data is 'rollback', must be one of fail, pass, ask, wait"
    ]
