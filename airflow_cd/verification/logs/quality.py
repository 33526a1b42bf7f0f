"""The quality of a canary: its log events against baseline and control, and the verdict they lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from airflow_cd.verification.logs.answers import with_refusals
from airflow_cd.verification.logs.doubts import more_errors, more_failed_requests, moved, moved_reason, unreadable
from airflow_cd.verification.logs.events import Comparison, compare
from airflow_cd.verification.logs.feedback import Opinions
from airflow_cd.verification.logs.frequency import discoveries, expectations, recency
from airflow_cd.verification.logs.learned_statuses import with_statuses
from airflow_cd.verification.logs.momentary import momentary
from airflow_cd.verification.logs.novelty import Novelty, novelty_of
from airflow_cd.verification.logs.outages import expected_by_themselves, judge_outages
from airflow_cd.verification.logs.outcomes import new_outcomes
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.reasons import gone_silent, no_proof, of_risks, other_layout
from airflow_cd.verification.logs.severity import at_least, weight_of
from airflow_cd.verification.logs.starting import starts_again
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.verdict import SEVERITIES, Event, EventKind, Quality, Reason, Verdict

BASELINES_USED = 8  # the newest ones; older releases say less and less about this one
TOO_FEW = 30  # records of a canary, and
TOO_SMALL_A_SHARE = 0.05  # of what each of its references logged: below both it has hardly run
PLENTY = 20.0  # so many records expected of the canary, and none there, is no data rather than silence
CHANCE_OF_A_KNOWN = 0.02  # an error this likely to be a rare known one waits for the last look


@dataclass(frozen=True)
class Strictness:
    """What a sensitivity means for logs.

    :param unknown: severities (and above) whose unknown events are risks. Exceptions always are.
    :param frequency: severities (and above) whose unexpected frequencies are risks.
    :param ratio: smallest ratio between observed and expected that counts.
    :param p_value: largest probability that chance alone does it, beside the false discovery rate over all events.
    :param silence: whether an event that went silent is a risk, when it is frequent enough to be sure.
    """

    unknown: str
    frequency: str
    ratio: float
    p_value: float
    silence: bool


STRICTNESS: dict[Sensitivity, Strictness] = {
    "low": Strictness("error", "fatal", 5.0, 1e-4, False),
    "medium": Strictness("error", "error", 3.0, 1e-3, False),
    "high": Strictness("warning", "warning", 2.0, 1e-2, True),
}
DISCOVERY_RATE = 0.1  # share of false ones among the unexpected frequencies
LEAST_RATIO = 2.0  # between observed and expected; a smaller difference is no event of its own
_FEWEST_MORE = 5  # records, observed or expected, below which a frequency is not judged
NO_LEVELS = (
    "No record of these logs states a level that is recognised, and none is a crash: nothing in them could have failed "
    "the release, only words such as 'failed' could have held it. Next: say which records are errors (errors=[...], "
    "--error)."
)


def judge_quality(
    canary: LogProfile,
    control: LogProfile | None,
    baseline: Sequence[LogProfile] = (),
    *,
    sensitivity: Sensitivity = "medium",
    learn: bool = False,
    opinions: Opinions | None = None,
    baseline_names: Sequence[str] = (),
    look: int = 1,
    final: bool = True,
    sampled: bool = False,
) -> Quality:
    """Judge what the canary logged: events that are unknown, unexpectedly frequent or went silent.

    :param canary: what the canary logged.
    :param control: what instances on the running release logged meanwhile; None without any.
    :param baseline: what earlier good deployments logged, newest first; the first :data:`BASELINES_USED` count.
    :param sensitivity: which events are risks; see :data:`STRICTNESS`.
    :param learn: whether having nothing to compare with is a reason to pass.
    :param opinions: feedback and expectations that apply to events; outrank every rule here. None by default.
    :param baseline_names: what to call each of the baselines in reports, in their order.
    :param look: how often this verification has been judged, this time included, from 1; spends the false discovery
        rate.
    :param final: whether this is the last look. A new error that might well be a rare known one (there was too
        little baseline to have seen it) counts from the last look on; evidence may still come before.
    :param sampled: whether the source keeps a share of the records alone: then nothing is said to have gone silent.
    """
    opinions = opinions or Opinions()
    used = [profile for profile in baseline[:BASELINES_USED] if profile.records]
    control = control if control is not None and control.records else None
    canary, control, used = with_statuses(canary, control, used)
    names = list(baseline_names[:BASELINES_USED])[::-1]
    records = {
        "canary": canary.records,
        "control": control.records if control else 0,
        "baseline": sum(profile.records for profile in used),
    }
    references = [*([control] if control else []), *used]
    if not references:
        return _nothing_to_compare(canary, records, learn=learn)
    silent = _no_data(canary, references, records)
    if silent is not None:
        return Quality(Verdict.INCONCLUSIVE, [silent], [], records, names)
    strictness, spending = STRICTNESS[sensitivity], _spending(look, final)
    comparison = _weighted(compare(canary, control, used), len(used))
    counts = [reference.counts for reference in comparison.references]
    comparison = replace(comparison, events=with_refusals(comparison.events, counts))
    judged = [
        _with_frequency(opinions.weighed(event), strictness, spending, sampled=sampled)
        for event in judge_frequencies(comparison, canary.watched, spending).values()
    ]
    outages = judge_outages(
        judged,
        comparison,
        control is not None,
        _names_of_used(baseline, baseline_names),
        expected_by_themselves(canary, used, comparison),
        least=strictness.frequency,
        ratio=strictness.ratio,
        p_value=strictness.p_value * spending,
    )
    share = _share(canary, references)
    severe = partial(_is_severe, strictness=strictness)
    volume = share / (1.0 - share) if share < 1.0 else 1.0

    def judged_as(last: bool) -> tuple[Verdict, list[Event], list[Event], Novelty]:
        events = _with_risks(outages.events, opinions, share, strictness, final=last)
        new = [event for event in events if event.risk and event.feedback is None and event.kind is EventKind.UNKNOWN]
        beside, elsewhere = control is not None, moved(new, events)
        of_here = [event for event in new if event.template not in elsewhere]
        all_new, stated = (
            novelty_of(some, events, comparison, severe, volume=volume, control=beside)
            for some in (of_here, [event for event in of_here if event.stated])
        )
        if all_new.ordinary:
            events = [replace(event, risk=False) if event in new else event for event in events]
        return _verdict(events, stated), events, new, all_new

    verdict, events, new, all_new = judged_as(final)
    if not final and verdict is Verdict.FAIL:
        # It fails here and now: nothing is gained by still calling its other new errors undecided.
        verdict, events, new, all_new = judged_as(True)
    reasons = of_risks(events, records, len(used))
    if new and verdict is not Verdict.FAIL:
        reasons[:0] = _unproven(all_new, new, events)
    if verdict is Verdict.FAIL and not canary.watched and (tiny := _tiny(canary, references, events)) is not None:
        verdict, reasons = Verdict.INCONCLUSIVE, [tiny, *reasons]
    if final and verdict is not Verdict.FAIL:
        once = momentary(references, comparison.members)
        lasting = [event for event in events if event.template not in once]
        doubts = (
            None if sampled else gone_silent(lasting, strictness.p_value * spending),
            more_errors(events, strictness.frequency, strictness.ratio),
            more_failed_requests(comparison, events, canary.watched, strictness.ratio),
            unreadable(canary, references),
            new_outcomes(events, canary.records, comparison.kinds),
            starts_again(events),
            *outages.undecided,
        )
        verdict, reasons = _held(verdict, reasons, [doubt for doubt in doubts if doubt is not None])
        few = _too_few(canary, references) if verdict is Verdict.PASS and not canary.watched else None
        verdict, reasons = (Verdict.INCONCLUSIVE, [few]) if few is not None else (verdict, reasons)
    stated = _state_levels(opinions, [canary, *references])
    if not stated and verdict is Verdict.PASS:
        reasons.append(Reason("no_levels", NO_LEVELS, {"canary_records": records["canary"]}))
    reasons += [*outages.notes, *other_layout(comparison.relaid)]
    return Quality(verdict, reasons, events, records, names, levels=stated_levels(canary), levels_stated=stated)


def _held(verdict: Verdict, reasons: list[Reason], doubts: Sequence[Reason]) -> tuple[Verdict, list[Reason]]:
    """With what no PASS can be given beside: it becomes INCONCLUSIVE, and what was it already says so first."""
    if not doubts:
        return verdict, reasons
    return Verdict.INCONCLUSIVE, [*doubts, *reasons] if verdict is Verdict.PASS else [*reasons, *doubts]


def _unproven(novelty: Novelty, new: Sequence[Event], events: Sequence[Event]) -> list[Reason]:
    """Why new errors do not fail the release."""
    elsewhere = moved(new, events)
    rest = [event for event in new if event.template not in elsewhere]
    reasons = [moved_reason(new, elsewhere)] if elsewhere else []
    return [*reasons, no_proof(novelty, rest)] if rest else reasons


def _tiny(canary: LogProfile, references: Sequence[LogProfile], events: Sequence[Event]) -> Reason | None:
    """Why so little to compare with condemns nothing, where nobody says how long was watched; None if it is enough."""
    known = sum(profile.records for profile in references)
    certain = any(event.risk and (event.feedback or event.kind is not EventKind.UNKNOWN) for event in events)
    if certain or known >= TOO_FEW or known >= TOO_SMALL_A_SHARE * canary.records:
        return None
    text = f"{known} records are too few to call anything new by: the canary has {canary.records:,}."
    return Reason("too_few_records", text, {"canary_records": canary.records, "reference_records": known})


def _names_of_used(baseline: Sequence[LogProfile], names: Sequence[str]) -> list[str]:
    given = dict(enumerate(names))
    return [given.get(at, "a baseline") for at, one in enumerate(baseline[:BASELINES_USED]) if one.records]


def _state_levels(opinions: Opinions, profiles: Sequence[LogProfile]) -> bool:
    return bool(opinions.errors) or any(signature.stated for profile in profiles for signature in profile.tallies)


def _verdict(events: Sequence[Event], novelty: Novelty) -> Verdict:
    """FAIL for a risk that is certain, or for more new kinds of errors than the log brings anyway."""
    risks = [event for event in events if event.risk]
    if not risks:
        return Verdict.PASS
    if any(event.feedback is not None or (event.stated and event.kind is not EventKind.UNKNOWN) for event in risks):
        return Verdict.FAIL
    return Verdict.FAIL if novelty.proven else Verdict.INCONCLUSIVE


def stated_levels(profile: LogProfile) -> dict[str, int]:
    """Records by the severity that they state, the worst first; ``none`` are those that state none.

    :param profile: of the records.
    """
    counts = dict.fromkeys((*SEVERITIES[::-1], "none"), 0)
    for signature, tally in profile.tallies.items():
        counts[signature.severity if signature.stated else "none"] += tally.count
    return {severity: count for severity, count in counts.items() if count}


def _with_risks(
    judged: Sequence[Event], opinions: Opinions, share: float, strictness: Strictness, *, final: bool
) -> list[Event]:
    """The events after the rules for unknown ones and all opinions, risks first."""
    events = [opinions.applied(_with_unknown(event, share, strictness, final=final)) for event in judged]
    return sorted(
        events, key=lambda event: (not event.risk, -SEVERITIES.index(event.severity), event.kind.value, event.id)
    )


def _weighted(comparison: Comparison, baselines: int) -> Comparison:
    """The same, older baselines counting less; they stand last, newest first."""
    ages = [0] * (len(comparison.references) - baselines) + list(range(baselines))
    pairs = zip(comparison.references, ages, strict=True)
    return replace(comparison, references=[replace(reference, weight=recency(age)) for reference, age in pairs])


def _spending(look: int, final: bool) -> float:
    """Share of the error rate for this look: half over all interim ones, half on the last one."""
    if final:
        return 1.0 if look <= 1 else 0.5
    return 0.5 * 6.0 / (3.14159265**2 * look**2)


def _nothing_to_compare(canary: LogProfile, records: Mapping[str, int], *, learn: bool) -> Quality:
    events = list(compare(canary, None, [canary]).events.values())
    events = [
        replace(event, counts={"canary": event.counts["canary"], "control": 0.0, "baseline": 0.0}) for event in events
    ]
    numbers = {"canary_records": records["canary"], "events": len(events)}
    if learn and records["canary"]:
        text = f"Nothing to compare with yet: {records['canary']} records of {len(events)} kinds become the baseline."
        return Quality(Verdict.PASS, [Reason("learning", text, numbers)], events, records)
    if not records["canary"]:
        return Quality(Verdict.INCONCLUSIVE, [Reason("no_data", "The canary logged nothing.", numbers)], [], records)
    text = "There is neither a baseline from earlier deployments nor a control to compare the canary's logs with."
    return Quality(Verdict.INCONCLUSIVE, [Reason("no_baseline", text, numbers)], events, records)


def _no_data(canary: LogProfile, sources: Sequence[LogProfile], records: Mapping[str, int]) -> Reason | None:
    """Why the canary's silence is not health; None if it logged."""
    if records["canary"]:
        return None
    rates = [profile.records / profile.watched for profile in sources if profile.watched]
    expected = canary.watched * min(rates) if rates else None
    numbers = {"canary_records": 0, "control_records": records["control"], "expected": expected}
    if expected is not None and expected >= PLENTY:
        text = f"The canary logged nothing where about {expected:.0f} records were to be expected."
    else:
        known = records["control"] + records["baseline"]
        text = f"The canary logged nothing; what it is compared with logged {known} records."
    return Reason("no_data", text, numbers)


