"""Evidence that the ledger can keep, however much was found: what matters least is left out first, and said to be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

MOST_BYTES = 8 * 1024 * 1024
"""Half of what the ledger keeps of one record: the report adds what was done."""
SHORTENED = "More was found than is kept: the least important events, metrics and records are missing here."
_LONGEST_TEXT = 2_000
_KEPT_EVENTS = (5_000, 1_000, 200)
_KEPT_METRICS = (2_000, 500, 100)

Evidence = dict[str, Any]


def bounded(evidence: Mapping[str, Any]) -> Evidence:
    """The evidence of a judgement within :data:`MOST_BYTES`; verdict and reasons stay as they are.

    :param evidence: as :meth:`~airflow_cd.verification.verdict.Judgement.as_dict` writes it.
    """
    kept = dict(evidence)
    if _size(kept) <= MOST_BYTES:
        return kept
    kept["warnings"] = [SHORTENED, *(kept.get("warnings") or ())]
    for smaller in _STEPS:
        if _size(kept) <= MOST_BYTES:
            break
        kept = smaller(kept)
    if _size(kept) > MOST_BYTES:
        kept = _texts_cut(kept, _LONGEST_TEXT)
    return kept if _size(kept) <= MOST_BYTES else _verdict_alone(kept)


def _size(evidence: Evidence) -> int:
    return len(json.dumps(evidence, default=str))


def _fewer_records(evidence: Evidence) -> Evidence:
    """One short record of each risk, none of the others."""
    return _part(
        evidence,
        "quality",
        "events",
        lambda rows: [{**row, "samples": _shortened(row.get("samples"), bool(row.get("risk")))} for row in rows],
    )


def _shortened(samples: Any, risk: bool) -> list[str]:
    return [str(sample)[:_LONGEST_TEXT] for sample in list(samples or ())[-1:]] if risk else []


def _without_points(evidence: Evidence) -> Evidence:
    """Metrics without their course over time, but for those that failed."""
    return _part(
        evidence,
        "performance",
        "metrics",
        lambda rows: [row if row.get("verdict") == "FAIL" else {**row, "series": {}} for row in rows],
    )


def _fewer(events: int, metrics: int) -> Callable[[Evidence], Evidence]:
    def fewer(evidence: Evidence) -> Evidence:
        kept = _part(evidence, "quality", "events", lambda rows: _first(rows, events, _event_weight))
        return _part(kept, "performance", "metrics", lambda rows: _first(rows, metrics, _metric_weight))

    return fewer


def _event_weight(event: Evidence) -> tuple[bool, bool]:
    return (not event.get("risk"), event.get("kind") == "known")


def _metric_weight(metric: Evidence) -> int:
    return {"FAIL": 0, "INCONCLUSIVE": 1}.get(str(metric.get("verdict")), 2)


def _first(rows: list[Evidence], most: int, weight: Callable[[Evidence], Any]) -> list[Evidence]:
    return sorted(rows, key=weight)[:most]


def _part(evidence: Evidence, part: str, name: str, change: Callable[[list[Evidence]], list[Evidence]]) -> Evidence:
    found = evidence.get(part)
    if not isinstance(found, Mapping) or not isinstance(found.get(name), list):
        return evidence
    return {**evidence, part: {**found, name: change(found[name])}}


def _texts_cut(value: Any, most: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _texts_cut(member, most) for name, member in value.items()}
    if isinstance(value, list):
        return [_texts_cut(member, most) for member in value[: _KEPT_EVENTS[-1]]]
    return value if not isinstance(value, str) or len(value) <= most else value[: most - 1] + "…"


def _verdict_alone(evidence: Evidence) -> Evidence:
    return {**evidence, "quality": None, "performance": None}


_STEPS: tuple[Callable[[Evidence], Evidence], ...] = (
    _fewer_records,
    _without_points,
    *(_fewer(events, metrics) for events, metrics in zip(_KEPT_EVENTS, _KEPT_METRICS, strict=True)),
)
