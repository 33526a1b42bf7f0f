"""The environment that its page is about, and the releases that run there."""

from __future__ import annotations

from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from tests.plugin.deployed import Delivery

PLACE = "/airflow-cd/environment/shop/shop/production"
HOSTILE = "<script>alert(1)</script>"
RELEASES = {
    version: Release("shop", version, f"shop:{version}", configuration)
    for version, configuration in (
        ("1.0", {"workers": 2}),
        ("1.1", {"workers": 4, "greeting": HOSTILE}),
        ("1.2", {"workers": 8}),
    )
}
OLD, NEW = RELEASES["1.1"], RELEASES["1.2"]


def deploy(ledger: Ledger, version: str, *, pipeline: str = "shop") -> Delivery:
    delivery = Delivery(ledger, "shop", version, pipeline=pipeline)
    delivery.release = RELEASES.get(version, delivery.release)
    return delivery


def key_of(client: TestClient) -> str:
    return client.get(PLACE).text.split('name="key" value="')[1].split('"')[0]