def _too_few(canary: LogProfile, references: Sequence[LogProfile]) -> Reason | None:
    """Why a PASS of so little would say nothing, where nobody says how long was watched; None if it is enough."""
    least = min(profile.records for profile in references)
    if canary.records >= TOO_FEW or canary.records >= TOO_SMALL_A_SHARE * least:
        return None
    text = f"{canary.records} records of the canary are too few to judge it by: it is compared with {least:,}."
    return Reason("too_few_records", text, {"canary_records": canary.records, "reference_records": least})


def judge_frequencies(comparison: Comparison, watched: float, spending: float = 1.0) -> dict[str, Event]:
    """The events with what was expected of the known ones, marked where the canary's counts are far from it.

    What is marked is the same at every sensitivity; that decides what of it is a risk.

    :param comparison: the canary's events beside those of what it is compared with.
    :param watched: seconds the canary was watched, summed over instances; 0 when unknown.
    :param spending: share of the false discovery rate for this look.
    """
    known = [template for template, event in comparison.events.items() if event.kind is EventKind.KNOWN]
    expected = expectations(comparison.canary, watched, comparison.references, known)
    p_values = {template: item.p_value for template, item in expected.items()}
    standing_out = discoveries(p_values, DISCOVERY_RATE * spending)
    judged = dict(comparison.events)
    for template, item in expected.items():
        event = replace(judged[template], expected=item.expected, p_value=item.p_value)
        kind = _frequency(event, LEAST_RATIO) if template in standing_out else EventKind.KNOWN
        judged[template] = replace(event, kind=kind)
    return judged


