"""Requests that were refused (4xx): watched by how much of all requests they are.

One such answer is the client's doing, and a scanner brings many. When refusals come to be much of what a service
answers, its clients no longer get what they got before, and that weighs as an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.verdict import Event

_TIMES = 3.0  # as large a share as before
_FEWEST = 10  # of one kind
_MUCH = 0.05  # of all requests, more than before
_MUCH_NOT_FOUND = 0.1  # the same for 404, of which scanners bring many
_NOT_FOUND = 404


def with_refusals(events: Mapping[str, Event], references: Sequence[Mapping[str, int]]) -> dict[str, Event]:
    """The events, those of refused requests as errors where they have become much of all requests.

    :param events: of the comparison, by template.
    :param references: records of each template in what the canary is compared with.
    """
    status = {template: found for template in events if (found := status_in(template)) is not None}
    requests = sum(events[template].counts["canary"] for template in status)
    before = [sum(counts.get(template, 0) for template in status) for counts in references]
    result = dict(events)
    for template, code in status.items():
        count = events[template].counts["canary"]
        if not 400 <= code < 500 or count < _FEWEST:
            continue
        usual = max(
            (counts.get(template, 0) / of for counts, of in zip(references, before, strict=True) if of), default=0.0
        )
        share = count / requests
        if share >= _TIMES * usual and share - usual >= (_MUCH_NOT_FOUND if code == _NOT_FOUND else _MUCH):
            result[template] = replace(events[template], severity="error")
    return result
