"""Verifying plain files, without any deployment: logs and metrics of a canary against those of earlier releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification import conclusions
from airflow_cd.verification.files.formats import log_format
from airflow_cd.verification.files.log_times import Course, Stamped
from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.files.opening import (
    HEAD,
    STANDARD_INPUT,
    InputFile,
    Progress,
    names_of,
    opened,
    peeked,
    refuse_binary,
)
from airflow_cd.verification.files.silence import copies, silent_files
from airflow_cd.verification.logs.feedback import Opinions, unmatched, usable_expectations
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality, stated_levels
from airflow_cd.verification.per_instance import of_log_files, with_instances
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.times import iso_now
from airflow_cd.verification.verdict import Judgement, Performance, Quality, worst

OnFile = Callable[[InputFile], "Progress | None"]
SIDES = ("baseline", "control", "canary")
_FEW_RECORDS = 0.25  # of the canary's records: a smaller baseline has not seen what is merely rare


@dataclass(frozen=True)
class FilesToVerify:
    """What is compared with what, and how.

    :param logs: by side (:data:`SIDES`), paths of log files. Each baseline is one earlier good deployment, the newest
        last; each file of the canary and of the control is one instance. ``-`` is standard input.
    :param metrics: by side, paths of CSV or Parquet files.
    :param sensitivity: how little evidence, and which severity, fails the canary.
    :param errors: patterns of records that are errors whatever level they state.
    :param expected: patterns of events that the release is meant to bring; see
        :class:`~airflow_cd.verification.logs.feedback.Expected`.
    :param kinds: by the name of a metric, one of :data:`~airflow_cd.verification.metrics.kinds.KINDS`; overrides what
        the name suggests.
    :param directions: by the name of a metric, which way is worse: ``higher``, ``lower`` or ``either``.
    :param minimum_effect: smallest change that counts as a regression, as a share: 0.2 is 20 %.
    :param min_requests: fewest requests on each side to judge a metric by; None for the default.
    :param warm_up: longest time in which a new process may be slow, in seconds; None for the default of
        :func:`~airflow_cd.verification.metrics.performance.judge_performance`, as for ``decisive``, the names of the
        metrics that decide.
    """

    logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sensitivity: Sensitivity = "medium"
    expected: Sequence[str] = ()
    errors: Sequence[str] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)
    minimum_effect: float = 0.2
    min_requests: int | None = None
    warm_up: float | None = None
    decisive: Sequence[str] = ()


@dataclass(frozen=True)
class Verified:
    """The outcome of a verification of files.

    :param judgement: the verdict with its evidence.
    :param files: every file that was read, with how much was found in it.
    :param given: what was asked for.
    """

    judgement: Judgement
    files: Sequence[InputFile]
    given: FilesToVerify


def verify_files(given: FilesToVerify, on_file: OnFile = lambda file: None) -> Verified:
    """Read all files and judge what they hold.

    :param given: the files, and how to judge them.
    :param on_file: called with each file before it is read; the function it returns, if any, is called with the
        number of bytes of each read.
    :raises airflow_cd.errors.VerificationError: a file cannot be used, or what is given contradicts itself.
    """
    logs, metrics = _files(given.logs, "logs"), _files(given.metrics, "metrics")
    _check(logs, metrics)
    expected = usable_expectations(given.expected)
    errors = usable_expectations(given.errors, "--error")
    started = iso_now()
    warnings = [*_warnings_about_files(logs, metrics)]
    quality = _quality(given, Opinions(expected=expected, errors=errors), logs, on_file, warnings) if logs else None
    performance = _performance(given, metrics, on_file, warnings) if metrics else None
    warnings += unmatched(expected, quality.events if quality is not None else (), option="--expected ")
    parts: list[Quality | Performance] = [part for part in (quality, performance) if part is not None]
    verdict = worst(part.verdict for part in parts)
    files = [*logs, *metrics]
    judgement = Judgement(
        verdict=verdict,
        reasons=[reason for part in parts if part.verdict is verdict for reason in part.reasons],
        performance=performance,
        quality=quality,
        started=started,
        decided=iso_now(),
        looks=1,
        canary=_unique(file.name for file in files if file.side == "canary"),
        control=_unique(file.name for file in files if file.side == "control"),
        warnings=warnings,
    )
    return Verified(judgement, files, given)


def with_layout(verified: Verified) -> Verified:
    """The same with a place in the report's picture for each event; only the page needs it.

    :param verified: as :func:`verify_files` returns it.
    """
    return replace(verified, judgement=conclusions.with_layout(verified.judgement))


def _files(paths: Mapping[str, Sequence[str]], what: str) -> list[InputFile]:
    flat = [(side, path) for side in SIDES for path in paths.get(side, ())]
    named = names_of([path for _, path in flat])
    return [InputFile(path, side, what, name) for (side, path), name in zip(flat, named, strict=True)]


def _check(logs: Sequence[InputFile], metrics: Sequence[InputFile]) -> None:
    """Refuse what cannot be meant, before anything is read."""
    files = [*logs, *metrics]
    if not files:
        raise VerificationError(
            "there is nothing to verify.",
            next_step="Give what the new release logged with --canary, and what an earlier one did with --baseline.",
        )
    for some, option in ((logs, "--canary"), (metrics, "--metrics-canary")):
        if some and not any(file.side == "canary" for file in some):
            raise VerificationError(
                f"nothing of the canary is given to compare {some[0].path} with.",
                next_step=f"Give what the new release wrote with {option}.",
            )
    if sum(file.path == STANDARD_INPUT for file in files) > 1:
        raise VerificationError(
            "standard input (-) is given more than once, but can be read only once.",
            next_step="Write one of them to a file, or use <(...) in bash.",
        )
    for file in files:
        _check_first_bytes(file)


def _check_first_bytes(file: InputFile) -> None:
    """Refuse a file that cannot be used now, and not after a minute of reading the others."""
    path = Path(file.path)
    # Named pipes and the like can be read only once.
    if file.path != STANDARD_INPUT and (path.is_file() or path.is_dir() or not path.exists()):
        with opened(file.path) as stream:
            if file.what == "logs":
                refuse_binary(file.path, peeked(stream))


def _warnings_about_files(logs: Sequence[InputFile], metrics: Sequence[InputFile]) -> Iterator[str]:
    for name in _twice(logs, metrics):
        yield f"{name} is given twice: what is compared with itself is never new."
    for name in _tables(logs):
        yield f"{name} is read as a log; metrics are given with --metrics-canary and --metrics-baseline."


def _tables(logs: Sequence[InputFile]) -> list[str]:
    """Names of tables that were given as logs: each of their rows would be a record."""
    return [file.name for file in logs if file.path.lower().split(".csv")[-1] in ("", ".gz", ".bz2", ".xz", ".zst")]


def _twice(*files: Sequence[InputFile]) -> list[str]:
    """Names of files that are on two sides of the same comparison."""
    found = []
    for some in files:
        canary = {Path(file.path).resolve() for file in some if file.side == "canary"}
        found += [
            file.name
            for file in some
            if file.side != "canary" and file.path != STANDARD_INPUT and Path(file.path).resolve() in canary
        ]
    return found


def _quality(
    given: FilesToVerify,
    opinions: Opinions,
    files: Sequence[InputFile],
    on_file: OnFile,
    warnings: list[str],
) -> Quality:
    by_side: dict[str, list[tuple[InputFile, LogProfile]]] = {side: [] for side in SIDES}
    courses: dict[str, list[Course]] = {side: [] for side in SIDES}
    for file in files:
        profile, course = _profile(file, on_file(file))
        by_side[file.side].append((file, profile))
        courses[file.side].append(course)
        warnings += _troubles(file)
    canary, control = (LogProfile.merge(*(profile for _, profile in by_side[side])) for side in ("canary", "control"))
    newest_first = by_side["baseline"][::-1]
    quality = judge_quality(
        canary,
        control if by_side["control"] else None,
        [profile for _, profile in newest_first],
        sensitivity=given.sensitivity,
        baseline_names=[file.name for file, _ in newest_first],
        opinions=opinions,
    )
    quality = of_log_files(
        quality,
        *({file.name: profile.records for file, profile in by_side[side]} for side in ("canary", "control")),
    )
    sides = [courses[side] for side in ("canary", "control", "baseline")]
    quality = with_instances(quality, [*copies(*sides), *silent_files(*sides[:2])])
    if len(quality.baseline) < len(newest_first) and canary.records:
        warnings.append(
            f"{len(quality.baseline)} of {len(newest_first)} baselines were compared with: the newest with records."
        )
    known = control.records + sum(profile.records for _, profile in newest_first)
    if 0 < known < _FEW_RECORDS * canary.records:
        warnings.append(
            f"There are {known:,} records to compare with and {canary.records:,} of the canary: "
            "what is merely rare may be called unknown."
        )
    return quality


def _profile(file: InputFile, progress: Progress | None) -> tuple[LogProfile, Course]:
    with opened(file.path, _counting(file, progress)) as stream:
        head = peeked(stream)
        refuse_binary(file.path, head)  # of a pipe, which could not be looked into before
        stamped = Stamped(stream)
        profile = profile_stream(stamped, instance=file.name)
    file.records, file.troubles = profile.records, dict(profile.troubles)
    found = log_format(head, whole=len(head) < HEAD)
    file.header, file.headless, file.looked_at, file.unread = found.text, found.without, found.records, found.example
    file.mute = found.mute
    file.levels = stated_levels(profile)
    return profile, stamped.course(file.name, profile.records)


def _counting(file: InputFile, progress: Progress | None) -> Progress:
    def count(more: int) -> None:
        file.read += more
        if progress is not None:
            progress(more)

    return count


def _troubles(file: InputFile) -> list[str]:
    words = {
        "undecodable": "not UTF-8: bytes that could not be decoded are shown as \ufffd",
        "too_long": "too long: they are judged by their beginning",
    }
    mute = f"{file.name}: no field of its JSON is recognised as the message: records are known by their levels alone."
    return [mute] * file.mute + [
        f"{file.name}: {count:,} {'record was' if count == 1 else 'records were'} {words[trouble]}."
        for trouble, count in sorted((file.troubles or {}).items())
        if count and trouble in words
    ]


def _performance(given: FilesToVerify, files: Sequence[InputFile], on_file: OnFile, warnings: list[str]) -> Performance:
    from airflow_cd.verification.files.metric_instances import joined
    from airflow_cd.verification.files.metric_sides import sides_of
    from airflow_cd.verification.files.metrics import read_metrics
    from airflow_cd.verification.metrics.performance import judge_performance

    tables: dict[str, list[Any]] = {}
    for file in files:
        tables.setdefault(file.side, []).append(read_metrics(file, _counting(file, on_file(file))))
    sides = sides_of(
        {side: joined(found) for side, found in tables.items()}, given.kinds, given.directions, given.min_requests
    )
    _check_decisive(given.decisive, sides.metrics)
    warnings += sides.notes
    return judge_performance(
        sides.frames["canary"],
        sides.frames.get("control"),
        sides.frames.get("baseline"),
        sides.metrics,
        sensitivity=given.sensitivity,
        minimum_effect=given.minimum_effect,
        min_requests=sides.least,
        warm_up=given.warm_up,
        decisive=given.decisive,
    )


def _check_decisive(decisive: Sequence[str], metrics: Sequence[Metric]) -> None:
    """Refuse a metric that is to decide and that no file has: it is misspelt."""
    from airflow_cd.verification.metrics.thresholds import is_named

    for name in decisive:
        if not any(is_named(metric, name) for metric in metrics):
            raise VerificationError(
                f"--decisive names {name!r}, which is not a metric of these files.",
                next_step=f"Name one of: {', '.join(sorted(metric.name for metric in metrics))}.",
            )


def _unique(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
