"""What the worlds of all folders take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import postgres, tiers

AirflowDatabase = Callable[[str], dict[str, str]]
"""Makes an empty database of that name for an Airflow; gives the settings with which it is used."""


@pytest.fixture(scope="session")
def airflow_database(request: pytest.FixtureRequest) -> AirflowDatabase:
    """PostgreSQL where this machine has one; elsewhere the settings name none, which means SQLite."""

    def made(name: str) -> dict[str, str]:
        if why := postgres.missing():
            if tiers.required("postgres"):
                pytest.fail(f"{why}, and AIRFLOW_CD_REQUIRE asks for postgres")
            return dict(tiers.UNHURRIED)
        url = postgres.create_database(request.getfixturevalue("postgres_server"), name)
        return {**tiers.UNHURRIED, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}

    return made
