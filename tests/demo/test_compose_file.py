"""What ``docker/docker-compose.yml`` says agrees with the code, and shows nothing to anybody else."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_cd.demo.fleet.launch import DEFAULT_ENVIRONMENTS
from airflow_cd.demo.new_relic import account
from airflow_cd.demo.sumo_logic import app as sumo_logic

FOLDER = Path(__file__).parents[2] / "docker"
FILE = FOLDER / "docker-compose.yml"


def settings() -> dict[str, str]:
    lines = (FOLDER / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


def test_every_variable_is_in_the_file_of_settings() -> None:
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text())) == set(settings()) - {"COMPOSE_PROJECT_NAME"}


def test_a_secret_is_never_taken_from_the_compose_file() -> None:
    defaults = re.findall(r"\$\{(\w+):?-", FILE.read_text())
    assert not [name for name in defaults if re.search("PASSWORD|SECRET|TOKEN|KEY", name)]
    assert len(base64.urlsafe_b64decode(settings()["FERNET_KEY"])) == 32


def test_nothing_listens_beyond_this_machine(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_connections_are_those_of_the_demo(services: dict[str, dict[str, Any]]) -> None:
    environment = services["worker-1"]["environment"]
    connections = {
        name.removeprefix("AIRFLOW_CONN_"): json.loads(value)
        for name, value in environment.items()
        if name.startswith("AIRFLOW_CONN_")
    }
    assert set(connections) == {
        *(f"HTTP_{name.upper()}" for name in DEFAULT_ENVIRONMENTS),
        "NEW_RELIC_DEFAULT",
        "SUMO_LOGIC_DEFAULT",
        "GIT_SHOP",
    }
    assert connections["NEW_RELIC_DEFAULT"]["password"] == account.API_KEY
    assert connections["NEW_RELIC_DEFAULT"]["extra"] == {"account_id": account.ACCOUNT_ID}
    assert connections["SUMO_LOGIC_DEFAULT"]["login"] == sumo_logic.ACCESS_ID
    assert connections["SUMO_LOGIC_DEFAULT"]["password"] == sumo_logic.ACCESS_KEY


def test_only_the_fleet_is_left_out_without_the_demo(services: dict[str, dict[str, Any]]) -> None:
    assert {name: service["profiles"] for name, service in services.items() if "profiles" in service} == {
        "fleet": ["demo"]
    }
