"""The contract of revisions on Lambda, as its API reference describes it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from airflow_cd.release import Release
from airflow_cd.targets.aws_lambda import LambdaTarget
from airflow_cd.targets.revision_contract import Meddle, RevisionContract
from tests.targets.aws_lambda.functions_in_memory import Functions

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"


class TestLambda(RevisionContract):
    timeout = 2.0

    @pytest.fixture
    def target(self, target: LambdaTarget) -> LambdaTarget:
        return target

    @pytest.fixture
    def meddle(self, functions: Functions) -> Meddle:
        def changed(weights: Mapping[str, float]) -> None:
            (primary, *others) = sorted(weights, key=lambda name: -weights[name])
            more = {name: weights[name] / 100 for name in others}
            functions.alias(FunctionVersion=primary, RoutingConfig={"AdditionalVersionWeights": more})

        return changed

    @pytest.fixture
    def good(self) -> Release:
        return Release("shop", "1.0", f"{ECR}:1.0", {"LIMIT": 5})

    @pytest.fixture
    def other(self) -> Release:
        return Release("shop", "1.1", f"{ECR}:1.1", {"LIMIT": 5})

    @pytest.fixture
    def broken(self, functions: Functions) -> Release:
        functions.broken[f"{ECR}:1.4"] = (
            "The runtime init failed: no module named shop",
            "FunctionError.RuntimeInitError",
        )
        return Release("shop", "1.4", f"{ECR}:1.4", {"LIMIT": 5})

    @pytest.fixture
    def missing(self, functions: Functions, good: Release) -> Release:
        functions.missing.add(f"{ECR}:1.5")
        return Release("shop", "1.5", f"{ECR}:1.5", {"LIMIT": 5})
