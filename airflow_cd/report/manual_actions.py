"""Manual actions as reports and pages name them."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_cd.states import HumanAction

_LABELS: Mapping[str, str] = {
    HumanAction.MARKED_SUCCESS: "marked the task success",
    HumanAction.MARKED_FAILED: "marked the task failed",
    HumanAction.MARKED_SKIPPED: "marked the task skipped",
    HumanAction.MARKED_GROUP_SUCCESS: "marked the task group success",
    HumanAction.MARKED_GROUP_FAILED: "marked the task group failed",
    HumanAction.MARKED_GROUP_SKIPPED: "marked the task group skipped",
    HumanAction.MARKED_RUN_SUCCESS: "marked the run success",
    HumanAction.MARKED_RUN_FAILED: "marked the run failed",
    HumanAction.MARKED_RUN_QUEUED: "queued the run again",
    HumanAction.CLEARED: "cleared the task",
    HumanAction.CLEARED_RUN: "cleared the run",
    HumanAction.DELETED: "deleted the task instance",
    HumanAction.LIFTED_VETO: "lifted the veto",
    HumanAction.FROZE: "froze the environment",
    HumanAction.LIFTED_FREEZE: "lifted the freeze",
    HumanAction.GAVE_FEEDBACK: "gave feedback",
    HumanAction.UNDID_FEEDBACK: "undid feedback",
    HumanAction.PINNED_BASELINE: "pinned the baseline",
    HumanAction.RESET_BASELINE: "reset the baseline",
    HumanAction.UNDID_BASELINE: "undid the choice of a baseline",
}


def manual_action_label(action: str, option: str | None = None) -> str:
    """What a person did, as people say it.

    :param action: as the ledger keeps it: a :class:`~airflow_cd.states.HumanAction`, after *answered* the option.
    :param option: what was answered, where the ledger keeps it apart.
    """
    kind, _, rest = action.partition(" ")
    answer = option or (rest if kind == HumanAction.ANSWERED else "")
    return f"{HumanAction.ANSWERED} “{answer}”" if answer else _LABELS.get(action, action)
