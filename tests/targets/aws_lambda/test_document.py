"""What docs/targets/lambda.md shows: a pipeline that can be parsed, and a policy that allows what is called."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from airflow_cd.targets.aws_lambda.alias import LONGEST, NOTE
from tests.targets.aws_lambda.functions_in_memory import OPERATIONS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "targets" / "lambda.md").read_text()


def block(begin: str) -> str:
    """The indented block that begins so."""
    found = re.search(rf"^    {re.escape(begin)}(?:.*\n(?:    .*\n|\n)*)", DOCUMENT, re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[0])


def test_the_pipeline_can_be_parsed() -> None:
    made: dict[str, Any] = {}
    exec(compile(block("from airflow_cd import Canary"), "lambda.md", "exec"), made)
    assert {task.task_id for task in made["dag"].tasks} >= {"production.phase_10.verify", "production.finish.deploy"}


def test_the_policy_allows_every_call_and_no_other() -> None:
    statements = json.loads(block("{\n"))["Statement"]
    actions = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in statements]
    allowed = {action.removeprefix("lambda:") for some in actions for action in some if action.startswith("lambda:")}
    assert allowed == set(OPERATIONS.values())


def test_as_many_letters_of_a_description_are_kept_as_it_says() -> None:
    assert f"up to {LONGEST - NOTE} letters" in DOCUMENT
