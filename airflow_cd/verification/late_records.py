"""What came late of a time that was counted before, told from two profiles of it."""

from __future__ import annotations

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import Tally


def completed(counted: LogProfile, late: LogProfile) -> LogProfile:
    """What was counted with what came late of the same time.

    :param counted: of what was counted before.
    :param late: as :func:`beyond` returns it; of time that was watched already.
    """
    merged = LogProfile.merge(counted, late)
    merged.watched_ms = counted.watched_ms
    return merged


def beyond(profile: LogProfile, counted: LogProfile) -> LogProfile:
    """What a profile holds more than another one of the same time and instances: the records that came later.

    A record that a look cut in two was counted as its parts; whole, it is none of those that came later.

    :param profile: of everything there is by now.
    :param counted: of what was counted before.
    :returns: the late records, watched for their share of the time that was watched.
    """
    late, parts = LogProfile(), _parts(profile, counted)
    for signature, tally in profile.tallies.items():
        known = counted.tallies.get(signature, Tally()).instances
        more = {name: count - known.get(name, 0) for name, count in tally.instances.items()}
        for name, text in parts:
            if more.get(name, 0) > 0 and any(text in sample and text != sample for sample in tally.samples):
                more[name] -= parts[name, text]
        more = {name: count for name, count in more.items() if count > 0}
        if more:
            late.tallies[signature] = Tally(more, tally.first, tally.last, tally.samples)
    late.watched_ms = round(counted.watched_ms * late.records / (counted.records + late.records)) if late.records else 0
    return late


def _parts(profile: LogProfile, counted: LogProfile) -> dict[tuple[str, str], int]:
    """What was counted and is no longer there, by instance and text: how many, as far as its texts are known."""
    parts: dict[tuple[str, str], int] = {}
    for signature, tally in counted.tallies.items():
        now = profile.tallies.get(signature, Tally()).instances
        for name, count in tally.instances.items():
            gone = count - now.get(name, 0)
            for text in tally.samples if gone > 0 else ():
                parts[name, text.strip()] = gone
    return parts
