"""Regressions put into what a good deployment logged, to see whether a verification would have noticed.

Each takes the profile of a canary and gives back the profile the same canary would have left had it had that fault.
The same arguments always give the same fault.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from airflow_cd.verification.logs.events import Comparison
from airflow_cd.verification.logs.headers.levels import NAMES
from airflow_cd.verification.logs.masking import MAYBE
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.signatures import Signature, Tally
from airflow_cd.verification.verdict import SEVERITIES, Event, EventKind

NEW_RECORDS = 3  # of something that was never logged before
MORE = 5  # times as many of a known error
_FEWEST = 4  # records a known error must have to become more frequent
_PLENTY = 20  # records without which nobody misses an event
_SHARE_OF_STATUS = 0.1
_OK = re.compile(rf"(?<!{MAYBE})\b200\b")
_LEVEL = re.compile(rf"^(?:{'|'.join(NAMES.values())}) ")


@dataclass(frozen=True)
class Regression:
    """One kind of fault.

    :param name: what reports call it.
    :param inject: the canary's profile with the fault, None where there is nothing to put it into. It is given the
        profile, how that compares with its references, and what chooses.
    """

    name: str
    inject: Callable[[LogProfile, Comparison, random.Random], LogProfile | None]


def _new_exception(profile: LogProfile, comparison: Comparison, chance: random.Random) -> LogProfile | None:
    record = (
        "ERROR injected - request 7 failed\n"
        "Traceback (most recent call last):\n"
        '  File "/srv/injected.py", line 7, in injected_regression\n'
        "    raise InjectedRegressionError(7)\n"
        "InjectedRegressionError: 7"
    )
    return _with_records(profile, record, NEW_RECORDS, chance)


def _new_error(profile: LogProfile, comparison: Comparison, chance: random.Random) -> LogProfile | None:
    record = "ERROR injected regression refuses to write the ledger of quotas"
    return _with_records(profile, record, NEW_RECORDS, chance)


def _more_errors(profile: LogProfile, comparison: Comparison, chance: random.Random) -> LogProfile | None:
    errors = [
        event
        for event in _known(comparison)
        if SEVERITIES.index(event.severity) >= SEVERITIES.index("error") and event.counts["canary"] >= _FEWEST
    ]
    if not errors:
        return None
    chosen = _members(comparison, chance.choice(errors))
    return _changed(profile, dict.fromkeys(chosen, MORE))


def _silence(profile: LogProfile, comparison: Comparison, chance: random.Random) -> LogProfile | None:
    frequent = [event for event in _known(comparison) if event.counts["canary"] >= _PLENTY]
    if len(frequent) < 2:  # the only event gone would be a canary without data
        return None
    chosen = _members(comparison, chance.choice(frequent))
    return _changed(profile, dict.fromkeys(chosen, 0))


def _failing_status(profile: LogProfile, comparison: Comparison, chance: random.Random) -> LogProfile | None:
    lines = sorted(
        (signature for signature in profile.tallies if _OK.search(signature.template)),
        key=lambda signature: (-profile.tallies[signature].count, signature.template),
    )
    for signature in lines:
        tally = profile.tallies[signature]
        for found in _OK.finditer(tally.samples[-1] if tally.samples else ""):
            failing = f"{tally.samples[-1][: found.start()]}500{tally.samples[-1][found.end() :]}"
            seen = {made.template for made in LogProfile.of([failing]).tallies}
            # Only where the number is a status, and nobody has seen it fail before.
            wanted = _LEVEL.sub("", _OK.sub("500", signature.template, count=1))
            if {_LEVEL.sub("", one) for one in seen} == {wanted} and not seen & set(comparison.events):
                return _with_records(profile, failing, max(NEW_RECORDS, round(_SHARE_OF_STATUS * tally.count)), chance)
    return None


REGRESSIONS = (
    Regression("a new exception", _new_exception),
    Regression("a new error line", _new_error),
    Regression(f"a known error {MORE} times as often", _more_errors),
    Regression("status 500 instead of 200", _failing_status),
    Regression("an event gone silent", _silence),
)


def _known(comparison: Comparison) -> list[Event]:
    """The events the references know, in one order."""
    known = (event for event in comparison.events.values() if event.kind is not EventKind.UNKNOWN)
    return sorted(known, key=lambda event: event.template)


def _members(comparison: Comparison, event: Event) -> Iterable[Signature]:
    return [signature for signature, template in comparison.members.items() if template == event.template]


def _with_records(profile: LogProfile, record: str, count: int, chance: random.Random) -> LogProfile:
    """The profile with so many more records, spread over the canary's instances, within its time."""
    instances = sorted({name for tally in profile.tallies.values() for name in tally.instances}) or [""]
    times = [time for tally in profile.tallies.values() for time in (tally.first, tally.last) if time is not None]
    added: dict[str, int] = {}
    for _ in range(count):
        name = chance.choice(instances)
        added[name] = added.get(name, 0) + 1
    new = LogProfile.of([record])
    for tally in new.tallies.values():
        tally.instances = added
        if times:
            tally.first, tally.last = min(times), max(times)
    return LogProfile.merge(profile, new)


def _changed(profile: LogProfile, factors: Mapping[Signature, int]) -> LogProfile:
    """The profile with so many times the records of some signatures."""
    tallies = {}
    for signature, tally in profile.tallies.items():
        factor = factors.get(signature, 1)
        if factor:
            counts = {instance: factor * count for instance, count in tally.instances.items()}
            tallies[signature] = Tally(counts, tally.first, tally.last, tally.samples)
    return LogProfile(tallies, profile.watched_ms, dict(profile.troubles))
