"""The typed report: into JSON and back, and what of it is read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_cd.errors import VerificationError
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.report.answers import is_it_safe, what_was_done
from airflow_cd.report.gathering import report_of
from airflow_cd.report.page import render_report
from airflow_cd.report.report import Clocks, Outcome, Report
from airflow_cd.states import DeploymentState
from tests.report import samples


@pytest.mark.parametrize("sample", [samples.story, samples.good, samples.slow, samples.undecided, samples.files])
def test_a_report_survives_json(sample: object) -> None:
    report: Report = sample()  # type: ignore[operator]
    written = json.dumps(report.as_dict())
    read = Report.from_dict(json.loads(written))
    assert json.dumps(read.as_dict()) == written
    assert read.judgement.sentence == report.judgement.sentence


def test_a_report_says_how_the_environment_is_reached_and_what_its_version_does_not(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    lease = ledger.leases.acquire("bin", "eu", pipeline="bin", run_id="1", ttl=timedelta(minutes=5))
    old, new = (Release("bin", "0.17.4", "bin:0.17.4", {"timeout_s": seconds}) for seconds in (30, 1))
    more = {"reason": "", "triggered_by": "", "rollback": "automatic", "learn": False}
    deployment = ledger.deployments.open(lease, new, previous={"a": old}, **more)  # type: ignore[arg-type]
    judged = {"verdict": "PASS", "evidence": samples.good().as_dict()["judgement"], "final": True}
    ledger.phases.start(deployment.id, "phase_20", share=20, instances=["a"], token=lease.token)
    ledger.verdicts.record(deployment.id, "phase_20", token=lease.token, **judged)
    work = {"pipeline": "bin", "run_id": "1", "task_id": "eu.verify", "process": "a:1", "timeout": 9}
    ledger.work.begin("bin", "eu", target={"connection": "http_eu", "environment": "eu"}, **work)
    report = report_of(ledger, "bin", "1", "eu.phase_20.verify")
    assert report is not None
    for read in (report, Report.from_dict(json.loads(json.dumps(report.as_dict())))):
        page = render_report(read)
        assert "bin 0.17.4</strong> (timeout_s 30 → 1) on" in page
        assert "HTTP deployment API: eu (connection http_eu)" in page


def test_the_json_of_a_deployment_has_the_keys_that_others_read() -> None:
    content = samples.story().as_dict()
    assert list(content) == [
        *("schema", "service", "pipeline", "run_id", "environment", "phase", "release", "previous", "judgement"),
        *("actions", "clocks", "outcome", "human"),
    ]
    assert content["clocks"] == {"to_verdict": 27.0, "to_safe": 0.41, "to_restored": 2.92}
    assert content["release"] == samples.NEW.as_dict()
    assert content["human"][0] == {
        "who": "ada",
        "action": "approve",
        "when": samples.at(-40),
        "why": "change 4711, tested in staging",
    }
    assert set(content["actions"][0]) == {"kind", "ok", "began", "ended", "detail"}


def test_the_json_of_files_says_the_verdict_first_and_has_no_deployment() -> None:
    content = samples.files().as_dict()
    assert list(content)[:3] == ["schema", "verdict", "sentence"]
    assert list(content)[-2:] == ["files", "settings"]
    assert (content["release"], content["outcome"], content["clocks"], content["human"]) == (None, None, {}, [])
    assert content["settings"] == {"sensitivity": "medium", "expected": ["Retried*"], "minimum_effect": 0.2}


def test_evidence_of_a_newer_version_is_kept_though_it_cannot_be_read() -> None:
    newer = {"version": 99, "verdict": "FAIL", "of": "the future"}
    report = Report.from_dict({**samples.story().as_dict(), "judgement": newer})
    assert report.as_dict()["judgement"] == newer
    with pytest.raises(VerificationError, match="version 99"):
        _ = report.judgement


@pytest.mark.parametrize("content", [{"schema": 1, "actions": [{"ok": True}]}, {"schema": 1, "previous": ["1.1"]}])
def test_a_damaged_report_is_named_so(content: dict[str, object]) -> None:
    with pytest.raises(VerificationError, match="damaged"):
        Report.from_dict(content)


def test_a_state_that_this_version_does_not_know_is_no_state() -> None:
    assert samples.story(outcome=Outcome("thinking", "")).state is None
    assert samples.story().state is DeploymentState.ROLLED_BACK
    assert samples.files().state is None


def test_a_rollback_that_a_person_asked_for_is_not_called_a_promotion() -> None:
    rollback = samples.story(outcome=Outcome("promoted", "all back"), rolls_back=True, clocks=Clocks())
    assert what_was_done(rollback).answer == "Rolled back to shop 1.2"
    assert (is_it_safe(rollback).tone, is_it_safe(rollback).answer) == ("good", "Yes")
    assert Report.from_dict(rollback.as_dict()).rolls_back
    assert what_was_done(replace(rollback, rolls_back=False)).answer == "Promoted shop 1.2"
