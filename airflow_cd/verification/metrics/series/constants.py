"""What is the same all the time on the other side and another on the canary: one member fewer, a yes that became a no.

A ratio of such numbers says little: from 3 to 2 and from 1 to 0 are small steps of a level, and grave ones of a cluster
and of a switch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from airflow_cd.verification.metrics.names.units import suffix_of
from airflow_cd.verification.metrics.names.vocabulary import LIFE, STANDING
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.side import Side
from airflow_cd.verification.metrics.series.tables import Table
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import Reason, Verdict

# Of those that hold something together none may be missing; of those that serve there may be fewer at night.
_TOGETHER, _SERVING = frozenset(("cluster", "quorum", "ring", "member")), frozenset(("healthy", "replica"))
# How many pods, hosts or partitions a canary has is for who deploys to say.
_MEMBERS = frozenset(
    ("member", "peer", "follower", "slave", "node", "broker", "worker", "consumer", "server", "datanode", "tasktracker")
)
# What is chosen among several, or set by somebody, may be either way.
_CHOSEN = frozenset(("leader", "master", "primary", "standby", "elected", "role", "owner", "controller"))
_SET = frozenset(("enabled", "disabled", "feature", "flag", "mode", "toggle", "configured", "debug", "maintenance"))
_NUMBER = re.compile(r"(?i)[a-z]*[^\Wuis_]s$")
_LONG = 10  # rows that say what there always is
_MOSTLY = 0.5
_FEWEST, _OFTEN = 3, 0.1  # rows, and their part, in which a yes is a no


def one_missing(table: Table, canary: Side, other: Side) -> Finding | None:
    """One fewer than there ever were of those that hold something together, and still: a node of a cluster, a host.

    :param table: one metric on all sides, read.
    :param canary: its rows there; ``other`` those that they are compared with.
    """
    metric = table.metric
    if metric.kind not in ("gauge", "count") or metric.direction == "higher_is_worse" or metric.unit:
        return None
    fewer_is_worse = metric.kind == "gauge" and metric.direction == "lower_is_worse"
    words, member = set(words_of(metric.name)), _is_member(metric)
    if not (member or (fewer_is_worse and (_TOGETHER | _SERVING) & words)):
        return None
    usual, ours = other.numbers, canary.numbers[np.argsort(canary.times, kind="stable")]
    if len(usual) < _LONG or len(set(usual)) > 1 or usual[0] != np.round(usual[0]):
        return None
    if len(ours) < _LONG or not _stays(ours <= usual[0] - 1.0):
        return None
    text = f"{metric.name}: {ours[-1]:.0f} on the canary, {usual[0]:.0f} all the time on the other side."
    sure = fewer_is_worse and _TOGETHER & words
    verdict, code = (Verdict.FAIL, "metric_regressed") if sure else (Verdict.INCONCLUSIVE, "not_certain")
    return Finding(verdict, Reason(code, text, {"canary": float(ours[-1]), "control": float(usual[0])}))


def _is_member(metric: Metric) -> bool:
    """Whether members are what is numbered, and not what belongs to one of them: ``running_nodes``, ``node_load``."""
    words = suffix_of(words_of(metric.name)).words
    while len(words) > 1 and words[-1] in LIFE:
        words = words[:-1]
    return bool(words) and words[-1] in _MEMBERS


def flipped(table: Table, canary: Side, others: Sequence[Side]) -> Finding | None:
    """That what is always 1, or always 0, on every other side is not so on the canary.

    Which of the two is bad a name like ``license_valid`` does not say; that it changed is worth a look.

    :param table: one metric on all sides, read.
    :param canary: its rows there; ``others`` those of all other sides.
    """
    metric = table.metric
    if metric.kind != "gauge" or metric.direction != "either" or metric.unit:
        return None
    usual = np.concatenate([side.numbers for side in others])
    ours = canary.numbers[np.argsort(canary.times, kind="stable")]
    if len(usual) < _LONG or len(ours) < _LONG or len(set(usual)) > 1 or not {*usual, *ours} <= {0.0, 1.0}:
        return None
    words, was = set(words_of(metric.name)), float(usual[0])
    if (words & _CHOSEN and "has" not in words) or words & _SET or _is_number(metric) or (not was and words & STANDING):
        return None
    changed = ours != was
    often = was and changed.sum() >= _FEWEST and changed.mean() >= _OFTEN
    if not often and not _stays(changed):
        return None
    text = (
        f"{metric.name}: {1.0 - was:.0f} in {changed.sum()} of {len(ours)} rows of the canary, {was:.0f} all the time "
        "on the other side."
    )
    return Finding(Verdict.INCONCLUSIVE, Reason("not_certain", text, {"canary": float(ours.mean()), "control": was}))


def _is_number(metric: Metric) -> bool:
    """Whether a name speaks of several: ``open_sessions`` are numbered, ``session_open`` is so or not."""
    return _NUMBER.search(re.sub(r"[{\[].*", "", metric.name)) is not None


def _stays(changed: np.ndarray) -> bool:
    """Whether it is so in most of the time, and in all of its last third."""
    return bool(changed.mean() >= _MOSTLY and changed[-max(1, len(changed) // 3) :].all())
