"""How an environment stands, for every combination of facts that the ledger can show."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.plugin.environment.decisions import environment_state, look_of
from airflow_cd.plugin.states import EnvironmentState, Look
from airflow_cd.plugin.words import environment_sentence
from airflow_cd.states import DeploymentState

D, E = DeploymentState, EnvironmentState


@pytest.mark.parametrize(
    ("deployment", "more", "state", "look", "says"),
    [
        (None, {}, E.NOTHING_PROMOTED, Look.IDLE, "Nothing of shop has been promoted in staging yet."),
        (None, {"promoted": True}, E.RUNNING, Look.GOOD, "shop 1.2 runs in staging."),
        (D.RUNNING, {}, E.DEPLOYING, Look.WAIT, "shop 1.2 is being deployed in staging."),
        (D.RUNNING, {"rollback": True}, E.RESTORING, Look.WAIT, "staging is being rolled back to shop 1.2."),
        (
            D.RUNNING,
            {"left": True, "promoted": True},
            E.LEFT_UNFINISHED,
            Look.BAD,
            "staging is between two releases: shop 1.2 was left unfinished.",
        ),
        (D.ROLLING_BACK, {"promoted": True}, E.ROLLING_BACK, Look.BAD, "shop 1.2 is being rolled back in staging."),
        (
            D.ROLLING_BACK,
            {"left": True},
            E.ROLLBACK_FAILED,
            Look.BAD,
            "staging is between two releases: shop 1.2 could not be rolled back.",
        ),
        (
            D.ROLLBACK_FAILED,
            {},
            E.ROLLBACK_FAILED,
            Look.BAD,
            "staging is between two releases: shop 1.2 could not be rolled back.",
        ),
    ],
)
def test_an_environment(
    deployment: DeploymentState | None, more: dict[str, Any], state: EnvironmentState, look: Look, says: str
) -> None:
    assert environment_state(deployment, **more) is state
    assert look_of(state, problems=False) is look
    assert environment_sentence(state, "shop", "1.2", "staging") == says


def test_instances_with_problems_are_not_drawn_as_good() -> None:
    assert look_of(EnvironmentState.RUNNING, problems=True) is Look.BAD
