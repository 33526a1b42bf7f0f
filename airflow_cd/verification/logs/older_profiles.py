"""Profiles that an earlier version kept, read by what this version knows of headers and traces."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_cd.verification.logs.counting import count_records
from airflow_cd.verification.logs.masking import VARIABLE, WILDCARD
from airflow_cd.verification.logs.recognition import signature_of_line
from airflow_cd.verification.logs.signatures import SAMPLE_LENGTH, Signature, Tally


def read_again(tallies: Mapping[Signature, Tally]) -> dict[Signature, Tally]:
    """What an earlier version counted, by the signatures that this one gives to its samples.

    A signature whose samples are not whole, or that has none, keeps its stack trace or is read from its template.

    :param tallies: of the profile, by the signatures that its version gave.
    """
    again: dict[Signature, Tally] = {}
    for signature, tally in tallies.items():
        sample = next(iter(tally.samples), "")
        found: Signature | None = None
        if sample and len(sample) < SAMPLE_LENGTH:
            read, _ = count_records([sample])
            found = next(iter(read)) if len(read) == 1 else None
        if found is None:
            found = signature if signature.traced else signature_of_line(signature.template.replace(WILDCARD, VARIABLE))
        again.setdefault(found, Tally()).add(tally)
    return again