def _with_frequency(event: Event, strictness: Strictness, spending: float, *, sampled: bool) -> Event:
    """The events of unexpected frequency, red where they are severe and sure enough; of a share none is silent."""
    if sampled and event.kind is EventKind.WENT_SILENT:
        return replace(event, kind=EventKind.KNOWN)
    if event.p_value is None or event.p_value > strictness.p_value * spending:
        return event
    kind = _frequency(event, strictness.ratio) if event.kind is not EventKind.KNOWN else event.kind
    if kind is EventKind.UNEXPECTED_FREQUENCY and event.counts["canary"] > (event.expected or 0.0):
        return replace(event, risk=at_least(weight_of(event), strictness.frequency))
    return replace(event, risk=kind is EventKind.WENT_SILENT and strictness.silence)


def _frequency(event: Event, ratio: float) -> EventKind:
    """What a count that stands out statistically is, given how much it must differ to matter."""
    observed, expected = event.counts["canary"], event.expected or 0.0
    if observed > expected:
        enough = observed >= _FEWEST_MORE and observed >= ratio * expected
        return EventKind.UNEXPECTED_FREQUENCY if enough else EventKind.KNOWN
    if expected < _FEWEST_MORE or observed * ratio > expected:
        return EventKind.KNOWN
    return EventKind.UNEXPECTED_FREQUENCY if observed else EventKind.WENT_SILENT


def _with_unknown(event: Event, chance: float, strictness: Strictness, *, final: bool) -> Event:
    """The unknown events, red where their severity makes them a risk.

    :param chance: canary's share of all that was watched; see :data:`CHANCE_OF_A_KNOWN`.
    """
    if event.kind is not EventKind.UNKNOWN:
        return event
    risk = _is_severe(event, strictness)
    if not final and chance ** event.counts["canary"] > CHANCE_OF_A_KNOWN:
        risk = False
    return replace(event, risk=risk)


def _is_severe(event: Event, strictness: Strictness) -> bool:
    """Whether it would be a risk if it were new."""
    return event.exception is not None or at_least(event.severity, strictness.unknown)


def _share(canary: LogProfile, sources: Sequence[LogProfile]) -> float:
    """Canary's share of the instance seconds watched, or of the records where those are unknown."""
    if canary.watched and all(profile.watched for profile in sources):
        return canary.watched / (canary.watched + sum(profile.watched for profile in sources))
    return canary.records / (canary.records + sum(profile.records for profile in sources))
