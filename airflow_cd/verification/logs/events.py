"""From log profiles to events: what canary, control and baseline logged, side by side for each kind of message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_cd.verification.logs.clustering import Vocabulary, group
from airflow_cd.verification.logs.frequency import Reference
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.relayout import relayout_of
from airflow_cd.verification.logs.signatures import Signature, Tally, content_id
from airflow_cd.verification.times import iso_time_of
from airflow_cd.verification.verdict import SEVERITIES, Event, EventKind


@dataclass(frozen=True)
class Comparison:
    """The canary's events beside those of what it is compared with.

    :param events: every event of either side, by template; *known* or *unknown*, not yet judged any further.
    :param canary: records of the canary for each template.
    :param references: the control (if there is one) and each baseline, as counts for each template.
    :param members: for each signature of either side the template of its event.
    :param kinds: by template of an event, the records of each kind of message in it: on the canary, and in all
        references together.
    :param relaid: kinds of messages of the canary that are known, with something else in front of them.
    """

    events: dict[str, Event]
    canary: dict[str, int]
    references: list[Reference]
    members: dict[Signature, str]
    kinds: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    relaid: int = 0


def compare(canary: LogProfile, control: LogProfile | None, baseline: Sequence[LogProfile]) -> Comparison:
    """Cluster everything that was logged and count it by event.

    :param canary: what the canary logged.
    :param control: what the control logged, None without one.
    :param baseline: what earlier deployments logged; may be empty, then all the canary logged is unknown.
    """
    profiles = [*([control] if control else []), *baseline]
    merged = LogProfile.merge(*profiles)
    vocabulary = Vocabulary(merged.counts())
    layout = relayout_of(canary.counts(), merged.counts())
    before = {one: layout.as_before(one) for one in canary.tallies if one not in merged.tallies}
    vocabulary.fill_slots([*canary.tallies, *(other for others in before.values() for other in others)])
    known = {signature: vocabulary.template_of(signature) or signature.template for signature in merged.tallies}
    seen = _templates(canary.tallies, vocabulary, before)
    counted = [group(profile.counts(), known) for profile in profiles]
    control_counts = counted[0] if control else {}
    baseline_counts = counted[1:] if control else counted
    reference_members, canary_members = _by_template(known), _by_template(seen)
    events = {}
    for template in sorted({*reference_members, *canary_members}):
        on_canary = _merged(canary, canary_members.get(template, ()))
        looks = on_canary if on_canary.count else _merged(merged, reference_members.get(template, ()))
        members = canary_members.get(template) or reference_members[template]
        severity = max((signature.weight for signature in members), key=SEVERITIES.index)
        face = min(members, key=lambda signature: (signature.exception is None, signature.template))
        events[template] = Event(
            id=content_id(template),
            kind=EventKind.KNOWN if template in reference_members else EventKind.UNKNOWN,
            severity=severity,
            risk=False,
            template=template,
            samples=looks.samples,
            exception=face.exception,
            frames=face.frames,
            stated=any(signature.stated for signature in members),
            counts={
                "canary": float(on_canary.count),
                "control": float(control_counts.get(template, 0)),
                "baseline": _mean([counts.get(template, 0) for counts in baseline_counts]),
            },
            instances=dict(sorted(on_canary.instances.items())),
            first_seen=iso_time_of(on_canary.first),
            last_seen=iso_time_of(on_canary.last),
        )
    references = [Reference(counts, profile.watched) for counts, profile in zip(counted, profiles, strict=True)]
    template_of = {**known, **seen}
    kinds = _kinds(canary, merged, template_of)
    relaid = {seen[one] for one, others in before.items() if others and vocabulary.template_of(one) is None}
    return Comparison(
        events, group(canary.counts(), seen), references, template_of, kinds, len(relaid & reference_members.keys())
    )


def _templates(
    signatures: Iterable[Signature], vocabulary: Vocabulary, before: Mapping[Signature, Sequence[Signature]]
) -> dict[Signature, str]:
    """For each signature of the canary the template of its event, the reference's wherever it is a variant of one.

    :param before: what a signature may have been before the log's layout changed.
    """
    known = {
        signature: next(
            (found for one in (signature, *before.get(signature, ())) if (found := vocabulary.template_of(one))), None
        )
        for signature in signatures
    }
    new = vocabulary.unknown_events(signature for signature, template in known.items() if template is None)
    return {signature: new[signature] if template is None else template for signature, template in known.items()}


def _kinds(
    canary: LogProfile, merged: LogProfile, members: Mapping[Signature, str]
) -> dict[str, dict[str, tuple[int, int]]]:
    kinds: dict[str, dict[str, tuple[int, int]]] = {}
    for signature, template in members.items():
        of_event = kinds.setdefault(template, {})
        here, before = of_event.get(signature.template, (0, 0))
        counts = (profile.tallies.get(signature) for profile in (canary, merged))
        more_here, more_before = (tally.count if tally is not None else 0 for tally in counts)
        of_event[signature.template] = here + more_here, before + more_before
    return kinds


def _by_template(templates: Mapping[Signature, str]) -> dict[str, list[Signature]]:
    members: dict[str, list[Signature]] = {}
    for signature, template in templates.items():
        members.setdefault(template, []).append(signature)
    return members


def _merged(profile: LogProfile, members: Iterable[Signature]) -> Tally:
    tally = Tally()
    for signature in members:
        tally.add(profile.tallies[signature])
    return tally


def _mean(counts: Sequence[int]) -> float:
    return sum(counts) / len(counts) if counts else 0.0
