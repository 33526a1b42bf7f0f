"""What a run is bound to: which changes of a pipeline are another plan, and which are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.pipeline.plan import described, plan_of
from airflow_cd.plan import Plan, unknown_parameters
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs


def _build(service: str) -> None:
    """A stage of the author's own."""


WATCHED = Verification(metrics=[NewRelicMetrics(app="web")], logs=[SumoLogicLogs(query="_sourceCategory=web")])
PRODUCTION = Environment("production")


def _pipeline(
    verification: Verification = WATCHED,
    phases: Sequence[int] = (20, 100),
    stages: Sequence[Any] | None = None,
    production: Environment = PRODUCTION,
    **more: Any,
) -> Pipeline:
    canary = Canary(production, phases=phases, verify=verification)
    given = [_build, [Environment("dev"), Environment("test")], Approval(approvers=["ada"]), canary]
    return Pipeline("web", stages=given if stages is None else stages, **more)


CHANGES: dict[str, tuple[Callable[[], Pipeline], str]] = {
    "phases": (lambda: _pipeline(phases=[50, 100]), "production / phases: 20, 100 → 50, 100"),
    "duration": (
        lambda: _pipeline(replace(WATCHED, duration="10s")),
        "production / verification / duration: not set → 10s",
    ),
    "sensitivity": (
        lambda: _pipeline(replace(WATCHED, sensitivity="low")),
        "production / verification / sensitivity: not set → low",
    ),
    "query": (
        lambda: _pipeline(replace(WATCHED, logs=[SumoLogicLogs(query="_sourceCategory=other")])),
        "_sourceCategory=web → _sourceCategory=other",
    ),
    "a source less": (lambda: _pipeline(replace(WATCHED, logs=())), "SumoLogicLogs → not set"),
    "target": (
        lambda: _pipeline(production=Environment("production", target="http_elsewhere")),
        "production / target / conn_id: http_production → http_elsewhere",
    ),
    "configuration": (lambda: _pipeline(configuration={"limit": 7}), "production / configuration: sha256:"),
    "artifact": (lambda: _pipeline(artifact="evil/{service}:{version}"), "artifact: {service}:{version} → evil/"),
    "approvers": (
        lambda: _pipeline(stages=[*_pipeline().stages[:2], Approval(approvers=["eve"]), _pipeline().stages[3]]),
        "approve / approvers: ada → eve",
    ),
    "order": (
        lambda: _pipeline(stages=[_pipeline().stages[number] for number in (0, 1, 3, 2)]),
        "stages: _build, dev + test, approve, production → _build, dev + test, production, approve",
    ),
    "without the approval": (
        lambda: _pipeline(stages=[_pipeline().stages[number] for number in (0, 1, 3)]),
        "→ _build, dev + test, production",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_whatever_decides_what_a_run_does_is_part_of_its_plan(case: str) -> None:
    changed, line = CHANGES[case]
    kept = json.loads(json.dumps(plan_of(_pipeline()).steps))
    differences = "\n".join(plan_of(changed()).differences(kept))
    assert line in differences


def test_the_same_pipeline_has_the_same_plan_and_words_about_it_are_none_of_it() -> None:
    plan = plan_of(_pipeline())
    assert plan == plan_of(_pipeline(description="our shop", dag_arguments={"tags": ["shop"]}))
    assert plan.differences(json.loads(json.dumps(plan.steps))) == []


@dataclass
class Source:
    api_key: str
    pattern: Any = re.compile("a+")
    every: timedelta = timedelta(seconds=3)
    tags: set[str] = field(default_factory=lambda: {"b", "a"})


class Plain:
    """A source that is no dataclass."""

    def __init__(self, query: str) -> None:
        self.query = query
        self._session = object()


def test_objects_of_others_are_described_by_their_settings_and_secrets_by_a_hash() -> None:
    text = json.dumps(described(Source("hunter2", re.compile("b+"), timedelta(minutes=1), {"x", "w"})))
    assert "hunter2" not in text
    assert described(Source("hunter2")) != described(Source("hunter3"))
    for setting in ('"b+"', '"0:01:00"', '["w", "x"]'):
        assert setting in text
    assert described(Plain("errors")) == described(Plain("errors")) != described(Plain("warnings"))
    assert "0x" not in json.dumps([described(Plain("errors")), described(_build)])


KNOWN = ("version", "configuration", "reason", "rollback", "learn")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("overides", "did you mean 'configuration'?"),
        ("rollback_mode", "did you mean 'rollback'?"),
        ("Version", "did you mean 'version'?"),
        ("verison", "did you mean 'version'?"),
        ("reasons", "did you mean 'reason'?"),
        ("lern", "did you mean 'learn'?"),
        ("config", "did you mean 'configuration'?"),
        ("zzz", "there are configuration, learn, reason, rollback, version"),
        ("", "there are configuration, learn, reason, rollback, version"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest_right_one(given: str, said: str) -> None:
    assert unknown_parameters([given, "version"], KNOWN) == [f"there is no parameter {given!r}; {said}"]


def test_known_parameters_and_airflows_own_are_no_mistake() -> None:
    assert unknown_parameters([*KNOWN, "airflow/task_span_detail_level"], KNOWN) == []
    assert unknown_parameters(["release"], ("environment", "release", "reason")) == []
    assert unknown_parameters(["x"], ()) == ["there is no parameter 'x'; there are none"]


def test_a_plan_is_compared_as_it_is_read_back() -> None:
    assert Plan({"phases": (20, 100), "wait": timedelta(1)}).steps == {"phases": [20, 100], "wait": "1 day, 0:00:00"}
