from __future__ import annotations

import importlib
import json
import re
from importlib.resources import files

import jsonschema
import pytest
import yaml
from airflow.providers_manager import ProvidersManager
from airflow.sdk import Connection

from airflow_cd.hooks.google_cloud import GoogleCloudHook
from airflow_cd.hooks.google_logging import GoogleLoggingHook
from airflow_cd.hooks.google_monitoring import GoogleMonitoringHook
from airflow_cd.hooks.service import ServiceHook
from airflow_cd.provider import get_provider_info

CONNECTION_TYPES = {kind["connection-type"]: kind for kind in get_provider_info()["connection-types"]}


def test_fits_airflows_schema():
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


@pytest.mark.parametrize("name", CONNECTION_TYPES)
def test_forms_fit_the_schema_of_provider_files(name):
    """The run-time schema does not describe forms; the one for provider.yaml does."""
    schema = json.loads((files("airflow") / "provider.yaml.schema.json").read_text())
    items = schema["properties"]["connection-types"]["items"]
    jsonschema.validate(CONNECTION_TYPES[name], {**items, "definitions": schema.get("definitions", {})})


@pytest.mark.parametrize("name", CONNECTION_TYPES)
def test_hooks_are_what_airflow_makes_of_them(name):
    module, _, attribute = CONNECTION_TYPES[name]["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), attribute)
    assert hook.conn_type == name
    assert hook.hook_name == CONNECTION_TYPES[name]["hook-name"]
    assert hook.conn_name_attr
    assert callable(hook.test_connection)


def test_integrations_of_hooks_are_known():
    info = get_provider_info()
    known = {integration["integration-name"] for integration in info["integrations"]}
    assert {hook["integration-name"] for hook in info["hooks"]} <= known


def test_no_form_asks_for_a_secret_outside_the_password():
    for kind in CONNECTION_TYPES.values():
        for field, content in kind["conn-fields"].items():
            assert content["schema"].get("format") != "password"
            assert not {"key", "token", "secret", "password"} & set(field.split("_"))


def test_airflow_shows_the_forms():
    manager = ProvidersManager()
    manager.initialize_providers_hooks()
    for name in ("new_relic", "sumo_logic"):
        assert name in manager.field_behaviours
        assert f"extra__{name}__region" in manager.connection_form_widgets


@pytest.mark.parametrize("name", ["new_relic", "sumo_logic"])
def test_airflow_makes_the_hook_of_a_connection(name):
    connection = Connection(conn_id="c", conn_type=name, login="1", password="x", host="http://127.0.0.1:1")
    hook = connection.get_hook()
    assert hook.conn_type == name
    assert hook.conn_id == "c"


def hooks_of(name: str) -> list[type[ServiceHook]]:
    """The hooks that call over a connection of a type, if they keep to its calls a second."""
    if name == GoogleCloudHook.conn_type:
        return [GoogleLoggingHook, GoogleMonitoringHook]
    module, _, attribute = CONNECTION_TYPES[name]["hook-class-name"].rpartition(".")
    return [getattr(importlib.import_module(module), attribute)]


@pytest.mark.parametrize("name", [name for name, kind in CONNECTION_TYPES.items() if "headers" in kind["conn-fields"]])
def test_forms_say_what_is_done_without_a_number(name):
    said = CONNECTION_TYPES[name]["conn-fields"]["calls_per_second"]["description"].rpartition("empty for ")[2]
    assert re.findall(r"\d+", said) == [f"{hook.calls_per_second:g}" for hook in hooks_of(name)]


@pytest.mark.parametrize("name", ["datadog_api", "google_observability", "influx_db", "search_cluster", "splunk"])
def test_forms_name_no_other_product(name):
    assert not any(other in str(CONNECTION_TYPES[name]["conn-fields"]) for other in ("Mimir", "X-Scope-OrgID"))


def test_info_is_plain_data():
    assert yaml.safe_load(yaml.safe_dump(get_provider_info())) == get_provider_info()
