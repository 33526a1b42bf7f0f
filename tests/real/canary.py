"""What the tasks of a canary's stage do, without an Airflow: deploy, watch, promote or roll back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.errors import DeploymentFailed
from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.release import Release
from airflow_cd.verification.settings import Verification


def delivered(ledger: Ledger, target: Any, logs: Any, wanted: Release, run_id: str) -> Deployment:
    """What they do one after the other, in an environment called production."""
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
    try:
        for phase, share in (("phase_20", 20), ("phase_100", 100)):
            delivery.deploy(wanted, phase=phase, share=share)
            found = PhaseVerification(delivery, verification, phase, on_look=lambda judgement: None).run()
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
