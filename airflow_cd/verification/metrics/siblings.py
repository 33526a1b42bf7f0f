"""One of several canary instances that is worse than all others, which the mean of all of them hides."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.findings import title_of
from airflow_cd.verification.metrics.hosts import levels
from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import number, share
from airflow_cd.verification.verdict import Reason

DIFFERS = "instance_differs"
"""Code of the reason of such a result."""

_FELT = ("latency", "errors", "apdex", "share")  # of what is used, instances have parts of their own to play
_FEWEST = 3  # other instances to say how much they differ
_APART = math.log(1.5)  # from the worst of the others: less is placement
_SIGMAS = 5.0  # of the others' spread
_CLEAR = math.log(1.5)  # from the worst that any other instance was, now and before: that is no placement
_RATIO, _CHANCE, _FEWEST_FAILED = 3.0, 1e-3, 10.0
_SPREAD = 0.1  # dispersion of failures between like instances
_LEAST_RATE = 0.001


def odd_one(sides: Sides) -> Reason | None:
    """The canary instance that users feel to be worse than all others, if there is one and it was no different before.

    :param sides: of one metric.
    """
    if sides.metric.kind not in _FELT or sides.direction == "either" or len(sides.instances) <= _FEWEST:
        return None
    ours = _levels(sides, sides.canary)
    if len(ours) <= _FEWEST:
        return None
    name = max(ours, key=lambda one: ours[one])
    others = np.array([level for other, level in ours.items() if other != name])
    if sides.metric.kind == "errors":
        odd = _fails_more(sides, name)
    else:
        apart = ours[name] - float(np.median(others))
        odd = ours[name] - float(others.max()) >= _APART and apart >= _SIGMAS * float(np.std(others))
    earlier = {} if sides.paired else _levels(sides, sides.control)
    if not odd or (name in earlier and ours[name] - earlier[name] < _APART):
        return None
    mine, rest = _shown(sides, name)
    text = f"{title_of(sides)}: {mine} on {name}, {rest} on the other instances of the canary."
    return Reason(DIFFERS, text, {"instance": name, "instances": len(sides.instances)})


def is_clear(sides: Sides, name: str) -> bool:
    """Whether a canary instance is far worse than any other one, of the canary and of the other side.

    :param sides: of one metric, all instances.
    :param name: of the instance.
    """
    ours, theirs = _levels(sides, sides.canary), _levels(sides, sides.control)
    others = [level for other, level in ours.items() if other != name] + list(theirs.values())
    return name in ours and bool(others) and ours[name] - max(others) >= _CLEAR


def _levels(sides: Sides, rows: Rows) -> dict[str, float]:
    """Logarithm of the level of each instance that was there for most of the time: the higher, the worse."""
    if sides.metric.kind == "apdex":
        rows = replace(rows, value=1.0 - rows.value.clip(0.0, 1.0) + _LEAST_RATE)
    rows = sides.scale.of(rows)
    found = levels(rows, counts=sides.metric.kind in ("errors", "count"))
    falls = sides.direction == "lower_is_worse" and sides.metric.kind != "apdex"
    return {rows.instance_names[code]: -level if falls else level for code, level in found.items()}


def _fails_more(sides: Sides, name: str) -> bool:
    """Whether far more of an instance's requests fail than of the others', by a negative binomial."""
    from scipy.special import betainc

    failed, asked = _sums(sides.canary)
    mine = sides.canary.instance_names.index(name)
    rest, rest_asked = failed.sum() - failed[mine], asked.sum() - asked[mine]
    if not asked[mine] or not rest_asked:
        return False
    rate, usual = failed[mine] / asked[mine], (rest + 0.5) / rest_asked
    if failed[mine] < _FEWEST_FAILED or rate < _RATIO * usual or rate - usual < _LEAST_RATE:
        return False
    size = 1.0 / (_SPREAD + 1.0 / (rest + 0.5))
    chance = betainc(failed[mine], size, 1.0 - size / (size + usual * asked[mine]))
    return bool(chance * len(sides.instances) <= _CHANCE)


def _sums(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    size = len(rows.instance_names)
    return summed(rows.instance, rows.value, size), summed(rows.instance, rows.count, size)


def _shown(sides: Sides, name: str) -> tuple[str, str]:
    """What an instance shows and what the others do, in words."""
    rows = sides.canary
    mine = rows.instance == rows.instance_names.index(name)
    parts = [rows.where(chosen) for chosen in (mine, ~mine)]
    if sides.metric.kind == "errors":
        return tuple(f"{share(part.value.sum() / max(part.requests, 1.0))} failed" for part in parts)  # type: ignore[return-value]
    means = [float(part.total.sum() / max(part.requests, 1e-12)) for part in parts]
    first, second = (share(m) if sides.metric.kind == "share" else number(m, sides.metric.unit) for m in means)
    return first, second
