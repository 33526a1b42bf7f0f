"""The run that its page is about, rolled back in its first phase."""

from __future__ import annotations

from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.verification.verdict import Verdict
from tests.plugin.build_com_run import PIPELINE, ROLLED_BACK_STATES, RUN_ID, Story, judgement, run_of

PLACE = f"/airflow-cd/run/{PIPELINE}/{RUN_ID}"
WHY = "4 events are unknown, the worst GiftCard0Error, 40 times on the canary"
DECIDED = judgement(Verdict.FAIL, WHY, "errors rose from 0.1 % to 4 %", risks=4)


def rolled_back(story: Story) -> Run:
    story.before_production()
    story.approved()
    story.canary(DECIDED)
    story.rolled_back(f"FAIL: {WHY}")
    return run_of("failed", ROLLED_BACK_STATES)
