"""Settings of a connection: read as forms and environment variables write them, refused where they cannot work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_cd.errors import Refused, SourceRejected, SourceUnauthorized, SourceUnavailable, TargetRejected
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.family import SOURCE, TARGET


def settings(**fields: Any) -> ConnectionSettings:
    return ConnectionSettings("shop", SOURCE, **fields)


def test_a_connection_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {
        "conn_type": "x",
        "host": " api.example.com ",
        "login": "me",
        "password": "pw ",
        "extra": {"region": "EU"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(content))
    found = ConnectionSettings.read("shop", SOURCE)
    assert (found.host, found.login, found.key(), found.text("region")) == ("api.example.com", "me", "pw", "EU")
    assert {"pw", "pw ", "me:pw"} <= set(found.secrets)
    assert "pw" not in repr(found)


def test_a_missing_connection_is_final_and_a_backend_that_is_away_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetRejected, match="'shop' cannot be read: there is none"):
        ConnectionSettings.read("shop", TARGET)

    def away(conn_id: str) -> None:
        raise RuntimeError("vault at https://root:geheim@vault is sealed")

    monkeypatch.setattr(BaseHook, "get_connection", away)
    with pytest.raises(SourceUnavailable, match="'shop' cannot be read now: RuntimeError") as caught:
        ConnectionSettings.read("shop", SOURCE)
    assert "geheim" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("given", ["soon", -1, 0, "inf", "nan", "True", [1]])
def test_what_is_not_a_number_of_seconds_is_refused(given: object) -> None:
    with pytest.raises(SourceRejected, match=r"'timeout' is .* which is not a positive number of seconds"):
        settings(options={"timeout": given}).seconds("timeout", 5.0)


@pytest.mark.parametrize(("given", "seconds"), [(None, 5.0), ("", 5.0), ("2.5", 2.5), (3, 3.0)])
def test_seconds(given: object, seconds: float) -> None:
    assert settings(options={"timeout": given}).seconds("timeout", 5.0) == seconds


@pytest.mark.parametrize(
    ("given", "verify"),
    [(None, True), ("", True), (True, True), ("True", True), (1, True), (False, False), ("no", False), ("0", False)],
)
def test_tls_is_checked_unless_it_is_switched_off(given: object, verify: bool) -> None:
    assert settings(options={"verify": given}).verify() is verify


def test_a_ca_bundle_is_read_at_once(tmp_path: Path, certificate: tuple[str, str]) -> None:
    assert settings(options={"verify": certificate[0]}).verify() == certificate[0]
    assert settings(options={"verify_ssl": str(tmp_path)}).verify("verify", "verify_ssl") == str(tmp_path)
    for wrong in ("/no/such.pem", certificate[1]):
        with pytest.raises(SourceRejected, match=r"CA bundle .* cannot be read"):
            settings(options={"verify": wrong}).verify()


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, ""),
        ({"host": "api.example.com/cd/"}, "https://api.example.com/cd"),
        ({"host": "http://127.0.0.1", "port": 81}, "http://127.0.0.1:81"),
        ({"host": "http://127.0.0.1:80", "port": 81}, "http://127.0.0.1:80"),
        ({"host": "127.0.0.1", "scheme": "http"}, "http://127.0.0.1"),
        ({"host": "[::1]:8080"}, "https://[::1]:8080"),
    ],
)
def test_addresses(fields: dict[str, Any], url: str) -> None:
    assert settings(**fields).address() == url


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("ftp://x", "not an http or https URL"),
        ("https://", "not an http or https URL"),
        ("https://me:geheim@x", "user or a password"),
        ("https://x:port", "port"),
        ("https://[x", "brackets"),
    ],
)
def test_a_host_that_cannot_work_is_refused(host: str, reason: str) -> None:
    with pytest.raises(SourceRejected, match=reason) as caught:
        settings(host=host).address()
    assert "'shop'" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_region_stands_for_its_address() -> None:
    regions = {"US": "https://us.example.com", "EU": "https://eu.example.com"}
    assert settings().address_in(regions, "US") == "https://us.example.com"
    assert settings(options={"region": "eu"}).address_in(regions, "US") == "https://eu.example.com"
    assert settings(host="x.example.com", options={"region": "eu"}).address_in(regions, "US") == "https://x.example.com"
    with pytest.raises(Refused, match="'MARS' is not a region; known are US, EU"):
        settings(options={"region": "MARS"}).address_in(regions, "US")


def test_a_connection_without_a_key() -> None:
    with pytest.raises(SourceUnauthorized, match="has no key"):
        settings(password=" ").key()
