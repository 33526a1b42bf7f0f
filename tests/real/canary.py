"""What the tasks of a stage do, without an Airflow: deploy, watch, promote or roll back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_cd import BlueGreen, Canary, Environment
from airflow_cd.delivery import Delivery
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.errors import DeploymentFailed
from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.release import Release
from airflow_cd.verification.settings import Verification


def delivered(
    ledger: Ledger, target: Any, logs: Any, wanted: Release, run_id: str, *, blue_green: bool = False
) -> Deployment:
    """What they do one after the other, in an environment called production: of a canary, or of a blue/green."""
    delivery = Delivery(
        ledger,
        target,
        pipeline=wanted.service,
        run_id=run_id,
        service=wanted.service,
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=60),
    )
    verification = Verification(logs=[logs], duration="8s", every="1s", minimum="3s", longest_lag="10s")
    environment = Environment("production", target=target)
    canary = Canary(environment, phases=[20, 100], verify=verification)
    stage = BlueGreen(environment, verify=verification) if blue_green else canary
    try:
        for step in stage.steps(target):
            delivery.deploy(wanted, phase=step.name, share=step.share, traffic=step.traffic)
            if step.verify is None:
                continue
            found = PhaseVerification(delivery, step.verify, step.name, on_look=lambda judgement: None).run()
            if found.consequence is not Consequence.GO_ON:
                delivery.roll_back(found.judgement.sentence)
                break
        else:
            delivery.promote("verified")
    except DeploymentFailed as error:
        delivery.roll_back(error.what)
    finally:
        delivery.settle()
    return delivery.require_deployment()
