"""What weights become when a revision gets a part, loses it, or takes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from airflow_cd.errors import TargetRejected
from airflow_cd.instances import WHOLE
from airflow_cd.targets.revisions.note import Note, listed

Weights = Mapping[str, float]
"""Percent of the requests by name of a revision."""


def stable_of(weights: Weights, note: Note) -> list[str]:
    """The revisions that serve and are no canary, the largest weight first; else what is kept beside the canary.

    :param weights: as they are read.
    :param note: what was written with them.
    """
    others = sorted(set(weights) - {note.canary}, key=lambda name: (-weights[name], name))
    return others or ([note.stable] if note.stable and note.stable != note.canary else [])


def weighed(weights: Weights, note: Note, part: float) -> dict[str, float]:
    """The weights when the canary has a part, and the others the rest in proportion to theirs.

    :param weights: as they are read.
    :param note: who the canary is, and what is kept beside it.
    :param part: percent of the requests, 0 to take the canary out.
    """
    others = {name: weight for name, weight in weights.items() if name != note.canary and weight > 0}
    if not others and note.stable and note.stable != note.canary:
        others = {note.stable: float(WHOLE)}
    total = sum(others.values())
    if not total:
        # With nobody else to serve, the canary cannot be taken out.
        return dict(weights)
    return {note.canary: part, **{name: weight * (WHOLE - part) / total for name, weight in others.items()}}


def without_canary(weights: Weights, note: Note) -> dict[str, float]:
    """The weights without the canary's.

    :param weights: as they are read.
    :param note: who the canary is, if there is one.
    """
    return weighed(weights, note, 0.0) if note.canary and note.canary in weights else dict(weights)


def taken_over(weights: Weights, note: Note, name: str) -> tuple[dict[str, float], Note]:
    """The weights and the note once a revision is the stable one.

    A canary that is another one keeps its part, unless that is everything: then this takes over from it.

    :param weights: as they are read.
    :param note: what was written with them.
    :param name: of the revision.
    """
    was = next(iter(stable_of(weights, note)), "")
    note = replace(note, stable=name, coming="", before=was if was != name else note.before)
    if not note.canary or name == note.canary:
        return {name: float(WHOLE)}, note.without_canary()
    part = weights.get(note.canary, 0.0)
    part = 0.0 if part >= WHOLE else part
    return {note.canary: part, name: WHOLE - part}, replace(note, given=round(part))


def unknown(weights: Weights, note: Note) -> str:
    """That nobody knows which revision is the canary, as a sentence without its full stop; ``""`` where it is known.

    :param weights: as they are read.
    :param note: what was read with them, an empty one where there is none.
    """
    if not note.empty or len(weights) < 2:
        return ""
    return (
        "nothing is noted beside the weights, or not any more, so it is unknown which revision is the canary and who "
        f"acted last: the requests go to several revisions, {listed(weights)}"
    )


def require_known(weights: Weights, note: Note) -> None:
    """Refuse to change weights of which nobody knows whose they are.

    :param weights: as they are read.
    :param note: what was read with them.
    :raises TargetRejected: as of :func:`unknown`.
    """
    if lost := unknown(weights, note):
        raise TargetRejected(
            f"{lost}.",
            state="nothing was changed by this call.",
            next_step="Give all requests to the revision that is to serve.",
        )


def changed(weights: Weights, note: Note) -> str:
    """That the weights are not what was set last, as a sentence without its full stop.

    :param weights: as they are read.
    :param note: what was written with the last ones.
    """
    wanted = {note.canary: float(note.given), note.stable: float(WHOLE - note.given)}
    was = listed({name: weight for name, weight in wanted.items() if name and weight})
    return f"somebody else has changed the weights: {listed(weights)}, and what was set was {was}"
