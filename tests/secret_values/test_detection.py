from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from airflow_cd.errors import PipelineError, ReleaseError
from airflow_cd.pipeline import Environment, Pipeline
from airflow_cd.release import planned_release
from airflow_cd.secret_values.detection import mistakes, suspicion

HARMLESS: dict[str, Any] = {
    "log_level": "INFO",
    "image": "registry.example.com/team/shop-frontend:2026.11.28-build.1742",
    "commit": "9b2c3d4e5f60718293a4b5c6d7e8f90112233445",
    "checksum": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "request_id": "123e4567-e89b-12d3-a456-426614174000",
    "catalogue_url": "https://catalogue.internal.example.com:8443/v2/items?limit=50&sort=name",
    "max_tokens": 4096,
    "token_ttl": "15m",
    "password_min_length": "12",
    "secrets_enabled": "true",
    "token_endpoint": "https://login.example.com/oauth/token",
    "path": "/usr/local/lib/python3.11/site-packages/shop/Templates/CheckoutPage2024.html",
    "class": "com.example.shop.checkout.payment.PaymentProviderRegistryConfiguration3",
    "greeting": "Welcome to our Shop, where 24 Hours a Day Everything is on Sale!",
    "feature_flags": ["gift-cards", "new-checkout-2", "express-delivery-for-members"],
    "database": {"password": "secret:shop_db/password", "host": "db-production-07.eu-central-1.example.com"},
    "ratio": 0.25,
    "nothing": None,
    "password_file": "/run/secrets/db",
    "tokenPath": "secrets/token.txt",
    "api_key_file": "C:\\keys\\api.txt",
    "secrets": {"path": "/run/secrets", "dir": "./secrets"},
    "secret_filename": "db.pw",
    "compass": "north",
    "proxy_pass": "http://backend",
    "first_pass": "greedy",
    "low_pass": 200,
    "passenger": "adult",
    "password": "${DB_PASSWORD}",
    "env": ["LOG_LEVEL=INFO", "DB_PASSWORD_FILE=/run/secrets/db", "PASSWORD=${DB_PASSWORD}", "TOKEN_TTL=15m"],
    "arguments": ["--token-ttl", "15m", "--password-file", "/run/secrets/db", "--password", "--verbose"],
    "variables": [{"name": "DB_HOST", "value": "db.example.com"}, {"name": "TOKEN_TTL", "value": "15m"}],
    "hint": "Enter your password: it has at least 8 letters",
    "kafka": "broker-1.example.com:9092,broker-2.example.com:9092,broker-3.example.com:9092",
}


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_ordinary_settings_are_no_secrets(name: str) -> None:
    assert list(mistakes({name: HARMLESS[name]}, "environment 'dev'")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("db_password", "tulip"),
        ("DB_PASSWORD", "tulip"),
        ("databasePassword", "tulip"),
        ("client-secret", "tulip"),
        ("apiKey", "tulip"),
        ("SIGNING_KEY", "tulip"),
        ("password", 73_551_902),
        ("password", "73551902"),
        ("pass", "tulip"),
        ("PGPASS", "tulip"),
        ("dbPass", "tulip"),
        ("mysqlpass", "tulip"),
        ("smtp_pw", "tulip"),
        ("rootpw", 4711),
        ("ftp-pwd", "tulip"),
        ("Kennwort", "tulip"),
        ("admin_passwort", "tulip"),
        ("mot_de_passe", "tulip"),
        ("contraseña", "tulip"),
        ("пароль", "tulip"),
        ("password_file", "tulip!99"),
        ("env", ["LOG_LEVEL=INFO", "DB_PASSWORD=tulip"]),
        ("dotenv", "LOG_LEVEL=INFO\nexport SMTP_PW='tulip'\n"),
        ("options", "-Xmx1g -Dspring.datasource.password=tulip"),
        ("arguments", ["--host", "db", "--db-pass", "tulip"]),
        ("arguments", ["--db-pass=tulip"]),
        ("json", '{"user": "shop", "password": "tulip"}'),
        ("variables", [{"name": "DB_PASS", "value": "tulip"}]),
        ("variables", [{"value": "tulip", "name": "DB_PASS"}]),
        ("backend", "postgres://shop:tulip@db.example.com/shop"),
        ("backend", "redis://:tulip@cache.example.com:6379/0"),
        ("hook", "https://example.com/deploy?access_token=tulip99"),
        ("storage", "Server=db;Database=shop;User Id=shop;Pwd=tulip99;"),
        ("x", "ghp_" + "a1B2" * 9),
        ("x", "glpat-" + "a1B2c3D4e5F6g7H8i9J0"),
        ("x", "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy"),
        ("x", "AKIA" + "Q3EGRIEXAMPLE7TZ"[:16]),
        ("x", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
        ("x", "Bearer abcdefgh12345678"),
        ("x", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk"),
        ("x", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ],
)
def test_names_and_forms_of_secrets_are_refused_without_showing_them(name: str, value: Any) -> None:
    (sentence,) = mistakes({"outer": [{name: value}]}, "environment 'dev'")
    assert "environment 'dev'" in sentence
    assert "secret:<connection>/<field>" in sentence
    assert str(value) not in sentence
    assert "tulip" not in sentence


@pytest.mark.parametrize(
    "key",
    [
        lambda: secrets.token_urlsafe(24),
        lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
        lambda: secrets.token_hex(20),
    ],
    ids=["url-safe", "base64", "hexadecimal"],
)
def test_random_keys_are_refused_whatever_their_name(key: Callable[[], str]) -> None:
    # 98 to 100 of 100 are found; a random text may happen to look like a word.
    assert sum(bool(suspicion("/x", key())) for _ in range(300)) >= 270


def test_identifiers_are_no_keys() -> None:
    assert not any(suspicion("/x", str(uuid.uuid4())) for _ in range(100))


def test_names_that_are_no_numbers_are_read_all_the_same() -> None:
    strange = {"²": "x", "³": "y", "9" * 5000: "z", "0": {"": ["--password"]}, "": "--password"}
    assert list(mistakes(strange, "shop")) == []


def test_what_is_declared_plain_is_taken_as_it_is() -> None:
    assert list(mistakes({"cache_key": "plain:" + secrets.token_urlsafe(32), "token": "plain:tulip"}, "shop")) == []


@pytest.mark.parametrize(
    "reference", ["secret:", "secret:shop_db", "secret:/password", "secret:shop_db/", "secret:a/b\n"]
)
def test_a_reference_that_names_nothing_is_a_mistake(reference: str) -> None:
    (sentence,) = mistakes({"x": reference}, "shop")
    assert "cannot be read" in sentence


def test_a_pipeline_file_with_secrets_is_one_error_that_names_each() -> None:
    pipeline = Pipeline(
        "shop",
        stages=[Environment("dev", configuration={"queue": "amqp://guest:tulip@queue"})],
        configuration={"smtp": {"password": "tulip"}},
    )
    with pytest.raises(PipelineError) as refused:
        pipeline.dag()
    assert len(refused.value.mistakes) == 2
    assert "'smtp.password'" in str(refused.value)
    assert "environment 'dev'" in str(refused.value)
    assert "tulip" not in str(refused.value)


def test_overrides_with_secrets_are_refused_and_not_quoted() -> None:
    with pytest.raises(ReleaseError) as refused:
        planned_release("shop", "1.2", "{service}:{version}", {}, {"api_key": "tulip"}, environment="dev")
    assert "'api_key'" in str(refused.value)
    assert "tulip" not in str(refused.value)
    planned_release("shop", "1.2", "{service}:{version}", {}, {"api_key": "secret:shop/key"}, environment="dev")


def test_what_airflow_has_read_from_a_connection_is_known_for_a_secret() -> None:
    from airflow.sdk.log import mask_secret

    assert not suspicion("/colour", "marigold-yellow")
    mask_secret("marigold-yellow")
    assert suspicion("/colour", "marigold-yellow") == "Airflow knows it as one"


def test_deep_overrides_are_our_error() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    with pytest.raises(ReleaseError, match="nested too deeply"):
        planned_release("shop", "1.2", "{service}:{version}", {}, deep, environment="dev")
