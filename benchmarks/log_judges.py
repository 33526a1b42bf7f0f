"""Who judges a pair of logs: this project, by the way that ``airflow-cd verify`` goes, and its peers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_cd.verification.files.verification import FilesToVerify, verify_files
from airflow_cd.verification.verdict import Event, EventKind

_TOLD_APART = 300  # characters that tell two lines apart, their headers included


@dataclass(frozen=True)
class Answer:
    """What a judge says of a canary.

    :param verdict: ``PASS``, ``FAIL`` or ``INCONCLUSIVE``.
    :param events: what this project's verdict rests on.
    :param flagged: lines that a peer's verdict rests on.
    """

    verdict: str
    events: Sequence[Event] = ()
    flagged: Sequence[str] = ()

    def finds(self, inserted: Sequence[str]) -> bool:
        """Whether an unknown event, or what a peer flagged, shows one of these lines."""
        return self._flags(inserted) or any(event.kind is EventKind.UNKNOWN for event in self.holding(inserted))

    def fails(self, inserted: Sequence[str]) -> bool:
        """Whether what the verdict rests on shows one of these lines."""
        return self._flags(inserted) or any(event.risk for event in self.holding(inserted))

    def _flags(self, inserted: Sequence[str]) -> bool:
        return not {_compact(line) for line in self.flagged}.isdisjoint(map(_compact, inserted))

    def holding(self, inserted: Sequence[str]) -> list[Event]:
        """Events of the canary that show one of these lines among their samples, unknown ones first."""
        lines = {_compact(line) for line in inserted}
        found = [
            event
            for event in self.events
            if any(_shows(_compact(sample), line) for sample in event.samples for line in lines)
        ]
        return sorted(found, key=lambda event: (event.kind is not EventKind.UNKNOWN, not event.risk))


Judge = Callable[[Sequence[str], Sequence[str]], Answer]
"""Takes the lines of a baseline and of a canary."""


def ours(baseline: Sequence[str], canary: Sequence[str]) -> Answer:
    """What ``airflow-cd verify --baseline FILE --canary FILE`` says, with the settings that it has."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [written(Path(folder) / name, lines) for name, lines in (("old.log", baseline), ("new.log", canary))]
        judgement = verify_files(FilesToVerify(logs={"baseline": paths[:1], "canary": paths[1:]})).judgement
    quality = judgement.quality
    return Answer(str(judgement.verdict), tuple(quality.events) if quality is not None else ())


def written(path: Path, lines: Sequence[str]) -> str:
    """The path as text, of a file that now holds the lines as they came."""
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    return str(path)


def _compact(text: str) -> str:
    """Without white space, which joining and unfolding change."""
    return "".join(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())


def _shows(sample: str, line: str) -> bool:
    """Whether a sample, which may lack the header of its line and be cut, is of the line."""
    start = sample[:_TOLD_APART]
    return bool(start) and (start in line or line[:_TOLD_APART] in sample)
