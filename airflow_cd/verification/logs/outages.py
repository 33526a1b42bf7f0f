"""Errors that only one of several references knows: an outage that it had is no licence for the canary's.

What runs beside the canary outranks what was learned before: known errors are judged against the control alone, too.
Without a control, a baseline in which an error came many times as often as in every other one is left out for that
error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cd.verification.logs.events import Comparison
from airflow_cd.verification.logs.frequency import Reference, surprise, volume_factor
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.severity import at_least, title_of, weight_of
from airflow_cd.verification.verdict import Event, EventKind, Reason

SPREAD = 0.8  # dispersion of an error beside one reference alone: hosts and customers differ
_FEWEST, _CERTAIN = 10, 20  # records that leave a verdict open, and that fail the canary beside a control
_OUTAGE = 20.0  # records in one reference, scaled to the canary,
_TIMES = 10.0  # and so many times what any other reference has
_NAMED = 3  # errors named in a reason


@dataclass(frozen=True)
class Outages:
    """What comes of it.

    :param events: those that are more frequent than beside the control as such.
    :param undecided: what no PASS can be given beside.
    :param notes: baselines with far more errors than the other references.
    """

    events: list[Event]
    undecided: list[Reason]
    notes: list[Reason]


def judge_outages(
    events: Sequence[Event],
    comparison: Comparison,
    control: bool,
    names: Sequence[str],
    before: Mapping[str, float],
    *,
    least: str,
    ratio: float,
    p_value: float,
) -> Outages:
    """Judge known errors beside the control alone, and without a reference that had an outage.

    :param events: of the comparison, with what all references let expect.
    :param comparison: with the references, the control first if there is one.
    :param control: whether one of the references is a control.
    :param names: of the baselines, in the order of their references.
    :param before: by template, how many records the canary's own instances let expect by what they logged before the
        deployment, where that is known: an instance may have a part of its own to play.
    :param least: the severity from which on a frequency can fail the canary.
    :param ratio: smallest ratio between observed and expected that counts.
    :param p_value: largest probability that chance alone does it.
    """
    references = comparison.references
    factors = [max(volume_factor(comparison.canary, one.counts, None), 1e-9) for one in references]
    judged, undecided = [], []
    outages: dict[int, list[tuple[str, int, float]]] = {}
    for event in events:
        if not _is_known_error(event):
            judged.append(event)
            continue
        scaled = [one.counts.get(event.template, 0) * factor for one, factor in zip(references, factors, strict=True)]
        odd = _odd_one(scaled)
        if odd is not None and odd >= control:
            others = max(value for number, value in enumerate(scaled) if number != odd)
            outages.setdefault(odd, []).append((title_of(event), references[odd].counts[event.template], others))
        observed = event.counts["canary"]
        enough = not event.risk and observed >= max(_FEWEST, ratio * before.get(event.template, 0.0))
        if enough and control:
            expected, chance = _chance(comparison, references[:1], event)
            if observed >= ratio * expected and chance <= p_value:
                text = f"{title_of(event)} came {observed:.0f} times, {expected:.1f} expected by the control alone."
                if observed >= _CERTAIN and at_least(weight_of(event), least):
                    kind = EventKind.UNEXPECTED_FREQUENCY
                    event = replace(event, kind=kind, risk=True, expected=expected, p_value=chance)
                else:
                    undecided.append(Reason("more_than_control", text, {"observed": observed, "expected": expected}))
        elif enough and odd is not None and len(references) >= 3:
            rest = [one for number, one in enumerate(references) if number != odd]
            expected, chance = _chance(comparison, rest, event)
            if observed >= ratio * expected and chance <= p_value:
                undecided.append(_only_there(event, names[odd - control], expected))
        judged.append(event)
    notes = [_note(names[number - control], found) for number, found in sorted(outages.items())]
    return Outages(judged, undecided, notes)


def expected_by_themselves(
    canary: LogProfile, baseline: Sequence[LogProfile], comparison: Comparison
) -> dict[str, float]:
    """By template, what the canary's own instances logged before the deployment, scaled to what they log now.

    :param canary: what the canary logged.
    :param baseline: what is compared with; those that know the canary's instances count.
    :param comparison: of the same.
    """
    names = {name for tally in canary.tallies.values() for name in tally.instances if name}
    counts: dict[str, float] = {}
    total = 0.0
    for profile in baseline:
        for signature, tally in profile.tallies.items():
            count = sum(number for name, number in tally.instances.items() if name in names)
            if count:
                template = comparison.members[signature]
                counts[template] = counts.get(template, 0.0) + count
                total += count
    return {template: count * canary.records / total for template, count in counts.items()}


def _is_known_error(event: Event) -> bool:
    return (
        at_least(weight_of(event), "error")
        and event.stated
        and event.feedback is None
        and event.kind is not EventKind.UNKNOWN
    )


def _odd_one(scaled: Sequence[float]) -> int | None:
    """Which reference has far more than every other one; None if none has."""
    if len(scaled) < 2:
        return None
    highest, second = sorted(scaled, reverse=True)[:2]
    return scaled.index(highest) if highest >= _OUTAGE and highest >= _TIMES * (second + 0.5) else None


def _chance(comparison: Comparison, references: Sequence[Reference], event: Event) -> tuple[float, float]:
    exposure = float(sum(comparison.canary.values()))
    known = [replace(one, watched=float(sum(one.counts.values()))) for one in references]
    return surprise(comparison.canary, exposure, known, event.template, SPREAD)


def _only_there(event: Event, name: str, expected: float) -> Reason:
    observed = event.counts["canary"]
    text = (
        f"{title_of(event)} came {observed:.0f} times; it was as frequent in {name} alone, everything else lets expect "
        f"{expected:.1f}."
    )
    return Reason("known_by_an_outage", text, {"observed": observed, "expected": expected, "baseline": name})


def _note(name: str, found: Sequence[tuple[str, int, float]]) -> Reason:
    named = "; ".join(
        f"{title} ({count:,} times, at most {others:.1f} expected)" for title, count, others in found[:_NAMED]
    )
    text = f"{name} has far more errors than what else is compared with: {named}. Was it a good release?"
    return Reason("baseline_outage", text, {"baseline": name, "errors": len(found)})
