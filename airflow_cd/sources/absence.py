"""What is said of instances of which a source has nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from airflow_cd.verification.remembering import once

_LISTED = 5


def unknown_instances(names: Sequence[str], known: Sequence[str], place: str) -> Iterator[str]:
    """The sentence that names instances which a source has never heard of, and some that it has; none where all are.

    :param names: of the instances of which there is nothing.
    :param known: what the source has in the place of their names.
    :param place: where that is, such as ``the label pod``.
    """
    if unknown := [name for name in names if name not in known]:
        held = ", ".join(known[:_LISTED]) or "nothing"
        yield f"Nothing is known of {', '.join(unknown[:_LISTED])}: {place} holds {held}."


def why_nothing(names: Sequence[str], ask: Callable[[], Iterable[str]]) -> list[str]:
    """Why a source has nothing of some instances; while it is watched it is not asked at every look.

    :param names: of the instances.
    :param ask: asks the source; what it raises is raised at every look.
    """
    return once(("why nothing", *names), lambda: [*ask()])
