"""What the Deployments page says about the verification of a deployment: one badge, which leads to the report."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_cd.plugin.states import Look
from airflow_cd.states import DeploymentState
from airflow_cd.verification.verdict import Verdict


@dataclass(frozen=True)
class Badge:
    """A badge.

    :param text: what it says, ``""`` for no badge at all.
    :param look: how it is drawn; None for plain.
    :param remark: what stands beside it.
    :param report: whether there is a report that it leads to.
    """

    text: str = ""
    look: Look | None = None
    remark: str = ""
    report: bool = True


def badge_of(state: str, verdict: str, *, reported: bool, rollback: bool = False, first: bool = False) -> Badge:
    """What to say about the verification of a deployment.

    :param state: its :class:`~airflow_cd.states.DeploymentState`.
    :param verdict: the final verdict on the phase that it got to, ``""`` while there is none: a release is verified
        once nothing is left to be watched, not when its first phase has passed.
    :param reported: whether anything of it has been judged.
    :param first: whether it is the first release there, which there was nothing to compare with.
    :param rollback: whether it is a person's rollback, which brings back what was good before and is not verified.
    """
    promoted = state == DeploymentState.PROMOTED
    if not reported and first:
        return Badge("first release, nothing to compare with", report=False)
    if not reported:
        return Badge("not verified" if promoted and not rollback else "", report=False)
    if not verdict:
        return _without_verdict(state)
    if verdict == Verdict.PASS:
        return Badge("VERIFIED", Look.GOOD) if promoted else Badge("PASSED SO FAR", Look.WAIT)
    look = Look.BAD if verdict == Verdict.FAIL else Look.WAIT
    return Badge(verdict, look, "promoted anyway" if promoted else "")


def _without_verdict(state: str) -> Badge:
    if state == DeploymentState.RUNNING:
        return Badge("VERIFYING")
    if state == DeploymentState.PROMOTED:
        return Badge("NOT VERIFIED", Look.WAIT, "promoted before the verdict")
    return Badge("NO VERDICT", Look.WAIT)
