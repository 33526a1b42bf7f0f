from __future__ import annotations

import pytest

from airflow_cd.hooks import aws_lambda
from airflow_cd.targets.aws_lambda import LambdaTarget
from tests.targets.aws_lambda.functions_in_memory import Functions


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Functions:
    """Lambda, with a function whose alias ``live`` is its version 1; nothing has to be waited for."""
    found = Functions()
    found.publish()
    found.alias()
    monkeypatch.setattr(aws_lambda, "client_of", lambda *given, **named: found)
    return found


@pytest.fixture
def target(functions: Functions) -> LambdaTarget:
    made = LambdaTarget("aws_default", "production", function="shop", alias="live")
    made._publishing._sleep = made._alias._sleep = lambda seconds: None
    return made
