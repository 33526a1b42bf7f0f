"""Secrets planted in every place they come from, and looked for in everything that is written: none may be found.

They are in a connection that the configuration refers to, in what something else has deployed before, in the words of
a crashing instance, in the log of the service, in an answer of the deployment API and in overrides that are refused.
"""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.operators import DeployOperator, question
from airflow_cd.release import Release
from airflow_cd.report.gathering import report_of
from airflow_cd.report.page import render_report
from airflow_cd.sensors import ApprovalSensor
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from tests.attacks.forms import forms
from tests.memory_target import MemoryTarget
from tests.operators.world import World

NAMES = [f"shop-{number:02d}" for number in range(5)]
CANARY = NAMES[:1]
REFERENCED, FOREIGN, OVERRIDE = "tulip/in+spring&7", "violet/in+may&8", "rose/in+june&9"
SECRETS = (REFERENCED, FOREIGN, OVERRIDE)
CONFIGURATION = {"db": {"password": "secret:shop_db/password"}, "limit": 7}
START = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=1)


def everything_written(ledger: Ledger, written: Sequence[str]) -> str:
    path = Path(str(ledger.engine.url.database))
    with sqlite3.connect(path) as connection:
        rows = "\n".join(connection.iterdump())
    files = "".join(one.read_bytes().decode("latin-1") for one in path.parent.glob(path.name + "*") if one.is_file())
    with ledger.store.reading() as session:
        from airflow_cd.ledger.models import ProfileRow

        profiles = "".join(str(LogProfile.from_bytes(row.content)) for row in session.query(ProfileRow))
    return "\n".join([rows, files, profiles, *written])


class Log:
    """A minute in which the canary cannot log in, and says with what it tried."""

    name, delay = "app", timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        rows = [
            {"time": START + timedelta(seconds=second), "instance": name, "message": self.message(name, second)}
            for second in range(60)
            for name in instances
        ]
        frame = pd.DataFrame(rows)
        frame["time"] = pd.to_datetime(frame["time"], utc=True)
        return LogSample(frame[(frame["time"] >= window.since) & (frame["time"] < window.until)], "everything")

    @staticmethod
    def message(name: str, second: int) -> str:
        if name in CANARY and second % 5 == 0:
            token = base64.b64encode(f"shop:{REFERENCED}".encode()).decode()
            address = f"postgres://shop:{quote(REFERENCED, safe='')}@db"
            return f"ERROR shop.db - login with {REFERENCED} refused, {address}, {token}"
        return f"INFO shop.web - order {second} served"


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SECRET_KEY", "a key of the tests")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"postgres://shop:{quote(REFERENCED, safe='')}@db/shop")
    caplog.set_level(logging.DEBUG)
    return []


def assert_nothing_found(ledger: Ledger, written: list[str]) -> None:
    whole = everything_written(ledger, written)
    found = {form for secret in SECRETS for form in forms(secret) if form in whole}
    assert found == set()


def test_no_planted_secret_is_found_in_what_a_delivery_writes(
    tmp_path: Path, written: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    before = Release("shop", "1.0", "shop:1.0", {"db": {"password": FOREIGN}, "limit": 5})
    target = MemoryTarget(NAMES, before)
    delivery = Delivery(
        ledger, target, pipeline="shop", run_id="run-1", service="shop", environment="production",
        log=written.append, timeout=timedelta(seconds=1),
    )  # fmt: skip
    delivery.deploy(Release("shop", "1.1", "shop:1.1", CONFIGURATION), phase="phase_20", share=20, reason="new prices")
    assert target.state[NAMES[0]].configuration["db"]["password"] == REFERENCED
    target.state[NAMES[0]] = replace(target.state[NAMES[0]], message=f"cannot log in: {REFERENCED} {FOREIGN}")
    ledger.phases.deployed(delivery.require_deployment().id, "phase_20", START, delivery.lease().token)
    verification = Verification(logs=[Log()], duration="60s", every="5s", grace="0s")
    concluded = PhaseVerification(delivery, verification, "phase_20", on_look=written_judgement(written)).run(START)
    assert concluded.consequence is Consequence.ROLL_BACK, "the planted error was not seen"
    written.append(str(concluded.judgement.as_dict()))
    report = report_of(ledger, "shop", "run-1", "production.phase_20.verify")
    assert report is not None
    written += [render_report(report), json.dumps(report.as_dict())]
    assert "login with" in written[-1]
    delivery.roll_back("the verification failed")
    assert {one.configuration["db"]["password"] for one in target.state.values()} == {FOREIGN}
    delivery.settle()
    written.append(caplog.text)
    assert_nothing_found(ledger, written)


def written_judgement(written: list[str]) -> Callable[[Any], None]:
    return lambda judgement: written.append(str(judgement.as_dict()))


def test_refused_overrides_and_quoting_targets_leave_nothing(
    tmp_path: Path, written: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", url)
    world = World(open_ledger(url))
    world.target.state = {name: world.target._instance(name, None) for name in NAMES}
    world.target.broken.add("shop:1.2")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: asked.update(given))
    approval = ApprovalSensor(
        task_id="approve", service="shop", environments=["production"], version="1.2", reason="",
        configurations={"production": CONFIGURATION}, overrides="{}",
    )  # fmt: skip
    with pytest.raises(TaskAwaitingInput):
        world.execute(approval)
    deploy = world.task(DeployOperator, version="1.2", configuration=CONFIGURATION, overrides="{}", reason="", learn="")
    with pytest.raises(AirflowFailException) as failed:
        world.execute(deploy)
    refused = world.task(DeployOperator, version="1.3", overrides=json.dumps({"api_key": OVERRIDE}))
    context = world.context(refused)
    context["params"] = {"version": "1.3"}
    refused.render_template_fields(context)
    with pytest.raises(AirflowFailException) as no:
        refused.execute(context)
    fields = [getattr(task, name) for task in (approval, deploy, refused) for name in task.template_fields]
    written += [str(asked), str(failed.value), str(no.value), str(fields), str(world.lines), caplog.text]
    assert "secret:shop_db/password" in str(asked)
    assert_nothing_found(world.ledger, written)
